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
from benchmarks.processes import Service, Work, sandbox, vendor
from coaching_async import RateLimit

__all__ = ["measure"]

STEADY, WALL, REFUSED, FAILED = "% of the limit", "seconds", "429s", "failed"
LIMIT: Final = 300
THREADS: Final = 8
OFFICIAL: Final = "official SDK, 8 threads"


def measure(quick: bool) -> Figure:
    """Take the figure."""
    reads, window, rounds = (900, 1.0, 1) if quick else (2000, 2.0, 3)
    with vendor() as work:
        rows = alternate(
            {
                "ours": partial(by_us, reads, window, "asyncio"),
                "ours, trio": partial(by_us, reads, window, "trio"),
                OFFICIAL: partial(by_official, work, reads, window),
            },
            rounds,
            warm_up=False,
        )
    ideal = Row("ideal", ({STEADY: 100.0, REFUSED: 0, FAILED: 0},))
    figure = Figure(
        "rate",
        "Rate-bound bulk",
        f"{reads:,} reads of single appointments while the service allows {LIMIT} in {window:.0f} s. The share is that of"
        " the whole windows after the first, which begins with a burst. The official SDK waits as long as a 429 says, and"
        " tries again: it sends all that is allowed at once, and nothing until the window is over.",
        (STEADY, WALL, REFUSED, FAILED),
        (*rows, ideal),
    )
    return figure.with_goals(
        Goal("of the limit", figure.median("ours") / 100, 0.97),
        Goal("unhandled 429s and other failures", figure.median("ours", FAILED), 0, at_least=False),
    )


def by_us(reads: int, window: float, backend: str) -> Measures:
    """With `get_many`."""
    with service_of(window) as service:
        return anyio.run(got_many, service, reads, window, backend=backend)


async def got_many(service: Service, reads: int, window: float) -> Measures:
    """The same, in an event loop."""
    came: list[float] = []
    async with ours(service, rate_limit=RateLimit(LIMIT, per=window)) as client:
        began = anyio.current_time()
        result = await client.appointments.get_many(
            ids(service, reads), on_progress=lambda _: came.append(anyio.current_time() - began)
        )
    return figures(service, window, came, sum(not each.is_ok for each in result.outcomes))


def by_official(work: Work, reads: int, window: float) -> Measures:
    """In threads."""
    with service_of(window) as service:
        done = work("reads", url=service.url, token=service.token, ids=list(ids(service, reads)), threads=THREADS)
        return figures(service, window, **done)


def service_of(window: float) -> AbstractContextManager[Service]:
    """One with the limit."""
    return sandbox(appointments=200, rate_limit=LIMIT, rate_window=window)


def ids(service: Service, reads: int) -> Iterable[str]:
    """Those of the sandbox, over and over."""
    return islice(cycle(service.appointment_ids), reads)


def figures(service: Service, window: float, came: list[float], failed: int) -> Measures:
    """What is told of reads that came after so many seconds."""
    windows = int(came[-1] / window)  # the last one is left out, which is not used to its end
    arrived = httpx.get(f"{service.url}/_sandbox/requests", trust_env=False).json()
    return {
        STEADY: 100 * sum(window < at <= windows * window for at in came) / (LIMIT * (windows - 1)),
        WALL: came[-1],
        REFUSED: sum(each["status"] == 429 for each in arrived),
        FAILED: failed,
    }


if __name__ == "__main__":
    main(measure)
