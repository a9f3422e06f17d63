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


async def slow_first(item: int) -> int:
    await anyio.sleep(10 - item % 10)
    return item


async def taken(outcomes: AsyncIterator[Outcome[int, str]], number: int) -> list[int]:
    """So many outcomes' items."""
    return [(await anext(outcomes)).item for _ in range(number)]


async def test_outcomes_come_in_the_order_of_the_input_whichever_call_ends_first():
    async with make_client().bulk_stream(slow_first, range(20), concurrency=5) as outcomes:
        assert [(each.item, each.value) async for each in outcomes] == [(item, item) for item in range(20)]


async def test_failures_are_outcomes_like_others():
    async with make_client().bulk_stream(Work({1: NotFound("gone")}), range(3)) as outcomes:
        assert [type(each.error) async for each in outcomes] == [type(None), NotFound, type(None)]


@pytest.mark.parametrize("endless", [Input, count])
async def test_an_endless_input_is_drawn_no_further_than_the_concurrency_beyond_what_was_taken(
    endless: type[AsyncIterator[int]] | type[Iterable[int]],
):
    work = Work(seconds=0.001)
    async with make_client().bulk_stream(work, endless(), concurrency=4) as outcomes:
        for number in range(1, 50):
            assert (await anext(outcomes)).item == number - 1
            await anyio.sleep(1)  # a reader much slower than the calls
            assert sorted(work.begun) == list(range(number + 4))


async def test_a_slow_call_holds_no_more_outcomes_back_than_the_concurrency():
    work = Work()

    async def first_hangs(item: int) -> str:
        if item == 0:
            await anyio.sleep_forever()
        return await work(item)

    with anyio.move_on_after(1000):
        async with make_client().bulk_stream(first_hangs, Input(), concurrency=4) as outcomes:
            await anext(outcomes)

    assert sorted(work.begun) == [1, 2, 3]


async def test_an_input_that_waits_keeps_no_outcome_back():
    async with make_client().bulk_stream(Work(), Input(waits=2), concurrency=5) as outcomes:
        with anyio.fail_after(2):
            assert await taken(outcomes, 2) == [0, 1]


async def test_breaking_off_cancels_what_is_under_way():
    work, tasks = Work({0: NotFound("gone")}, seconds=5.0), tasks_now()
    async with make_client(3).bulk_stream(work, Input()) as outcomes:
        async for outcome in outcomes:
            assert outcome.item == 0
            break
        await anyio.sleep(1)

    assert work.under_way == 0
    assert len(work.cancelled) >= 1
    assert tasks_now() == tasks


async def test_breaking_off_closes_an_async_generator_that_keeps_a_task_group_open():
    async def items() -> AsyncIterator[int]:
        async with anyio.create_task_group():
            for each in range(20):
                yield each

    async with make_client(3).bulk_stream(Work(), items()) as outcomes:
        assert await taken(outcomes, 2) == [0, 1]


async def test_an_async_generator_is_closed_with_the_block():
    events: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            for each in count():
                yield each
        finally:
            events.append("closed")

    async with make_client().bulk_stream(Work(), items()) as outcomes:
        await anext(outcomes)
    events.append("left")
    gc.collect()
    await anyio.lowlevel.checkpoint()

    assert events == ["closed", "left"]


async def test_an_error_in_the_block_comes_out_as_itself():
    work, error, cause = Work(), ZeroDivisionError(), KeyError()

    async def read() -> None:
        async with make_client(3).bulk_stream(work, Input()) as outcomes:
            await anext(outcomes)
            raise error from cause

    with pytest.raises(ZeroDivisionError) as caught:
        await read()

    assert caught.value is error
    assert error.__cause__ is cause
    assert work.under_way == 0


async def test_an_unexpected_error_of_a_call_ends_the_block_wherever_it_is_and_comes_out_as_itself():
    error = ZeroDivisionError()
    work = Work({0: error})
    started = anyio.current_time()

    with pytest.raises(ZeroDivisionError) as caught:
        async with make_client(3).bulk_stream(work, range(3)):
            await anyio.sleep(1000)

    assert caught.value is error
    assert error.__context__ is None
    assert anyio.current_time() - started < 2


async def read_in_a_task_group(backend: str, beside: Callable[[], Awaitable[None]]) -> None:
    """A stream whose call 2 has a bug."""
    group: Any = trio.open_nursery() if backend == "trio" else anyio.create_task_group()
    async with make_client().bulk_stream(Work({2: KeyError("bug")}), range(9)) as outcomes, group as tasks:
        tasks.start_soon(beside)
        async for _ in outcomes:
            pass


async def test_an_unexpected_error_of_a_call_ends_a_task_group_in_the_block_too(anyio_backend_name: str):
    with pytest.raises(KeyError, match="bug"):
        await read_in_a_task_group(anyio_backend_name, anyio.sleep_forever)


async def test_the_error_of_a_task_group_in_the_block_has_no_cancelling_in_it(anyio_backend_name: str):
    async def complains() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while it tidied up")

    with pytest.raises(ExceptionGroup) as caught:
        await read_in_a_task_group(anyio_backend_name, complains)

    assert [str(each) for each in caught.value.exceptions] == ["while it tidied up"]


@pytest.mark.parametrize(
    "in_block, in_leaving, comes_out",
    [
        (ZeroDivisionError, ValueError, ZeroDivisionError),
        (None, ValueError, ValueError),
        (ZeroDivisionError, KeyboardInterrupt, KeyboardInterrupt),
    ],
)
async def test_an_error_in_the_block_is_hidden_only_by_an_interrupt_that_comes_while_it_is_left(
    in_block: type[Exception] | None, in_leaving: type[BaseException], comes_out: type[BaseException]
):
    async def unruly(_: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise in_leaving

    async def read() -> None:
        async with make_client().bulk_stream(unruly, range(3)):
            await anyio.sleep(1)
            if in_block is not None:
                raise in_block

    with pytest.raises(comes_out):
        await read()


async def test_where_the_input_is_a_list_that_fails_its_error_comes_after_the_outcomes():
    async with make_client().bulk_stream(slow_first, Input(3, failure=ServerError("page 3"))) as outcomes:
        assert await taken(outcomes, 3) == [0, 1, 2]
        with pytest.raises(ServerError, match="page 3"):
            await anext(outcomes)


async def test_what_stops_a_bulk_ends_the_stream_with_what_was_under_way():
    work = Work({1: Unauthorized("no")})
    async with make_client(3).bulk_stream(work, Input()) as outcomes:
        seen = [each async for each in outcomes]

    assert [each.is_ok for each in seen[:3]] == [True, False, True]
    assert not any(each.is_started for each in seen[3:])
    assert sorted(work.begun) == [0, 1, 2]


@every_way
async def test_whoever_cancels_gets_free_and_nothing_is_left(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    work, tasks = Work(seconds=1000), tasks_now()

    async def read() -> None:
        async with make_client(3).bulk_stream(work, Input()) as outcomes:
            async for _ in outcomes:
                pass

    assert await cancel(read, lambda: anyio.sleep(5))

    assert sorted(work.cancelled) == [0, 1, 2]
    assert tasks_now() == tasks


async def test_each_step_lets_others_run_and_may_be_cancelled_even_where_the_outcome_is_there_already():
    async with make_client(3).bulk_stream(Work(), range(3)) as outcomes:
        await anyio.sleep(5)
        for item in range(3):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(outcomes)
            assert scope.cancelled_caught
            assert await taken(outcomes, 1) == [item]


async def test_an_error_in_a_block_that_is_being_cancelled_comes_out_as_it_would_of_any_block():
    async def read() -> None:
        with anyio.CancelScope() as scope:
            async with make_client(3).bulk_stream(Work(seconds=1000), Input()):
                await anyio.sleep(1)
                scope.cancel()
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()


async def test_a_step_that_is_cancelled_loses_no_outcome():
    async with make_client(2).bulk_stream(Work(seconds=1), range(6)) as outcomes:
        seen: list[int] = []
        for _ in range(100):
            with anyio.move_on_after(0.3):
                seen.append((await anext(outcomes)).item)
            if len(seen) == 6:
                break

    assert seen == list(range(6))


async def test_it_is_read_inside_its_block_once_and_by_one_task():
    stream: BulkStream[int, str] = make_client().bulk_stream(Work(), Input(waits=3))
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
        assert await taken(stream, 2) == [1, 2]
    with pytest.raises(ClientMisuse, match="inside its `async with` block"):
        await anext(stream)
    with pytest.raises(ClientMisuse, match="begun already"):
        await stream.__aenter__()


async def test_an_asyncio_timeout_inside_the_block_and_around_it_are_the_callers(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("asyncio's own")

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
