"""The authorization request of a sign-in: its URL, its callback, and that it does not show secrets."""

import base64
import hashlib
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from coaching_async import (
    AuthError,
    AuthorizationCode,
    AuthorizationRequest,
    ConfigurationError,
    MemoryTokenStore,
)
from tests.faults.support import CANARY, failing

CALLBACK = "https://app.test/callback?next=a b"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B: its challenge is E9Mel…
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
SECRET = f"{CANARY} é:%+&="


# The authorization request


def new_request(**options: Any) -> AuthorizationRequest:
    return AuthorizationRequest("an id", CALLBACK, **options)


def test_the_code_challenge_is_that_of_rfc_7636():
    assert new_request(code_verifier=VERIFIER).code_challenge == CHALLENGE


@pytest.mark.parametrize(
    "options, page",
    [
        ({}, "https://login.mypurecloud.com/oauth/authorize"),
        ({"region": "eu-west-1"}, "https://login.mypurecloud.ie/oauth/authorize"),
        ({"region": "https://api.usw2.pure.cloud"}, "https://login.usw2.pure.cloud/oauth/authorize"),
        ({"login_url": "https://gateway.test/login/"}, "https://gateway.test/login/oauth/authorize"),
        ({"login_url": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080/oauth/authorize"),
    ],
)
def test_the_url_is_that_of_the_login_page_with_all_parameters(options: dict[str, str], page: str):
    request = new_request(state="a state &", code_verifier=VERIFIER, **options)

    address, _, query = request.url.partition("?")
    assert address == page
    assert dict(parse_qsl(query, strict_parsing=True)) == {
        "client_id": "an id",
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "state": "a state &",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    assert VERIFIER not in request.url


@pytest.mark.parametrize(
    "options",
    [
        {"region": "eu-west-1", "login_url": "https://gateway.test"},
        {"region": "nowhere"},
        {"login_url": "http://gateway.test"},
        {"login_url": "https://login.mypurecloud.com@evil.test"},
        {"login_url": ""},
    ],
)
def test_a_login_host_that_a_client_would_reject_raises_configuration_error(options: dict[str, str]):
    with pytest.raises(ConfigurationError):
        _ = new_request(**options).url


def test_state_and_verifier_are_long_and_random_and_do_not_depend_on_a_seed():
    texts = set[str]()
    for _ in range(3):
        random.seed(1)
        request = new_request()
        texts |= {request.state, request.code_verifier}

    assert len(texts) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9\-._~]{43,128}", text) for text in texts)  # RFC 7636 §4.1, 256 bits and more
    digest = hashlib.sha256(request.code_verifier.encode()).digest()
    assert base64.urlsafe_b64decode(request.code_challenge + "=") == digest


def test_an_authorization_request_does_not_show_its_state_and_verifier():
    request = new_request()

    assert request.state not in repr(request)
    assert request.code_verifier not in repr(request)


# The callback


def callback_url(request: AuthorizationRequest, **query: str) -> str:
    return f"{CALLBACK}&{urlencode({'state': request.state} | query)}".replace(" ", "%20")


@pytest.mark.parametrize("part_of", [lambda url: url, lambda url: url.partition("?")[2], lambda url: f"{url}#fragment"])
def test_a_callback_url_or_its_query_gives_the_grant(part_of: Callable[[str], str]):
    request, store = new_request(), MemoryTokenStore()

    async def on_rotated(_: str) -> None: ...

    grant = request.grant(
        part_of(callback_url(request, code=f"{CANARY}+/=&")), client_secret=SECRET, store=store, on_rotated=on_rotated
    )

    assert grant == AuthorizationCode(
        "an id",
        SECRET,
        f"{CANARY}+/=&",
        CALLBACK,
        code_verifier=request.code_verifier,
        store=store,
        on_rotated=on_rotated,
    )
    assert grant.form()["code_verifier"] == request.code_verifier


def test_a_public_client_needs_no_client_secret():
    request = new_request()

    assert request.grant(callback_url(request, code="a-code")).client_secret is None


def test_a_sign_in_can_be_finished_with_the_stored_state_and_verifier():
    stored = new_request()
    again = new_request(state=stored.state, code_verifier=stored.code_verifier)

    assert again.url == stored.url
    assert again.grant(callback_url(stored, code="a-code")) == stored.grant(callback_url(stored, code="a-code"))


@pytest.mark.parametrize(
    "query",
    [
        {"state": "another"},
        {"state": ""},
        {"state": "é"},
        {"state": new_request().state},
        {"state": "another", "error": "access_denied"},
    ],
    ids=["another", "empty", "not ASCII", "another request's", "and an error"],
)
def test_a_callback_with_another_state_is_refused(query: dict[str, str]):
    request = new_request()

    with failing(AuthError, "state is not this request's") as caught:
        request.grant(callback_url(request, code=CANARY, **query))

    assert request.state not in str(caught.value)
    assert (caught.value.code, caught.value.status, caught.value.processed) == (None, None, "no")


@pytest.mark.parametrize("url", ["", "?", "https://app.test/callback", "code=a-code", "https://app.test/?code=a-code"])
def test_a_callback_without_state_is_refused(url: str):
    with failing(AuthError, "state is not this request's"):
        new_request().grant(url)


def test_state_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared = list[tuple[bytes, bytes]]()
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    request = new_request()

    request.grant(callback_url(request, code="a-code"))

    assert compared == [(request.state.encode(),) * 2]


@pytest.mark.parametrize(
    "error, code",
    [
        ("access_denied", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("<script>", None),
        ("a b\r\n", None),
    ],
)
def test_a_refused_sign_in_is_an_auth_error_with_its_code(error: str, code: str | None):
    request = new_request()

    with failing(
        AuthError, r"^the login host login\.mypurecloud\.\w+ \(.*\) refused the sign-in: let the user begin it again$"
    ) as caught:
        request.grant(callback_url(request, error=error, error_description="why", code=CANARY))

    assert caught.value.code == code


@pytest.mark.parametrize("query", [{}, {"code": ""}])
def test_a_callback_without_a_code_is_refused(query: dict[str, str]):
    request = new_request()

    with failing(AuthError, "the callback has no code"):
        request.grant(callback_url(request, **query))


@pytest.mark.parametrize("wrong", [httpx.URL, str.encode, lambda _: None], ids=["URL", "bytes", "None"])
def test_a_callback_is_a_text(wrong: Callable[[str], Any]):
    request = new_request()
    url = wrong(callback_url(request, code=CANARY))

    with failing(TypeError, rf"callback_url is a str, such as str\(request.url\), not {type(url).__name__[:4]}"):
        request.grant(url, client_secret=SECRET)


@pytest.mark.parametrize("options", [{"store": "token.json"}, {"on_rotated": 5}])
def test_a_place_for_refresh_tokens_that_is_none_is_refused_without_the_secrets(options: dict[str, Any]):
    request = new_request()

    with failing(ValueError, "store is an object with|on_rotated is a function"):
        request.grant(callback_url(request, code=CANARY), client_secret=SECRET, **options)
