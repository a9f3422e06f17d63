"""How long other tasks of the event loop wait: while long pages are decoded, and while 100 calls are in flight.

python benchmarks/stall.py [--quick]
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from benchmarks import handwritten
from benchmarks.clients import ours
from benchmarks.engines import ENGINES
from benchmarks.harness import Figure, Goal, Measures, Row, alternate, main
from benchmarks.processes import serving
from benchmarks.service import Service

__all__ = ["measure"]

STALL = "longest stall, ms"
LONG: Final = (200, 1_000, 5_000)
"""Of 345 KiB, 1.7 MiB and 8.6 MiB."""
OUT_OF_REACH: Final = 5_000
"""A page with so many objects that the garbage collector alone takes longer than the goal of the others."""
SHORT, CALLS = 25, 100
DECODING = {size: f"a page of {size:,}" for size in LONG}
CALLING = f"{CALLS} pages of {SHORT} at once"
WIDE: Final = f"{CALLS} connections"


def measure(quick: bool) -> Figure:
    """Take the figure."""
    rounds = 2 if quick else 15
    rows: list[Row] = []
    for size in LONG:
        with serving(size) as service:
            by_one = {"ours": partial(by_us, service, size), "hand-written": partial(by_hand, service, size, 1)}
            rows += alternate(by_one, rounds, DECODING[size])
    with serving(CALLS * SHORT) as service:
        by_many = {
            "ours": partial(by_us, service, SHORT),
            f"ours, {WIDE}": partial(by_us, service, SHORT, CALLS),
            "hand-written": partial(by_hand, service, SHORT, 10),
            f"hand-written, {WIDE}": partial(by_hand, service, SHORT, CALLS),
        }
        rows += alternate(by_many, rounds, CALLING)
    figure = Figure(
        "stall",
        "Event loop",
        "The longest time between two runs of another task, which is due every millisecond. This client and the hand-written"
        f" program have ten connections by default; {CALLS} of them ask more of the HTTP library than it can do.",
        (STALL,),
        tuple(rows),
    )
    return figure.with_goals(
        *(
            Goal(f"{case}: ms", figure.median("ours", case=case), 50, at_least=False)
            for size, case in DECODING.items()
            if size < OUT_OF_REACH
        ),
        Goal(f"{CALLING}: ms", figure.median("ours", case=CALLING), 50, at_least=False),
        Goal(f"{CALLING}, {WIDE}: ms", figure.median(f"ours, {WIDE}", case=CALLING), 50, at_least=False),
    )


def by_us(service: Service, size: int, connections: int = 10) -> Measures:
    """Measure a stream that prefetches all pages after the first."""

    async def work() -> float:
        async with ours(service, max_concurrency=connections) as client:
            await client.warmup()
            listing = client.appointments.list(service.user_ids, page_size=size)
            return await longest_stall(lambda: listing.collect(concurrency=CALLS))

    return {STALL: asyncio.run(work()) * 1000}


def by_hand(service: Service, size: int, workers: int) -> Measures:
    """Measure the hand-written client, with as many workers as connections."""

    async def work() -> float:
        async with ENGINES["httpx"](workers) as http:
            pages = 1 if size in LONG else CALLS
            items: dict[int, object] = {}
            return await longest_stall(lambda: handwritten.read(http, service, pages, size, workers, items.__setitem__))

    return {STALL: asyncio.run(work()) * 1000}


async def longest_stall(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Return the longest time in seconds between two steps of a task that sleeps for a millisecond each time."""
    stalls: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls.append(time.perf_counter() - before - 0.001)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    stalls.clear()
    await work()
    await asyncio.sleep(0.002)  # so that the last stall is measured
    ticking.cancel()
    return max(stalls)


if __name__ == "__main__":
    main(measure)
