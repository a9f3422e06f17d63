"""Streams of notifications that a test feeds."""

from collections import deque
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.lowlevel

from coaching_async import Notification, UserReference

__all__ = ["ANN", "BOB", "FedStream", "notification"]

ANN = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
BOB = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


def notification(number: int, user_id: str | None = ANN) -> Notification:
    return Notification(id=f"n{number}", user=None if user_id is None else UserReference(id=user_id))


class FedStream:
    """A stream with the interface of a listener: entered, iterated over, and left by one task."""

    def __init__(self, *items: Any, enters: Any = None) -> None:
        self.items: deque[Any] = deque(items)
        self.enters = enters
        self.tasks: list[anyio.TaskInfo] = []
        self.is_open = False
        self._changed = anyio.Event()
        self._loop: Any = None

    def feed_from_thread(self, *items: Any) -> None:
        """Give notifications to a stream that an event loop of asyncio in another thread reads."""
        self._loop.call_soon_threadsafe(self.feed, *items)

    def feed(self, *items: Any) -> None:
        """Give notifications. An exception is raised, and None is the end."""
        self.items.extend(items)
        self._changed.set()

    async def __aenter__(self) -> Self:
        self._loop = anyio.lowlevel.current_token().native_token
        self.tasks.append(anyio.get_current_task())
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self.is_open = True
        if isinstance(self.enters, Exception):
            await self.__aexit__(None, None, None)
            raise self.enters
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.tasks.append(anyio.get_current_task())
        self.is_open = False
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await anyio.lowlevel.checkpoint()
        while not self.items:
            self._changed = anyio.Event()
            await self._changed.wait()
        item = self.items.popleft()
        if isinstance(item, Exception):
            raise item
        if item is None:
            raise StopAsyncIteration
        return item
