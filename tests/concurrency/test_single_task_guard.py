"""A walk goes from one task to another, and two do not share it."""

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


def a_walk() -> Walk[Any]:
    return aiter(listing_of([ChangingList("x", 100, ())], 1))


async def in_a_task(function: Callable[[], Awaitable[object]]) -> None:
    """Run it in a task of its own, to its end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function)


async def test_one_task_hands_a_walk_over_to_another():
    walk = a_walk()
    await anext(walk)

    async def go_on() -> None:
        assert (await anext(walk)).id == "x1"
        assert (await anext(walk)).id == "x2"

    await in_a_task(go_on)
    assert (await anext(walk)).id == "x3"
    await in_a_task(lambda: anext(walk))
    assert (await anext(walk)).id == "x5"


async def test_two_tasks_that_take_turns_share_it():
    walk, theirs, ours = a_walk(), anyio.Event(), anyio.Event()

    async def step_once_and_stay() -> None:
        await anext(walk)
        theirs.set()
        await ours.wait()

    async with anyio.create_task_group() as tasks:
        await anext(walk)
        tasks.start_soon(step_once_and_stay)
        await theirs.wait()
        with pytest.raises(ClientMisuse, match=SHARED):
            await anext(walk)
        ours.set()
    assert (await anext(walk)).id == "x2", "the other has ended"


async def test_two_tasks_whose_steps_overlap_share_it():
    gate = anyio.Event()

    async def slow(number: int, size: int) -> Any:
        await gate.wait()
        return await ChangingList("x", 3, ())(number, size)

    walk: Any = aiter(listing_of([slow], 1))  # type: ignore[list-item]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anext, walk)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ClientMisuse, match=SHARED):
            await anext(walk)
        gate.set()


async def test_three_tasks_that_pass_it_round_share_it():
    walk, done = a_walk(), anyio.Event()

    async def step_and_stay() -> None:
        await anext(walk)
        await done.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(step_and_stay)
            await anyio.wait_all_tasks_blocked()
        await anext(walk)
        tasks.start_soon(step_and_stay)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ClientMisuse, match=SHARED):
            await anext(walk)
        done.set()


async def test_a_task_that_has_ended_shares_nothing_and_is_not_kept():
    walk = a_walk()
    for _ in range(5):
        await in_a_task(lambda: anext(walk))
        gc.collect()
        await anext(walk)

    assert len(walk._guard._earlier) <= 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_wait_for_may_step_in_tasks_of_its_own(anyio_backend: object):
    walk = a_walk()

    found = [
        (await asyncio.wait_for(anext(walk), 5)).id if by_wait_for else (await anext(walk)).id
        for by_wait_for in (True, True, False, True, False, False, True)
    ]
    found += [(await asyncio.ensure_future(_step(walk))).id]

    assert found == [f"x{number}" for number in range(8)]


async def _step(walk: Walk[Any]) -> Any:
    return await anext(walk)
