"""`ErrorCollectingTaskGroup` raises errors as themselves, and leaves cancellations to their cancel scopes."""

import math
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest

from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup, run_in_child_task

pytestmark = pytest.mark.anyio


async def fail(error: BaseException) -> None:
    await anyio.sleep(1)
    raise error


async def fail_when_cancelled(error: BaseException) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise error


async def run_group(*tasks: Callable[[], Awaitable[None]], block: Callable[[], Awaitable[None]]) -> None:
    async with ErrorCollectingTaskGroup() as group:
        for task in tasks:
            group.start_soon(task)
        await block()


async def test_the_first_error_cancels_the_rest_and_is_raised_as_itself():
    first, second = ValueError("first"), KeyError("second")
    with pytest.raises(ValueError, match="first") as caught:
        await run_group(partial(fail, first), partial(fail_when_cancelled, second), block=anyio.sleep_forever)

    assert caught.value is first
    assert first.__context__ is None


async def test_an_error_of_the_block_is_raised_rather_than_one_of_a_task():
    with pytest.raises(ZeroDivisionError):
        await run_group(partial(fail_when_cancelled, ValueError()), block=partial(fail, ZeroDivisionError()))


async def test_an_interrupt_in_a_task_is_raised_rather_than_an_error_of_the_block():
    with pytest.raises(SystemExit):
        await run_group(partial(fail_when_cancelled, SystemExit(3)), block=partial(fail, ZeroDivisionError()))


async def test_cancelling_its_scope_ends_the_block_and_the_tasks_quietly():
    async with ErrorCollectingTaskGroup() as tasks:
        tasks.start_soon(anyio.sleep, math.inf)
        tasks.cancel_scope.cancel()
        await anyio.sleep_forever()


async def test_the_cancellation_of_an_outer_scope_passes_through():
    with anyio.move_on_after(1) as scope:
        async with ErrorCollectingTaskGroup() as tasks:
            tasks.start_soon(anyio.sleep, math.inf)

    assert scope.cancelled_caught


async def test_a_child_task_returns_a_value_or_raises_the_error_itself():
    async def divide(dividend: int, divisor: int) -> float:
        await anyio.sleep(1)
        return dividend / divisor

    assert await run_in_child_task(lambda: divide(6, 3)) == 2
    with pytest.raises(ZeroDivisionError):
        await run_in_child_task(lambda: divide(6, 0))
