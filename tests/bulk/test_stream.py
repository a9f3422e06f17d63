import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from coaching_async import BulkStream, ClientMisuse, NotFound, Outcome, ServerError, Unauthorized
from tests.support.bulk import Input, Work, make_client
from tests.support.cancelling import Way, every_way, skip_where_unknown
from tests.support.fault_server import tasks_now

pytestmark = pytest.mark.anyio


async def later_items_first(item: int) -> int:
    await anyio.sleep(10 - item % 10)
    return item


async def take(outcomes: AsyncIterator[Outcome[int, str]], number: int) -> list[int]:
    """Return the items of the next `number` outcomes."""
    return [(await anext(outcomes)).item for _ in range(number)]


async def test_outcomes_are_in_the_order_of_the_input_in_whatever_order_the_calls_end():
    async with make_client().bulk_stream(later_items_first, range(20), concurrency=5) as outcomes:
        assert [(outcome.item, outcome.value) async for outcome in outcomes] == [(item, item) for item in range(20)]


async def test_failed_calls_are_outcomes():
    async with make_client().bulk_stream(Work({1: NotFound("gone")}), range(3)) as outcomes:
        assert [type(outcome.error) async for outcome in outcomes] == [type(None), NotFound, type(None)]


@pytest.mark.parametrize("endless", [Input, count])
async def test_an_endless_input_is_read_only_as_far_ahead_as_the_concurrency_allows(
    endless: type[AsyncIterator[int]] | type[Iterable[int]],
):
    work = Work(seconds=0.001)
    async with make_client().bulk_stream(work, endless(), concurrency=4) as outcomes:
        for number in range(1, 50):
            assert (await anext(outcomes)).item == number - 1
            await anyio.sleep(1)  # a reader much slower than the calls
            assert sorted(work.started) == list(range(number + 4))


async def test_a_call_that_hangs_holds_back_at_most_as_many_outcomes_as_the_concurrency():
    work = Work()

    async def first_hangs(item: int) -> str:
        if item == 0:
            await anyio.sleep_forever()
        return await work(item)

    with anyio.move_on_after(1000):
        async with make_client().bulk_stream(first_hangs, Input(), concurrency=4) as outcomes:
            await anext(outcomes)

    assert sorted(work.started) == [1, 2, 3]


async def test_an_input_that_waits_does_not_hold_back_outcomes():
    async with make_client().bulk_stream(Work(), Input(waits_before=2), concurrency=5) as outcomes:
        with anyio.fail_after(2):
            assert await take(outcomes, 2) == [0, 1]


async def test_leaving_the_block_cancels_running_calls():
    work, tasks = Work({0: NotFound("gone")}, seconds=5.0), tasks_now()
    async with make_client(3).bulk_stream(work, Input()) as outcomes:
        async for outcome in outcomes:
            assert outcome.item == 0
            break
        await anyio.sleep(1)

    assert work.running == 0
    assert len(work.cancelled) >= 1
    assert tasks_now() == tasks


async def test_leaving_the_block_closes_an_async_generator_that_holds_a_task_group_open():
    async def items() -> AsyncIterator[int]:
        async with anyio.create_task_group():
            for item in range(20):
                yield item

    async with make_client(3).bulk_stream(Work(), items()) as outcomes:
        assert await take(outcomes, 2) == [0, 1]


async def test_an_async_generator_is_closed_when_the_block_is_left():
    events: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            for item in count():
                yield item
        finally:
            events.append("closed")

    async with make_client().bulk_stream(Work(), items()) as outcomes:
        await anext(outcomes)
    events.append("left")
    gc.collect()
    await anyio.lowlevel.checkpoint()

    assert events == ["closed", "left"]


async def test_an_exception_of_the_block_is_raised_unchanged():
    work, error, cause = Work(), ZeroDivisionError(), KeyError()

    async def read() -> None:
        async with make_client(3).bulk_stream(work, Input()) as outcomes:
            await anext(outcomes)
            raise error from cause

    with pytest.raises(ZeroDivisionError) as caught:
        await read()

    assert caught.value is error
    assert error.__cause__ is cause
    assert work.running == 0


async def test_an_unexpected_exception_of_a_call_ends_the_block_and_is_raised_unchanged():
    error = ZeroDivisionError()
    work = Work({0: error})
    started = anyio.current_time()

    with pytest.raises(ZeroDivisionError) as caught:
        async with make_client(3).bulk_stream(work, range(3)):
            await anyio.sleep(1000)

    assert caught.value is error
    assert error.__context__ is None
    assert anyio.current_time() - started < 2


async def read_in_a_task_group(backend: str, sibling: Callable[[], Awaitable[None]]) -> None:
    """Read a stream whose call for item 2 has a bug, beside a sibling task."""
    group: Any = trio.open_nursery() if backend == "trio" else anyio.create_task_group()
    async with make_client().bulk_stream(Work({2: KeyError("bug")}), range(9)) as outcomes, group as tasks:
        tasks.start_soon(sibling)
        async for _ in outcomes:
            pass


async def test_an_unexpected_exception_of_a_call_ends_a_task_group_inside_the_block(anyio_backend_name: str):
    with pytest.raises(KeyError, match="bug"):
        await read_in_a_task_group(anyio_backend_name, anyio.sleep_forever)


async def test_the_exception_group_of_a_task_group_inside_the_block_has_no_cancellation(anyio_backend_name: str):
    async def fails_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while it was cancelled")

    with pytest.raises(ExceptionGroup) as caught:
        await read_in_a_task_group(anyio_backend_name, fails_when_cancelled)

    assert [str(error) for error in caught.value.exceptions] == ["while it was cancelled"]


@pytest.mark.parametrize(
    "in_block, in_call, raised",
    [
        (ZeroDivisionError, ValueError, ZeroDivisionError),
        (None, ValueError, ValueError),
        (ZeroDivisionError, KeyboardInterrupt, KeyboardInterrupt),
    ],
)
async def test_only_an_interrupt_replaces_an_exception_of_the_block(
    in_block: type[Exception] | None, in_call: type[BaseException], raised: type[BaseException]
):
    async def fails_when_cancelled(_: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise in_call

    async def read() -> None:
        async with make_client().bulk_stream(fails_when_cancelled, range(3)):
            await anyio.sleep(1)
            if in_block is not None:
                raise in_block

    with pytest.raises(raised):
        await read()


async def test_if_reading_the_input_fails_its_error_is_raised_after_the_outcomes():
    async with make_client().bulk_stream(later_items_first, Input(3, failure=ServerError("page 3"))) as outcomes:
        assert await take(outcomes, 3) == [0, 1, 2]
        with pytest.raises(ServerError, match="page 3"):
            await anext(outcomes)


async def test_a_fatal_error_ends_the_stream_after_the_running_calls():
    work = Work({1: Unauthorized("no")})
    async with make_client(3).bulk_stream(work, Input()) as outcomes:
        seen = [outcome async for outcome in outcomes]

    assert [outcome.is_ok for outcome in seen[:3]] == [True, False, True]
    assert not any(outcome.is_started for outcome in seen[3:])
    assert sorted(work.started) == [0, 1, 2]


@every_way
async def test_cancelling_a_stream_cancels_its_calls_and_leaves_no_task(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    work, tasks = Work(seconds=1000), tasks_now()

    async def read() -> None:
        async with make_client(3).bulk_stream(work, Input()) as outcomes:
            async for _ in outcomes:
                pass

    assert await cancel(read, lambda: anyio.sleep(5))

    assert sorted(work.cancelled) == [0, 1, 2]
    assert tasks_now() == tasks


async def test_each_anext_is_a_checkpoint_even_if_the_outcome_is_available():
    async with make_client(3).bulk_stream(Work(), range(3)) as outcomes:
        await anyio.sleep(5)
        for item in range(3):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(outcomes)
            assert scope.cancelled_caught
            assert await take(outcomes, 1) == [item]


async def test_an_exception_of_a_block_that_is_being_cancelled_is_raised_unchanged():
    async def read() -> None:
        with anyio.CancelScope() as scope:
            async with make_client(3).bulk_stream(Work(seconds=1000), Input()):
                await anyio.sleep(1)
                scope.cancel()
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()


async def test_an_anext_that_is_cancelled_loses_no_outcome():
    async with make_client(2).bulk_stream(Work(seconds=1), range(6)) as outcomes:
        seen: list[int] = []
        for _ in range(100):
            with anyio.move_on_after(0.3):
                seen.append((await anext(outcomes)).item)
            if len(seen) == 6:
                break

    assert seen == list(range(6))


async def test_a_stream_is_read_inside_its_block_once_and_by_one_task():
    stream: BulkStream[int, str] = make_client().bulk_stream(Work(), Input(waits_before=3))
    with pytest.raises(ClientMisuse, match="inside its `async with` block"):
        await anext(stream)
    async with stream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anext, stream)
            await anyio.sleep(0.5)
            with pytest.raises(ClientMisuse, match="two tasks"):
                await anext(stream)
        with pytest.raises(ClientMisuse, match="begun already"):
            await stream.__aenter__()
        assert await take(stream, 2) == [1, 2]
    with pytest.raises(ClientMisuse, match="inside its `async with` block"):
        await anext(stream)
    with pytest.raises(ClientMisuse, match="begun already"):
        await stream.__aenter__()


async def test_asyncio_timeouts_inside_and_around_the_block_belong_to_the_caller(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("asyncio.timeout needs asyncio")

    async def read() -> None:
        async with make_client(3).bulk_stream(Work(seconds=1000), Input()) as outcomes:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await anext(outcomes)
            await anext(outcomes)

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(5):
            await read()
    assert type(caught.value) is TimeoutError
