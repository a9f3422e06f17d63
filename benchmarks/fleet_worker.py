"""One process of a fleet: a client that reads appointments, in a bulk or by direct calls, or both.

    python -m benchmarks.fleet_worker

The first line on standard input is an `Order` as JSON. The second line starts the work. The output is a line that says that
the process is ready, and a line of JSON: a `Report`.
"""

import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Final

import anyio
import attrs
import cattrs

from coaching_async import (
    AccessToken,
    Appointment,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    FileSharedState,
    Progress,
    RateLimit,
    SharedState,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET

__all__ = ["Order", "Report", "shared_state"]


@attrs.frozen
class Order:
    """What one process does."""

    url: str
    ids: tuple[str, ...]
    """Of the appointments to read."""
    requests: int
    per: float
    seconds: float
    token: str | None = None
    """The access token that is handed to it; None if it fetches one."""
    place: str | None = None
    """The URL of a Redis, or the path of a file, with the shared state; None if it shares none."""
    backend: str = "asyncio"
    bulk: bool = False
    every: float | None = None
    """Seconds from one direct call to the next; None if it makes none."""
    first: float = 0.0
    """Seconds until the first direct call."""


@attrs.define
class Report:
    """What one process did."""

    items: int = 0
    """Of its bulk, without those that failed."""
    failed: int = 0
    """Items and direct calls."""
    calls: list[float] = attrs.field(factory=list[float])
    """Seconds that each direct call took."""
    operations: int = 0
    """Of the shared state."""
    conflicts: int = 0
    """Swaps of the rate limit that came too late, because another process had swapped the text."""
    looks: list[float] = attrs.field(factory=list[float])
    """Seconds from the beginning of a load to the end of the swap after it, those of the rate limit."""
    lost: int = 0
    """How often the shared state was lost."""


@attrs.define
class Watched:
    """A shared state whose operations are counted, and timed."""

    store: SharedState
    report: Report
    loading_at: dict[str, float] = attrs.field(factory=dict[str, float])

    async def load(self, name: str) -> tuple[str | None, float]:
        """Load."""
        self.report.operations += 1
        self.loading_at[name] = time.perf_counter()
        return await self.store.load(name)

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        """Swap."""
        self.report.operations += 1
        is_swapped = await self.store.swap(name, old, new, keep)
        if name.endswith("/rate_limit"):
            self.report.looks.append(time.perf_counter() - self.loading_at[name])
            self.report.conflicts += not is_swapped
        return is_swapped


@asynccontextmanager
async def shared_state(place: str | None) -> AsyncIterator[SharedState | None]:
    """Open the shared state at a place."""
    if place is None:
        yield None
    elif place.startswith("redis:"):
        import coredis

        from coaching_async.integrations.redis import RedisSharedState

        async with coredis.Redis.from_url(place) as redis:
            yield RedisSharedState(redis)
    else:
        yield FileSharedState(place)


async def work(order: Order) -> Report:
    """Carry out an order."""
    report: Final = Report()
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET) if order.token is None else AccessToken(order.token)
    limit = RateLimit(order.requests, per=order.per)
    async with shared_state(order.place) as store:
        watched = None if store is None else Watched(store, report)
        async with (
            CoachingClient(auth, base_url=order.url, rate_limit=limit, shared_state=watched) as client,
            anyio.create_task_group() as tasks,
        ):
            if order.bulk:
                tasks.start_soon(read_all, client, order, report)
            if order.every is not None:
                tasks.start_soon(call_often, client, order, order.every, report)
        report.lost = client.stats().shared_state_lost
    return report


async def read_all(client: CoachingClient, order: Order, report: Report) -> None:
    """Read appointments in a bulk until the time is over."""

    def count(progress: Progress[str, Appointment]) -> None:
        report.items += progress.newest.is_ok
        report.failed += not progress.newest.is_ok

    async def read() -> None:
        await client.appointments.get_many(cycle(order.ids), on_progress=count)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.sleep(order.seconds)
        tasks.cancel_scope.cancel()  # a scope with a deadline would be one for the calls


async def call_often(client: CoachingClient, order: Order, every: float, report: Report) -> None:
    """Begin a direct call at even distances, whether the one before it has ended or not."""

    async def call() -> None:
        began = anyio.current_time()
        try:
            await client.appointments.get(order.ids[0])
        except CoachingError:
            report.failed += 1
        report.calls.append(anyio.current_time() - began)

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        due = start + order.first
        while due < start + order.seconds:
            await anyio.sleep_until(due)
            tasks.start_soon(call)
            due += every


def main() -> None:
    """Carry out the order on standard input."""
    order = cattrs.structure(json.loads(sys.stdin.readline()), Order)
    print("ready", flush=True)
    if sys.stdin.readline():  # otherwise the figure has ended
        print(json.dumps(attrs.asdict(anyio.run(work, order, backend=order.backend))), flush=True)


if __name__ == "__main__":
    main()
