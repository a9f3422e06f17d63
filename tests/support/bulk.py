"""Doubles and shorthands for the tests of bulk."""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel

from coaching_async import BulkResult, CoachingClient
from tests.support.doubles import Service


def make_client(concurrency: int = 3) -> CoachingClient:
    """One that is asked nothing."""
    return Service([]).client(max_concurrency=concurrency)


async def nothing(_: int) -> None:
    await anyio.lowlevel.checkpoint()


async def bytes_an_item(few: int, many: int) -> float:
    """What each item more of a bulk costs at its peak."""
    client, items, peaks = make_client(), list(range(many)), list[int]()
    await client.bulk(nothing, items[:100])
    for count in (few, many):
        gc.collect()
        tracemalloc.start()
        result = await client.bulk(nothing, items[:count])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(result.outcomes) == count
    return (peaks[1] - peaks[0]) / (many - few)


class Work:
    """An async function of one item that fails on order, and remembers what it was called for."""

    def __init__(self, failures: dict[Any, BaseException] | None = None, seconds: float = 1.0) -> None:
        self.failures = failures or {}
        self.seconds = seconds
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.peak = 0

    @property
    def under_way(self) -> int:
        return len(self.begun) - len(self.ended) - len(self.cancelled)

    async def __call__(self, item: Any) -> str:
        self.begun.append(item)
        self.peak = max(self.peak, self.under_way)
        try:
            await anyio.sleep(self.seconds)
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(item)
            raise
        self.ended.append(item)
        if item in self.failures:
            raise self.failures[item]
        return f"value {item}"


class Input(AsyncIterator[int]):
    """An async input without an end, unless it is given one; it may wait before an item, or fail instead of it."""

    def __init__(
        self, end: int | None = None, *, waits: int | None = None, failure: BaseException | None = None
    ) -> None:
        self.drawn = 0
        self._end, self._waits, self._failure = end, waits, failure

    async def __anext__(self) -> int:
        await anyio.lowlevel.checkpoint()
        if self.drawn == self._end:
            raise self._failure or StopAsyncIteration
        if self.drawn == self._waits:
            await anyio.sleep_forever()
        self.drawn += 1
        return self.drawn - 1


def kinds(result: BulkResult[Any, Any]) -> list[str]:
    """Of each outcome: what it is."""
    return [
        "ok" if each.is_ok else type(each.error).__name__ if each.is_started else "not started"
        for each in result.outcomes
    ]
