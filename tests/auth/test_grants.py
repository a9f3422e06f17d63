"""Grants and token stores: their token requests, their validation, and that they do not show secrets."""

import base64
import pickle
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    ClientCredentials,
    MemoryTokenStore,
    RefreshToken,
    Saml2Bearer,
)
from coaching_async._auth.grants import Grant
from tests.faults.support import CANARY, failing
from tests.support.doubles import Service, answer

CALLBACK = "https://app.test/callback?next=a b"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B: its challenge is E9Mel…
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
SECRET = f"{CANARY} é:%+&="
BASIC = f"Basic {base64.b64encode(f'an+id%3A:{CANARY}+%C3%A9%3A%25%2B%26%3D'.encode()).decode()}"
CLIENT = ("an id:", SECRET)
PUBLIC = ("an id:", None)

GRANTS: dict[str, tuple[Callable[[], Grant], dict[str, str]]] = {
    "client credentials": (
        lambda: ClientCredentials(*CLIENT),
        {"grant_type": "client_credentials"},
    ),
    "code": (
        lambda: AuthorizationCode(*CLIENT, CANARY, CALLBACK),
        {"grant_type": "authorization_code", "code": CANARY, "redirect_uri": CALLBACK},
    ),
    "code, verified": (
        lambda: AuthorizationCode(*CLIENT, CANARY, CALLBACK, code_verifier=VERIFIER),
        {"grant_type": "authorization_code", "code": CANARY, "redirect_uri": CALLBACK, "code_verifier": VERIFIER},
    ),
    "code of a public client": (
        lambda: AuthorizationCode(*PUBLIC, CANARY, CALLBACK, code_verifier=VERIFIER),
        {
            "grant_type": "authorization_code",
            "code": CANARY,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "client_id": "an id:",
        },
    ),
    "refresh token": (
        lambda: RefreshToken(*CLIENT, CANARY, store=MemoryTokenStore(CANARY)),
        {"grant_type": "refresh_token", "refresh_token": CANARY},
    ),
    "refresh token of a public client": (
        lambda: RefreshToken(*PUBLIC, CANARY),
        {"grant_type": "refresh_token", "refresh_token": CANARY, "client_id": "an id:"},
    ),
    "assertion": (
        lambda: Saml2Bearer(*CLIENT, "an org", CANARY),
        {"grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer", "orgName": "an org", "assertion": CANARY},
    ),
}
every_grant = pytest.mark.parametrize("grant, form", GRANTS.values(), ids=GRANTS)


async def token_request(grant: Grant) -> httpx.Request:
    service = Service(lambda _: answer({"access_token": "t", "id": "1"}))
    async with service.client(grant) as client:
        await client.appointments.get("1")
    await service.http.aclose()
    login, _ = service.requests
    return login


# Token requests


@pytest.mark.anyio
@every_grant
async def test_each_grant_sends_the_form_of_its_rfc(grant: Callable[[], Grant], form: dict[str, str]):
    request = await token_request(grant())

    assert parse_qsl(request.content.decode(), strict_parsing=True) == list(form.items())
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (request.method, str(request.url)) == ("POST", "https://login.test/oauth/token")


@pytest.mark.anyio
@every_grant
async def test_the_client_secret_is_sent_in_the_header_and_a_public_client_sends_none(
    grant: Callable[[], Grant], form: dict[str, str]
):
    request = await token_request(grant())

    assert request.headers.get("Authorization") == (None if "client_id" in form else BASIC)


@every_grant
def test_a_grant_does_not_show_or_pickle_its_secrets(grant: Callable[[], Grant], form: dict[str, str]):
    made = grant()

    for text in (repr(made), str(made), f"{made}"):
        assert CANARY not in text
        assert VERIFIER not in text
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(made)


@pytest.mark.parametrize("around", ["{}\n", " {}", "\ufeff{}", "{}\u200b"], ids=ascii)
def test_credentials_that_were_read_with_a_line_end_are_refused(around: str):
    for make in (
        lambda secret: ClientCredentials("id", secret),
        lambda secret: Saml2Bearer("id", secret, "org", CANARY),
        lambda secret: RefreshToken("id", secret, CANARY),
        lambda secret: AuthorizationCode("id", secret, CANARY, CALLBACK),
    ):
        with pytest.raises(ValueError, match="client_secret begins or ends with a blank, a line end") as caught:
            make(around.format(CANARY))
        assert CANARY not in str(caught.value)
    odd = around.format("my-id")
    for make in (lambda id_: ClientCredentials(id_, CANARY), lambda id_: AuthorizationRequest(id_, CALLBACK)):
        with pytest.raises(ValueError, match="is no id: it begins or ends with a blank") as caught:
            make(odd)
        assert ascii(odd) in str(caught.value)


def test_the_id_of_an_oauth_client_may_be_a_uuid():
    id_ = uuid.uuid4()

    assert ClientCredentials(id_, CANARY).client_id == AuthorizationRequest(id_, CALLBACK).client_id == str(id_)


# Invalid credentials

NOT_TEXT: list[Any] = ["", None, 5, b"bytes"]
NON_EMPTY = "non-empty string"


@pytest.mark.parametrize("bad", NOT_TEXT)
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: ClientCredentials(bad, CANARY),
        lambda bad: ClientCredentials("id", bad),
        lambda bad: Saml2Bearer(bad, CANARY, "org", CANARY),
        lambda bad: Saml2Bearer("id", bad, "org", CANARY),
        lambda bad: Saml2Bearer("id", CANARY, bad, CANARY),
        lambda bad: Saml2Bearer("id", CANARY, "org", bad),
        lambda bad: RefreshToken(bad, CANARY, CANARY),
        lambda bad: RefreshToken("id", CANARY, bad),
        lambda bad: AuthorizationCode(bad, CANARY, CANARY, CALLBACK),
        lambda bad: AuthorizationCode("id", CANARY, bad, CALLBACK),
        lambda bad: AuthorizationCode("id", CANARY, CANARY, bad),
        lambda bad: AuthorizationRequest(bad, CALLBACK),
        lambda bad: AuthorizationRequest("id", bad),
        lambda bad: AuthorizationRequest("id", CALLBACK, state=bad),
        lambda bad: AuthorizationRequest("id", CALLBACK, code_verifier=bad),
        lambda bad: AccessToken(bad),
    ],
)
def test_credentials_that_are_not_non_empty_strings_raise_value_error(make: Callable[[Any], object], bad: Any):
    with failing(ValueError, NON_EMPTY):
        make(bad)


@pytest.mark.parametrize("bad", ["", 5, b"bytes"])
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: RefreshToken("id", bad, CANARY),
        lambda bad: AuthorizationCode("id", bad, CANARY, CALLBACK),
        lambda bad: AuthorizationCode("id", CANARY, CANARY, CALLBACK, code_verifier=bad),
        lambda bad: MemoryTokenStore(bad),
    ],
)
def test_optional_credentials_that_are_empty_or_not_strings_raise_value_error(make: Callable[[Any], object], bad: Any):
    with failing(ValueError, NON_EMPTY):
        make(bad)


def test_a_code_without_client_secret_and_verifier_raises_value_error():
    with failing(ValueError, "code_verifier"):
        AuthorizationCode("id", None, CANARY, CALLBACK)


# Token stores


@pytest.mark.anyio
@pytest.mark.parametrize("stored", [None, "one"])
async def test_a_memory_store_replaces_the_old_token_by_the_new_one(stored: str | None):
    store = MemoryTokenStore(stored)

    assert await store.load() == stored
    assert await store.save(stored, "two")
    assert await store.load() == "two"


@pytest.mark.anyio
@pytest.mark.parametrize("stored", [None, "one"])
@pytest.mark.parametrize("old", ["another", "", None, "one"])
async def test_a_memory_store_does_not_replace_another_token_than_the_old_one(stored: str | None, old: str | None):
    store = MemoryTokenStore(stored)

    assert await store.save(old, "two") is (old == stored)
    assert await store.load() == ("two" if old == stored else stored)


def test_a_memory_store_does_not_show_its_token():
    store = MemoryTokenStore(CANARY)

    assert CANARY not in repr(store)
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(store)
