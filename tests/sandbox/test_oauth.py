"""The token endpoint: grants, families of refresh tokens, and its rate limit."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from coaching_async.sandbox import (
    ASSERTION,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    ORG_NAME,
    REFRESH_TOKEN,
    Client,
    Sandbox,
    UserGrant,
)
from tests.sandbox.api import APPOINTMENTS, BASIC, MINIMAL, Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

WITH_CODE = {"grant_type": "authorization_code", "code": CODE, "redirect_uri": "http://localhost/x"}
WITH_PKCE = {**WITH_CODE, "client_id": CLIENT_ID, "code_verifier": "a" * 43}
WITH_SAML = {
    "grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer",
    "orgName": ORG_NAME,
    "assertion": ASSERTION,
}


@pytest.fixture
def login(sandbox: Sandbox) -> Iterator[Api]:
    with Api(sandbox) as client:
        yield client


def refresh(login: Api, token: str) -> httpx.Response:
    return login.token(grant_type="refresh_token", refresh_token=token)


def is_good(login: Api, answer: httpx.Response) -> bool:
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return login.get(f"{APPOINTMENTS}/me", headers=headers).status_code == 200


# grants


def test_an_authorization_code_can_be_used_repeatedly_for_the_first_users_token(login: Api):
    for answer in (login.token(**WITH_CODE), login.token(**WITH_CODE), login.token(None, **WITH_PKCE)):
        assert is_good(login, answer)
        assert answer.json()["refresh_token"]


def test_an_assertion_returns_the_first_users_token_without_a_refresh_token(login: Api):
    answer = login.token(**WITH_SAML)
    assert is_good(login, answer)
    assert "refresh_token" not in answer.json()


def test_only_a_token_obtained_without_a_secret_is_refreshed_without_one(login: Api):
    public, confidential = (
        each.json()["refresh_token"] for each in (login.token(None, **WITH_PKCE), login.token(**WITH_CODE))
    )
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID}
    rotated = login.token(None, **form, refresh_token=public)
    assert is_good(login, rotated)
    assert is_good(login, login.token(None, **form, refresh_token=rotated.json()["refresh_token"]))
    for token in (confidential, REFRESH_TOKEN):
        assert login.token(None, **form, refresh_token=token).json()["error"] == "invalid_grant"
    assert is_good(login, refresh(login, confidential))


@pytest.mark.parametrize(
    "form, error",
    [
        ({**WITH_CODE, "code": "other"}, "invalid_grant"),
        ({**WITH_CODE, "redirect_uri": ""}, "invalid_request"),
        ({**WITH_CODE, "code_verifier": "short"}, "invalid_request"),
        ({**WITH_SAML, "orgName": "other"}, "invalid_grant"),
        ({**WITH_SAML, "assertion": "other"}, "invalid_grant"),
    ],
)
def test_a_wrong_request_of_a_client_with_a_secret_is_refused(login: Api, form: dict[str, str], error: str):
    assert login.token(**form).json()["error"] == error


@pytest.mark.parametrize(
    "form, error",
    [
        ({**WITH_PKCE, "client_id": "other"}, "invalid_client"),
        ({**WITH_PKCE, "code_verifier": "a" * 42}, "invalid_request"),
        ({**WITH_PKCE, "code_verifier": "a" * 129}, "invalid_request"),
        ({**WITH_PKCE, "code_verifier": "+" * 43}, "invalid_request"),
        ({**WITH_CODE, "client_id": CLIENT_ID}, "invalid_request"),
        (WITH_CODE, "invalid_client"),
        ({**WITH_SAML, "client_id": CLIENT_ID}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": CLIENT_ID}, "invalid_client"),
    ],
)
def test_a_client_without_a_secret_may_only_use_a_code_with_pkce(login: Api, form: dict[str, str], error: str):
    assert login.token(None, **form).json()["error"] == error


def test_a_refresh_token_is_rotated_and_the_printed_one_stays_valid(sandbox: Sandbox):
    with Api(sandbox) as api:
        for _ in range(2):
            rotated = api.token(grant_type="refresh_token", refresh_token=REFRESH_TOKEN).json()["refresh_token"]
        assert api.token(grant_type="refresh_token", refresh_token=rotated).status_code == 200
        assert api.token(grant_type="refresh_token", refresh_token=rotated).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "auth, form, error",
    [
        (None, {"grant_type": "client_credentials"}, "invalid_client"),
        (("nobody", CLIENT_SECRET), {"grant_type": "client_credentials"}, "invalid_client"),
        ((CLIENT_ID, "wrong"), {"grant_type": "client_credentials"}, "invalid_client"),
        (BASIC, {}, "invalid_request"),
        (BASIC, {"grant_type": "password"}, "unsupported_grant_type"),
        (BASIC, {"grant_type": "refresh_token"}, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses_with_oauth_error_codes(sandbox: Sandbox, auth, form: dict[str, str], error: str):
    with Api(sandbox) as api:
        refused = api.token(auth, **form)
    assert (refused.status_code, refused.json()["error"]) == (400, error)


def test_client_credentials_are_form_encoded_inside_basic(sandbox: Sandbox):
    sandbox.oauth.clients["a b"] = Client("p:ä%+", permissions=["coaching:appointment:view"])
    basic = b64encode(b"a+b:p%3A%C3%A4%25%2B").decode()
    with Api(sandbox) as api:
        form = {"grant_type": "client_credentials"}
        answer = api.post("/oauth/token", data=form, headers={"Authorization": f"Basic {basic}"})
        assert answer.status_code == 200
    with Api(sandbox, answer.json()["access_token"]) as limited:
        assert limited.get(APPOINTMENTS, params={"userIds": "x"}).status_code == 200
        assert limited.post(APPOINTMENTS, json=MINIMAL).status_code == 403


# families


def test_reusing_a_refresh_token_revokes_all_tokens_of_its_sign_in(login: Api):
    signed_in, other = login.token(**WITH_CODE), login.token(**WITH_CODE)
    second = refresh(login, signed_in.json()["refresh_token"])
    third = refresh(login, second.json()["refresh_token"])
    assert all(is_good(login, answer) for answer in (signed_in, second, third))
    assert refresh(login, second.json()["refresh_token"]).json()["error"] == "invalid_grant"
    assert not any(is_good(login, answer) for answer in (signed_in, second, third))
    assert refresh(login, third.json()["refresh_token"]).json()["error"] == "invalid_grant"
    assert is_good(login, other)
    assert is_good(login, refresh(login, other.json()["refresh_token"]))


def test_the_printed_refresh_token_starts_a_new_family_each_time_and_stays_valid(login: Api):
    first, other = refresh(login, REFRESH_TOKEN), refresh(login, REFRESH_TOKEN)
    second = refresh(login, first.json()["refresh_token"])
    refresh(login, first.json()["refresh_token"])
    assert not any(is_good(login, answer) for answer in (first, second))
    assert is_good(login, other)
    assert is_good(login, refresh(login, REFRESH_TOKEN))


def test_a_refresh_token_added_by_a_test_is_the_first_of_its_family(sandbox: Sandbox, login: Api):
    sandbox.oauth.refresh_tokens["hr"] = UserGrant(CLIENT_ID, sandbox.state.user_ids[1])
    answer = refresh(login, "hr")
    assert is_good(login, answer)
    assert refresh(login, "hr").json()["error"] == "invalid_grant"
    assert not is_good(login, answer)


def test_another_client_cannot_revoke_a_family(sandbox: Sandbox, login: Api):
    sandbox.oauth.clients["other"] = Client("secret")
    signed_in = login.token(**WITH_CODE)
    used = signed_in.json()["refresh_token"]
    refresh(login, used)
    stranger = login.token(("other", "secret"), grant_type="refresh_token", refresh_token=used)
    assert stranger.json()["error"] == "invalid_grant"
    assert is_good(login, signed_in)


def test_expired_tokens_are_removed(sandbox: Sandbox, login: Api):
    login.token(**WITH_CODE)
    sandbox.oauth.now = lambda: time.monotonic() + 86400
    login.token(**WITH_SAML)
    assert len(sandbox.oauth._issued) == 1


# rate limit


def test_above_its_rate_limit_the_token_endpoint_responds_400_until_the_window_has_passed(
    start_sandbox: Callable[..., Sandbox],
):
    sandbox = start_sandbox(appointments=0, login_rate_limit=2, rate_limit=1)
    with Api(sandbox) as login:
        assert [login.token(**WITH_CODE).status_code for _ in range(3)] == [200, 200, 400]
        refused = login.token(grant_type="nonsense")
        assert refused.json() == {
            "error": "invalid_request",
            "description": "rate limit exceeded; wait a little",
            "error_description": "rate limit exceeded; wait a little",
        }
        assert login.get(f"{APPOINTMENTS}/me").status_code == 401
        limit = sandbox._service.login_rate_limit
        assert limit is not None
        limit.now = lambda: time.monotonic() + 60
        assert login.token(**WITH_CODE).status_code == 200
