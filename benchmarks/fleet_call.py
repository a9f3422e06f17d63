"""What a shared state adds to a direct call that nothing delays.

python -m benchmarks.fleet_call [--quick]
"""

import asyncio
from functools import partial

from benchmarks.clocks import clocks
from benchmarks.fleet_worker import shared_state
from benchmarks.fleets import place
from benchmarks.harness import Figure, Measures, alternate, main
from benchmarks.processes import serving
from benchmarks.service import Service
from coaching_async import AccessToken, CoachingClient

__all__ = ["measure"]

WALL, CPU = "ms a call", "CPU ms a call"
CONTENDERS = {"ours, no shared state": None, "ours, by Redis": "redis", "ours, by a file": "file"}


def measure(quick: bool) -> Figure:
    """Take the figure."""
    calls, rounds = (50, 2) if quick else (250, 7)
    with serving(items=1) as service:
        contenders = {name: partial(by, kind, service, calls) for name, kind in CONTENDERS.items()}
        rows = alternate(contenders, rounds)
    return Figure(
        "fleet_call",
        "A direct call with a shared state",
        f"{calls} direct calls of one process, one after the other, under the limit of Genesys, 300 in a minute, of which none is"
        " used before. The service responds at once. Redis and the file are on the same machine, and nobody else uses them. So"
        " this is what a call pays for asking the shared state before it is sent: a `load` and a `swap`. The text that is swapped"
        " grows by one time with each request of the window.",
        (WALL, CPU),
        tuple(rows),
    )


def by(kind: str | None, service: Service, calls: int) -> Measures:
    """Measure calls with a shared state of this kind, a new one."""

    async def work(where: str | None) -> Measures:
        async with (
            shared_state(where) as store,
            CoachingClient(AccessToken(service.token), base_url=service.url, shared_state=store) as client,
        ):
            await client.appointments.get(service.appointment_ids[0])
            with clocks() as taken:
                for _ in range(calls):
                    await client.appointments.get(service.appointment_ids[0])
        return {WALL: 1000 * taken.wall / calls, CPU: 1000 * taken.cpu / calls}

    with place(kind) as where:
        return asyncio.run(work(where))


if __name__ == "__main__":
    main(measure)
