"""Token, rotated refresh token, spent code, rate limit and cooldown outlive the event loop; its sockets do not."""

import asyncio
import gc
import json
import multiprocessing
import ssl
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx
import pytest
import trustme
import uvloop

from coaching_async import (
    AccessToken,
    AuthError,
    AuthorizationCode,
    ClientCredentials,
    CoachingClient,
    MemoryTokenStore,
    RateLimit,
    RateLimited,
    RefreshToken,
    RetryPolicy,
)
from coaching_async._transport.priority import Priority
from tests.support.doubles import TOKEN, Service, answer, on, pipeline_of
from tests.support.fault_server import HANG, FaultServer, ok

APPOINTMENT = {"id": "1"}
TWO_LOOPS = list(product(("asyncio", "trio"), repeat=2))
CREDENTIALS = ClientCredentials("an-id", "a-secret")


class Platform(Service):
    """The API and the login host, which takes each refresh token and each code once."""

    def __init__(self, *, life: float = 3600.0) -> None:
        super().__init__(self.respond)
        self.life, self.status = life, 200
        self.posted: list[str] = []
        self.sent_at: list[float] = []

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/oauth/token":
            self.sent_at.append(anyio.current_time())
            return answer(APPOINTMENT, self.status, **({"Retry_After": "50"} if self.status == 429 else {}))
        form = parse_qs(request.content.decode())
        self.posted.append(form.get("refresh_token", form.get("code", form["grant_type"]))[0])
        if self.posted.count(self.posted[-1]) > 1 and self.posted[-1] != "client_credentials":
            return answer({"error": "invalid_grant"}, 400)
        name = len(self.posted)
        return answer({"access_token": f"t{name}", "expires_in": self.life, "refresh_token": f"refresh-{name}"})


async def get(client: CoachingClient) -> None:
    await client.appointments.get("1")


def run(function: Callable[..., Coroutine[Any, Any, object]], *args: object, backend: str) -> None:
    """Run in an event loop of its own, with a virtual clock."""
    anyio.run(function, *args, **on(backend))


@pytest.mark.parametrize("backends", TWO_LOOPS)
def test_names_of_users_last_ten_minutes_over_event_loops(backends: tuple[str, str]):
    service = Service([answer({"entities": [{"id": "u", "name": "Ada"}], "pageCount": 1})])
    client = service.client()

    async def names_twice(seconds: float) -> None:
        assert await client.users.names("u") == {"u": "Ada"}
        await anyio.sleep(seconds)
        assert await client.users.names("u") == {"u": "Ada"}

    run(names_twice, 400.0, backend=backends[0])
    assert len(service.requests) == 1
    run(names_twice, 100.0, backend=backends[1])
    assert len(service.requests) == 1
    run(names_twice, 101.0, backend=backends[1])
    assert len(service.requests) == 2


@pytest.mark.parametrize("backends", TWO_LOOPS)
@pytest.mark.parametrize("is_view", [False, True])
def test_a_token_serves_all_event_loops(backends: tuple[str, str], is_view: bool):
    platform = Platform()
    client = platform.client(CREDENTIALS if not is_view else None)
    used = client.with_auth(CREDENTIALS) if is_view else client

    for backend in backends * 2:
        run(get, used, backend=backend)

    assert len(platform.posted) == 1


@pytest.mark.parametrize("backends", TWO_LOOPS)
def test_a_token_expires_by_the_time_that_passed_in_all_event_loops(backends: tuple[str, str]):
    platform = Platform(life=1000.0)
    client = platform.client(CREDENTIALS)

    async def get_and_wait(seconds: float) -> None:
        await get(client)
        await anyio.sleep(seconds)

    for backend, seconds in zip(backends * 2, (600.0, 600.0, 0.0, 0.0), strict=True):
        run(get_and_wait, seconds, backend=backend)

    assert len(platform.posted) == 2


@pytest.mark.parametrize("backends", TWO_LOOPS)
@pytest.mark.parametrize(
    ("grant", "first"),
    [
        (RefreshToken("an-id", "a-secret", "refresh-0"), "refresh-0"),
        (AuthorizationCode("an-id", "a-secret", "code-0", "https://app.test/"), "code-0"),
    ],
    ids=["refresh token", "code"],
)
def test_no_refresh_token_and_no_code_is_posted_twice(backends: tuple[str, str], grant: Any, first: str):
    platform = Platform(life=100.0)
    client = platform.client(grant)

    async def use_until_the_token_expires() -> None:
        await get(client)
        await anyio.sleep(200.0)

    for backend in backends * 2:
        run(use_until_the_token_expires, backend=backend)

    assert platform.posted == [first, "refresh-1", "refresh-2", "refresh-3"]


@pytest.mark.parametrize("backends", TWO_LOOPS)
def test_a_refresh_token_whose_response_was_lost_with_the_loop_is_sent_once_more(backends: tuple[str, str]):
    """One lost response is what a sign-in may bear, however many loops there are."""
    posted = list[str]()

    def lose(request: httpx.Request) -> httpx.Response:
        posted.append(request.url.path)
        raise httpx.ReadError("cut")

    client = Service(lose).client(RefreshToken("an-id", "a-secret", "refresh-0"))

    async def fail() -> None:
        with pytest.raises(AuthError):
            await get(client)
        await anyio.sleep(100.0)  # longer than a failure is cached

    for backend in backends * 2:
        run(fail, backend=backend)

    assert len(posted) == 2


@pytest.mark.parametrize("backends", TWO_LOOPS)
def test_credentials_that_were_refused_are_not_sent_again_in_any_event_loop(backends: tuple[str, str]):
    service = Service([answer({"error": "invalid_client"}, 401)])
    client = service.client(CREDENTIALS)

    async def be_refused() -> None:
        with pytest.raises(AuthError):
            await get(client)

    for backend in backends:
        run(be_refused, backend=backend)

    assert len(service.requests) == 1


@pytest.mark.parametrize("backends", TWO_LOOPS)
def test_the_window_of_the_rate_limit_covers_all_event_loops(backends: tuple[str, str]):
    platform = Platform()
    client = platform.client(rate_limit=RateLimit(2, per=60.0))
    waits = list[float]()

    async def get_two() -> None:
        started = anyio.current_time()
        await get(client)
        await get(client)
        waits.append(anyio.current_time() - started)

    for backend in backends:
        run(get_two, backend=backend)

    assert waits == pytest.approx([0.0, 60.0], abs=1.0)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_cooldown_after_a_429_and_the_limit_learned_from_it_outlive_the_loop(backend: str):
    platform = Platform()
    client = platform.client(rate_limit=RateLimit(10, per=60.0), retry=RetryPolicy(throttle_waits=0))
    times = list[float]()

    async def be_throttled() -> None:
        await get(client)
        platform.status = 429
        with pytest.raises(RateLimited):
            await get(client)
        platform.status = 200

    async def get_many() -> None:
        started = anyio.current_time()
        for _ in range(6):
            await get(client)
        times.extend(time - started for time in platform.sent_at[2:])

    run(be_throttled, backend=backend)
    run(get_many, backend=backend)

    assert times[0] == pytest.approx(50.0, abs=1.0)
    assert times[-1] > 60.0, "the limit is 5 for now, so the sixth waits for the window"


def test_requests_in_flight_when_their_loop_was_closed_count_as_sent():
    """A loop that is closed by hand ends its tasks without any cleanup."""
    client = Service(lambda _: answer(APPOINTMENT)).client(rate_limit=RateLimit(2, per=60.0))
    limiter_waits = list[float]()

    async def hold_a_permit() -> None:
        pipeline_of(client).send.limiter.acquire_nowait(Priority.INTERACTIVE)
        await anyio.sleep_forever()

    async def start() -> None:
        await get(client)
        tasks.append(asyncio.ensure_future(hold_a_permit()))
        await asyncio.sleep(0)

    async def get_one() -> None:
        started = anyio.current_time()
        await get(client)
        limiter_waits.append(anyio.current_time() - started)

    tasks = list[Any]()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    loop.close()
    run(get_one, backend="asyncio")
    tasks[0]._log_destroy_pending = False
    tasks.clear()

    assert limiter_waits == [pytest.approx(60.0, abs=1.0)]


@contextmanager
def no_resource_warnings() -> Iterator[None]:
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def run_and_close(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[Coroutine[Any, Any, object]], None]:
    """Run in a loop that is only closed, where `asyncio.run` cancels tasks first."""

    def run_it(coroutine: Coroutine[Any, Any, object]) -> None:
        loop = new_loop()
        try:
            loop.run_until_complete(coroutine)
        finally:
            loop.close()

    return run_it


def run_on_uvloop(coroutine: Coroutine[Any, Any, object]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)


def run_on_trio(coroutine: Coroutine[Any, Any, object]) -> None:
    async def main() -> None:
        await coroutine

    anyio.run(main, backend="trio")


LOOPS: dict[str, Callable[[Coroutine[Any, Any, object]], object]] = {
    "asyncio.run": asyncio.run,
    "a closed loop": run_and_close(asyncio.new_event_loop),
    "uvloop": run_on_uvloop,
    "trio": run_on_trio,
}


@pytest.mark.real_time  # over sockets
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_the_sockets_of_an_ended_loop_are_closed_without_a_warning(
    loop: str, is_secure: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    tls = None
    if is_secure:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
    with FaultServer(ok(APPOINTMENT), tls=tls) as server, no_resource_warnings():
        client = CoachingClient(AccessToken(TOKEN), base_url=server.url, timeout=HANG)
        for _ in range(3):
            LOOPS[loop](get(client))
            server.wait_until(lambda: server.open <= (loop == "a closed loop"))
        LOOPS[loop](client.aclose())
        server.wait_until(lambda: server.open == 0)


def in_child(work: Callable[[], object]) -> str:
    """Run in a forked process. Return what it raised, or an empty text."""
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()

    def main() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 # compared by the parent
            results.put(f"{type(error).__name__}: {error}")
        else:
            results.put("")

    process = fork.Process(target=main)
    process.start()
    process.join(HANG)
    return str(results.get())


@pytest.mark.real_time
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("loop", LOOPS)
def test_after_its_loop_has_ended_a_client_works_in_forked_processes_and_in_their_parent(loop: str):
    with FaultServer(ok(APPOINTMENT)) as server:
        client = CoachingClient(AccessToken(TOKEN), base_url=server.url, timeout=HANG)
        LOOPS[loop](get(client))

        raised = [in_child(lambda: LOOPS[loop](get(client))) for _ in range(2)]
        LOOPS[loop](get(client))
        LOOPS[loop](client.aclose())

    assert raised == ["", ""]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("new_store", [lambda: None, MemoryTokenStore], ids=["no store", "in memory"])
def test_a_sign_in_that_was_in_use_before_a_fork_is_renewed_by_the_parent_alone(backend: str, new_store: Any):
    platform = Platform(life=100.0)
    client = platform.client(RefreshToken("an-id", "a-secret", "refresh-0", store=new_store()))

    async def get_and_again_after(seconds: float) -> None:
        await get(client)
        await anyio.sleep(seconds)
        await get(client)

    run(get_and_again_after, 0.0, backend=backend)

    assert in_child(lambda: run(get_and_again_after, 0.0, backend=backend)) == "", "the access token still serves"
    assert in_child(lambda: run(get_and_again_after, 200.0, backend=backend)) == (
        "AuthError: the sign-in was in use before the process forked, and only one process may renew it: let the user sign"
        " in again in this one, or give the grant a store that both share"
    )
    run(get_and_again_after, 200.0, backend=backend)
    assert platform.posted == ["refresh-0", "refresh-1"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_with_a_store_that_they_share_renew_a_sign_in_in_turn(tmp_path: Any):
    class FileStore:
        async def load(self) -> str | None:
            return json.loads(path.read_text())["token"]  # type: ignore[no-any-return]

        async def save(self, old: str | None, new: str) -> bool:
            if await self.load() != old:
                return False
            path.write_text(json.dumps({"token": new}))
            return True

    path = tmp_path / "token.json"
    path.write_text(json.dumps({"token": "refresh-0"}))
    platform = Platform(life=100.0)
    client = platform.client(RefreshToken("an-id", "a-secret", "refresh-0", store=FileStore()))

    async def use_until_the_token_expires() -> None:
        await get(client)
        await anyio.sleep(200.0)

    run(use_until_the_token_expires, backend="asyncio")
    assert in_child(lambda: run(get, client, backend="asyncio")) == ""
    platform.posted += ["refresh-1"]  # by the child
    run(get, client, backend="asyncio")

    assert platform.posted == ["refresh-0", "refresh-1", "refresh-2"]
