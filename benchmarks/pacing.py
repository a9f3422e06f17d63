"""Latency of direct calls beside a bulk at the rate limit, and the cost of a wrong limit, over real sockets with the sandbox.

    python benchmarks/pacing.py

The window is two seconds instead of a minute. The results are ratios, not times. `rate.py` measures how much of the limit
is used.
"""

import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from coaching_async import ClientCredentials, CoachingClient, RateLimit
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox

WINDOW = 2.0
ITEMS = 2000
EVERY = 0.1
"""Seconds from one direct call beside the bulk to the next."""


async def beside(limit: int) -> dict[str, float]:
    """Return the latency of direct calls during a bulk, in shares of the window (`window / limit`)."""
    waits: list[float] = []
    with Sandbox(rate_limit=limit, rate_window=WINDOW) as sandbox:
        async with client_of(sandbox, limit) as client:
            id_ = next(iter(sandbox.state.appointments.values()))["id"]

            async def handle() -> None:
                while True:
                    await anyio.sleep(EVERY)
                    waits.append(await timed(partial(client.appointments.get, id_)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(handle)
                await bulk(client, sandbox)
                tasks.cancel_scope.cancel()
            throttled = client.stats().throttled
    share = WINDOW / limit
    return {
        "calls": len(waits),
        "median, in shares": statistics.median(waits) / share,
        "longest, in shares": max(waits) / share,
        "429s": throttled,
    }


async def half(limit: int) -> dict[str, float]:
    """Return the figures of a service that allows half of the client's rate limit."""
    with Sandbox(rate_limit=limit // 2, rate_window=WINDOW) as sandbox:
        async with client_of(sandbox, limit) as client:
            before = []

            async def look() -> None:
                await anyio.sleep(WINDOW)
                before.append(client.stats())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(look)
                await bulk(client, sandbox)
            first, all_ = before[0], client.stats()
    later = all_.requests - first.requests
    return {
        "arrived": ITEMS,
        "429s in the first window": first.throttled,
        "429s later, of the requests": (all_.throttled - first.throttled) / later,
    }


def client_of(sandbox: Sandbox, limit: int) -> CoachingClient:
    """Return a client with a rate limit of `limit` requests in a window."""
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    return CoachingClient(auth, base_url=sandbox.base_url, rate_limit=RateLimit(limit, per=WINDOW))


async def bulk(client: CoachingClient, sandbox: Sandbox) -> None:
    """Read `ITEMS` appointments, the same ones of the sandbox repeatedly."""
    ids = [row["id"] for row in sandbox.state.appointments.values()]
    again = (ids[number % len(ids)] for number in range(ITEMS))
    result = await client.appointments.get_many(again)
    result.raise_for_failures()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds that `work` takes."""
    start = anyio.current_time()
    await work()
    return anyio.current_time() - start


def main() -> None:
    """Run all measurements, on both backends."""
    for backend in ("asyncio", "trio"):
        for measure in (beside, half):
            figures = anyio.run(measure, 300, backend=backend)
            sys.stdout.write(
                f"{backend} {measure.__name__}: {json.dumps({k: round(v, 4) for k, v in figures.items()})}\n"
            )


if __name__ == "__main__":
    main()
