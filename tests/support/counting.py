"""Processes that count in one shared state: `python -m tests.support.counting SWAPS ADDRESS file/trio coredis/asyncio ...`.

There is a process for each library and backend. They are forked from one process.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from coaching_async import FileSharedState, SharedState
from coaching_async.integrations.redis import RedisSharedState

COUNTER = "digest/counter"


@asynccontextmanager
async def opened(kind: str, address: str) -> AsyncIterator[SharedState]:
    """Open a store: of this kind, at a path or URL. Only its library is imported."""
    match kind:
        case "file":
            yield FileSharedState(address)
        case "coredis":
            import coredis

            async with coredis.Redis.from_url(address) as client:
                yield RedisSharedState(client)
        case "redis":
            import redis.asyncio

            async with redis.asyncio.Redis.from_url(address) as client:
                yield RedisSharedState(client)
        case "valkey":
            import valkey.asyncio

            async with valkey.asyncio.Valkey.from_url(address, decode_responses=True) as client:
                yield RedisSharedState(client)
        case _:
            raise ValueError(kind)


async def count(state: SharedState, swaps: int) -> None:
    """Add one to the counter, as often as `swaps` says."""
    while swaps:
        with suppress(TimeoutError):  # of a file that others had locked for 0.4 s
            text, _ = await state.load(COUNTER)
            swaps -= await state.swap(COUNTER, text, str(int(text or 0) + 1), 600)


async def _count(kind: str, address: str, swaps: int) -> None:
    async with opened(kind, address) as state:
        await count(state, swaps)


def main(swaps: int, address: str, stores: list[str]) -> int:
    children: list[int] = []
    for store in stores:
        if not (child := os.fork()):
            kind, backend = store.split("/")
            anyio.run(_count, kind, address, swaps, backend=backend)
            os._exit(0)
        children.append(child)
    return max(os.waitpid(child, 0)[1] for child in children)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]) != 0)
