"""A web request that reads one appointment: alone, and beside a bulk in the same process that uses the rate limit.

python -m benchmarks.web [--quick]
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import attrs
import httpx

from benchmarks.harness import Figure, Goal, Measures, alternate, main
from benchmarks.processes import program, sandbox, serving
from benchmarks.service import Service
from coaching_async import RateLimit

__all__ = ["measure"]

P95, MEDIAN, LONGEST, CPU, FAILED = "p95, ms", "median, ms", "longest, ms", "CPU ms", "failed, %"
ALONE, BESIDE = "alone", "beside a bulk"
CONTENDERS: Final = ("ours", "bare httpx")
LATENCY: Final = 0.03
EVERY: Final = 0.5


def measure(quick: bool) -> Figure:
    """Take the figure."""
    calls, rounds = (50, 1) if quick else (500, 5)
    limit, seconds = (RateLimit(50, per=10.0), 5.0) if quick else (RateLimit(150, per=30.0), 90.0)
    with serving(items=1) as service:
        rows = alternate({name: partial(alone, name, service, calls) for name in CONTENDERS}, rounds, ALONE)
    busy = {name: partial(beside_a_bulk, name, limit, seconds) for name in CONTENDERS}
    rows += alternate(busy, 1, BESIDE, warm_up=False)
    figure = Figure(
        "web",
        "A web request",
        "A handler of FastAPI under uvicorn reads one appointment. This client decodes it, and FastAPI encodes it as the response model"
        " that it is; bare httpx passes the bytes on. Alone, the service responds at once, and one request follows the other."
        f" Beside a bulk of the same process the service responds after {1000 * LATENCY:.0f} ms, and allows {limit.requests} requests in"
        f" {limit.per:g} s, which is the pace of Genesys. There a web request comes every {EVERY:g} s. The bulk of bare httpx waits"
        " for the time that a 429 names; a web request that gets one has failed.",
        (P95, MEDIAN, LONGEST, CPU, FAILED),
        tuple(rows),
    )
    share = 1000 * limit.per / limit.requests
    p95 = figure.median("ours", case=BESIDE)
    lost = figure.median("bare httpx", FAILED, BESIDE)
    costs = figure.median("ours", CPU, ALONE)
    return figure.with_answer(
        f"A web request that reads an appointment costs {costs:.2g} ms of CPU,"
        f" {figure.ratio('ours', 'bare httpx', CPU, ALONE):.2g} times what passing the bytes on with bare httpx costs."
        f" Beside a bulk that uses the whole rate limit 95 % of the web requests are answered within {p95:.0f} ms, and none fails;"
        f" with bare httpx the service refuses {lost:.0f} % of them."
    ).with_goals(
        Goal(f"{BESIDE}: p95, in even shares", p95 / share, 2, at_least=False),
        Goal(f"{BESIDE}: failed, in %", figure.median("ours", FAILED, BESIDE), 0, at_least=False),
    )


@attrs.frozen
class Application:
    """An application that runs, and the client of its users."""

    http: httpx.Client
    path: str

    def timed(self) -> tuple[float, bool]:
        """Return how many milliseconds a request takes, and whether it succeeds."""
        began = time.perf_counter()
        answer = self.http.get(self.path)
        return 1000 * (time.perf_counter() - began), answer.is_success

    def cpu(self) -> float:
        """Return the CPU time that the process of the application has taken, in milliseconds."""
        return 1000 * float(self.http.get("/cpu").text)


@contextmanager
def application(contender: str, service: Service, limit: RateLimit, *, has_bulk: bool) -> Iterator[Application]:
    """Run an application."""
    options = {
        "url": service.url,
        "token": service.token,
        "ids": service.appointment_ids,
        "limit": [limit.requests, limit.per],
        "has_bulk": has_bulk,
    }
    with program(sys.executable, "-m", "benchmarks.web_app", contender, json.dumps(options)) as running:
        url = f"http://127.0.0.1:{running.read_line().strip()}"
        with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
            yield Application(http, f"/appointments/{service.appointment_ids[0]}")


def alone(contender: str, service: Service, calls: int) -> Measures:
    """Measure one request after the other."""
    with application(contender, service, RateLimit(10**9, per=1.0), has_bulk=False) as running:
        for _ in range(calls // 10):
            running.timed()
        before = running.cpu()
        taken = [running.timed() for _ in range(calls)]
        return figures(taken) | {CPU: (running.cpu() - before) / calls}


def beside_a_bulk(contender: str, limit: RateLimit, seconds: float) -> Measures:
    """Measure requests beside a bulk, when it has used a window."""
    with (
        sandbox(appointments=50, rate_limit=limit.requests, rate_window=limit.per, latency=LATENCY) as service,
        application(contender, service, limit, has_bulk=True) as running,
    ):
        time.sleep(limit.per)
        taken: list[tuple[float, bool]] = []
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            taken.append(running.timed())
            time.sleep(max(0.0, now + EVERY - time.perf_counter()))
        return figures(taken)


def figures(taken: list[tuple[float, bool]]) -> Measures:
    """Return the measures of requests."""
    waits = sorted(wait for wait, _ in taken)
    return {
        P95: statistics.quantiles(waits, n=20)[-1],
        MEDIAN: statistics.median(waits),
        LONGEST: waits[-1],
        FAILED: 100 * sum(not is_success for _, is_success in taken) / len(taken),
    }


if __name__ == "__main__":
    main(measure)
