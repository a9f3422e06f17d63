"""Fleets: processes of one OAuth client that are started together, and what the service and the processes counted."""

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import attrs
import cattrs
import httpx

from coaching_async import RateLimit
from tests.support.redis_server import RedisServer

from .fleet_worker import Order, Report
from .harness import Measures
from .processes import program, sandbox

__all__ = [
    "FAILED",
    "LATENCY",
    "MEASURES",
    "MINTS",
    "MOST",
    "P95",
    "REFUSED",
    "STATE_MEASURES",
    "USED",
    "Plan",
    "Sharing",
    "counted",
    "place",
    "run",
]

P95, MEDIAN, LONGEST = "direct call: p95, ms", "median, ms", "longest, ms"
REFUSED, MINTS, MOST, USED = "429s", "tokens", "most in a window", "% of the limit"
FEWEST_ITEMS, MOST_ITEMS, FAILED = "items of a bulk: fewest", "most", "failed"
OPERATIONS, LOOK, CONFLICTS, LOST = "operations/s", "ms a look", "% of looks repeated", "state lost"
STATE_MEASURES: Final = (OPERATIONS, LOOK, CONFLICTS, LOST)
"""What is measured of a shared state, where there is one."""
MEASURES: Final = (
    P95, MEDIAN, LONGEST, REFUSED, MINTS, MOST, USED, FEWEST_ITEMS, MOST_ITEMS, FAILED, *STATE_MEASURES,
)  # fmt: skip

LATENCY: Final = 0.03
TOKEN_PATH: Final = "/oauth/token"


@attrs.frozen
class Plan:
    """A fleet: which processes have a bulk, which make direct calls, and for how many windows."""

    limit: RateLimit
    windows: int
    bulks: range
    """The processes that have a bulk, by number."""
    callers: range
    """Those that make direct calls, one after the other."""
    every: float = 0.125
    """Seconds from a direct call of one of them to that of the next one."""

    @property
    def seconds(self) -> float:
        """How long it runs. A little longer than the windows, because the first request comes a little later."""
        return self.windows * self.limit.per + 0.5

    def order(self, number: int, **options: object) -> Order:
        """Return what one process does."""
        called = self.callers.index(number) if number in self.callers else None
        return Order(
            requests=self.limit.requests,
            per=self.limit.per,
            seconds=self.seconds,
            bulk=number in self.bulks,
            every=None if called is None else self.every * len(self.callers),
            first=self.every * (called or 0),
            **options,  # type: ignore[arg-type]
        )


@attrs.frozen
class Sharing:
    """What the processes share."""

    place: str | None = None
    """`redis` or `file`: token and limit, by a shared state there."""
    token: bool = False
    """A token that is handed to all of them."""
    backend: str = "asyncio"


def run(plan: Plan, sharing: Sharing) -> Measures:
    """Run a fleet."""
    options = {"appointments": 200, "latency": LATENCY, "requests_kept": 1_000_000}
    limit = {"rate_limit": plan.limit.requests, "rate_window": plan.limit.per}
    with sandbox(**options, **limit) as service, place(sharing.place) as where, ExitStack() as stack:
        numbers = sorted({*plan.bulks, *plan.callers})
        processes = [stack.enter_context(program(sys.executable, "-m", "benchmarks.fleet_worker")) for _ in numbers]
        for number, process in zip(numbers, processes, strict=True):
            order = plan.order(
                number,
                url=service.url,
                ids=service.appointment_ids,
                token=service.token if sharing.token else None,
                place=where,
                backend=sharing.backend,
            )
            process.tell(json.dumps(attrs.asdict(order)))
        for process in processes:
            process.read_line()
        for process in processes:
            process.tell("start")
        reports = [cattrs.structure(json.loads(process.read_line()), Report) for process in processes]
        log = httpx.get(f"{service.url}/_sandbox/requests", trust_env=False, timeout=60).json()
    mints = sum(each["path"] == TOKEN_PATH for each in log)
    by_bulks = [report.items for number, report in zip(numbers, reports, strict=True) if number in plan.bulks]
    return {
        **direct(reports),
        **counted(log, plan.limit, plan.windows),
        MINTS: mints if sharing.token else mints - 1,  # the token of the service is fetched in any case
        FEWEST_ITEMS: min(by_bulks),
        MOST_ITEMS: max(by_bulks),
        FAILED: sum(report.failed for report in reports),
        **({} if where is None else of_the_state(reports, plan.seconds)),
    }


@contextmanager
def place(kind: str | None) -> Iterator[str | None]:
    """Make a place for a shared state."""
    if kind == "redis":
        with RedisServer() as redis:
            yield redis.url
    elif kind == "file":
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "state")
    else:
        yield None


def direct(reports: Sequence[Report]) -> Measures:
    """Return how long direct calls took."""
    calls = sorted(1000 * seconds for report in reports for seconds in report.calls)
    return {P95: calls[len(calls) * 95 // 100], MEDIAN: statistics.median(calls), LONGEST: calls[-1]}


def of_the_state(reports: Sequence[Report], seconds: float) -> Measures:
    """Return what the shared state had to do, and how long it took."""
    looks = [taken for report in reports for taken in report.looks]
    return {
        OPERATIONS: sum(report.operations for report in reports) / seconds,
        LOOK: 1000 * statistics.median(looks),
        CONFLICTS: 100 * sum(report.conflicts for report in reports) / len(looks),
        LOST: sum(report.lost for report in reports),
    }


def counted(log: Sequence[dict[str, str | int | None]], limit: RateLimit, windows: int) -> Measures:
    """Return what the service counted, by its log of requests. The use is that of the whole windows after the first."""
    calls = [each for each in log if each["path"] != TOKEN_PATH]
    accepted = [datetime.fromisoformat(str(each["at"])).timestamp() for each in calls if each["status"] != 429]
    start, per = accepted[0], limit.per
    later = sum(start + per <= at < start + windows * per for at in accepted)
    return {
        REFUSED: len(calls) - len(accepted),
        MOST: most(accepted, per),
        USED: 100 * later / (limit.requests * (windows - 1)),
    }


def most(times: Sequence[float], per: float) -> int:
    """Return the largest number of times in any window."""
    largest = first = 0
    for last, time in enumerate(times):
        while times[first] <= time - per:
            first += 1
        largest = max(largest, last - first + 1)
    return largest
