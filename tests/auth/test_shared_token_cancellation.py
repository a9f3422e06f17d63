"""Callers that are cancelled at any await, natively or by a scope, while they fetch the token that processes share."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest

from coaching_async._concurrency.tasks import current_task
from coaching_async.testing import MemorySharedState
from tests.support.effort import calls
from tests.support.token_fleet import LoginHost, Process, all_of, fleet

pytestmark = pytest.mark.anyio

STEPS = 10
"""Steps of the caller: before and after load, swap and post, as far as they are its own, and some that it never takes."""

Cancel = Callable[[], None]


class SteppedLoginHost(LoginHost):
    """A login host that awaits `step` before and after each response."""

    def __init__(self) -> None:
        super().__init__()
        self.step: Callable[[str], Awaitable[None]] | None = None

    async def __call__(self, request):
        if self.step is not None:
            await self.step("before post")
        response = await super().__call__(request)
        if self.step is not None:
            await self.step("after post")
        return response


async def cut_by_scope(process: Process, login: SteppedLoginHost, moment: int, rejected: str | None) -> bool:
    task = current_task()
    with anyio.CancelScope() as scope:
        _cancel_at(moment, process, login, lambda: current_task() is task, scope.cancel)
        await process.token(rejected)
    return scope.cancelled_caught


async def cut_natively(process: Process, login: SteppedLoginHost, moment: int, rejected: str | None) -> bool:
    task = asyncio.ensure_future(process.token(rejected))
    _cancel_at(moment, process, login, lambda: asyncio.current_task() is task, task.cancel)
    await asyncio.wait([task])
    return task.cancelled()


def _cancel_at(
    moment: int, process: Process, login: SteppedLoginHost, is_caller: Callable[[], bool], cancel: Callable[[], object]
) -> None:
    count = 0

    async def step(_: str) -> None:
        nonlocal count
        if is_caller():
            count += 1
            if count == moment + 1:
                cancel()
        await anyio.lowlevel.checkpoint()

    process.reached.step = login.step = step


@pytest.mark.parametrize("how", [cut_by_scope, cut_natively])
@pytest.mark.parametrize("rejected", [None, "t1"])
async def test_a_caller_that_is_cancelled_at_any_await_leaves_nothing_behind(
    how, rejected: str | None, anyio_backend_name
):
    if how is cut_natively and anyio_backend_name == "trio":
        pytest.skip("native cancellation of asyncio")
    cut = 0
    for moment in range(STEPS):
        login, store = SteppedLoginHost(), MemorySharedState()
        async with fleet(2, login, store) as (one, other):
            if rejected is not None:
                assert await all_of([one.token, other.token]) == ["t1"] * 2
                await anyio.sleep(0.1)
            before = len(login.asked_at)
            cut += await how(one, login, moment, rejected)
            one.reached.step, login.step = other.reached.step, None

            with anyio.fail_after(1):
                tokens = await all_of([partial(process.token, rejected) for process in (other, one)])

            assert len(set(tokens)) == 1
            assert rejected not in tokens
            assert len(login.asked_at) - before <= 2
            assert (login.under_way, login.most_under_way, one.source._lock.locked()) == (0, 1, False)  # type: ignore[attr-defined]
    assert cut == 6


@pytest.mark.parametrize("seed", range(calls(30)))
async def test_in_a_storm_of_cancellations_one_request_at_a_time_is_under_way_and_all_get_one_token(seed: int):
    rng = random.Random(seed)
    login, store = LoginHost(seconds=0.2), MemorySharedState(latency=rng.choice([0.0, 0.01, 0.05]))

    async def impatient(process: Process) -> None:
        await anyio.sleep(rng.random() * 2)
        with anyio.move_on_after(rng.random() * 0.3):
            await process.token(rng.choice([None, "t1", "t2"]))

    async with fleet(8, login, store) as processes:
        await all_of([partial(impatient, process) for process in processes for _ in range(6)])
        await anyio.sleep(0.5)
        with anyio.fail_after(2):
            await all_of([process.token for process in processes])
        issued = login.issued
        assert issued <= 3

        await anyio.sleep(login.life)
        with anyio.fail_after(2):
            assert await all_of([process.token for process in processes]) == [f"t{issued + 1}"] * 8

    assert login.most_under_way == 1


@pytest.mark.parametrize("seed", range(calls(20)))
async def test_whatever_happens_to_the_shared_state_no_call_fails_and_afterwards_there_is_one_token(seed: int):
    rng = random.Random(seed)
    login, store = LoginHost(life=60, seconds=0.2), MemorySharedState(latency=rng.choice([0.0, 0.02]))

    async def disturb() -> None:
        for _ in range(20):
            await anyio.sleep(rng.random() * 8)
            store.down, store.hangs = rng.random() < 0.3, rng.random() < 0.2
            store.ahead += rng.choice([0, 0, 0, -3, 3, -100])
            if rng.random() < 0.2:
                store.forget()

    async def work(process: Process) -> None:
        last = None
        while anyio.current_time() < 100:
            with anyio.move_on_after(0.1 if rng.random() < 0.2 else math.inf) as scope, anyio.fail_after(20):
                rejected = last if rng.random() < 0.1 else None
                last = await process.token(rejected)
                assert last != rejected
            await anyio.sleep(0 if scope.cancelled_caught else rng.random() * 3)

    async with fleet(4, login, store) as processes:
        assert await all_of([disturb, *(partial(work, process) for process in processes)]) == [None] * 5
        store.down = store.hangs = False
        await anyio.sleep(3600)  # longer than a token seems to live after the clock was set back

        assert len(set(await all_of([process.token for process in processes]))) == 1
