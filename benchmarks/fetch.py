"""Reading 200 distinct pages of 100 appointments, by 1, 8, 32 and 200 tasks.

python benchmarks/fetch.py [--quick]
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias

from benchmarks.clients import ENGINES, by_hand, ours
from benchmarks.data import PAGE_SIZE
from benchmarks.harness import Clocks, Figure, Goal, Measures, alternate, alternate_cases, clocks, main
from benchmarks.processes import Service, Work, sandbox, serving, vendor

__all__ = ["Fetch", "by_somebody", "by_us", "measure"]

RATE, CPU = "appointments/s", "CPU ms a page"
OFFICIAL: Final = "official SDK, 8 threads"
THREADS: Final = 8
Fetch: TypeAlias = Callable[[Service, int, str, int], Coroutine[Any, Any, Clocks]]
"""Reads so many pages of a service over an engine, by so many tasks."""


def measure(quick: bool) -> Figure:
    """Take the figure."""
    pages, rounds, tasks = (30, 1, (8, 200)) if quick else (200, 4, (1, 8, 32, 200))
    with vendor() as work:
        with serving(pages * PAGE_SIZE) as static:
            cases = {named(concurrency): contenders(static, pages, concurrency) for concurrency in tasks}
            cases[named(THREADS)][OFFICIAL] = partial(by_official, work, static, pages)
            rows = alternate_cases(cases, rounds)
        if not quick:
            with sandbox(appointments=pages * PAGE_SIZE) as service:
                peers = {OFFICIAL: partial(by_official, work, service, pages)}
                rows += alternate(contenders(service, pages, THREADS) | peers, 3, f"{named(THREADS)}, sandbox")
    figure = Figure(
        "fetch",
        "Bulk fetch",
        f"{pages} distinct pages of {PAGE_SIZE} full appointments from a server that does nothing but answer, and from the"
        " sandbox, where the service is what takes the time. The client is as it comes: it has ten requests under way,"
        " however many tasks want one. The hand-written program has as many connections as tasks.",
        (RATE, CPU),
        tuple(rows),
    )
    return figure.with_goals(*goals(figure))


def goals(figure: Figure) -> list[Goal]:
    """What was to be reached."""
    eight = named(8)
    fastest = max((f"ours, {engine}" for engine in ENGINES), key=lambda name: figure.median(name, case=eight))
    return [
        Goal("8 tasks, httpx: times the official SDK", figure.ratio("ours, httpx", OFFICIAL, case=eight), 8),
        Goal(f"8 tasks, {fastest[6:]}: times the official SDK", figure.ratio(fastest, OFFICIAL, case=eight), 11),
        *(
            Goal(
                f"8 tasks, {engine}: of the hand-written program",
                figure.ratio(f"ours, {engine}", f"hand-written, {engine}", case=eight),
                0.85,
            )
            for engine in ENGINES
        ),
        *(
            Goal(
                f"200 tasks, {engine}: of the throughput with 8",
                figure.median(f"ours, {engine}", case=named(200)) / figure.median(f"ours, {engine}", case=eight),
                0.95,
            )
            for engine in ENGINES
        ),
    ]


def named(concurrency: int) -> str:
    """A case."""
    return "1 task" if concurrency == 1 else f"{concurrency} tasks"


def contenders(service: Service, pages: int, concurrency: int) -> dict[str, Callable[[], Measures]]:
    """Ours and the hand-written one, over each engine."""
    return {
        f"{name}, {engine}": partial(run, fetch, service, pages, engine, concurrency)
        for engine in ENGINES
        for name, fetch in (("ours", by_us), ("hand-written", by_somebody))
    }


def figures(pages: int, cpu: float, wall: float) -> Measures:
    """What is told of a run that took so many seconds."""
    return {RATE: pages * PAGE_SIZE / wall, CPU: cpu / pages * 1000}


def run(fetch: Fetch, service: Service, pages: int, engine: str, concurrency: int) -> Measures:
    """Read all, in a loop of its own."""
    taken = asyncio.run(fetch(service, pages, engine, concurrency))
    return figures(pages, taken.cpu, taken.wall)


async def by_us(service: Service, pages: int, engine: str, concurrency: int) -> Clocks:
    """With a walk, or a stream."""
    async with ours(service, engine) as client:
        await client.warmup()
        listing = client.appointments.list(service.user_ids, page_size=PAGE_SIZE)
        with clocks() as taken:
            items = await listing.collect(concurrency=concurrency)
    assert len({item.id for item in items}) == pages * PAGE_SIZE
    return taken


async def by_somebody(service: Service, pages: int, engine: str, concurrency: int) -> Clocks:
    """With as many workers and connections."""
    async with ENGINES[engine](concurrency) as http:
        with clocks() as taken:
            items = await by_hand(http, service, pages, PAGE_SIZE, concurrency)
    assert len({item.id for item in items}) == pages * PAGE_SIZE
    return taken


def by_official(work: Work, service: Service, pages: int) -> Measures:
    """In threads, because it has no other way."""
    call = {"url": service.url, "token": service.token, "threads": THREADS}
    return figures(pages, **work("fetch", **call, user_ids=service.user_ids, pages=pages, size=PAGE_SIZE))


if __name__ == "__main__":
    main(measure)
