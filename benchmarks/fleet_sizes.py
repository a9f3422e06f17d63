"""One to 32 processes with a shared state in Redis.

python -m benchmarks.fleet_sizes [--quick]
"""

from functools import partial
from typing import Final

from benchmarks.fleets import LATENCY, MEASURES, MOST, P95, REFUSED, USED, Plan, Sharing, run
from benchmarks.harness import Figure, Goal, alternate_cases, main
from coaching_async import RateLimit

__all__ = ["measure"]

OURS: Final = "ours, by Redis"


def measure(quick: bool) -> Figure:
    """Take the figure."""
    limit, windows, most = (RateLimit(20, per=2.0), 2, 4) if quick else (RateLimit(150, per=30.0), 2, 32)
    every = 2 * limit.per / limit.requests
    sizes = [2**power for power in range(most.bit_length())]
    plans = {
        f"{size} process{'es' * (size > 1)}": Plan(limit, windows, range(size), range(size), every) for size in sizes
    }
    fleets = {case: {OURS: partial(run, plan, Sharing("redis"))} for case, plan in plans.items()}
    rows = alternate_cases(fleets, rounds=1, warm_up=False)
    figure = Figure(
        "fleet_sizes",
        "Fleets of one process to thirty-two",
        f"Each process reads appointments in a bulk. All of them together make a direct call every {every:g} s, in turns. The service"
        f" allows {limit.requests} requests in {limit.per:g} s, which is the pace of Genesys, and responds after {1000 * LATENCY:.0f} ms.",
        MEASURES,
        tuple(rows),
        curves=(USED, MOST, P95),
    )
    return figure.with_goals(
        Goal("429s", max(row.median(REFUSED) for row in rows), 0, at_least=False),
        Goal("of the limit", min(row.median(USED) for row in rows) / 100, 0.97),
        Goal(
            "p95 of a direct call, in even shares",
            max(row.median(P95) for row in rows) / (500 * every),
            2,
            at_least=False,
        ),
    )


if __name__ == "__main__":
    main(measure)
