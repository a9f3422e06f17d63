"""Properties of token sources in any order of events, and examples, against a strict token endpoint."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import anyio
import httpx
import pytest
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import (
    AuthError,
    AuthorizationCode,
    ClientCredentials,
    CoachingClient,
    MemoryTokenStore,
    RateLimit,
    RefreshToken,
    TransportError,
)
from coaching_async._auth.grants import Grant
from tests.support.doubles import Service, answer, on, pipeline_of
from tests.support.effort import calls, examples

CANARY = "c4n4ry"
FIRST = f"{CANARY}-refresh-0"
APPOINTMENT = {"id": "an-appointment", "name": "n"}

Work: TypeAlias = Callable[[], httpx.Response]
Mishap: TypeAlias = Callable[[Work], Awaitable[httpx.Response]]


async def lost(work: Work) -> httpx.Response:
    work()
    raise httpx.ReadError("cut")


async def lost_on_the_way(_: Work) -> httpx.Response:
    raise httpx.ReadError("cut")


async def outage(_: Work) -> httpx.Response:
    raise httpx.ConnectError("refused")


async def down(_: Work) -> httpx.Response:
    return answer({}, 503)


async def stall(_: Work) -> httpx.Response:
    await anyio.sleep_forever()
    raise AssertionError


def refuse(error: str, status: int = 400) -> Mishap:
    async def mishap(_: Work) -> httpx.Response:
        return answer({"error": error}, status)

    return mishap


class Platform:
    """The API and its token endpoint, in memory. A refresh token is valid once; a reused one ends the sign-in.

    A token request is processed when it arrives, and answered `seconds` later, or as the next mishap does.
    """

    def __init__(self, *mishaps: Mishap, life: float = 1000.0, seconds: float = 0.77, rotates: bool = True) -> None:
        self.mishaps, self.life, self.seconds, self.rotates = list(mishaps), life, seconds, rotates
        self.on_form: Callable[[dict[str, str]], None] = lambda _: None
        self.on_token: Callable[[dict[str, Any]], None] = lambda _: None
        self.asked, self.asked_at = anyio.Event(), list[float]()
        self.forms = list[dict[str, str]]()
        self.seen = list[str]()
        self.stored = self.issued = self.under_way = self.most_under_way = 0
        self.reused = list[str]()
        self.newest = FIRST
        self.delays = list[float]()
        self.is_locked = self.is_silent_about_life = False
        self._good = dict[str, float]()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        return await (self._login(request) if request.url.path == "/oauth/token" else self._api(request))

    @property
    def posted(self) -> list[str]:
        """Refresh tokens that were sent."""
        return [form["refresh_token"] for form in self.forms if "refresh_token" in form]

    def revoke(self) -> None:
        """Invalidate all access tokens issued so far."""
        self._good.clear()

    async def _login(self, request: httpx.Request) -> httpx.Response:
        mishap = self.mishaps.pop(0) if self.mishaps else None
        self.asked.set()
        self.asked_at.append(anyio.current_time())
        form = dict(parse_qsl(request.content.decode()))
        if mishap is not outage:
            self.forms.append(form)
            self.on_form(form)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            made = self._made(form) if mishap is None else await mishap(lambda: self._made(form))
            await anyio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        if mishap is None and made.status_code == 200:
            self.on_token(made.json())
        return made

    def _made(self, form: dict[str, str]) -> httpx.Response:
        used = form.get("refresh_token")
        if used is not None and used != self.newest:
            self.reused.append(used)
            self.newest = ""
            self.revoke()
            return answer({"error": "invalid_grant"}, 400)
        self.issued += 1
        token = f"{CANARY}-token-{self.issued}"
        self._good[token] = anyio.current_time() + self.life
        body: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if not self.is_silent_about_life:
            body["expires_in"] = self.life
        if form["grant_type"] in {"refresh_token", "authorization_code"} and self.rotates:
            self.newest = body["refresh_token"] = f"{CANARY}-refresh-{self.issued}"
        return answer(body)

    async def _api(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.seen.append(token)
        is_good = self._good.get(token, 0) > anyio.current_time() and not self.is_locked
        await anyio.sleep(self.delays.pop(0) if self.delays else 0)
        self.stored += is_good and request.method == "POST"
        return answer(APPOINTMENT) if is_good else answer({"code": "bad.credentials"}, 401)


@asynccontextmanager
async def client_of(platform: Any, auth: Any, **options: Any) -> AsyncIterator[CoachingClient]:
    service = Service(platform)
    async with service.client(auth, **{"rate_limit": RateLimit(100_000), "max_concurrency": 1000} | options) as client:
        yield client
    await service.http.aclose()


def token_source_of(client: CoachingClient) -> Any:
    return pipeline_of(client).send.send.tokens


GRANTS: dict[str, Callable[[], Grant]] = {
    "client credentials": lambda: ClientCredentials("id", CANARY),
    "refresh token": lambda: RefreshToken("id", CANARY, FIRST),
    "refresh token, stored": lambda: RefreshToken("id", CANARY, FIRST, store=MemoryTokenStore(FIRST)),
    "refresh token, not yet stored": lambda: RefreshToken("id", CANARY, FIRST, store=MemoryTokenStore()),
    "code": lambda: AuthorizationCode("id", CANARY, CANARY, "https://app.test/callback"),
}


# Any order of events

LIFE = 1000.0
CALL = 60.0
"""Timeout of a caller in seconds, like that of a client's call."""

nth = st.integers(0, 7)
actions = st.one_of(
    st.just(("ask",)),
    st.tuples(st.just("reject"), nth),
    st.tuples(st.just("cancel"), nth),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5, 1.0, 3.0, 11.0, 31.0, 890.0, 910.0, 1001.0])),
    st.tuples(st.just("mishap"), st.sampled_from([lost, lost_on_the_way, outage, down, stall])),
)
scenarios = st.lists(actions, max_size=40)


class Scenario:
    """Runs actions on a token source, and records violations of its guarantees."""

    def __init__(self, grant: Grant) -> None:
        self.platform = Platform(life=LIFE)
        self.platform.on_form, self.platform.on_token = self._check_request, self._record_token
        self.grant = grant
        self.tokens = list[str]()
        self.refresh_tokens = [FIRST]
        self.scopes = list[anyio.CancelScope]()
        self.violations = list[str]()
        self._received_at, self._is_rejected = 0.0, False
        self._asked = 0
        """Number of requests that had arrived before the one for the newest token."""

    async def play(self, scenario: list[Any]) -> None:
        async with client_of(self.platform, self.grant) as client:
            self.token_source = token_source_of(client)
            with anyio.fail_after(len(scenario) * 1001 + 2 * CALL):
                async with anyio.create_task_group() as tasks:
                    for action, *arguments in scenario:
                        await getattr(self, f"_{action}")(tasks, *arguments)
        assert self.violations == []
        assert self.platform.most_under_way <= 1
        assert max(Counter(self.platform.posted).values(), default=0) <= 2

    @property
    def fresh(self) -> str | None:
        """The token that all callers have to get without a request."""
        return self.tokens[-1] if self._is_good(0.9 * LIFE) else None

    def _is_good(self, life: float = LIFE) -> bool:
        return bool(self.tokens) and not self._is_rejected and anyio.current_time() < self._received_at + life

    def _check_request(self, form: dict[str, str]) -> None:
        # Recorded, because the background task would convert an exception to an error of its own.
        if self.fresh is not None:
            self.violations.append("requested a token while there was a fresh one")
        if form.get("refresh_token") not in {None, self.refresh_tokens[-1]}:
            self.violations.append("sent a refresh token after a newer one had come")
        if form.get("refresh_token") in self.platform.posted[:-1] and self._is_good():
            self.violations.append("sent a refresh token again while the access token was valid")

    def _record_token(self, body: dict[str, Any]) -> None:
        self.tokens.append(body["access_token"])
        self._is_rejected, self._received_at = False, self.platform.asked_at[self._asked]
        self._asked = len(self.platform.asked_at)
        if "refresh_token" in body:
            self.refresh_tokens.append(body["refresh_token"])

    async def _ask(self, tasks: TaskGroup, rejected: str | None = None) -> None:
        async def ask() -> None:
            expected = self.fresh
            with anyio.move_on_after(CALL) as scope:
                self.scopes.append(scope)
                try:
                    got = await self.token_source.token(rejected)
                except (AuthError, TransportError) as error:
                    got = type(error).__name__
                    if expected is None:
                        return
                if got != (expected or self.tokens[-1]):
                    self.violations.append(f"returned {got}")

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()

    async def _reject(self, tasks: TaskGroup, number: int) -> None:
        rejected = self.tokens[-1 - number % len(self.tokens)] if self.tokens else "of-another-day"
        self._is_rejected |= bool(self.tokens) and rejected == self.tokens[-1]
        await self._ask(tasks, rejected)

    async def _cancel(self, _: TaskGroup, number: int) -> None:
        if number < len(self.scopes):
            self.scopes[-1 - number].cancel()

    async def _wait(self, _: TaskGroup, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def _mishap(self, _: TaskGroup, mishap: Mishap) -> None:
        self.platform.mishaps.append(mishap)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("grant", GRANTS)
@settings(deadline=None, max_examples=examples(60))
@given(scenario=scenarios)
def test_in_any_order_of_events_each_token_is_requested_once_and_no_used_refresh_token_is_sent(
    backend: str, grant: str, scenario: list[Any]
):
    anyio.run(Scenario(GRANTS[grant]()).play, scenario, **on(backend))


# Examples


async def get(client: CoachingClient) -> None:
    await client.appointments.get("1")


async def all_of(calls: Iterable[Callable[[], Awaitable[object]]]) -> None:
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)


def refresh(**options: Any) -> RefreshToken:
    return RefreshToken("id", CANARY, FIRST, **options)


MANY = calls(1000)

both_token_sources = pytest.mark.parametrize("grant", ["client credentials", "refresh token"])


@pytest.mark.anyio
@both_token_sources
async def test_many_concurrent_calls_request_one_token(grant: str):
    platform = Platform()
    async with client_of(platform, GRANTS[grant]()) as client:
        await all_of([partial(get, client)] * MANY)

    assert len(platform.forms) == 1
    assert platform.seen == [f"{CANARY}-token-1"] * MANY


@pytest.mark.anyio
@both_token_sources
@pytest.mark.parametrize("stagger", [0.0, 0.01], ids=["at once", "one after the other"])
async def test_many_401s_request_one_new_token(grant: str, stagger: float):
    platform = Platform()
    async with client_of(platform, GRANTS[grant]()) as client:
        await get(client)
        platform.revoke()
        platform.delays = [1 + number * stagger for number in range(MANY)]
        await all_of([partial(get, client)] * MANY)

    assert len(platform.forms) == 2
    assert Counter(platform.seen) == {f"{CANARY}-token-1": MANY + 1, f"{CANARY}-token-2": MANY}


@pytest.mark.anyio
@pytest.mark.parametrize("grant", [each for each in GRANTS if each != "client credentials"])
@pytest.mark.parametrize("cancelled", [False, True], ids=["", "callers cancelled"])
async def test_each_refresh_token_is_sent_once_in_twenty_refreshes(grant: str, cancelled: bool):
    platform = Platform(life=LIFE)
    timeouts = [moment / 10 for moment in range(10)] if cancelled else [CALL] * 10

    async def call(client: CoachingClient, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await get(client)

    async with client_of(platform, GRANTS[grant]()) as client:
        for _ in range(20):
            await all_of(partial(call, client, seconds) for seconds in timeouts)
            await anyio.sleep(LIFE)
        await get(client)

    assert platform.reused == []
    assert len(platform.forms) == 21
    assert len(set(platform.posted)) == len(platform.posted)


@pytest.mark.anyio
async def test_an_early_refresh_that_fails_while_its_token_is_rejected_fails_no_caller():
    platform = Platform(life=LIFE)
    async with client_of(platform, GRANTS["client credentials"]()) as client:
        token_source, got = token_source_of(client), list[str]()
        first = await token_source.token()
        await anyio.sleep(950)
        platform.mishaps = [refuse("server_error")]

        async def ask(rejected: str | None = None) -> None:
            got.append(await token_source.token(rejected))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(0.1)
            tasks.start_soon(ask, first)

    assert len(got) == 2
    assert got[-1] == f"{CANARY}-token-2"


class FailingStore(MemoryTokenStore):
    """A store that fails to save the first `failing` times."""

    def __init__(self, token: str | None, failing: int, how: str) -> None:
        super().__init__(token)
        self.failing, self.how = failing, how
        self.saved = list[tuple[str | None, str]]()

    async def save(self, old: str | None, new: str) -> bool:
        self.saved.append((old, new))
        self.failing -= 1
        if self.failing >= 0:
            if self.how == "raises":
                raise OSError(CANARY)
            if self.how == "hangs":
                await anyio.sleep_forever()
            return False
        return await super().save(old, new)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["raises", "hangs", "refuses"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_store_that_did_not_save_does_not_bring_a_used_refresh_token_back(how: str, times: int):
    platform, store = Platform(life=LIFE), FailingStore(FIRST, times, how)
    async with client_of(platform, refresh(store=store)) as client:
        for _ in range(3):
            await get(client)
            await anyio.sleep(LIFE)

    assert platform.reused == []
    assert len(platform.posted) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("kept", [None, FIRST], ids=["empty", "the first one"])
async def test_a_store_has_the_newest_refresh_token_whether_or_not_it_was_empty(kept: str | None):
    platform, store = Platform(life=LIFE), MemoryTokenStore(kept)
    async with client_of(platform, refresh(store=store)) as client:
        for _ in range(3):
            await get(client)
            assert await store.load() == platform.newest
            await anyio.sleep(LIFE)

    assert platform.reused == []


@pytest.mark.anyio
@pytest.mark.parametrize("grant", [RefreshToken, AuthorizationCode])
async def test_the_refresh_token_in_the_store_takes_precedence_over_that_of_the_grant(grant: type[Any]):
    platform, store = Platform(), MemoryTokenStore(FIRST)
    arguments = ("an-older-one",) if grant is RefreshToken else (CANARY, "https://app.test/callback")
    async with client_of(platform, grant("id", CANARY, *arguments, store=store)) as client:
        await get(client)

    assert platform.posted == [FIRST]
    assert await store.load() == platform.newest


@pytest.mark.anyio
async def test_a_refresh_token_of_another_process_is_loaded_from_the_store():
    platform, store = Platform(life=LIFE), MemoryTokenStore(FIRST)
    async with (
        client_of(platform, refresh(store=store)) as one,
        client_of(platform, refresh(store=store)) as other,
    ):
        for _ in range(3):
            await get(one)
            await get(other)
            await anyio.sleep(LIFE)

    assert platform.reused == []
    assert len(platform.posted) == 6


@pytest.mark.anyio
@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "unauthorized_client"])
async def test_a_refresh_token_that_was_refused_in_an_early_refresh_is_not_sent_again(error: str):
    platform = Platform(life=LIFE)
    async with client_of(platform, refresh()) as client:
        await get(client)
        platform.mishaps = [refuse(error)] * 100
        await anyio.sleep(0.9 * LIFE)
        for _ in range(9):
            await get(client)  # with the current token
            await anyio.sleep(11)
        for _ in range(3):
            await anyio.sleep(100)
            with pytest.raises(AuthError):
                await get(client)

    assert len(platform.posted) == 2


@pytest.mark.anyio
async def test_a_token_endpoint_that_cannot_be_connected_to_does_not_exhaust_the_refresh_token():
    async def unreachable(_: Work) -> httpx.Response:
        await anyio.sleep(1)
        raise httpx.ConnectError("refused")

    platform = Platform(*[unreachable] * 100)
    async with client_of(platform, refresh()) as client:
        for _ in range(5):
            with pytest.raises((AuthError, TransportError)):
                await get(client)
            await anyio.sleep(60)
        platform.mishaps.clear()
        await get(client)


@pytest.mark.anyio
async def test_a_refresh_that_timed_out_is_not_started_again_at_once():
    platform = Platform(stall, stall)
    async with client_of(platform, refresh()) as client:
        started = anyio.current_time()
        for _ in range(10):
            with pytest.raises(AuthError, match=r"^the login host \S+( \(.*\))? gave no token within 15 s$"):
                await get(client)

        assert anyio.current_time() - started == pytest.approx(15, abs=0.1)
    assert len(platform.posted) == 1
