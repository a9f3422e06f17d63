"""A fleet on the virtual clock: processes that share a rate limit, and a service that counts their requests."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio

from coaching_async import Event, RateLimit, RateLimited, SharedState
from coaching_async._concurrency.tasks import BackgroundTasks
from coaching_async._shared_state.connection import SharedStateConnection
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.limiter import Permit, RateLimiter
from coaching_async._transport.rate_limit.membership import Membership
from coaching_async._transport.rate_limit.shared_limiter import SharedRateLimiter
from coaching_async.testing import MemorySharedState

NAME = "digest/rate_limit"


class CountingStore:
    """The shared state as one process uses it. It counts operations, and answers none when the process is killed."""

    def __init__(self, store: SharedState) -> None:
        self._store = store
        self.is_cut = False
        self.count: Counter[str] = Counter()

    async def load(self, name: str) -> tuple[str | None, float]:
        self.count["loads"] += 1
        if self.is_cut:
            await anyio.sleep_forever()
        return await self._store.load(name)

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        self.count["swaps"] += 1
        if self.is_cut:
            await anyio.sleep_forever()
        is_swapped = await self._store.swap(name, old, new, keep)
        self.count["conflicts"] += not is_swapped
        return is_swapped


class Process:
    """One process of a fleet."""

    def __init__(self, fleet: "Fleet", limit: RateLimit) -> None:
        self.fleet = fleet
        self.events: list[Event] = []
        self.background = BackgroundTasks()
        self.store = CountingStore(fleet.store)
        self.membership = Membership(limit, name=f"{fleet.random.getrandbits(48):012x}")
        self.local = RateLimiter(limit)
        self.enter_event_loop()
        self.sent: Counter[Priority] = Counter()
        self.waits: list[float] = []
        self.refused: list[float] = []
        """Times at which requests were refused with `RateLimited`."""
        self.life = anyio.CancelScope()

    def enter_event_loop(self) -> None:
        self.connection = SharedStateConnection(self.store, self.events.append, self.background.spawn)
        self.limiter = SharedRateLimiter(self.connection, NAME, self.local.window, self.membership)

    def kill(self) -> None:
        """End it as `kill -9` does: it writes nothing more."""
        self.store.is_cut = True
        self.life.cancel()

    async def close(self) -> None:
        self.connection.close()
        await self.background.wait_until_idle()

    async def acquire(self, priority: Priority) -> Permit:
        return self.limiter.acquire_nowait(priority) or await self.limiter.acquire(priority)

    async def send(self, priority: Priority = Priority.INTERACTIVE) -> int:
        """Send a request when the limit permits it. Return the status."""
        asked_at = anyio.current_time()
        permit = await self.acquire(priority)
        self.waits.append(anyio.current_time() - asked_at)
        sent, status = 0, 0
        try:
            with anyio.CancelScope(shield=True):  # the service gets it in any case
                sent = 1
                status = await self.fleet.answer()
        finally:
            self.limiter.release(permit, sent, throttled=status == 429, retry_after=self.fleet.retry_after)
        self.sent[priority] += 1
        return status

    async def bulk(self, tasks: int = 10) -> None:
        """Send bulk requests for ever, as a client does with `max_concurrency` of `tasks`."""

        async def one() -> None:
            while True:
                if await self.send(Priority.BULK) == 429:
                    await anyio.sleep(self.fleet.retry_after)

        with self.life:
            async with anyio.create_task_group() as group:
                for _ in range(tasks):
                    group.start_soon(one)

    async def direct(self, every: float, within: float = 60.0) -> None:
        """Send interactive requests for ever, each with a deadline."""

        async def one() -> None:
            try:
                with anyio.move_on_after(within):
                    await self.send()
            except RateLimited:
                self.refused.append(anyio.current_time())

        with self.life:
            async with anyio.create_task_group() as group:
                while True:
                    group.start_soon(one)
                    await anyio.sleep(self.fleet.random.expovariate(1 / every))


class Fleet:
    """Processes, their shared state, and the service."""

    def __init__(self, limit: RateLimit, *, store: SharedState | None = None, seed: int = 0) -> None:
        self.limit = limit
        self.store: SharedState = MemorySharedState(latency=0.0005) if store is None else store
        self.random = random.Random(seed)
        self.processes: list[Process] = []
        self.counted: list[float] = []
        """When the service counted the requests that it accepted."""
        self.throttled: list[float] = []
        self.accepts: Callable[[float], bool] = lambda _: True
        self.retry_after = 1.0

    def process(self, limit: RateLimit | None = None) -> Process:
        process = Process(self, self.limit if limit is None else limit)
        self.processes.append(process)
        return process

    async def answer(self) -> int:
        seconds = self.random.uniform(0.1, 0.3)
        way = self.random.uniform(0, seconds)
        await anyio.sleep(way)
        now = anyio.current_time()
        is_accepted = self.accepts(now)
        (self.counted if is_accepted else self.throttled).append(now)
        await anyio.sleep(seconds - way)
        return 200 if is_accepted else 429

    def allow(self, requests: int) -> None:
        """Let the service accept so many requests in any window."""
        self.accepts = lambda now: sum(time > now - self.limit.per for time in self.counted) < requests

    def most(self, since: float = 0.0) -> int:
        """Return the most requests in any window, as the service counts them."""
        times = sorted(time for time in self.counted if time >= since)
        most = first = 0
        for index, time in enumerate(times):
            while times[first] <= time - self.limit.per:
                first += 1
            most = max(most, index - first + 1)
        return most

    def used(self, start: float, end: float) -> float:
        """Return which part of the limit was used between two moments."""
        count = sum(start <= time < end for time in self.counted)
        return count / (self.limit.requests * (end - start) / self.limit.per)

    def looks(self) -> int:
        return sum(process.store.count["swaps"] for process in self.processes)


@asynccontextmanager
async def fleet_of(limit: RateLimit, **options: object) -> AsyncIterator[Fleet]:
    """A fleet whose processes are closed at the end."""
    fleet = Fleet(limit, **options)  # type: ignore[arg-type]
    random.seed(fleet.random.random())  # of the pauses after a text was swapped by another process
    try:
        yield fleet
    finally:
        for process in fleet.processes:
            await process.close()


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(sorted(times))]
