"""Reading 200 distinct pages of 100 appointments, by 1, 8 and 200 tasks.

python benchmarks/fetch.py [--quick]
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final, TypeAlias

from benchmarks.data import PAGE_SIZE
from benchmarks.engines import ENGINES
from benchmarks.harness import Figure, Goal, Measures, alternate, alternate_cases, main
from benchmarks.processes import Fetch, Work, fetcher, sandbox, serving, vendor
from benchmarks.service import Service

__all__ = ["contenders", "measure", "runs"]

RATE, CPU = "appointments/s", "CPU ms a page"
OFFICIAL: Final = "official SDK, 8 threads"
THREADS: Final = 8
ONES: Final = ("ours", "ours with orjson", "hand-written")

Runs: TypeAlias = dict[str, Callable[[], Measures]]


def measure(quick: bool) -> Figure:
    """Take the figure."""
    pages, rounds, tasks = (30, 1, (THREADS, 200)) if quick else (200, 6, (1, THREADS, 200))
    with vendor() as work, contenders() as fetches, serving(pages * PAGE_SIZE) as static:
        cases = {named(concurrency): runs(fetches, static, pages, concurrency) for concurrency in tasks}
        cases[named(THREADS)] |= by_official(work, static, pages)
        kept = runs(fetches, static, pages, THREADS, kept=True) | by_official(work, static, pages, kept=True)
        cases[f"{named(THREADS)}, all kept"] = kept
        rows = alternate_cases(cases, rounds)
        if not quick:
            with sandbox(appointments=pages * PAGE_SIZE) as service:
                peers = runs(fetches, service, pages, THREADS) | by_official(work, service, pages)
                rows += alternate(peers, 3, f"{named(THREADS)}, sandbox")
    figure = Figure(
        "fetch",
        "Bulk fetch",
        f"{pages} distinct pages of {PAGE_SIZE} full appointments, from a server that only sends prepared responses, and from the"
        " sandbox, where the service takes most of the time. The program keeps the id of each appointment and nothing else, or"
        " it keeps all of it to the end. The client is in its default configuration: it has ten requests in flight for any number"
        " of tasks. The hand-written program has as many connections as tasks, and where nothing is kept, no order.",
        (RATE, CPU),
        tuple(rows),
    )
    return figure.with_goals(*goals(figure))


def goals(figure: Figure) -> list[Goal]:
    """Return the goals of the figure."""
    eight, kept, many = named(THREADS), f"{named(THREADS)}, all kept", named(200)
    return [
        *(
            Goal(
                f"{eight}: {one}, httpx: times the official SDK", figure.ratio(f"{one}, httpx", OFFICIAL, case=eight), 8
            )
            for one in ONES[:2]
        ),
        *(
            Goal(
                f"{kept}: {one}, httpx: of the hand-written program",
                figure.ratio(f"{one}, httpx", "hand-written, httpx", case=kept),
                0.85,
            )
            for one in ONES[:2]
        ),
        *(
            Goal(
                f"{many}: ours, {engine}: of the throughput with {THREADS}",
                figure.row(f"ours, {engine}", many).ratio(figure.row(f"ours, {engine}", eight), RATE),
                0.95,
            )
            for engine in ENGINES
        ),
    ]


def named(concurrency: int) -> str:
    """Return the name of a case."""
    return "1 task" if concurrency == 1 else f"{concurrency} tasks"


@contextmanager
def contenders() -> Iterator[dict[str, Fetch]]:
    """Start this client and the hand-written one, with each HTTP library."""
    with ExitStack() as stack:
        yield {f"{one}, {engine}": stack.enter_context(fetcher(one, engine)) for engine in ENGINES for one in ONES}


def runs(fetches: dict[str, Fetch], service: Service, pages: int, concurrency: int, *, kept: bool = False) -> Runs:
    """Return one run for each contender."""

    def run(fetch: Fetch) -> Measures:
        return figures(pages, **fetch(service, pages=pages, size=PAGE_SIZE, concurrency=concurrency, kept=kept))

    return {name: partial(run, fetch) for name, fetch in fetches.items()}


def by_official(work: Work, service: Service, pages: int, *, kept: bool = False) -> Runs:
    """Return one run of the vendor's SDK, in threads, because it is synchronous."""

    def run() -> Measures:
        call = {"url": service.url, "token": service.token, "user_ids": service.user_ids, "threads": THREADS}
        return figures(pages, **work("fetch", **call, pages=pages, size=PAGE_SIZE, kept=kept))

    return {OFFICIAL: run}


def figures(pages: int, cpu: float, wall: float) -> Measures:
    """Return the measures of a run of `pages` pages that took `cpu` and `wall` seconds."""
    return {RATE: pages * PAGE_SIZE / wall, CPU: cpu / pages * 1000}


if __name__ == "__main__":
    main(measure)
