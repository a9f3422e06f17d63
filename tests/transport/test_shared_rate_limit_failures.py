"""What a rate limit that several processes share promises when the shared state fails, on the virtual clock."""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest

from coaching_async import RateLimit, RateLimited, SharedStateFound, SharedStateLost
from coaching_async._transport.priority import Priority
from coaching_async.testing import MemorySharedState
from tests.support.effort import FULL, on_one_backend
from tests.support.fleet import NAME, Fleet, Process, fleet_of

pytestmark = pytest.mark.anyio

LIMIT = RateLimit(60, per=20.0)


class Faulty(MemorySharedState):
    """A shared state that fails in the ways of real ones."""

    def __init__(self) -> None:
        super().__init__(latency=0.0005)
        self.fault: Callable[[], Awaitable[object]] | None = None
        self.swap_fault: Callable[[], Awaitable[object]] | None = None

    async def load(self, name: str) -> tuple[str | None, float]:
        if self.fault is not None:
            return await self.fault()  # type: ignore[return-value]
        return await super().load(name)

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        if fault := self.fault or self.swap_fault:
            return await fault()  # type: ignore[return-value]
        return await super().swap(name, old, new, keep)


async def refuses() -> object:
    raise ConnectionError("a text that may quote a secret")


async def hangs() -> object:
    await anyio.sleep_forever()


async def answers(nonsense: object) -> object:
    return nonsense


FAULTS = {
    "refuses": refuses,
    "hangs": hangs,
    "answers None": partial(answers, None),
    "answers a text of another version": partial(answers, ('{"version":2,"time":0}', 1.0)),
    "answers a text that is none": partial(answers, ("\x00", 1.0)),
    "answers bytes": partial(answers, (b"{}", 1.0)),
    "answers no time": partial(answers, (None, float("nan"))),
}


async def running(fleet: Fleet, script: Callable[[], Awaitable[None]], bulks: int = 4) -> None:
    """Run bulks beside a script, until it ends."""
    async with anyio.create_task_group() as group:
        for _ in range(bulks):
            group.start_soon(fleet.process().bulk)
        await script()
        group.cancel_scope.cancel()


@pytest.mark.parametrize("fault", FAULTS if FULL else ["refuses", "hangs"])
@on_one_backend
async def test_while_the_shared_state_is_away_each_process_takes_its_share(fault: str):
    store = Faulty()
    async with fleet_of(LIMIT, store=store) as fleet:

        async def script() -> None:
            await anyio.sleep(30)
            store.fault = FAULTS[fault]
            await anyio.sleep(60)
            store.fault = None
            await anyio.sleep(30)

        await running(fleet, script)

        assert fleet.most() <= LIMIT.requests
        assert fleet.used(30, 90) >= 0.6
        assert fleet.used(95, 120) >= 0.9
        for process in fleet.processes:
            lost, found = process.events
            assert isinstance(lost, SharedStateLost)
            assert isinstance(found, SharedStateFound)
            assert 58 < found.lost_for < 63


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("limit", [RateLimit(30, per=5.0), RateLimit(60, per=20.0), RateLimit(300, per=60.0)], ids=str)
async def test_processes_that_wait_for_a_whole_window_count_when_the_shared_state_is_lost(
    limit: RateLimit, priority: Priority
):
    store = Faulty()
    async with fleet_of(limit, store=store) as fleet:

        async def calls(process: Process) -> None:
            while True:
                await process.send(priority)

        async with anyio.create_task_group() as group:
            one, *others = (fleet.process() for _ in range(3))
            async with anyio.create_task_group() as whole_window:
                for _ in range(limit.requests):
                    whole_window.start_soon(one.send)
            for process in (one, *others):
                for _ in range(limit.requests):
                    group.start_soon(calls, process)
                await anyio.sleep(0.01)
            await anyio.sleep(limit.per - 1)
            store.fault = hangs
            await anyio.sleep(3)
            store.fault = None
            await anyio.sleep(2 * limit.per)
            group.cancel_scope.cancel()

        assert fleet.most() <= limit.requests


async def test_what_comes_free_while_the_shared_state_is_away_is_not_taken_by_each_process():
    limit, store = RateLimit(60, per=20.0), Faulty()
    async with fleet_of(limit, store=store) as fleet:

        async def calls(process: Process) -> None:
            while True:
                await process.send()

        async with anyio.create_task_group() as group:
            one, *others = (fleet.process() for _ in range(3))
            for _ in range(limit.requests):
                await one.send()
                await anyio.sleep(0.1)
            for process in (one, *others):
                for _ in range(limit.requests):
                    group.start_soon(calls, process)
            await anyio.sleep(5)
            store.fault = hangs
            await anyio.sleep(30)
            group.cancel_scope.cancel()

        assert fleet.most() <= limit.requests


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_is_wrong_with_the_shared_state_a_call_goes_on_and_it_is_told_once(fault: str):
    store = Faulty()
    store.fault = FAULTS[fault]
    async with fleet_of(LIMIT, store=store) as fleet:
        process = fleet.process()
        for _ in range(3):
            await process.send()
            await anyio.sleep(1)
        store.fault = None
        await anyio.sleep(2)
        await process.send()

        lost, found = process.events
        assert isinstance(lost, SharedStateLost)
        assert "secret" not in lost.reason
        assert isinstance(found, SharedStateFound)


@pytest.mark.parametrize("answer", [False, True, None, 1, 0, "OK"])
async def test_a_shared_state_that_swaps_nothing_or_says_what_is_no_bool_is_away(answer: object):
    store = Faulty()
    store.swap_fault = partial(answers, answer)
    async with fleet_of(LIMIT, store=store) as fleet:
        process = fleet.process()
        with anyio.fail_after(20):
            for _ in range(3):
                await process.send()
                await anyio.sleep(1.5)

        assert [type(event) for event in process.events] == [SharedStateLost]
    assert process.store.count["swaps"] < 40


async def test_a_cancellation_of_the_shared_states_own_is_a_failure_of_it(anyio_backend_name: str):
    async def cancelled() -> object:
        if anyio_backend_name == "trio":
            raise ConnectionError
        raise asyncio.CancelledError

    store = Faulty()
    store.fault = cancelled
    async with fleet_of(LIMIT, store=store) as fleet:
        process = fleet.process()
        for _ in range(3):
            await process.send()
        with anyio.move_on_after(0.1) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught

        assert [type(event) for event in process.events] == [SharedStateLost]


@pytest.mark.parametrize("priority", Priority)
async def test_no_call_waits_for_a_shared_state_that_is_known_to_be_away(priority: Priority):
    store = Faulty()
    store.fault = hangs
    async with fleet_of(LIMIT, store=store) as fleet:
        process = fleet.process()
        at = anyio.current_time()
        await process.acquire(priority)
        assert anyio.current_time() - at == pytest.approx(0.5), "the first one waits for the answer"

        for _ in range(5):
            await anyio.sleep(0.7)
            at = anyio.current_time()
            await process.acquire(priority)
            assert anyio.current_time() == at


async def test_a_shared_state_that_can_be_read_only_is_away():
    store = Faulty()
    store.swap_fault = refuses
    async with fleet_of(LIMIT, store=store) as fleet:
        process = fleet.process()
        for _ in range(5):
            await process.send()
            await anyio.sleep(2)

        assert process.events == [SharedStateLost("ConnectionError")]
        assert len(fleet.counted) == 5


async def test_a_process_that_starts_while_it_is_away_has_a_limit_of_its_own():
    store = Faulty()
    store.fault = refuses
    async with fleet_of(RateLimit(5, per=20.0), store=store) as fleet:
        process = fleet.process()
        for _ in range(5):
            await process.send()
        with anyio.fail_after(10), pytest.raises(RateLimited):
            await process.acquire(Priority.INTERACTIVE)


async def test_what_a_process_used_alone_is_known_to_all_when_the_shared_state_is_back():
    store = Faulty()
    async with fleet_of(RateLimit(10, per=20.0), store=store) as fleet:
        one, other = fleet.process(), fleet.process()
        await one.send()
        store.fault = refuses
        for _ in range(9):
            await one.send()
        store.fault = None
        await anyio.sleep(3)
        at = anyio.current_time()

        await other.send()

        assert anyio.current_time() - at > 10
        assert fleet.most() <= 10


@pytest.mark.parametrize("event", ["forgets all", "goes back", "loses one part"])
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"] if FULL else ["trio"], indirect=True)
async def test_what_the_shared_state_forgets_is_brought_back(event: str):
    store = Faulty()
    async with fleet_of(LIMIT, store=store) as fleet:

        async def script() -> None:
            await anyio.sleep(27)
            before = dict(store._texts)
            await anyio.sleep(3)
            match event:
                case "forgets all":
                    store.forget()
                case "goes back":
                    store._texts = before
                case _:
                    text, keep = store._texts[NAME]
                    document = json.loads(text)
                    del document["members"][next(iter(document["members"]))]
                    store._texts[NAME] = json.dumps(document), keep
            await anyio.sleep(30)

        await running(fleet, script)

        assert fleet.most() <= LIMIT.requests
        assert fleet.used(30, 50) >= 0.9
        assert not [found for process in fleet.processes for found in process.events]


@pytest.mark.parametrize("jump", [-3600.0, -30.0, 5.0, 30.0])
@on_one_backend
async def test_a_clock_that_jumps_costs_little(jump: float):
    store = Faulty()
    store.ahead = 10_000
    async with fleet_of(LIMIT, store=store) as fleet:

        async def script() -> None:
            await anyio.sleep(30)
            store.ahead += jump
            await anyio.sleep(60)

        await running(fleet, script)

        above = 1 + max(0.0, jump) / LIMIT.per
        assert fleet.most() <= LIMIT.requests * min(above, 2)
        assert fleet.used(60, 90) >= 0.9, "after a window all is as before"


async def test_a_forked_process_is_another_member(monkeypatch: pytest.MonkeyPatch):
    async with fleet_of(LIMIT) as fleet:
        process = fleet.process()
        await process.send()
        name = process.membership.name
        await process.close()

        process.membership.rebase(0.0)
        assert process.membership.name == name
        monkeypatch.setattr("os.getpid", lambda: os.getppid())
        process.membership.rebase(0.0)
        assert process.membership.name != name


async def test_in_the_next_event_loop_a_process_goes_on_with_what_it_has_used():
    async with fleet_of(RateLimit(5, per=20.0)) as fleet:
        process, other = fleet.process(), fleet.process()
        for _ in range(4):
            await process.send()
        permit = await process.acquire(Priority.INTERACTIVE)
        old = process.limiter
        await process.close()

        process.local.rebase(0.0)
        process.membership.rebase(0.0)
        process.enter_event_loop()
        old.release(permit, 1)  # by a task that is finalized late
        at = anyio.current_time()
        await process.acquire(Priority.BULK)
        await other.acquire(Priority.BULK)

        assert anyio.current_time() - at > 15
        assert process.local.window.in_flight == 1


async def test_a_closed_client_leaves_no_task_even_if_the_shared_state_hangs(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "coaching_async")
    store = Faulty()
    async with fleet_of(LIMIT, store=store) as fleet:
        process = fleet.process()
        await process.send()
        store.fault = hangs
        await process.send()
        at = anyio.current_time()
        await process.close()

    assert anyio.current_time() - at <= 1.0
    assert not caplog.records, "the rate limiter tells by events"
