"""What an `AuthError` says: the login host, its region, the proxy on the way, and what to do, for each way to sign in."""

import copy
import pickle
from typing import Any

import httpx
import pytest

from coaching_async import (
    AuthError,
    AuthorizationCode,
    AuthorizationRequest,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    RefreshToken,
    RetryPolicy,
    Saml2Bearer,
)
from coaching_async._api.session_factory import SessionFactory
from coaching_async._regions import REGIONS, region_of, resolve_hosts

pytestmark = pytest.mark.anyio

ID, SECRET = "the-id-of-the-client", "s3cret"
CREDENTIALS = ClientCredentials(ID, SECRET)
CODE = AuthorizationCode(ID, SECRET, "c0de", "https://app.example/back")
REFRESH = RefreshToken(ID, SECRET, "r3fresh")
SAML = Saml2Bearer(ID, SECRET, "my-org", "assert1on")
HIDDEN = (ID, SECRET, "c0de", "r3fresh", "assert1on", "my-org")


async def refused(auth: Any, status: int = 400, error: str | None = "invalid_client", **client: Any) -> AuthError:
    body = {} if error is None else {"json": {"error": error, "error_description": f"no client {ID}"}}

    async def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, **body)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http,
        CoachingClient(auth, http_client=http, retry=RetryPolicy(attempts=1, throttle_waits=0), **client) as it,
    ):
        with pytest.raises(AuthError) as caught:
            await it.warmup()
    text = str(caught.value)
    assert not [each for each in HIDDEN if each in text + repr(caught.value)]
    assert str(copy.copy(caught.value)) == str(pickle.loads(pickle.dumps(caught.value))) == text
    assert text.endswith(caught.value.advice)
    return caught.value


ALL = pytest.mark.parametrize("auth", [CREDENTIALS, CODE, REFRESH, SAML], ids=lambda auth: type(auth).__name__)


@ALL
async def test_it_names_host_and_region_and_what_to_check(auth: Any):
    text = str(await refused(auth, region="eu-west-1"))

    assert text.startswith("the login host login.mypurecloud.ie (eu-west-1) gives no token: 400 invalid_client")
    assert text.endswith(
        "check that the OAuth client is one of this region, and its id and secret; `coaching-async doctor` tells more"
    )


@ALL
async def test_it_says_that_no_region_was_given(auth: Any):
    text = str(await refused(auth))

    assert "login.mypurecloud.com (us-east-1, the default, because no region is given) gives no token" in text
    assert "give the region of your org, by GENESYSCLOUD_REGION or region=..., and check its id and secret" not in text
    assert "give the region of your org, by GENESYSCLOUD_REGION or region=..., and check the id and secret" in text


async def test_the_default_region_that_was_given_is_not_called_the_default():
    assert "(us-east-1) gives" in str(await refused(CREDENTIALS, region="us-east-1"))
    assert "(us-east-1) gives" in str(await refused(CREDENTIALS, base_url="https://api.mypurecloud.com"))
    assert "login host gw.example gives" in str(
        await refused(CREDENTIALS, base_url="https://gw.example/a", login_url="https://gw.example/l")
    )


@pytest.mark.parametrize(
    "auth, status, error, advice",
    [
        (CREDENTIALS, 400, "unauthorized_client", "the OAuth client needs the grant type Client Credentials: Admin"),
        (CODE, 400, "unauthorized_client", "needs the grant type Code Authorization"),
        (REFRESH, 400, "unauthorized_client", "needs the grant type Code Authorization"),
        (SAML, 400, "unsupported_grant_type", "needs the grant type SAML2 Bearer"),
        (CODE, 400, "invalid_grant", "a code is good for one use, .*: let the user sign in again$"),
        (REFRESH, 400, "invalid_grant", "the sign-in has ended, .*: let the user sign in again$"),
        (SAML, 400, "invalid_grant", "check org_name, and that the assertion is a new one"),
        (CREDENTIALS, 401, "invalid_client", "one of this region"),
        (CREDENTIALS, 503, "server_error", "try again later$"),
        (CREDENTIALS, 429, "rate_limit", "share a client or a shared_state"),
        (CREDENTIALS, 403, None, "check the URL, the proxy and the network; `coaching-async doctor` tells more$"),
    ],
)
async def test_the_advice_fits_the_way_to_sign_in(auth: Any, status: int, error: str | None, advice: str):
    with pytest.raises(AuthError, match=rf"login\.euw2\.pure\.cloud \(eu-west-2\).*{advice}"):
        raise await refused(auth, status, error, region="eu-west-2")


async def test_a_code_that_has_become_a_refresh_token_is_advised_on_as_one():
    answers = [
        {"json": {"access_token": "t", "expires_in": 1, "refresh_token": "r"}},
        {"json": {"error": "invalid_grant"}},
    ]

    async def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/oauth/token":
            return httpx.Response(401, json={"code": "bad.credentials", "message": "m", "status": 401})
        answer = answers.pop(0)
        return httpx.Response(200 if answers else 400, **answer)

    http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    async with http, CoachingClient(CODE, http_client=http, region="eu-west-1") as client:
        with pytest.raises(AuthError, match="the sign-in has ended, or another program has used this refresh token"):
            await client.appointments.get("a")


async def test_it_names_the_proxy_on_the_way_without_its_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@proxy.corp:3128")
    hosts = resolve_hosts("eu-west-1")

    def find(http: Any) -> str | None:
        return SessionFactory(hosts, print, RetryPolicy(), 1, http, None, None)._find_proxy(hosts.login)

    assert find(None) == "proxy.corp:3128"
    assert find(httpx.AsyncClient) is None, "which proxy a borrowed client uses is not known"
    monkeypatch.setenv("HTTPS_PROXY", "no proxy's URL")
    assert find(None) is None
    monkeypatch.delenv("HTTPS_PROXY")
    assert find(None) is None


async def test_a_refused_sign_in_names_the_login_host():
    request = AuthorizationRequest(ID, "https://app.example/back", region="eu-west-1")
    with pytest.raises(CoachingError, match=r"login\.mypurecloud\.ie \(eu-west-1\) refused the sign-in") as caught:
        request.grant(f"state={request.state}&error=access_denied")
    assert ID not in str(caught.value)


@pytest.mark.parametrize("name", REGIONS)
async def test_each_host_of_a_region_is_known_as_its(name: str):
    assert {region_of(url) for url in resolve_hosts(name)} == {name}
    assert region_of(f"https://{REGIONS[name]}.example") is None
