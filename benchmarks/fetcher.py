"""A contender that fetches pages, one order at a time, in a process that imports only what it uses.

    python -m benchmarks.fetcher CONTENDER ENGINE

An order is a line of JSON: the arguments of one of the functions below. The output is a line of JSON as well: the seconds that it took.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import attrs

from benchmarks.clocks import Clocks, clocks
from benchmarks.engines import ENGINES
from benchmarks.service import Service

Fetch = Callable[..., Coroutine[Any, Any, Clocks]]


async def by_us(
    service: Service, engine: str, *, pages: int, size: int, concurrency: int, kept: bool, by_orjson: bool = False
) -> Clocks:
    """Fetch with this client, by a walk or a stream."""
    from benchmarks.clients import ours

    async with ours(service, engine, by_orjson=by_orjson) as client:
        await client.warmup()
        listing = client.appointments.list(service.user_ids, page_size=size)
        ids: set[str] = set()
        with clocks() as taken:
            if kept:
                items = await listing.collect(concurrency=concurrency)
            elif concurrency == 1:
                async for item in listing:
                    ids.add(item.id)
            else:
                async with listing.stream(concurrency) as stream:
                    async for item in stream:
                        ids.add(item.id)
    assert len({item.id for item in items} if kept else ids) == pages * size
    return taken


async def by_hand(service: Service, engine: str, *, pages: int, size: int, concurrency: int, kept: bool) -> Clocks:
    """Fetch with the hand-written client, by `concurrency` workers and connections; in any order if nothing is kept."""
    from benchmarks import handwritten

    ids: set[str] = set()
    found: dict[int, tuple[handwritten.Appointment, ...]] = {}

    def take(number: int, appointments: tuple[handwritten.Appointment, ...]) -> None:
        if kept:
            found[number] = appointments
            return
        for appointment in appointments:
            ids.add(appointment.id)

    async with ENGINES[engine](concurrency) as http:
        with clocks() as taken:
            await handwritten.read(http, service, pages, size, concurrency, take)
            items = [item for number in sorted(found) for item in found[number]]
    assert len({item.id for item in items} if kept else ids) == pages * size
    return taken


CONTENDERS: Final[dict[str, Fetch]] = {
    "ours": by_us,
    "ours with orjson": partial(by_us, by_orjson=True),
    "hand-written": by_hand,
}


def main() -> None:
    """Carry out the orders on standard input."""
    contender, engine = sys.argv[1:]
    fetch = CONTENDERS[contender]
    for line in sys.stdin:
        url, token, user_ids, how = json.loads(line)
        service = Service(url, 0, token, tuple(user_ids))
        gc.collect()  # so that this run does not pay for the garbage of the previous one
        print(json.dumps(attrs.asdict(asyncio.run(fetch(service, engine, **how)))), flush=True)


if __name__ == "__main__":
    main()
