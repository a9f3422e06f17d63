"""Memory of a walk and of waiting tasks.

    python benchmarks/memory.py [--quick]

Counted by Python itself (tracemalloc), so that it is the same in every run.
"""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

from benchmarks.clients import ours
from benchmarks.data import PAGE_SIZE
from benchmarks.engines import ENGINES
from benchmarks.harness import Figure, Goal, Row, main
from benchmarks.processes import serving
from benchmarks.service import Service

__all__ = ["measure"]

KEPT, PEAK, EACH = "KiB kept", "KiB at most", "B each"
TASKS: Final = 1000
WAIT: Final = 30.0


def measure(quick: bool) -> Figure:
    """Take the figure."""
    sizes = (1_000, 3_000) if quick else (1_000, 10_000, 100_000)
    rows: list[Row] = []
    for items in sizes:
        with serving(items) as service:
            rows.append(asyncio.run(streamed(service, items)))
    with serving(PAGE_SIZE, delay=WAIT) as service:
        rows += [asyncio.run(waiting(service, "ours")), asyncio.run(waiting(service, "bare httpx"))]
    least, most = rows[len(sizes) - 2].runs[0], rows[len(sizes) - 1].runs[0]
    figure = Figure(
        "memory",
        "Memory",
        "A stream of appointments that are dropped after use: the memory that the client keeps at the end, and its peak, the"
        f" pages read ahead included; {TASKS:,} tasks that wait for a response. As Python counts it, which is reproducible.",
        (EACH, KEPT, PEAK),
        tuple(rows),
    )
    per_item = (most[KEPT] - least[KEPT]) * 1024 / (sizes[-1] - sizes[-2])
    return figure.with_goals(Goal("B kept for each item walked", per_item, 150, at_least=False))


class Traced:
    """Additional bytes since the creation of this object."""

    def __init__(self) -> None:
        gc.collect()
        tracemalloc.reset_peak()
        self.before = tracemalloc.get_traced_memory()[0]

    def row(self, contender: str, case: str, count: int) -> Row:
        """Return a row with the additional bytes at this moment."""
        peak = tracemalloc.get_traced_memory()[1] - self.before
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - self.before
        return Row(contender, ({KEPT: kept / 1024, PEAK: peak / 1024, EACH: kept / count},), case)


@contextmanager
def tracing() -> Iterator[None]:
    """Trace allocations in the block."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def streamed(service: Service, items: int) -> Row:
    """Read all items, eight pages at a time, and keep none."""
    async with ours(service) as client:
        listing = client.appointments.list(service.user_ids, page_size=PAGE_SIZE)
        await listing.first()  # objects that are built at the first use do not count
        with tracing():
            traced = Traced()
            async with listing.stream() as stream:
                count = 0
                async for _ in stream:
                    count += 1
                assert count == items
                return traced.row("ours", f"{items:,} items", items)


async def waiting(service: Service, contender: str) -> Row:
    """Measure tasks that wait: ten for the server, the others for a concurrency slot."""
    async with calls(service, contender) as call:
        with tracing():
            traced = Traced()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(call()) for _ in range(TASKS)]
                await asyncio.sleep(1)  # until all tasks wait
                row = traced.row(contender, f"{TASKS:,} waiting tasks", TASKS)
                for task in tasks:
                    task.cancel()
    return row


@asynccontextmanager
async def calls(service: Service, contender: str) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    """Yield the function by which a contender requests one appointment."""
    (id_,) = service.appointment_ids
    if contender == "ours":
        async with ours(service) as client:
            yield partial(client.appointments.get, id_)
    else:
        async with ENGINES["httpx"](10) as http:
            yield partial(http.get, f"{service.url}/api/v2/coaching/appointments/{id_}", timeout=WAIT)


if __name__ == "__main__":
    main(measure)
