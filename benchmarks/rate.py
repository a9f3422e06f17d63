"""Reading 2,000 appointments, one by one, under a rate limit.

    python benchmarks/rate.py [--quick]

The window is scaled down: 300 requests in two seconds instead of a minute.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from itertools import cycle, islice
from typing import Final

import anyio
import httpx

from benchmarks.clients import ours
from benchmarks.harness import Figure, Goal, Measures, Row, alternate, main
from benchmarks.processes import Work, sandbox, vendor
from benchmarks.service import Service
from coaching_async import RateLimit

__all__ = ["measure"]

STEADY, WALL, REFUSED, FAILED = "% of the limit", "seconds", "429s", "failed"
THREADS: Final = 8
OFFICIAL: Final = "official SDK, 8 threads"


def measure(quick: bool) -> Figure:
    """Take the figure."""
    reads, limit, rounds = (450, RateLimit(150, per=1.0), 1) if quick else (2000, RateLimit(300, per=2.0), 3)
    with vendor() as work:
        rows = alternate(
            {
                "ours": partial(by_us, reads, limit, "asyncio"),
                "ours, trio": partial(by_us, reads, limit, "trio"),
                OFFICIAL: partial(by_official, work, reads, limit),
            },
            rounds,
            warm_up=False,
        )
    ideal = Row("ideal", ({STEADY: 100.0, REFUSED: 0, FAILED: 0},))
    figure = Figure(
        "rate",
        "Rate-bound bulk",
        f"{reads:,} reads of single appointments while the service allows {limit.requests} in {limit.per:.0f} s. The share is that of"
        " the complete windows after the first, which begins with a burst. The official SDK waits for the time that a 429 names,"
        " and retries: it sends all that is allowed at once, and nothing until the window is over.",
        (STEADY, WALL, REFUSED, FAILED),
        (*rows, ideal),
    )
    return figure.with_answer(
        f"A bulk uses {figure.median('ours'):.1f} % of the rate limit, and the service refuses none of its requests."
        if not figure.median("ours", REFUSED)
        else ""
    ).with_goals(
        Goal("of the limit", figure.median("ours") / 100, 0.97),
        Goal("unhandled 429s and other failures", figure.median("ours", FAILED), 0, at_least=False),
    )


def by_us(reads: int, limit: RateLimit, backend: str) -> Measures:
    """Measure this client, by `get_many`."""
    with service_of(limit) as service:
        return anyio.run(got_many, service, reads, limit, backend=backend)


async def got_many(service: Service, reads: int, limit: RateLimit) -> Measures:
    """Measure `get_many` in a running event loop."""
    came: list[float] = []
    async with ours(service, rate_limit=limit) as client:
        began = anyio.current_time()
        result = await client.appointments.get_many(
            ids(service, reads), on_progress=lambda _: came.append(anyio.current_time() - began)
        )
    return figures(service, limit, came, sum(not outcome.is_ok for outcome in result.outcomes))


def by_official(work: Work, reads: int, limit: RateLimit) -> Measures:
    """Measure the vendor's SDK, in threads."""
    with service_of(limit) as service:
        done = work("reads", url=service.url, token=service.token, ids=list(ids(service, reads)), threads=THREADS)
        return figures(service, limit, **done)


def service_of(limit: RateLimit) -> AbstractContextManager[Service]:
    """Run a service with the rate limit."""
    return sandbox(appointments=200, rate_limit=limit.requests, rate_window=limit.per)


def ids(service: Service, reads: int) -> Iterable[str]:
    """Return `reads` ids, those of the sandbox repeatedly."""
    return islice(cycle(service.appointment_ids), reads)


def figures(service: Service, limit: RateLimit, came: list[float], failed: int) -> Measures:
    """Return the measures of reads that completed at the times `came`, in seconds."""
    window = limit.per
    windows = int(came[-1] / window)  # without the last window, which is not used to its end
    arrived = httpx.get(f"{service.url}/_sandbox/requests", trust_env=False).json()
    return {
        STEADY: 100 * sum(window < at <= windows * window for at in came) / (limit.requests * (windows - 1)),
        WALL: came[-1],
        REFUSED: sum(each["status"] == 429 for each in arrived),
        FAILED: failed,
    }


if __name__ == "__main__":
    main(measure)
