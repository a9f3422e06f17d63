"""Reading 200 pages with a latency of 100 ms each, one or eight at a time.

python benchmarks/latency.py [--quick]
"""

from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks.data import PAGE_SIZE
from benchmarks.harness import Figure, Goal, Measures, Row, alternate, main
from benchmarks.processes import Fetch, fetcher, serving
from benchmarks.service import Service

__all__ = ["measure"]

WALL = "seconds"
DELAY: Final = 0.1


def measure(quick: bool) -> Figure:
    """Take the figure."""
    pages, rounds = (24, 1) if quick else (200, 3)
    rows: list[Row] = []
    with ExitStack() as stack:
        service = stack.enter_context(serving(pages * PAGE_SIZE, DELAY))
        fetches = {name: stack.enter_context(fetcher(name, "httpx")) for name in ("ours", "hand-written")}
        for concurrency in (1, 8):
            case, ideal = f"{concurrency} at a time", pages * DELAY / concurrency
            contenders = {name: partial(run, fetch, service, pages, concurrency) for name, fetch in fetches.items()}
            found = alternate(contenders, rounds if concurrency > 1 else 1, case, warm_up=False)
            rows += [*found, Row("ideal", ({WALL: ideal},), case)]
    figure = Figure(
        "latency",
        "Latency-bound walk",
        f"{pages} pages of {PAGE_SIZE} appointments from a server that responds after {DELAY * 1000:.0f} ms. The ideal takes"
        " only that time, and knows the number of pages before it has read the first; so does the hand-written program.",
        (WALL,),
        tuple(rows),
    )
    one = figure.ratio("hand-written", "ours", case="1 at a time")
    return figure.with_goals(Goal("1 at a time: of the speed of the hand-written program", one, 0.95))


def run(fetch: Fetch, service: Service, pages: int, concurrency: int) -> Measures:
    """Read all pages, and keep nothing."""
    return {WALL: fetch(service, pages=pages, size=PAGE_SIZE, concurrency=concurrency, kept=False)["wall"]}


if __name__ == "__main__":
    main(measure)
