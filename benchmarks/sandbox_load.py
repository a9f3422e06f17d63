"""How many requests a second the sandbox serves, and whether its memory grows.

The sandbox runs in a process of its own. This one sends requests at a steady rate, independent of the latency, over a few
connections; the time of a request starts when it was due.
"""

import argparse
import asyncio
import math
import os
import random
import sys
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import attrs
import httpx

from benchmarks.processes import Service, sandbox

APPOINTMENTS = "/api/v2/coaching/appointments"
FILTERS: tuple[dict[str, Any], ...] = (
    {"statuses": ["Completed", "InProgress"]},
    {"overdue": "True"},
    {"interval": "2026-11-01T00:00:00Z/2026-12-01T00:00:00Z"},
    {"interval": "2026-11-01T00:00:00Z/2026-12-01T00:00:00Z", "intervalCondition": "Overlaps"},
    {"completionInterval": "2026-11-01T00:00:00Z/2026-12-01T00:00:00Z"},
    {"relationships": "Attendee", "sortOrder": "Desc"},
)


def rss(pid: int) -> str:
    """Return the resident memory of a process, if the system reports it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return "?"
    kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return f"{int(kib) / 1024:.0f} MiB"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return math.nan
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@attrs.define
class Load:
    """Random requests, and their outcomes."""

    service: Service
    http: httpx.AsyncClient
    writes: float
    chance: random.Random = attrs.field(factory=lambda: random.Random(1))  # noqa: S311
    known: list[str] = attrs.field(factory=list)
    times: list[float] = attrs.field(factory=list)
    errors: int = 0

    def draw(self) -> httpx.Request:
        """Return a random request."""
        kind = self.chance.choices(
            ("list", "get", "create", "update"),
            (0.6 * (100 - self.writes), 0.4 * (100 - self.writes), self.writes / 2, self.writes / 2),
        )[0]
        if kind == "list" or not self.known:
            query: dict[str, Any] = {
                "userIds": self.chance.sample(self.service.user_ids, self.chance.randint(1, 40)),
                "pageSize": self.chance.randint(25, 100),
                "pageNumber": self.chance.randint(1, 3),
            }
            return self.http.build_request(
                "GET",
                APPOINTMENTS,
                params={**query, **self.chance.choice((dict[str, Any](),) * len(FILTERS) + FILTERS)},
            )
        if kind == "create":
            body = {
                "name": "Load",
                "description": "",
                "dateStart": f"2026-12-{self.chance.randint(1, 31):02}T{self.chance.randrange(24):02}:00:00Z",
                "lengthInMinutes": 30,
                "facilitatorId": self.chance.choice(self.service.user_ids),
                "attendeeIds": [self.chance.choice(self.service.user_ids)],
            }
            return self.http.build_request("POST", APPOINTMENTS, json=body)
        one = f"{APPOINTMENTS}/{self.chance.choice(self.known)}"
        if kind == "get":
            return self.http.build_request("GET", one)
        return self.http.build_request(
            "PATCH", one, json={"status": self.chance.choice(("Scheduled", "InProgress", "Completed"))}
        )

    async def ask(self, request: httpx.Request, due: float) -> None:
        """Send a request, and record its outcome."""
        try:
            response = await self.http.send(request)
            response.raise_for_status()
        except httpx.HTTPError as error:
            self.errors += 1
            print(f"{request.method} {request.url.path}: {error!r}", file=sys.stderr)
            return
        self.times.append(time.perf_counter() - due)
        if request.method == "POST":
            self.known.append(response.json()["id"])
        elif request.url.path == APPOINTMENTS:
            self.known += [entity["id"] for entity in response.json()["entities"][:5]]
        del self.known[:-5000]


async def load(service: Service, seconds: float, rate: float, connections: int, writes: float) -> list[tuple[str, str]]:
    """Send random requests at this rate; return the rows of the table."""
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=service.url, limits=limits, timeout=30, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {service.token}"
        work = Load(service, http, writes)
        memory, cpu = [rss(service.pid)], cpu_seconds(service.pid)
        began = time.perf_counter()
        every_due = ((number, began + number / rate) for number in range(int(seconds * rate)))

        # As many workers as connections, because a long queue in the client's pool would slow it down.
        async def send_requests() -> None:
            for number, due in every_due:
                await asyncio.sleep(due - time.perf_counter())
                await work.ask(work.draw(), due)
                if number == int(10 * rate):
                    memory.append(rss(service.pid))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                tasks.create_task(send_requests())
        took = time.perf_counter() - began
    percentiles = quantiles(work.times, n=100)
    return [
        ("requests", str(len(work.times) + work.errors)),
        ("errors", str(work.errors)),
        ("rate", f"{len(work.times) / took:.1f} /s"),
        ("p50", f"{percentiles[49] * 1000:.1f} ms"),
        ("p99", f"{percentiles[98] * 1000:.1f} ms"),
        ("CPU of the sandbox", f"{(cpu_seconds(service.pid) - cpu) / len(work.times) * 1000:.1f} ms a request"),
        ("RSS at start, after 10 s, at end", ", ".join([*memory, rss(service.pid)])),
    ]


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--writes", type=float, default=20, help="of a hundred requests; what they leave is kept")
    parser.add_argument("--appointments", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=200)
    options = parser.parse_args()
    began = time.perf_counter()
    # Few requests are kept, because growth by design would hide a leak.
    with sandbox(appointments=options.appointments, users=options.users, requests_kept=1000) as service:
        rows = [("start-up", f"{time.perf_counter() - began:.1f} s")]
        rows += asyncio.run(load(service, options.seconds, options.rate, options.connections, options.writes))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")


if __name__ == "__main__":
    main()
