"""Rows 95 to 97: a cancelled call ends at once, wherever it is, and leaves the client usable."""

import asyncio
import contextlib
import gc
import logging
import random
import re
import threading
import warnings
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from coaching_async import (
    CoachingClient,
    RateLimit,
)
from tests.faults.cancellation import PERMITS, Holding, Use, cancelled_at_once, read, warnings_of, write
from tests.faults.support import ANNOTATION, APPOINTMENT, client_to, eventually
from tests.support.cancelling import (
    Way,
    assert_nothing_is_held,
    concurrency_limiter_of,
    every_way,
    rate_limiter_of,
    skip_where_unknown,
)
from tests.support.doubles import Service, answer, http_of, page
from tests.support.effort import FULL
from tests.support.fault_server import HANG, Conversation, Fault, FaultProxy, FaultServer, ok, response, tasks_now

pytestmark = pytest.mark.anyio

CHURN_ROUNDS = 300 if FULL else 3
PLENTY = RateLimit(10**6, per=1.0)
POSITIONS = 12


def boundaries(size: int) -> list[int]:
    """Return about `POSITIONS` positions of a message, with the first and the last byte."""
    return sorted({0, 1, size - 1, *range(0, size, size // (POSITIONS - 2))})


@pytest.mark.real_time
@every_way
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_row_95_a_write_can_be_cancelled_at_any_byte(
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
                assert await cancel(partial(write, client), partial(eventually, proxy.paused.is_set)), at

                assert_nothing_is_held(client, PERMITS)
                assert len(warnings_of(caplog)) == 1
                proxy.resume()
                before = proxy.accepted
                with anyio.fail_after(HANG):
                    for _ in range(3):
                        await write(client)
                assert proxy.accepted == before + 1, "the broken connection is closed, and the next one is reused"
                assert_nothing_is_held(client, PERMITS)


@pytest.mark.real_time
@every_way
async def test_row_95_a_write_can_be_cancelled_in_the_middle_of_a_body_that_the_server_does_not_read(
    cancel: Way, anyio_backend_name: str
):
    """The body is larger than the socket buffers, so that sending it blocks. The proxy can only pause smaller ones."""
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
            assert await cancel(partial(client.annotations.update, "1", "2", text), partial(eventually, begun.is_set))
            assert_nothing_is_held(client, PERMITS)
            with anyio.fail_after(HANG):
                for _ in range(20):
                    await write(client)
        gc.collect()
        await anyio.lowlevel.checkpoint()
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []


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
    """The caller's function times out natively, in the tasks of the bulk."""

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
async def test_row_96_after_many_cancelled_calls_nothing_is_held(
    cancel: Way, use: Use, at_once: int, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
):
    skip_where_unknown(cancel, anyio_backend_name)
    chance = random.Random(96)
    caplog.set_level(logging.ERROR)  # httpcore logs too much for many calls
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
            assert any(cut)  # on a slow machine none may complete
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
            await eventually(lambda: server.open == len(pool.connections))
            assert len(pool.connections) <= 6

        await eventually(lambda: server.open == 0)
    assert tasks_now() == tasks_before


@every_way
async def test_row_97_a_call_can_be_cancelled_during_backoff(cancel: Way, anyio_backend_name: str):
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
async def test_row_97_a_call_can_be_cancelled_while_it_waits_for_the_rate_limiter(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    service = Service([answer(APPOINTMENT)])
    async with service.client(timeout=500, rate_limit=RateLimit(2, per=60.0)) as client:
        started = anyio.current_time()
        await read(client)
        await read(client)
        quota = list(rate_limiter_of(client).window.expiry_times)
        async with anyio.create_task_group() as tasks:  # the first of the queue and those behind it
            for _ in range(3):
                tasks.start_soon(cancelled_at_once, cancel, read, client)

        assert_nothing_is_held(client, PERMITS, mocked=True)
        assert list(rate_limiter_of(client).window.expiry_times) == quota
        assert len(service.requests) == 2
        await read(client)
        assert anyio.current_time() - started == pytest.approx(60, abs=0.01), "no permit was lost"
        assert len(service.requests) == 3


@every_way
async def test_row_97_a_call_can_be_cancelled_while_it_waits_for_the_concurrency_limiter(
    cancel: Way, anyio_backend_name: str
):
    skip_where_unknown(cancel, anyio_backend_name)
    holding = Holding()
    async with holding.client(max_concurrency=1, rate_limit=RateLimit(9, per=1000.0)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, client)
            await anyio.sleep(1)
            assert concurrency_limiter_of(client)._slots.value == 0
            await cancelled_at_once(cancel, write, client)
            await anyio.sleep(10)
            assert holding.sent == 1
            holding.go.set()

        assert_nothing_is_held(client, 1, mocked=True)
        assert len(rate_limiter_of(client).window.expiry_times) == 1, "a request that was not sent takes no permit"
        await read(client)
        assert holding.sent == 2


@every_way
async def test_row_97_a_call_can_be_cancelled_during_a_cooldown(cancel: Way, anyio_backend_name: str):
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
        assert (
            len(rate_limiter_of(client).window.expiry_times) == 1
        )  # that of the other call; the permit of the 429 has expired


@every_way
async def test_row_97_a_call_can_be_cancelled_while_it_waits_for_a_token(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    holding = Holding(login=True)
    async with holding.client() as client:
        async with anyio.create_task_group() as tasks:
            for seconds in (1, 2, 3):  # one requests the token and two wait for it; each next one takes over
                tasks.start_soon(cancelled_at_once, cancel, read, client, seconds)
                await anyio.wait_all_tasks_blocked()
            assert holding.sent == 1

        assert holding.sent == 3, "the next waiter takes over"
        assert_nothing_is_held(client, PERMITS, mocked=True)
        assert not rate_limiter_of(client).window.expiry_times
        await anyio.sleep(100)
        assert holding.sent == 3
        holding.go.set()
        await read(client)
        assert holding.sent == 5
