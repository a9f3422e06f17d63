"""Rows 42 to 63: tokens that expire, get lost, are refused or replaced; and the views that speak for somebody else."""

import asyncio
import base64
import gc
import hashlib
import logging
import random
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthError,
    AuthorizationCode,
    AuthorizationRequest,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    MemoryTokenStore,
    RateLimit,
    RefreshToken,
    RetryPolicy,
    Saml2Bearer,
    Unauthorized,
)
from coaching_async._auth import token_source as tokens
from coaching_async.sandbox import CLIENT_ID as SANDBOX_ID
from coaching_async.sandbox import CLIENT_SECRET as SANDBOX_SECRET
from coaching_async.sandbox import Sandbox, UserGrant
from tests.auth.test_token_source_properties import (
    FIRST,
    Mishap,
    Platform,
    Work,
    all_of,
    client_of,
    down,
    get,
    keeper_of,
    lost,
    lost_on_the_way,
    outage,
    refuse,
    stall,
)
from tests.faults.support import APPOINTMENT, CANARY, CLIENT_ID, FULL, NEW, SECRET, client_to, credentials, failing
from tests.support.cancelling import Way, every_way, skip_where_unknown
from tests.support.doubles import Service, answer, http_of
from tests.support.fault_server import Behaviour, Conversation, FaultServer, answering, then

pytestmark = pytest.mark.anyio

CALLBACK = "https://app.test/callback"
LIFE = 1000.0
ONCE = RetryPolicy(attempts=1)


def token(number: int) -> str:
    return f"{CANARY}-token-{number}"


def refresh_token(number: int) -> str:
    return f"{CANARY}-refresh-{number}"


def user(**options: Any) -> RefreshToken:
    return RefreshToken(CLIENT_ID, SECRET, FIRST, **options)


def code(**options: Any) -> AuthorizationCode:
    return AuthorizationCode(CLIENT_ID, SECRET, f"{CANARY}-code", CALLBACK, **options)


def assertion() -> Saml2Bearer:
    return Saml2Bearer(CLIENT_ID, SECRET, "an-org", f"{CANARY}-assertion")


def each_of(*grants: Callable[[], Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("grant", grants, ids=lambda grant: grant.__name__)


every_grant = each_of(credentials, assertion, user, code)
every_renewable = each_of(credentials, assertion, user)


async def create(client: CoachingClient) -> None:
    await client.appointments.create(NEW)


async def failures_of(calls: Iterable[Callable[[], Awaitable[object]]]) -> list[CoachingError]:
    """What calls made at once failed with."""
    failures = list[CoachingError]()

    async def attempt(call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except CoachingError as error:
            failures.append(error)

    await all_of(partial(attempt, call) for call in calls)
    return failures


# 401


@pytest.mark.parametrize("call", [get, create], ids=["GET", "POST"])
@every_renewable
async def test_row_42_a_token_that_is_good_no_more_is_replaced_and_the_call_repeated(
    grant: Callable[[], Any], call: Callable[[CoachingClient], Awaitable[None]]
):
    platform = Platform()
    async with client_of(platform, grant()) as client:
        await get(client)
        platform.revoke()

        await call(client)

    assert len(platform.forms) == 2
    assert platform.seen == [token(1), token(1), token(2)]
    assert platform.stored == (call is create)


@pytest.mark.parametrize("call", [get, create], ids=["GET", "POST"])
@every_renewable
async def test_row_43_401_for_ever_is_given_up_after_one_new_token(
    grant: Callable[[], Any], call: Callable[[CoachingClient], Awaitable[None]]
):
    platform = Platform(life=LIFE)
    async with client_of(platform, grant()) as client:
        await get(client)
        platform.is_locked = True

        with failing(Unauthorized) as caught:
            await call(client)

    assert (caught.value.status, caught.value.attempts, caught.value.processed) == (401, 2, "no")
    assert platform.seen == [token(1), token(1), token(2)]
    assert len(platform.forms) == 2
    assert platform.stored == 0


async def hundred_401s(grant: Any, spread: float) -> None:
    """That many calls are under way when their token is good no more, and learn it in so many seconds."""
    platform = Platform(seconds=0.1)
    async with client_of(platform, grant) as client:
        await get(client)
        platform.revoke()
        platform.delays = [0.5 + number * spread / 100 for number in range(100)]

        await all_of([partial(get, client)] * 100)

    assert len(platform.forms) == 2
    assert Counter(platform.seen) == {token(1): 101, token(2): 100}


@every_renewable
async def test_row_44_a_hundred_401s_at_once_take_one_new_token(grant: Callable[[], Any]):
    await hundred_401s(grant(), spread=0)


@every_renewable
async def test_row_45_late_401s_of_the_old_token_take_no_other(grant: Callable[[], Any]):
    await hundred_401s(grant(), spread=1)


# Refusals and failures


@pytest.mark.parametrize(
    "error, status", [("invalid_client", 400), ("invalid_grant", 400), ("unauthorized_client", 400), ("odd", 401)]
)
@every_grant
async def test_row_46_a_refusal_is_told_to_all_who_wait_and_to_all_who_come_later(
    grant: Callable[[], Any], error: str, status: int
):
    platform = Platform(refuse(error, status))
    async with client_of(platform, grant()) as client:
        failures = await failures_of([partial(get, client)] * 100)
        for seconds in (10, 3600):
            await anyio.sleep(seconds)
            with failing(AuthError) as caught:
                await get(client)
            failures.append(caught.value)

    assert {(type(each), each.code, each.status, each.processed) for each in failures} == {
        (AuthError, error, status, "no")
    }
    assert len(failures) == 102
    assert len(platform.forms) == 1
    assert platform.seen == []


@pytest.mark.parametrize("mishap", [down, outage], ids=["503", "no connection"])
@every_renewable
async def test_row_47_after_a_failure_nobody_asks_again_for_a_second_then_two_and_so_on(
    grant: Callable[[], Any], mishap: Mishap
):
    platform = Platform(*[mishap] * 100, seconds=0)
    async with client_of(platform, grant(), retry=ONCE) as client:
        for _ in range(4 * 122):
            with failing(CoachingError) as caught:
                await get(client)
            assert caught.value.processed == "no"
            await anyio.sleep(0.25)

    waits = [after - before for before, after in zip(platform.asked_at, platform.asked_at[1:], strict=False)]
    # A 503 may have used the refresh token up: it is posted once more, and then no more.
    once_more = grant is user and mishap is down
    assert waits == pytest.approx([1] if once_more else [1, 2, 4, 8, 16, 30, 30, 30])


@every_renewable
async def test_row_47_a_success_makes_the_first_wait_short_again(grant: Callable[[], Any]):
    platform = Platform(*[outage] * 3, life=LIFE, seconds=0)
    async with client_of(platform, grant(), retry=ONCE) as client:
        for seconds in (1, 2, 4):
            with failing(CoachingError):
                await get(client)
            await anyio.sleep(seconds)
        await get(client)
        platform.mishaps = [outage]
        await anyio.sleep(LIFE)
        with failing(CoachingError):
            await get(client)
        await anyio.sleep(1)

        await get(client)


# Refresh tokens


async def test_row_48_an_answer_without_a_refresh_token_leaves_the_old_one_good():
    platform, store, told = Platform(life=LIFE, rotates=False), MemoryTokenStore(FIRST), list[str]()

    async def on_rotated(new: str) -> None:
        told.append(new)

    async with client_of(platform, user(store=store, on_rotated=on_rotated)) as client:
        for _ in range(3):
            await get(client)
            await anyio.sleep(LIFE)

    assert platform.posted == [FIRST] * 3
    assert await store.load() == FIRST
    assert told == []


@pytest.mark.real_time
async def test_row_49_many_calls_over_twenty_expiries_post_each_refresh_token_once():
    told = list[str]()

    async def on_rotated(new: str) -> None:
        told.append(new)

    async with Sandbox(appointments=0) as sandbox:
        sandbox.oauth.refresh_tokens[FIRST] = UserGrant(SANDBOX_ID, sandbox.oauth.first_user_id)
        auth = RefreshToken(SANDBOX_ID, SANDBOX_SECRET, FIRST, on_rotated=on_rotated)
        async with client_to(sandbox.base_url, auth=auth, rate_limit=RateLimit(10_000)) as client:
            for _ in range(20):
                await all_of([client.appointments.list_mine().total] * (50 if FULL else 10))
                sandbox.oauth.revoke_all()

        logins = [each.status for each in sandbox.requests if each.path == "/oauth/token"]
        alive = set(sandbox.oauth.refresh_tokens)
    assert logins == [200] * 20
    assert len(set(told)) == len(told) == 20
    assert told[-1] in alive  # the sign-in was not ended


@every_way
@pytest.mark.parametrize("closes", [False, True], ids=["and calls again", "and closes"])
async def test_row_50_a_renewal_outlives_all_who_wait_for_it(cancel: Way, anyio_backend_name: str, closes: bool):
    skip_where_unknown(cancel, anyio_backend_name)
    platform, store, told, cut = Platform(), MemoryTokenStore(FIRST), list[str](), list[bool]()

    async def on_rotated(new: str) -> None:
        await anyio.sleep(1)
        told.append(new)

    async def one_of(client: CoachingClient) -> None:
        cut.append(await cancel(partial(get, client), platform.asked.wait))

    async with client_of(platform, user(store=store, on_rotated=on_rotated)) as client:
        started = anyio.current_time()
        await all_of([partial(one_of, client)] * 10)

        assert anyio.current_time() - started < 0.05
        assert (cut, told) == ([True] * 10, [])
        if not closes:
            await get(client)

    assert platform.posted == [FIRST]
    assert told == [refresh_token(1)]
    assert await store.load() == refresh_token(1)
    assert platform.seen == ([] if closes else [token(1)])


@pytest.mark.parametrize("mishap", [lost, lost_on_the_way, down, stall], ids=lambda mishap: mishap.__name__)
async def test_row_51_what_got_lost_is_not_posted_again_while_the_access_token_is_good(
    mishap: Mishap, caplog: pytest.LogCaptureFixture
):
    platform = Platform(life=LIFE)
    async with client_of(platform, user()) as client:
        await get(client)
        ends_at = platform.asked_at[0] + LIFE
        platform.mishaps = [mishap]
        await anyio.sleep(0.9 * LIFE)
        while anyio.current_time() < ends_at - 5:
            await get(client)
            await anyio.sleep(5)
        assert platform.posted == [FIRST, refresh_token(1)]
        await anyio.sleep(20)

        if mishap is lost:  # the service has replaced it, and knows what comes again
            for _ in range(5):
                with failing(AuthError) as caught:
                    await get(client)
                assert caught.value.processed == "no"
                await anyio.sleep(100)
        else:
            await get(client)

    assert platform.posted == [FIRST, refresh_token(1), refresh_token(1)]
    assert platform.asked_at[2] > ends_at
    assert "could not be kept" not in caplog.text  # no refresh token came that could have been
    assert set(platform.seen) == ({token(1)} if mishap is lost else {token(1), token(2)})


def login_cut(kind: str) -> Behaviour:
    """The API, and a login host that does its work and loses the answer."""

    def behave(conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            if request.target != "/oauth/token":
                conversation.answer(APPOINTMENT)
            elif kind == "reset":
                return conversation.reset()
            else:
                if kind == "half an answer":
                    conversation.answer(b'{"access_token": "c4n4ry', Content_Length="99")
                return conversation.close()
        return None

    return behave


async def posts_of(grant: Any, kind: str) -> int:
    """How often it is offered to a login host that loses each answer."""
    with FaultServer(login_cut(kind)) as server:
        async with client_to(server.url, auth=grant) as client:
            for _ in range(4):
                with failing(AuthError, "lost|used up") as caught:
                    await get(client)
                assert caught.value.processed == "no"
                keeper_of(client)._failure.clear()  # as if time had passed

    assert {each.target for each in server.requests} == {"/oauth/token"}
    assert "sign in again" in str(caught.value)
    return len(server.requests)


every_cut = pytest.mark.parametrize("kind", ["closed", "reset", "half an answer"])


@pytest.mark.real_time
@every_cut
async def test_row_51_a_refresh_token_whose_answer_was_cut_is_posted_once_more(kind: str):
    assert await posts_of(user(), kind) == 2


@pytest.mark.real_time
@every_cut
async def test_row_62_a_code_whose_answer_was_cut_is_not_posted_again(kind: str):
    assert await posts_of(code(), kind) == 1


@pytest.mark.real_time
@each_of(user, code)
async def test_row_51_what_never_left_is_not_used_up(grant: Callable[[], Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokens, "REFRESH_TIMEOUT", 0.3)
    with FaultServer(Conversation.pause) as server:  # shakes no hands
        async with client_to(f"https://localhost:{server.port}", auth=grant()) as client:
            for number in range(3):
                with failing(AuthError, "no token within"):
                    await get(client)
                server.wait_until(lambda number=number: server.accepted > number)
                keeper_of(client)._failure.clear()  # as if time had passed


@pytest.mark.parametrize("mishap", [lost, lost_on_the_way, down, stall], ids=lambda mishap: mishap.__name__)
async def test_row_62_a_code_is_posted_once_and_not_after_any_time(mishap: Mishap):
    platform = Platform(mishap)
    async with client_of(platform, code()) as client:
        for _ in range(5):
            with failing(AuthError):
                await get(client)
            await anyio.sleep(3600)

    assert len(platform.forms) == 1


@pytest.mark.parametrize("how", ["raises", "hangs"])
@pytest.mark.parametrize("what", ["on_rotated", "store"])
async def test_row_52_who_fails_to_keep_a_refresh_token_is_logged_and_stops_nobody(
    how: str, what: str, caplog: pytest.LogCaptureFixture
):
    async def fail(*_: object) -> Any:
        if how == "raises":
            raise OSError(f"{CANARY}-path")
        await anyio.sleep_forever()

    store = MemoryTokenStore(FIRST)
    if what == "store":
        store.save = fail  # type: ignore[method-assign]
    platform = Platform(life=1000.0)
    async with client_of(platform, user(store=store, on_rotated=fail if what == "on_rotated" else None)) as client:
        started = anyio.current_time()
        await all_of([partial(get, client)] * 10)

        assert anyio.current_time() - started <= (15 if how == "hangs" else 1)
        platform.revoke()
        await get(client)

    assert platform.seen == [token(1)] * 11 + [token(2)]
    assert platform.posted == [FIRST, refresh_token(1)]
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    why = ": OSError" if how == "raises" else " within 15 s"
    assert errors == [f"a new refresh token could not be kept{why}"] * 2


# What the login host answers


@pytest.mark.real_time
@pytest.mark.parametrize("borrowed", [False, True], ids=["own", "borrowed, follows by default"])
@pytest.mark.parametrize("status", [302, 307, 308])
@every_grant
async def test_row_53_a_login_host_that_sends_elsewhere_is_not_followed(
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

        assert [each.target for each in server.requests] == ["/oauth/token"]
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
async def test_row_54_an_answer_that_is_no_token_is_refused_unseen(grant: Callable[[], Any], body: str):
    service = Service([httpx.Response(200, content=body.encode())])
    async with service.client(grant()) as client:
        with failing(AuthError, "no token") as caught:
            await get(client)
    await service.http.aclose()

    assert caught.value.processed == "no"
    assert [each.url.path for each in service.requests] == ["/oauth/token"]


@every_renewable
async def test_row_54_a_life_that_is_not_told_is_an_hour(grant: Callable[[], Any]):
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
async def test_row_55_a_token_that_no_header_can_carry_is_not_sent(grant: Callable[[], Any], text: str):
    service = Service([answer({"access_token": text, "token_type": "bearer"})])
    async with service.client(grant()) as client:
        with failing(AuthError, "not sendable"):
            await get(client)
    await service.http.aclose()

    assert [each.url.path for each in service.requests] == ["/oauth/token"]


@pytest.mark.parametrize("text", UNSENDABLE)
async def test_row_55_nor_is_one_that_the_user_gives(text: str):
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


@pytest.mark.parametrize("days", [-1, 1])
@every_renewable
async def test_row_56_a_clock_that_is_set_changes_nothing(
    grant: Callable[[], Any], days: int, monkeypatch: pytest.MonkeyPatch
):
    platform, right = Platform(life=3.0, seconds=0), time.time
    async with client_of(platform, grant()) as client:
        await get(client)
        monkeypatch.setattr(time, "time", lambda: right() + 86400 * days)
        for _ in range(59):
            await anyio.sleep(0.1)
            await get(client)

    assert platform.asked_at == pytest.approx([platform.asked_at[0] + each for each in (0, 2.7, 5.4)], abs=0.101)


class Dripping(httpx.AsyncByteStream):
    """A body that comes a byte at a time."""

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
async def test_row_57_a_login_host_in_trouble_is_asked_again(grant: Callable[[], Any], mishap: Mishap, seconds: float):
    platform = Platform(mishap, mishap, seconds=0)
    async with client_of(platform, grant()) as client:
        started = anyio.current_time()
        if mishap is down and grant is not credentials:  # what may have been used is not offered at once
            with failing(AuthError, "503"):
                await get(client)
            assert len(platform.forms) == 1
        else:
            await get(client)

            assert 2 * seconds <= anyio.current_time() - started <= 2 * seconds + 3
            assert len(platform.forms) == 3


@pytest.mark.parametrize("mishap", [throttled, throttled_in_its_own_way, down, outage, drip, stall])
@every_renewable
async def test_row_57_while_it_is_in_trouble_calls_go_on_with_the_token_that_is_good(
    grant: Callable[[], Any], mishap: Mishap
):
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
    assert max(took) < 5.1  # of the one that renews
    assert sum(each > 0.01 for each in took) <= (grant is not user)
    assert len(platform.forms) > 1 or mishap is outage


@every_grant
async def test_row_58_a_client_that_is_unknown_is_told_once(grant: Callable[[], Any]):
    platform = Platform(refuse("invalid_client"))
    async with client_of(platform, grant()) as client:
        for _ in range(10):
            with failing(AuthError, "invalid_client"):
                await get(client)

    assert len(platform.forms) == 1


# Who is who


async def test_row_59_two_clients_of_two_tenants_have_nothing_in_common():
    def both(request: httpx.Request) -> httpx.Response:
        tenant = request.url.host.split(".")[1]
        return answer({"access_token": f"{CANARY}-of-{tenant}"} if request.url.path == "/oauth/token" else APPOINTMENT)

    service = Service(both)
    clients = [
        CoachingClient(
            ClientCredentials(f"id-{tenant}", f"{SECRET}-{tenant}"),
            base_url=f"https://api.{tenant}.test",
            http_client=service.http,
        )
        for tenant in ("one", "two")
    ]
    await all_of([partial(get, client) for client in clients] * 5)
    await all_of([client.aclose for client in clients])
    await service.http.aclose()

    assert {(each.url.host, each.headers["Authorization"]) for each in service.requests} == {
        (f"login.{tenant}.test", basic(f"id-{tenant}:{SECRET}-{tenant}")) for tenant in ("one", "two")
    } | {(f"api.{tenant}.test", f"Bearer {CANARY}-of-{tenant}") for tenant in ("one", "two")}
    assert len(service.requests) == 12


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


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


def test_row_61_verifier_and_state_come_from_secrets_whatever_the_seed(monkeypatch: pytest.MonkeyPatch):
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


# A task that is cancelled from outside


@pytest.mark.parametrize("has_begun", [False, True])
async def test_row_63_a_renewal_that_was_cancelled_from_outside_is_begun_again(
    has_begun: bool, anyio_backend_name: str
):
    if anyio_backend_name == "trio":
        pytest.skip("nobody can reach trio's system tasks")
    platform, before = Platform(), asyncio.all_tasks()
    async with client_of(platform, user()) as client:
        keeper = keeper_of(client)
        send_off = keeper.spawn

        def cancel() -> None:
            for task in asyncio.all_tasks() - before:
                if task is not waiting:
                    task.cancel()

        def send_off_and_cancel(*errand: Any) -> None:
            keeper.spawn = send_off
            send_off(*errand)
            cancel()

        async def wait() -> None:
            with failing(AuthError, "call again"):
                await keeper.token()

        with anyio.fail_after(1):
            if not has_begun:
                keeper.spawn = send_off_and_cancel
            waiting = asyncio.ensure_future(wait())
            if has_begun:
                await platform.asked.wait()
                platform.newest = FIRST  # the service had not carried it out
                cancel()
            await waiting

        with anyio.fail_after(1):
            await get(client)

    assert platform.seen == [token(platform.issued)]
    assert len(platform.posted) == (2 if has_begun else 1)


# Views for somebody else


def bearers(service: Service) -> list[str]:
    return [each.headers["Authorization"].removeprefix("Bearer ") for each in service.requests]


async def test_a_view_has_its_own_token_and_the_same_connections():
    service = Service([answer(APPOINTMENT)])
    async with service.client(AccessToken("of-the-backend")) as client:
        mine = client.with_auth(AccessToken("of-a-user"))
        brief = mine.with_options(timeout=1.0)

        for each in (client, mine, brief, client):
            await get(each)

        assert http_of(mine) is http_of(client) is service.http
        assert keeper_of(brief) is keeper_of(mine) is not keeper_of(client)
    await service.http.aclose()
    assert bearers(service) == ["of-the-backend", "of-a-user", "of-a-user", "of-the-backend"]
    assert client.stats().calls == mine.stats().calls == 4


@pytest.mark.parametrize("limit, passes", [(None, 3), (RateLimit(5, per=60.0), 5)], ids=["as wide", "of its own"])
async def test_a_view_has_a_budget_of_its_own(limit: RateLimit | None, passes: int):
    service = Service([answer(APPOINTMENT)])
    async with service.client(
        AccessToken("of-the-backend"), rate_limit=RateLimit(3, per=60.0), timeout=100.0
    ) as client:
        mine = client.with_auth(AccessToken("of-a-user"), rate_limit=limit)
        started = anyio.current_time()
        await all_of([partial(get, client)] * 3 + [partial(get, mine)] * passes)
        assert anyio.current_time() == started

        await get(mine)

        assert anyio.current_time() - started == pytest.approx(60)
    await service.http.aclose()


async def test_users_who_sign_in_at_once_get_each_their_own_token():
    """Tokens name whom they were given to; each call names whom it is made for."""

    async def serve(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(random.random())
        if request.url.path == "/oauth/token":
            whom = request.content.decode().rpartition("refresh-of-")[2]
            return answer({"access_token": f"token-of-{whom}", "expires_in": 50, "refresh_token": f"refresh-of-{whom}"})
        crossed = not request.url.path.endswith(f"/{request.headers['Authorization'].removeprefix('Bearer token-of-')}")
        return answer({"id": "crossed"} if crossed else APPOINTMENT)

    service, got = Service(serve), list[str]()

    async def call(view: CoachingClient, name: str) -> None:
        got.append((await view.appointments.get(name)).id)

    async with service.client(rate_limit=RateLimit(10_000)) as client:
        views = {
            f"user-{n}": client.with_auth(RefreshToken(CLIENT_ID, SECRET, f"refresh-of-user-{n}")) for n in range(20)
        }
        for _ in range(3):
            await all_of([partial(call, view, name) for name, view in views.items()] * 5)
            await anyio.sleep(50)
    await service.http.aclose()

    assert got == [APPOINTMENT["id"]] * 300
    assert sum(each.url.path == "/oauth/token" for each in service.requests) == 60


async def test_a_pause_told_to_one_is_none_for_the_other():
    def serve(request: httpx.Request) -> httpx.Response:
        told = request.headers["Authorization"] == "Bearer of-one" and len(service.requests) == 1
        return answer({}, 429, Retry_After="30") if told else answer(APPOINTMENT)

    service, took = Service(serve), dict[str, float]()

    async def measured(name: str, view: CoachingClient) -> None:
        started = anyio.current_time()
        await get(view)
        took[name] = anyio.current_time() - started

    async with service.client() as client:
        one, other = (client.with_auth(AccessToken(f"of-{each}")) for each in ("one", "other"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(measured, "one", one)
            await anyio.sleep(1)
            tasks.start_soon(measured, "one, later", one.with_options(timeout=50.0))
            tasks.start_soon(measured, "other", other)
            tasks.start_soon(measured, "backend", client)
    await service.http.aclose()

    assert took == pytest.approx({"one": 30, "one, later": 29, "other": 0, "backend": 0})


@each_of(credentials, user, lambda: AccessToken("t"))
async def test_a_view_that_is_dropped_leaves_nothing(grant: Callable[[], Any]):
    platform = Platform()
    async with client_of(platform, AccessToken("of-the-backend")) as client:
        left = list[weakref.ref[Any]]()
        for _ in range(10):
            view = client.with_auth(grant())
            await failures_of([partial(get, view)])
            left += [weakref.ref(each) for each in (view, view.appointments, keeper_of(view))]
            del view
        gc.collect()

        assert [each for each in left if each() is not None] == []
        assert len(client._sessions.value._pipelines) <= 1


async def test_a_view_that_is_dropped_while_it_is_at_work_does_its_work():
    platform = Platform()
    async with client_of(platform, AccessToken("of-the-backend")) as client:
        got = await client.with_auth(user()).appointments.get("1")

    assert got.id == APPOINTMENT["id"]
    assert platform.seen == [token(1)]
