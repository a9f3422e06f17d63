"""The grants by themselves: what they post, how a sign-in begins and comes back, and that none of it shows."""

import base64
import hashlib
import pickle
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthError,
    AuthorizationCode,
    AuthorizationRequest,
    ClientCredentials,
    ConfigurationError,
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


async def posted(grant: Grant) -> httpx.Request:
    service = Service(lambda _: answer({"access_token": "t", "id": "1"}))
    async with service.client(grant) as client:
        await client.appointments.get("1")
    await service.http.aclose()
    login, _ = service.requests
    return login


# What is posted


@pytest.mark.anyio
@every_grant
async def test_each_grant_posts_what_its_rfc_says(grant: Callable[[], Grant], form: dict[str, str]):
    request = await posted(grant())

    assert parse_qsl(request.content.decode(), strict_parsing=True) == list(form.items())
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (request.method, str(request.url)) == ("POST", "https://login.test/oauth/token")


@pytest.mark.anyio
@every_grant
async def test_a_secret_goes_into_the_header_and_a_public_client_has_none(
    grant: Callable[[], Grant], form: dict[str, str]
):
    request = await posted(grant())

    assert request.headers.get("Authorization") == (None if "client_id" in form else BASIC)


@every_grant
def test_no_grant_shows_or_pickles_a_secret(grant: Callable[[], Grant], form: dict[str, str]):
    made = grant()

    for said in (repr(made), str(made), f"{made}"):
        assert CANARY not in said
        assert VERIFIER not in said
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(made)


# How a sign-in begins


def begun(**options: Any) -> AuthorizationRequest:
    return AuthorizationRequest("an id", CALLBACK, **options)


def test_the_challenge_is_that_of_rfc_7636():
    assert begun(code_verifier=VERIFIER).code_challenge == CHALLENGE


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
def test_the_url_is_the_login_hosts_page_with_all_that_it_asks_for(options: dict[str, str], page: str):
    request = begun(state="a state &", code_verifier=VERIFIER, **options)

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
def test_no_user_is_sent_to_a_login_host_that_no_client_would_log_in_to(options: dict[str, str]):
    with pytest.raises(ConfigurationError):
        _ = begun(**options).url


def test_state_and_verifier_are_long_different_and_unaffected_by_a_seed():
    texts = set[str]()
    for _ in range(3):
        random.seed(1)
        request = begun()
        texts |= {request.state, request.code_verifier}

    assert len(texts) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9\-._~]{43,128}", text) for text in texts)  # RFC 7636 §4.1, 256 bits and more
    digest = hashlib.sha256(request.code_verifier.encode()).digest()
    assert base64.urlsafe_b64decode(request.code_challenge + "=") == digest


def test_a_sign_in_shows_neither_state_nor_verifier():
    request = begun()

    assert request.state not in repr(request)
    assert request.code_verifier not in repr(request)


# How it comes back


def came_back(request: AuthorizationRequest, **query: str) -> str:
    return f"{CALLBACK}&{urlencode({'state': request.state} | query)}".replace(" ", "%20")


@pytest.mark.parametrize("cut", [lambda url: url, lambda url: url.partition("?")[2], lambda url: f"{url}#fragment"])
def test_the_browser_brings_the_grant_back(cut: Callable[[str], str]):
    request, store = begun(), MemoryTokenStore()

    async def told(_: str) -> None: ...

    grant = request.grant(
        cut(came_back(request, code=f"{CANARY}+/=&")), client_secret=SECRET, store=store, on_rotated=told
    )

    assert grant == AuthorizationCode(
        "an id",
        SECRET,
        f"{CANARY}+/=&",
        CALLBACK,
        code_verifier=request.code_verifier,
        store=store,
        on_rotated=told,
    )
    assert grant.form()["code_verifier"] == request.code_verifier


def test_a_public_client_needs_no_secret_of_its_own():
    request = begun()

    assert request.grant(came_back(request, code="a-code")).client_secret is None


def test_a_sign_in_goes_on_with_what_was_kept_of_it():
    kept = begun()
    again = begun(state=kept.state, code_verifier=kept.code_verifier)

    assert again.url == kept.url
    assert again.grant(came_back(kept, code="a-code")) == kept.grant(came_back(kept, code="a-code"))


@pytest.mark.parametrize(
    "query",
    [
        {"state": "another"},
        {"state": ""},
        {"state": "é"},
        {"state": begun().state},
        {"state": "another", "error": "access_denied"},
    ],
    ids=["another", "empty", "not ASCII", "another request's", "and an error"],
)
def test_a_callback_of_another_sign_in_is_refused(query: dict[str, str]):
    request = begun()

    with failing(AuthError, "state is not this request's") as caught:
        request.grant(came_back(request, code=CANARY, **query))

    assert request.state not in str(caught.value)
    assert (caught.value.code, caught.value.status, caught.value.processed) == (None, None, "no")


@pytest.mark.parametrize("url", ["", "?", "https://app.test/callback", "code=a-code", "https://app.test/?code=a-code"])
def test_a_callback_without_state_is_refused(url: str):
    with failing(AuthError, "state is not this request's"):
        begun().grant(url)


def test_state_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared = list[tuple[bytes, bytes]]()
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    request = begun()

    request.grant(came_back(request, code="a-code"))

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
def test_a_user_who_was_refused_is_an_error_with_its_code(error: str, code: str | None):
    request = begun()

    with failing(AuthError, "the login host refused the sign-in$") as caught:
        request.grant(came_back(request, error=error, error_description="why", code=CANARY))

    assert caught.value.code == code


@pytest.mark.parametrize("query", [{}, {"code": ""}])
def test_a_callback_without_a_code_is_refused(query: dict[str, str]):
    request = begun()

    with failing(AuthError, "the callback has no code"):
        request.grant(came_back(request, **query))


# What is refused

NOTHING: list[Any] = ["", None, 5, b"bytes"]
CLEAR = "non-empty string"


@pytest.mark.parametrize("bad", NOTHING)
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
        lambda bad: begun(state=bad),
        lambda bad: begun(code_verifier=bad),
        lambda bad: AccessToken(bad),
    ],
)
def test_what_is_empty_or_no_text_is_refused(make: Callable[[Any], object], bad: Any):
    with failing(ValueError, CLEAR):
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
def test_what_may_be_none_is_neither_empty_nor_no_text(make: Callable[[Any], object], bad: Any):
    with failing(ValueError, CLEAR):
        make(bad)


def test_a_client_that_proves_nothing_is_refused():
    with failing(ValueError, "code_verifier"):
        AuthorizationCode("id", None, CANARY, CALLBACK)


# A store


@pytest.mark.anyio
@pytest.mark.parametrize("kept", [None, "one"])
async def test_a_memory_store_puts_the_new_in_the_place_of_the_old(kept: str | None):
    store = MemoryTokenStore(kept)

    assert await store.load() == kept
    assert await store.save(kept, "two")
    assert await store.load() == "two"


@pytest.mark.anyio
@pytest.mark.parametrize("kept", [None, "one"])
@pytest.mark.parametrize("old", ["another", "", None, "one"])
async def test_a_memory_store_leaves_what_is_not_the_old(kept: str | None, old: str | None):
    store = MemoryTokenStore(kept)

    assert await store.save(old, "two") is (old == kept)
    assert await store.load() == ("two" if old == kept else kept)


def test_a_memory_store_shows_nothing():
    store = MemoryTokenStore(CANARY)

    assert CANARY not in repr(store)
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(store)
