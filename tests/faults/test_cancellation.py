"""Rows 95 to 102: whoever cancels gets free at once, with their own error, and the client is as good as new."""

import asyncio
import contextlib
import gc
import json
import logging
import multiprocessing
import random
import re
import signal
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import httpx
import pytest
import sniffio

from coaching_async import (
    CallFinished,
    CallStarted,
    ClientMisuse,
    CoachingClient,
    CoachingError,
    DeadlineExceeded,
    OutcomeUnknown,
    RateLimit,
    RefreshToken,
)
from coaching_async._api import responses
from coaching_async._transport.priority import bulk_priority
from tests.conftest import VirtualLoop
from tests.faults.support import ANNOTATION, APPOINTMENT, FULL, Source, client_to, come, credentials, failing
from tests.support.cancelling import (
    Way,
    assert_nothing_is_held,
    budget_of,
    every_way,
    gate_of,
    skip_where_unknown,
)
from tests.support.doubles import Service, answer, http_of, on, page
from tests.support.fault_server import HANG, Conversation, Fault, FaultProxy, FaultServer, ok, response, tasks_now

pytestmark = pytest.mark.anyio

CHURN_ROUNDS = 300 if FULL else 10
PLENTY = RateLimit(10**6, per=1.0)
POSITIONS = 12
PERMITS = 10

Use = Callable[[CoachingClient], Awaitable[Any]]


async def read(client: CoachingClient) -> object:
    return await client.appointments.get("1")


async def write(client: CoachingClient) -> object:
    return await client.annotations.update("1", "2", "t" * 300)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        each.getMessage()
        for each in caplog.records
        if each.name == "coaching_async" and each.levelno >= logging.WARNING
    ]


# 95


def boundaries(size: int) -> list[int]:
    """About so many positions of a message, the first and the last byte among them."""
    return sorted({0, 1, size - 1, *range(0, size, size // (POSITIONS - 2))})


@pytest.mark.real_time
@every_way
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_row_95_cancelled_at_any_byte(
    cancel: Way, direction: Any, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
):
    skip_where_unknown(cancel, anyio_backend_name)
    body = ANNOTATION | {"text": "t" * 200}
    plans = dict[int, Fault]()
    with FaultServer(ok(body)) as server, FaultProxy(server.port, plans.get) as proxy:
        async with client_to(proxy.url, rate_limit=PLENTY, max_concurrency=PERMITS) as client:
            await write(client)
        sizes = {"up": len(server.requests[-1].raw), "down": len(response(body))}
        positions = boundaries(sizes[direction])
        assert 12 <= len(positions) <= 14

        for at in positions:
            plans[proxy.accepted + 1] = Fault("pause", direction, at)
            caplog.clear()
            async with client_to(proxy.url, rate_limit=PLENTY, max_concurrency=PERMITS) as client:
                assert await cancel(partial(write, client), partial(come, proxy.paused.is_set)), at

                assert_nothing_is_held(client, PERMITS)
                assert len(warnings_of(caplog)) == 1
                proxy.resume()
                before = proxy.accepted
                with anyio.fail_after(HANG):
                    for _ in range(3):
                        await write(client)
                assert proxy.accepted == before + 1, "the broken connection is gone, the next one is kept"
                assert_nothing_is_held(client, PERMITS)


@pytest.mark.real_time
@every_way
async def test_row_95_cancelled_in_the_middle_of_a_body_that_nobody_takes(cancel: Way, anyio_backend_name: str):
    """Larger than what the sockets hold, so that it is stuck in sending; the proxy's pauses only stop small ones."""
    skip_where_unknown(cancel, anyio_backend_name)
    text = "t" * 20_000_000
    begun = threading.Event()

    def never_takes_all(conversation: Conversation) -> None:
        conversation.read(1000)
        begun.set()
        conversation.pause()

    with FaultServer(never_takes_all, ok(ANNOTATION)) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with client_to(server.url, rate_limit=PLENTY, max_concurrency=PERMITS) as client:
            assert await cancel(partial(client.annotations.update, "1", "2", text), partial(come, begun.is_set))
            assert_nothing_is_held(client, PERMITS)
            with anyio.fail_after(HANG):
                for _ in range(20):
                    await write(client)
        gc.collect()
        await anyio.lowlevel.checkpoint()
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []


# 96


def slow(conversation: Conversation) -> None:
    while request := conversation.request():
        conversation.pause(0.002)
        number = re.search(r"pageNumber=(\d+)", request.target)
        here = int(number[1]) if number else 0
        ids = [f"{here}-{at}" for at in range(4)]
        conversation.answer(page(*ids, number=here, size=4, count=5, total=20) if number else APPOINTMENT)


IDS = [str(each) for each in range(10)]


async def read_many(client: CoachingClient) -> object:
    return await client.appointments.get_many(IDS)


async def read_many_in_time(client: CoachingClient) -> object:
    """With a native cancelling by the user's own function, in the tasks of the bulk."""

    async def in_time(id_: str) -> object:
        with contextlib.suppress(TimeoutError):
            if sniffio.current_async_library() == "trio":
                with anyio.fail_after(0.003):
                    return await read(client)
            async with asyncio.timeout(0.003):
                return await read(client)

    return await client.bulk(in_time, IDS)


async def stream(client: CoachingClient) -> object:
    async with client.appointments.list("1", page_size=4).stream(4) as items:
        return [item async for item in items]


@pytest.mark.real_time
@pytest.mark.parametrize(
    "use, at_once",
    [(read, 20), (read_many, 4), (read_many_in_time, 4), (stream, 4)],
    ids=["get", "get_many", "bulk with timeouts", "stream"],
)
@every_way
async def test_row_96_churn(
    cancel: Way, use: Use, at_once: int, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
):
    skip_where_unknown(cancel, anyio_backend_name)
    chance = random.Random(96)
    caplog.set_level(logging.ERROR)  # of so many calls httpcore has too much to say
    tasks_before = tasks_now()
    cut = list[bool]()

    with FaultServer(slow) as server:
        async with client_to(server.url, rate_limit=PLENTY, max_concurrency=5) as client:

            async def one(seconds: float) -> None:
                cut.append(await cancel(partial(use, client), partial(anyio.sleep, seconds)))

            for _ in range(CHURN_ROUNDS):
                async with anyio.create_task_group() as tasks:
                    for _ in range(at_once):
                        tasks.start_soon(one, chance.random() * 0.01)

            assert len(cut) == CHURN_ROUNDS * at_once
            assert any(cut)  # a slow machine may let nobody through
            assert_nothing_is_held(client, 5)
            assert tasks_now() == tasks_before

            answered = 0
            with anyio.fail_after(HANG):
                for _ in range(100):
                    await read(client)
                    answered += 1
            assert answered == 100
            assert_nothing_is_held(client, 5)
            pool = http_of(client)._transport._pool
            await come(lambda: server.open == len(pool.connections))
            assert len(pool.connections) <= 6

        await come(lambda: server.open == 0)
    assert tasks_now() == tasks_before


# 97


class Holding:
    """A service that keeps its answers back until it is let go."""

    def __init__(self, *, login: bool = False) -> None:
        self.go = anyio.Event()
        self.login = login
        self.service = Service(self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        is_login = request.url.path == "/oauth/token"
        if is_login == self.login:
            await self.go.wait()
        if is_login:
            return answer({"access_token": "t", "expires_in": 86400})
        return answer(APPOINTMENT)

    def client(self, **options: Any) -> CoachingClient:
        auth = credentials() if self.login else Source()
        return self.service.client(auth, **({"timeout": 500.0} | options))  # type: ignore[arg-type]

    @property
    def sent(self) -> int:
        return len(self.service.requests)


async def cancelled_at_once(cancel: Way, use: Use, client: CoachingClient, seconds: float = 1) -> None:
    """Cancel after so many virtual seconds, and see that it takes effect then."""
    started = anyio.current_time()
    assert await cancel(partial(use, client), partial(anyio.sleep, seconds))
    assert anyio.current_time() - started == pytest.approx(seconds, abs=0.001)


@every_way
async def test_row_97_cancelled_in_backoff(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    service = Service([answer(status=503, Retry_After="100"), answer(APPOINTMENT)])
    async with service.client(timeout=500) as client:
        await cancelled_at_once(cancel, read, client)

        assert_nothing_is_held(client, PERMITS, mocked=True)
        await anyio.sleep(200)
        assert len(service.requests) == 1
        await read(client)
        assert len(service.requests) == 2


@every_way
async def test_row_97_cancelled_in_pacing(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    service = Service([answer(APPOINTMENT)])
    async with service.client(timeout=500, rate_limit=RateLimit(2, per=60.0)) as client:
        started = anyio.current_time()
        await read(client)
        await read(client)
        quota = list(budget_of(client)._expiry_times)
        async with anyio.create_task_group() as tasks:  # the head of the queue and those behind it
            for _ in range(3):
                tasks.start_soon(cancelled_at_once, cancel, read, client)

        assert_nothing_is_held(client, PERMITS, mocked=True)
        assert list(budget_of(client)._expiry_times) == quota
        assert len(service.requests) == 2
        await read(client)
        assert anyio.current_time() - started == pytest.approx(60, abs=0.01), "no turn was lost"
        assert len(service.requests) == 3


@every_way
async def test_row_97_cancelled_at_the_gate(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    holding = Holding()
    async with holding.client(max_concurrency=1, rate_limit=RateLimit(9, per=1000.0)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, client)
            await anyio.sleep(1)
            assert gate_of(client)._slots.value == 0
            await cancelled_at_once(cancel, write, client)
            await anyio.sleep(10)
            assert holding.sent == 1
            holding.go.set()

        assert_nothing_is_held(client, 1, mocked=True)
        assert len(budget_of(client)._expiry_times) == 1, "what was not sent is not charged"
        await read(client)
        assert holding.sent == 2


@every_way
async def test_row_97_cancelled_at_a_gate_that_a_429_has_closed(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    service = Service([answer(status=429, Retry_After="100"), answer(APPOINTMENT)])
    async with service.client(timeout=500) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, client)
            await anyio.sleep(1)
            await cancelled_at_once(cancel, read, client)
            assert len(service.requests) == 1

        assert len(service.requests) == 2
        assert_nothing_is_held(client, PERMITS, mocked=True)
        assert len(budget_of(client)._expiry_times) == 1  # the other one's, and that of the 429 is free again since


@every_way
async def test_row_97_cancelled_while_it_waits_for_a_token(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    holding = Holding(login=True)
    async with holding.client() as client:
        async with anyio.create_task_group() as tasks:
            for seconds in (1, 2, 3):  # the one that fetches, and two that wait for it; then each of them in turn
                tasks.start_soon(cancelled_at_once, cancel, read, client, seconds)
                await anyio.wait_all_tasks_blocked()
            assert holding.sent == 1

        assert holding.sent == 3, "whoever is next takes over"
        assert_nothing_is_held(client, PERMITS, mocked=True)
        assert not budget_of(client)._expiry_times
        await anyio.sleep(100)
        assert holding.sent == 3
        holding.go.set()
        await read(client)
        assert holding.sent == 5


# 98


@every_way
@pytest.mark.parametrize("use", [read, write])
async def test_row_98_the_callers_own_end_is_the_callers_own(cancel: Way, use: Use, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    async with Holding().client(timeout=60) as client:
        await cancelled_at_once(cancel, use, client)


@pytest.mark.parametrize("use", [read, write])
async def test_row_98_a_shorter_fail_after_is_a_timeout_error_of_the_callers(use: Use):
    async with Holding().client(timeout=60) as client:
        started = anyio.current_time()
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(1):
            await use(client)
        assert anyio.current_time() - started == pytest.approx(1)
        assert not isinstance(caught.value, CoachingError)

        with failing(CoachingError) as ours, anyio.fail_after(60):
            await use(client.with_options(timeout=1))
        assert isinstance(ours.value, OutcomeUnknown if use is write else TimeoutError)


Jump: TypeAlias = Callable[[float], None]


@pytest.fixture
def jump(anyio_backend: tuple[str, dict[str, Any]]) -> Jump:
    """Time goes by while the loop does something else."""
    name, options = anyio_backend
    return options["clock"].jump if name == "trio" else lambda seconds: busy(asyncio.get_running_loop(), seconds)


class Busy(Source):
    """Keeps the loop busy for a while."""

    def __init__(self, jump: Jump) -> None:
        self.seconds = 0
        self.jump = jump

    async def token(self, rejected: str | None = None) -> str:
        self.jump(self.seconds)
        return await super().token(rejected)


async def test_row_98_where_the_callers_time_runs_out_on_a_busy_loop_it_is_no_rate_limit(jump: Jump):
    """Both the caller's deadline and the end of a 429's pause go by."""
    source = Busy(jump)
    service = Service([answer(status=429, Retry_After="10"), answer(APPOINTMENT)])
    async with service.client(source, timeout=500) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(read, client)
        await anyio.sleep(9)
        source.seconds = 2
        try:
            with anyio.move_on_after(0.5) as scope:
                await read(client)
        finally:
            source.seconds = 0
            tasks.cancel_scope.cancel()
    assert scope.cancelled_caught


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_row_98_what_runs_out_of_time_on_a_busy_loop_is_not_sent(jump: Jump, is_bulk: bool):
    source, service, events = Busy(jump), Service([answer(APPOINTMENT)]), list[object]()
    source.seconds = 2
    async with service.client(source, timeout=1, on_event=events.append) as client:
        if is_bulk:
            (outcome,) = (await client.bulk(client.appointments.delete, ["1"])).outcomes
            error = outcome.error
        else:
            with pytest.raises(DeadlineExceeded) as caught:
                await client.appointments.delete("1")
            error = caught.value

    assert isinstance(error, DeadlineExceeded), "and not in doubt"
    assert error.attempts == 0
    assert service.requests == []
    assert [type(event) for event in events] == [CallStarted, CallFinished]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("is_bulk", [False, True])
@pytest.mark.parametrize(
    "auth", [Source(), credentials(), RefreshToken("a", "b", refresh_token="c")], ids=["source", "keeper", "rotating"]
)
async def test_row_98_what_is_over_before_it_begins_sends_nothing_not_even_for_a_token(
    jump: Jump, auth: Any, is_bulk: bool, is_late: bool
):
    service = Service([answer(APPOINTMENT)])
    async with service.client(auth) as client:
        with (
            anyio.CancelScope(deadline=anyio.current_time() + 1) as scope,
            bulk_priority() if is_bulk else nullcontext(),
        ):
            if is_late:
                jump(2)
            else:
                scope.cancel()
            await read(client)
        assert scope.cancelled_caught
        await anyio.sleep(1)

    assert service.requests == []


def busy(loop: Any, seconds: float) -> None:
    loop._jumping.now += seconds


@every_way
async def test_row_98_a_write_cancelled_in_flight_is_one_warning(
    cancel: Way, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
):
    skip_where_unknown(cancel, anyio_backend_name)
    async with Holding().client() as client:
        await cancelled_at_once(cancel, write, client)
    (said,) = warnings_of(caplog)
    assert said.startswith("annotations.update was cancelled in flight and may have been carried out")

    caplog.clear()
    async with Holding().client() as client:
        await cancelled_at_once(cancel, read, client)
    async with Holding(login=True).client() as client:
        await cancelled_at_once(cancel, write, client)
    for options in ({"rate_limit": RateLimit(1, per=300.0)}, {"max_concurrency": 1}):
        async with Holding().client(**options) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(read, client)
            await anyio.sleep(1)
            await cancelled_at_once(cancel, write, client)
            tasks.cancel_scope.cancel()
    assert warnings_of(caplog) == []


# 99

IN_FLIGHT = 20


async def ended(use: Use, client: CoachingClient, told: list[BaseException]) -> None:
    with failing(CoachingError) as caught:
        await use(client)
    told.append(caught.value)


class Stopping:
    """Answers the first request of each connection, when all have come, and then no more: some are idle, some wait."""

    IDLE = 5

    def __init__(self) -> None:
        self.accepted = IN_FLIGHT + self.IDLE
        self.stopped = 0

    def __call__(self, conversation: Conversation) -> None:
        conversation.request()
        conversation.server.wait_until(lambda: conversation.server.accepted == self.accepted)
        conversation.answer(ANNOTATION)
        if conversation.request() is not None:
            self.stopped += 1
            conversation.pause()

    async def calls(self, client: CoachingClient, use: Use, tasks: Any, told: list[BaseException]) -> None:
        """Have so many in flight, and connections besides that are idle."""
        async with anyio.create_task_group() as first:
            for _ in range(self.accepted):
                first.start_soon(write, client)
        for _ in range(IN_FLIGHT):
            tasks.start_soon(ended, use, client, told)
        await come(lambda: self.stopped == IN_FLIGHT)


def stopping_client(server: FaultServer) -> CoachingClient:
    return client_to(server.url, max_concurrency=IN_FLIGHT + Stopping.IDLE)


@pytest.mark.real_time
@pytest.mark.parametrize("use, kind", [(read, ClientMisuse), (write, OutcomeUnknown)])
async def test_row_99_closing_with_twenty_in_flight(use: Use, kind: type[CoachingError]):
    told = list[BaseException]()
    stopping = Stopping()
    with FaultServer(stopping) as server:
        client = stopping_client(server)
        async with anyio.create_task_group() as tasks:
            await stopping.calls(client, use, tasks, told)
            with anyio.fail_after(HANG):
                await client.aclose()
                await client.aclose()
        await come(lambda: server.open == 0)

        assert [type(each) for each in told] == [kind] * IN_FLIGHT
        assert {each.processed for each in told} == {"no" if use is read else "maybe"}  # type: ignore[attr-defined]
        for again in (read, write):
            with failing(ClientMisuse, match="this client is closed"):
                await again(client)
        assert_nothing_is_held(client, stopping.accepted)
        assert server.accepted == stopping.accepted


@pytest.mark.real_time
async def test_row_99_closing_twice_at_the_same_time():
    told = list[BaseException]()
    stopping = Stopping()
    with FaultServer(stopping) as server:
        client = stopping_client(server)
        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as tasks:
                await stopping.calls(client, read, tasks, told)
                tasks.start_soon(client.aclose)
                tasks.start_soon(client.aclose)
            await come(lambda: server.open == 0)
    assert len(told) == IN_FLIGHT


@pytest.mark.real_time
@every_way
async def test_row_99_closing_is_cancelled(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    told = list[BaseException]()
    stopping = Stopping()
    with FaultServer(stopping) as server:
        client = stopping_client(server)
        async with anyio.create_task_group() as tasks:
            await stopping.calls(client, read, tasks, told)
            with anyio.fail_after(HANG):
                await cancel(client.aclose, anyio.lowlevel.checkpoint)
                await client.aclose()
        await come(lambda: server.open == 0)

        assert [type(each) for each in told] == [ClientMisuse] * IN_FLIGHT
        with failing(ClientMisuse, match="this client is closed"):
            await read(client)
        assert_nothing_is_held(client, stopping.accepted)


# 100


class OfTheirOwn(Exception):
    """What no library knows."""


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which would end the test run."""


FOREIGN = [OfTheirOwn("theirs"), Interrupt("stop"), SystemExit(3)]


class Raising(httpx.AsyncBaseTransport):
    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return answer(APPOINTMENT)


async def comes_out_as_itself(client: CoachingClient, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await read(client)
    assert caught.value is error
    assert_nothing_is_held(client, PERMITS, mocked=True)


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
async def test_row_100_what_a_borrowed_transport_raises_passes_unwrapped(error: BaseException):
    transport = Raising(error)
    http = httpx.AsyncClient(transport=transport)
    async with http, client_to("https://api.test", http_client=http) as client:
        await comes_out_as_itself(client, error)
        transport.error = None
        await read(client)


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
@pytest.mark.parametrize("event", ["request", "response"])
async def test_row_100_what_a_hook_of_a_borrowed_client_raises_passes_unwrapped(event: str, error: BaseException):
    async def hook(_: object) -> None:
        raise error

    http = httpx.AsyncClient(transport=Raising(None), event_hooks={event: [hook]})
    async with http, client_to("https://api.test", http_client=http) as client:
        await comes_out_as_itself(client, error)
        http.event_hooks = {}
        await read(client)


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
async def test_row_100_what_a_token_source_raises_passes_unwrapped(error: BaseException):
    class Failing:
        async def token(self, rejected: str | None = None) -> str:
            raise error

    async with Service([answer(APPOINTMENT)]).client(Failing()) as client:
        await comes_out_as_itself(client, error)


async def test_row_100_what_on_event_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture):
    """`on_event` only watches, as the client's docstring has it; what is no Exception does pass."""
    failure: BaseException = OfTheirOwn("theirs")

    def hook(_: object) -> None:
        raise failure

    async with Service([answer(APPOINTMENT)]).client(on_event=hook) as client:
        await read(client)
        assert {each.split(" on ")[0] for each in warnings_of(caplog)} == {"on_event failed"}
        failure = Interrupt("stop")
        with pytest.raises(Interrupt) as caught:
            await read(client)
        assert caught.value is failure
        assert_nothing_is_held(client, PERMITS, mocked=True)


# 101

Told = list[tuple[str, float]]


async def misuse(client: CoachingClient) -> tuple[str, float]:
    """What a use is told, and how many seconds of a virtual clock that takes; a hang is a TimeoutError."""
    started = anyio.current_time()
    with anyio.fail_after(HANG), failing(ClientMisuse) as caught:
        await read(client)
    return str(caught.value), anyio.current_time() - started


@pytest.mark.real_time
async def test_row_101_in_another_thread(anyio_backend_name: str):
    told: Told = []

    with FaultServer(ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await read(client)
            for backend in ("asyncio", "trio"):
                thread = threading.Thread(
                    target=lambda backend=backend: told.append(anyio.run(misuse, client, **on(backend)))
                )
                thread.start()
                await anyio.to_thread.run_sync(thread.join)
            await read(client)
        assert server.accepted == 1

    for text, seconds in told:
        assert text.startswith("this client is at work in another thread's event loop")
        assert seconds == 0
    assert len(told) == 2


@pytest.mark.real_time
def test_row_101_in_a_second_loop(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("trio has one loop in a thread")
    with FaultServer(ok(APPOINTMENT)) as server, asyncio.Runner() as one:
        client = client_to(server.url)
        one.run(read(client))  # type: ignore[arg-type]
        other = VirtualLoop()
        text, seconds = other.run_until_complete(misuse(client))
        other.close()
        one.run(read(client))  # type: ignore[arg-type]
        one.run(client.aclose())

    assert text.startswith("this client is at work in another event loop")
    assert seconds == 0
    assert server.accepted == 1


def in_the_child(client: CoachingClient, backend: str, told: Any) -> None:
    signal.set_wakeup_fd(-1)  # the parent's
    told.put(anyio.run(misuse, client, **on(backend)))


@pytest.mark.real_time
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_row_101_in_a_forked_child(anyio_backend_name: str):
    fork = multiprocessing.get_context("fork")
    with FaultServer(ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await read(client)
            told = fork.SimpleQueue()
            child = threading.Thread(target=forked, args=(fork, client, anyio_backend_name, told))
            child.start()
            await anyio.to_thread.run_sync(child.join)
            assert not told.empty(), "the child failed"
            text, seconds = told.get()
            told.close()
            await read(client)
        assert server.accepted == 1

    assert text == "this client was used before the process forked: make a new one in the child"
    assert seconds == 0


def forked(fork: Any, client: CoachingClient, backend: str, told: Any) -> None:
    """From a thread, so that the child is in no event loop."""
    child = fork.Process(target=in_the_child, args=(client, backend, told))
    child.start()
    child.join(HANG)
    child.close()


# 102


@pytest.mark.real_time  # a virtual clock does not see the thread
async def test_row_102_while_a_large_page_is_decoded_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch, example: Callable[[str], Any]
):
    """The decoding begins only when another task has had a turn since the thread began."""
    entity = example("appointment")
    count = 5 * 2**20 // len(json.dumps(entity | {"id": ""})) + 1
    many = page(number=1, count=1, total=count) | {"entities": [entity | {"id": str(each)} for each in range(count)]}
    whole = answer(many)
    assert len(whole.content) > 5 * 2**20
    begun, had_a_turn = threading.Event(), threading.Event()
    model = responses.decode

    def waiting(cls: Any, content: bytes) -> Any:
        begun.set()
        assert had_a_turn.wait(HANG)
        return model(cls, content)

    async def heartbeat() -> None:
        await come(begun.is_set)
        had_a_turn.set()

    monkeypatch.setattr(responses, "decode", waiting)
    async with Service([whole]).client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(heartbeat)
        async for each in client.appointments.list("u").pages():
            assert len(each.entities) == count

    assert had_a_turn.is_set()
