"""Chaos in a fleet, on the virtual clock: an hour of processes that die, and of a shared state that fails in every way."""

import os
from collections.abc import Callable

import anyio
import pytest

from coaching_async import RateLimit
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.shared_text import decode
from coaching_async.testing import MemorySharedState
from tests.support.fleet import NAME, Fleet, fleet_of

pytestmark = pytest.mark.anyio

SECONDS = float(os.environ.get("FLEET_SECONDS", "3600"))
SEED = int(os.environ.get("CHAOS_SEED", "20261130"))
LIMIT = RateLimit(300, per=60.0)
PROCESSES = 8


class Chaos:
    """Does something to a fleet every few seconds."""

    def __init__(self, fleet: Fleet, store: MemorySharedState) -> None:
        self.fleet = fleet
        self.store = store
        self.random = fleet.random
        self.events: list[str] = []

    async def goes_down(self) -> None:
        self.store.down = True
        await anyio.sleep(self.random.uniform(0.1, 40))
        self.store.down = False

    async def hangs(self) -> None:
        self.store.hangs = True
        await anyio.sleep(self.random.uniform(0.1, 40))
        self.store.hangs = False

    async def forgets(self) -> None:
        self.store.forget()

    async def clock_goes_back(self) -> None:
        self.store.ahead -= self.random.uniform(0.1, 120)

    async def is_slow(self) -> None:
        self.store.latency = self.random.uniform(0.01, 0.3)
        await anyio.sleep(self.random.uniform(1, 20))
        self.store.latency = 0.001

    async def all_refused(self) -> None:
        refused_until = anyio.current_time() + self.random.uniform(0.1, 3)
        self.fleet.retry_after = 5.0
        self.fleet.accepts = lambda now: now >= refused_until

    async def kill(self) -> None:
        self.random.choice([process for process in self.fleet.processes if not process.store.is_cut]).kill()

    async def run(self, restart: Callable[[], None]) -> None:
        while True:
            await anyio.sleep(self.random.expovariate(1 / 45))
            event = self.random.choice(
                [
                    self.goes_down,
                    self.hangs,
                    self.forgets,
                    self.clock_goes_back,
                    self.is_slow,
                    self.all_refused,
                    self.kill,
                ]
            )
            self.events.append(event.__name__)
            await event()
            if event == self.kill:
                restart()


async def test_an_hour_of_chaos_exceeds_the_limit_by_little_and_loses_nothing(show: Callable[[str], None]):
    store = MemorySharedState(latency=0.001)
    async with fleet_of(LIMIT, store=store, seed=SEED) as fleet:
        chaos = Chaos(fleet, store)
        with anyio.move_on_after(SECONDS):
            async with anyio.create_task_group() as group:

                def start(number: int = 0) -> None:
                    process = fleet.process()
                    if number % 4 == 3:
                        group.start_soon(process.direct, 2.0)
                    else:
                        group.start_soon(process.bulk, 5)

                for number in range(PROCESSES):
                    start(number)
                group.start_soon(chaos.run, start)
        store.down = store.hangs = False
        await anyio.sleep(5)

        waits = [wait for process in fleet.processes for wait in process.waits]
        used, most = fleet.used(LIMIT.per, SECONDS), fleet.most()
        show(
            f"{len(chaos.events)} events, {used:.3f} used, most {most}, {len(fleet.throttled)} answers 429, {len(waits)} sent"
        )
        assert most <= 1.05 * LIMIT.requests
        assert used >= 0.8
        text, now = await store.load(NAME)
        assert sum(len(member.held(now)) for member in decode(text).members.values()) <= 5 * chaos.events.count("kill")
        for process in fleet.processes:
            if not process.store.is_cut:
                assert process.local.window.in_flight == process.local.window.interactive_waiting == 0
                assert not any(queue.tasks for queue in process.limiter._queues.values())
        direct = [process for process in fleet.processes if process.sent[Priority.INTERACTIVE]]
        assert direct
        assert not any(process.refused for process in direct)
