"""Rows 53 to 55, 57, 58, 60 and 61: what the token endpoint answers, and what it is sent."""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthError,
    AuthorizationRequest,
    ClientCredentials,
)
from tests.auth.test_token_source_properties import (
    Mishap,
    Platform,
    Work,
    all_of,
    client_of,
    down,
    get,
    outage,
    refuse,
    stall,
)
from tests.faults.grants import CALLBACK, basic, every_grant, every_renewable, token, user
from tests.faults.support import APPOINTMENT, CANARY, CLIENT_ID, client_to, credentials, failing
from tests.support.doubles import Service, answer
from tests.support.fault_server import FaultServer, answering, then

pytestmark = pytest.mark.anyio


# Responses of the token endpoint


@pytest.mark.real_time
@pytest.mark.parametrize("borrowed", [False, True], ids=["own", "borrowed, follows by default"])
@pytest.mark.parametrize("status", [302, 307, 308])
@every_grant
async def test_row_53_a_redirect_of_the_token_endpoint_is_not_followed(
    grant: Callable[[], Any], status: int, borrowed: bool
):
    lure = answering({"access_token": "a-foreign-token", "token_type": "bearer"})
    with FaultServer(then(lure, lure)) as evil:
        away = answering(b"", status, Location=f"{evil.url}/oauth/token")
        with FaultServer(then(away, away)) as server:
            async with (
                httpx.AsyncClient(follow_redirects=True) as http,
                client_to(server.url, auth=grant(), **{"http_client": http} if borrowed else {}) as client,
            ):
                with failing(AuthError, str(status)) as caught:
                    await get(client)

        assert [request.target for request in server.requests] == ["/oauth/token"]
        assert (evil.accepted, evil.requests) == (0, [])
    assert (caught.value.status, caught.value.processed) == (status, "no")


GOOD = '"access_token": "c4n4ry-token", "token_type": "bearer"'
NO_TOKENS = [
    "<html>c4n4ry</html>",
    "",
    "{}",
    "null",
    '["c4n4ry"]',
    f"{{{GOOD}}},{{{GOOD}}}",
    '{"access_token": null}',
    '{"access_token": ["c4n4ry"]}',
    '{"access_token": ""}',
    '{"access_token": "c4n4ry", "token_type": "mac"}',
    '{"access_token": "c4n4ry", "token_type": null}',
    *(f'{{{GOOD}, "expires_in": {life}}}' for life in ("0", "-5", '"abc"', "1e999", "true", "[]", "NaN")),
    f'{{{GOOD}, "refresh_token": 5}}',
    f'{{{GOOD}, "refresh_token": "c4n4ry\\n"}}',
]


@pytest.mark.parametrize("body", NO_TOKENS)
@every_grant
async def test_row_54_a_response_without_a_valid_token_is_an_error_that_does_not_quote_it(
    grant: Callable[[], Any], body: str
):
    service = Service([httpx.Response(200, content=body.encode())])
    async with service.client(grant()) as client:
        with failing(AuthError, "no token") as caught:
            await get(client)
    await service.http.aclose()

    assert caught.value.processed == "no"
    assert [request.url.path for request in service.requests] == ["/oauth/token"]


@every_renewable
async def test_row_54_a_token_without_expires_in_is_valid_for_an_hour(grant: Callable[[], Any]):
    platform = Platform(life=3600.0)
    platform.is_silent_about_life = True
    async with client_of(platform, grant()) as client:
        await get(client)
        await anyio.sleep(3600 - 302)
        await get(client)
        assert len(platform.forms) == 1
        await anyio.sleep(302)
        await get(client)

    assert platform.seen == [token(1), token(1), token(2)]


UNSENDABLE = [f"{CANARY}\r\nX: y", f"{CANARY} x", f"{CANARY}é", f"{CANARY}\x00", f"{CANARY}\n"]


@pytest.mark.parametrize("text", UNSENDABLE)
@every_grant
async def test_row_55_a_token_that_is_invalid_in_a_header_is_not_sent(grant: Callable[[], Any], text: str):
    service = Service([answer({"access_token": text, "token_type": "bearer"})])
    async with service.client(grant()) as client:
        with failing(AuthError, "not sendable"):
            await get(client)
    await service.http.aclose()

    assert [request.url.path for request in service.requests] == ["/oauth/token"]


@pytest.mark.parametrize("text", UNSENDABLE)
async def test_row_55_nor_is_such_a_token_of_a_custom_token_source(text: str):
    class Careless:
        async def token(self, rejected: str | None = None) -> str:
            return text

    service = Service([answer(APPOINTMENT)])
    async with service.client(Careless()) as client:
        with failing(AuthError, "the token source gave no access token"):
            await get(client)
    await service.http.aclose()
    with failing(ValueError, "an access token has only"):
        AccessToken(text)

    assert service.requests == []


class Dripping(httpx.AsyncByteStream):
    """A body that is sent a byte at a time."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for byte in self.body:
            await anyio.sleep(0.3)
            yield bytes([byte])


async def drip(work: Work) -> httpx.Response:
    return httpx.Response(200, stream=Dripping(work().content))


async def throttled(_: Work) -> httpx.Response:
    return answer({}, 429, Retry_After="7")


async def throttled_in_its_own_way(_: Work) -> httpx.Response:
    return answer({"error": "invalid_request", "error_description": "rate limit exceeded; wait a little"}, 400)


@pytest.mark.parametrize(
    "mishap, seconds", [(throttled, 7), (throttled_in_its_own_way, 3), (down, 0)], ids=["429", "400", "503"]
)
@every_renewable
async def test_row_57_a_token_request_that_fails_is_retried(grant: Callable[[], Any], mishap: Mishap, seconds: float):
    platform = Platform(mishap, mishap, seconds=0)
    async with client_of(platform, grant()) as client:
        started = anyio.current_time()
        if mishap is down and grant is not credentials:  # a grant that may be used up is not posted again at once
            with failing(AuthError, "503"):
                await get(client)
            assert len(platform.forms) == 1
        else:
            await get(client)

            assert 2 * seconds <= anyio.current_time() - started <= 2 * seconds + 3
            assert len(platform.forms) == 3


@pytest.mark.parametrize("mishap", [throttled, throttled_in_its_own_way, down, outage, drip, stall])
@every_renewable
async def test_row_57_while_token_requests_fail_calls_use_the_valid_token(grant: Callable[[], Any], mishap: Mishap):
    platform, took = Platform(), list[float]()
    async with client_of(platform, grant()) as client:
        await get(client)
        await anyio.sleep(901)
        platform.mishaps = [mishap] * 100

        async def measured(number: int) -> None:
            await anyio.sleep(number / 10)
            started = anyio.current_time()
            await get(client)
            took.append(anyio.current_time() - started)

        await all_of(partial(measured, number) for number in range(50))

    assert Counter(platform.seen) == {token(1): 51}
    assert max(took) < 5.1  # of the call that refreshes the token
    assert sum(each > 0.01 for each in took) <= (grant is not user)
    assert len(platform.forms) > 1 or mishap is outage


@every_grant
async def test_row_58_an_unknown_client_makes_one_token_request(grant: Callable[[], Any]):
    platform = Platform(refuse("invalid_client"))
    async with client_of(platform, grant()) as client:
        for _ in range(10):
            with failing(AuthError, "invalid_client"):
                await get(client)

    assert len(platform.forms) == 1


@pytest.mark.parametrize(
    "secret, encoded",
    [
        ("é", "%C3%A9"),
        (":", "%3A"),
        ("%", "%25"),
        ("+", "%2B"),
        ("a b", "a+b"),
        ("%C3%A9", "%25C3%25A9"),
        ("-._", "-._"),
    ],
)
async def test_row_60_id_and_secret_are_form_encoded_and_then_basic(secret: str, encoded: str):
    service = Service(lambda request: answer({"access_token": "t"} if "login" in request.url.host else APPOINTMENT))
    async with service.client(ClientCredentials(f"i{secret}d", f"{CANARY}{secret}")) as client:
        await get(client)
    await service.http.aclose()

    login, call = service.requests
    assert login.headers["Authorization"] == basic(f"i{encoded}d:{CANARY}{encoded}")
    assert call.headers["Authorization"] == "Bearer t"


def test_row_61_verifier_and_state_come_from_the_secrets_module_with_any_seed(monkeypatch: pytest.MonkeyPatch):
    drawn, draw = list[int](), __import__("secrets").token_urlsafe
    monkeypatch.setattr("secrets.token_urlsafe", lambda size=None: drawn.append(size or 0) or draw(size))
    made = list[AuthorizationRequest]()
    for _ in range(2):
        random.seed(1)
        made.append(AuthorizationRequest(CLIENT_ID, CALLBACK))

    assert len({text for each in made for text in (each.state, each.code_verifier)}) == 4
    assert len(drawn) == 4
    assert min(drawn) * 8 >= 256
    for each in made:
        digest = base64.urlsafe_b64encode(hashlib.sha256(each.code_verifier.encode()).digest()).decode().rstrip("=")
        assert f"code_challenge={digest}&code_challenge_method=S256" in each.url
