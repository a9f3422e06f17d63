"""Walking 200 pages whose answers take 100 ms each, one or eight at a time.

python benchmarks/latency.py [--quick]
"""

import asyncio
from typing import Final

from benchmarks.clients import ours
from benchmarks.data import PAGE_SIZE
from benchmarks.harness import Figure, Goal, Measures, Row, alternate, clocks, main
from benchmarks.processes import Service, serving

__all__ = ["measure"]

WALL = "seconds"
DELAY: Final = 0.1


def measure(quick: bool) -> Figure:
    """Take the figure."""
    pages, rounds = (24, 1) if quick else (200, 3)
    rows: list[Row] = []
    goals: list[Goal] = []
    with serving(pages * PAGE_SIZE, DELAY) as service:
        for concurrency in (1, 8):
            case, ideal = f"{concurrency} at a time", pages * DELAY / concurrency

            def walk(concurrency: int = concurrency) -> Measures:
                return asyncio.run(walked(service, concurrency))

            (row,) = alternate({"ours": walk}, rounds if concurrency > 1 else 1, case, warm_up=False)
            rows += [row, Row("ideal", ({WALL: ideal},), case)]
            goals.append(Goal(f"{case}: of the ideal", ideal / row.median(WALL), 0.93))
    figure = Figure(
        "latency",
        "Latency-bound walk",
        f"{pages} pages of {PAGE_SIZE} appointments from a server that answers after {DELAY * 1000:.0f} ms. The ideal takes"
        " nothing but that time, and knows how many pages there are before it has read the first.",
        (WALL,),
        tuple(rows),
    )
    return figure.with_goals(*goals)


async def walked(service: Service, concurrency: int) -> Measures:
    """By a walk, or a stream."""
    async with ours(service) as client:
        await client.warmup()
        with clocks() as taken:
            await client.appointments.list(service.user_ids, page_size=PAGE_SIZE).collect(concurrency=concurrency)
    return {WALL: taken.wall}


if __name__ == "__main__":
    main(measure)
