"""Reading 200 distinct pages of 100 appointments, by 1, 8, 32 and 200 tasks.

python benchmarks/fetch.py [--quick]
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from benchmarks.clients import ENGINES, TOKEN, USER, by_hand, ours
from benchmarks.data import PAGE_SIZE
from benchmarks.harness import Clocks, Figure, Goal, Measures, Row, alternate, clocks, main
from benchmarks.processes import Work, serving, vendor

__all__ = ["measure"]

RATE, CPU = "appointments/s", "CPU ms a page"
THREADS: Final = 8


def measure(quick: bool) -> Figure:
    """Take the figure."""
    pages, rounds, tasks = (40, 2, (8, 200)) if quick else (200, 5, (1, 8, 32, 200))
    rows: list[Row] = []
    with vendor() as work, serving(pages * PAGE_SIZE) as url:
        for concurrency in tasks:
            contenders = {
                f"{name}, {engine}": partial(run, fetch, url, pages, engine, concurrency)
                for engine in ENGINES
                for name, fetch in (("ours", by_us), ("hand-written", by_somebody))
            }
            if concurrency == THREADS:
                contenders["official SDK"] = partial(by_official, work, url, pages)
            rows += alternate(contenders, rounds, named(concurrency))
    figure = Figure(
        "fetch",
        "Bulk fetch",
        f"{pages} distinct pages of {PAGE_SIZE} appointments from a server that does nothing but answer.",
        (RATE, CPU),
        tuple(rows),
    )
    eight, official = named(8), "official SDK"
    fastest = max((f"ours, {engine}" for engine in ENGINES), key=lambda name: figure.median(name, case=eight))
    return figure.with_goals(
        Goal("httpx, 8 tasks: times the official SDK", figure.ratio("ours, httpx", official, case=eight), 8),
        Goal(
            f"{fastest.partition(', ')[2]}, 8 tasks: times the official SDK",
            figure.ratio(fastest, official, case=eight),
            11,
        ),
        *(
            Goal(
                f"{engine}, 8 tasks: of the hand-written program",
                figure.ratio(f"ours, {engine}", f"hand-written, {engine}", case=eight),
                0.85,
            )
            for engine in ENGINES
        ),
        *(
            Goal(
                f"{engine}, 200 tasks: of the throughput with 8",
                figure.median(f"ours, {engine}", case=named(200)) / figure.median(f"ours, {engine}", case=eight),
                0.95,
            )
            for engine in ENGINES
        ),
    )


def named(concurrency: int) -> str:
    """A case."""
    return "1 task" if concurrency == 1 else f"{concurrency} tasks"


def figures(taken: Clocks, pages: int) -> Measures:
    """What is told of a run."""
    return {RATE: pages * PAGE_SIZE / taken.wall, CPU: taken.cpu / pages * 1000}


def run(
    fetch: Callable[..., Coroutine[Any, Any, Clocks]], url: str, pages: int, engine: str, concurrency: int
) -> Measures:
    """Read all, in a loop of its own."""
    return figures(asyncio.run(fetch(url, pages, engine, concurrency)), pages)


async def by_us(url: str, pages: int, engine: str, concurrency: int) -> Clocks:
    """With a stream of the client as it comes, which has ten requests under way however many tasks want one."""
    async with ours(url, engine) as client:
        await client.warmup()
        listing = client.appointments.list(USER, page_size=PAGE_SIZE)
        with clocks() as taken:
            items = await listing.collect(concurrency=concurrency)
    assert len({item.id for item in items}) == pages * PAGE_SIZE
    return taken


async def by_somebody(url: str, pages: int, engine: str, concurrency: int) -> Clocks:
    """With as many workers and connections."""
    async with ENGINES[engine](concurrency) as http:
        with clocks() as taken:
            items = await by_hand(http, url, pages, PAGE_SIZE, concurrency)
    assert len({item.id for item in items}) == pages * PAGE_SIZE
    return taken


def by_official(work: Work, url: str, pages: int) -> Measures:
    """In threads."""
    taken = work("fetch", url=url, pages=pages, size=PAGE_SIZE, threads=THREADS, user_id=USER, token=TOKEN)
    return figures(taken, pages)


if __name__ == "__main__":
    main(measure)
