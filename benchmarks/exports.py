"""The export of what 1,000 agents have in a month, under the rate limit of Genesys.

python -m benchmarks.exports [--quick]
"""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.harness import ROOT, Figure, Measures, alternate, main
from benchmarks.processes import sandbox
from coaching_async import RateLimit

__all__ = ["measure"]

WALL, REQUESTS, CPU, MEMORY = "minutes", "requests", "CPU s", "MiB at most"
LIMIT: Final = RateLimit(300, per=60.0)
SPEED: Final = 15
"""How many times as fast the clock of the longest export runs: it would take a quarter of an hour."""
LATENCY: Final = 0.1
EXPORTS: Final[dict[str, dict[str, Any]]] = {
    "ours, JSON lines": {"suffix": ".jsonl"},
    "ours, CSV with names": {"suffix": ".csv", "names": True},
    "ours, Excel with names": {"suffix": ".xlsx", "names": True},
    "ours, Parquet with names": {"suffix": ".parquet", "names": True},
}
LONG: Final = {"ours, JSON lines with annotations": {"suffix": ".jsonl", "with_annotations": True}}


def measure(quick: bool) -> Figure:
    """Take the figure."""
    agents, rounds = (50, 1) if quick else (1000, 3)
    items = 4 * agents
    runs = {name: partial(by_us, items, agents, 1, **options) for name, options in EXPORTS.items()}
    rows = alternate(runs, rounds, warm_up=False)
    long = {name: partial(by_us, items, agents, SPEED, **options) for name, options in LONG.items()}
    rows += alternate(long, 1, warm_up=False)
    figure = Figure(
        "exports",
        f"Export of a month of {agents:,} agents",
        f"{items:,} appointments of {agents:,} agents, one a week for each, whose ids take {len(range(0, agents, 100))} lists. The"
        f" service allows {LIMIT.requests} requests in a minute, none of which is used before, and takes {LATENCY * 1000:.0f} ms for"
        f" each. Annotations take a request for every appointment; of that export the minutes are {SPEED} times those of a service"
        f" that allows as much in {LIMIT.per / SPEED:.0f} s. CPU and memory are those of the whole process.",
        (WALL, REQUESTS, CPU, MEMORY),
        tuple(rows),
    )
    plain, named, annotated = (figure.median(name) for name in ("ours, JSON lines", "ours, Excel with names", *LONG))
    return figure.with_answer(
        f"An export of {items:,} appointments of {agents:,} agents takes {60 * plain:.0f} seconds, and {60 * named:.0f} seconds as an"
        f" Excel file with the names of all people. With the annotations of each appointment it takes {annotated:.0f} minutes,"
        " because the rate limit allows 300 requests a minute."
    )


def by_us(items: int, agents: int, speed: float, suffix: str, **options: bool) -> Measures:
    """Measure one export."""
    limit = RateLimit(LIMIT.requests, per=LIMIT.per / speed)
    with (
        sandbox(
            appointments=items,
            users=agents,
            rate_limit=limit.requests,
            rate_window=limit.per,
            latency=LATENCY / speed,
            requests_kept=10 * items,
        ) as service,
        tempfile.TemporaryDirectory() as folder,
    ):
        order = {
            "url": service.url,
            "token": service.token,
            "user_ids": service.user_ids,
            "path": str(Path(folder) / f"month{suffix}"),
            "limit": [limit.requests, limit.per],
            "options": options,
        }
        command = [sys.executable, "-m", "benchmarks.export_worker", json.dumps(order)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 # ours
        found = json.loads(done.stdout)
        arrived = httpx.get(f"{service.url}/_sandbox/requests", trust_env=False).json()
    assert found["items"] == items
    return {
        WALL: found["wall"] * speed / 60,
        REQUESTS: sum(each["path"].startswith("/api/") for each in arrived),
        CPU: found["cpu"],
        MEMORY: found["memory"],
    }


if __name__ == "__main__":
    main(measure)
