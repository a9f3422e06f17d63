"""Doubles and helpers for the tests of bulk calls."""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel

from coaching_async import BulkResult, CoachingClient
from tests.support.doubles import Service


def make_client(concurrency: int = 3) -> CoachingClient:
    """Make a client whose service gets no request."""
    return Service([]).client(max_concurrency=concurrency)


async def nothing(_: int) -> None:
    await anyio.lowlevel.checkpoint()


async def bytes_an_item(few: int, many: int) -> float:
    """Return by how many bytes the peak memory of a bulk grows with each further item."""
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
    """An async function of one item that fails for the items in `failures`, and records its calls."""

    def __init__(self, failures: dict[Any, BaseException] | None = None, seconds: float = 1.0) -> None:
        self.failures = failures or {}
        self.seconds = seconds
        self.started: list[Any] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.peak = 0

    @property
    def running(self) -> int:
        return len(self.started) - len(self.ended) - len(self.cancelled)

    async def __call__(self, item: Any) -> str:
        self.started.append(item)
        self.peak = max(self.peak, self.running)
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
    """An async input: endless, or with `end` items. It may wait forever before an item, or fail at its end."""

    def __init__(
        self, end: int | None = None, *, waits_before: int | None = None, failure: BaseException | None = None
    ) -> None:
        self.items_read = 0
        self._end, self._waits_before, self._failure = end, waits_before, failure

    async def __anext__(self) -> int:
        await anyio.lowlevel.checkpoint()
        if self.items_read == self._end:
            raise self._failure or StopAsyncIteration
        if self.items_read == self._waits_before:
            await anyio.sleep_forever()
        self.items_read += 1
        return self.items_read - 1


def outcome_names(result: BulkResult[Any, Any]) -> list[str]:
    """Return for each outcome "ok", "not started", or the class of its error."""
    return [
        "ok" if outcome.is_ok else type(outcome.error).__name__ if outcome.is_started else "not started"
        for outcome in result.outcomes
    ]
