"""Who waits beside a bulk at the rate limit, and what it costs not to know the limit, over real sockets against the sandbox.

    python benchmarks/pacing.py

The window is scaled down: so many requests in two seconds instead of a minute. Ratios, not times. How much of the limit is used
is told by `rate.py`.
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
    """Direct calls while the bulk runs: how long they take, in shares of the window (`window / limit`)."""
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
    """The service allows half of what the client assumes."""
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
    """One that takes so many in a window to be allowed."""
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    return CoachingClient(auth, base_url=sandbox.base_url, rate_limit=RateLimit(limit, per=WINDOW))


async def bulk(client: CoachingClient, sandbox: Sandbox) -> None:
    """Read `ITEMS` appointments; those of the sandbox over and over."""
    ids = [row["id"] for row in sandbox.state.appointments.values()]
    again = (ids[number % len(ids)] for number in range(ITEMS))
    result = await client.appointments.get_many(again)
    result.raise_for_failures()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """The seconds that some work takes."""
    start = anyio.current_time()
    await work()
    return anyio.current_time() - start


def main() -> None:
    """Run all, on both backends."""
    for backend in ("asyncio", "trio"):
        for measure in (beside, half):
            figures = anyio.run(measure, 300, backend=backend)
            sys.stdout.write(
                f"{backend} {measure.__name__}: {json.dumps({k: round(v, 4) for k, v in figures.items()})}\n"
            )


if __name__ == "__main__":
    main()
