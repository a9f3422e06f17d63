"""A walk may move from one task to another, but two tasks must not share it."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from coaching_async import ClientMisuse, Walk
from tests.support.changing_lists import ChangingList, listing_of

pytestmark = pytest.mark.anyio

SHARED = "two tasks share one walk"


def new_walk() -> Walk[Any]:
    return aiter(listing_of([ChangingList("x", 100, ())], 1))


async def run_in_task(function: Callable[[], Awaitable[object]]) -> None:
    """Run `function` in a task of its own, and wait for its end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function)


async def test_a_walk_may_move_from_one_task_to_another():
    walk = new_walk()
    await anext(walk)

    async def advance_twice() -> None:
        assert (await anext(walk)).id == "x1"
        assert (await anext(walk)).id == "x2"

    await run_in_task(advance_twice)
    assert (await anext(walk)).id == "x3"
    await run_in_task(lambda: anext(walk))
    assert (await anext(walk)).id == "x5"


async def test_two_tasks_that_advance_a_walk_in_turns_are_detected():
    walk, other_advanced, may_end = new_walk(), anyio.Event(), anyio.Event()

    async def advance_and_wait() -> None:
        await anext(walk)
        other_advanced.set()
        await may_end.wait()

    async with anyio.create_task_group() as tasks:
        await anext(walk)
        tasks.start_soon(advance_and_wait)
        await other_advanced.wait()
        with pytest.raises(ClientMisuse, match=SHARED):
            await anext(walk)
        may_end.set()
    assert (await anext(walk)).id == "x2", "the other task has ended"


async def test_two_tasks_that_advance_a_walk_at_once_are_detected():
    may_answer = anyio.Event()

    async def slow(number: int, size: int) -> Any:
        await may_answer.wait()
        return await ChangingList("x", 3, ())(number, size)

    walk: Any = aiter(listing_of([slow], 1))  # type: ignore[list-item]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anext, walk)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ClientMisuse, match=SHARED):
            await anext(walk)
        may_answer.set()


async def test_three_tasks_that_advance_a_walk_in_turns_are_detected():
    walk, done = new_walk(), anyio.Event()

    async def advance_and_wait() -> None:
        await anext(walk)
        await done.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(advance_and_wait)
            await anyio.wait_all_tasks_blocked()
        await anext(walk)
        tasks.start_soon(advance_and_wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ClientMisuse, match=SHARED):
            await anext(walk)
        done.set()


async def test_a_task_that_has_ended_does_not_count_and_is_not_referenced():
    walk = new_walk()
    for _ in range(5):
        await run_in_task(lambda: anext(walk))
        gc.collect()
        await anext(walk)

    assert len(walk._guard._previous_owners) <= 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_wait_for_may_advance_a_walk_in_tasks_of_its_own(anyio_backend: object):
    walk = new_walk()

    ids = [
        (await asyncio.wait_for(anext(walk), 5)).id if by_wait_for else (await anext(walk)).id
        for by_wait_for in (True, True, False, True, False, False, True)
    ]
    ids += [(await asyncio.ensure_future(advance(walk))).id]

    assert ids == [f"x{number}" for number in range(8)]


async def advance(walk: Walk[Any]) -> Any:
    return await anext(walk)
