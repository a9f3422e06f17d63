"""What waits for one subscriber."""

import copy
from collections import deque
from typing import Final, NoReturn, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from coaching_async import ClientMisuse, Notification

__all__ = ["Item", "Missed", "SubscriberQueue"]


@attrs.frozen
class Missed:
    """Notifications that a subscriber does not get. It comes at the place where they would have come."""

    count: int | None = None
    """How many. None if that is not known."""


Item: TypeAlias = Notification | Missed


class SubscriberQueue:
    """A queue with room for `room` items. Where there is no room, the oldest item is dropped and counted.

    `position` is behind the item that was returned last.
    """

    def __init__(self, room: int, position: int) -> None:
        self.position: int = position
        self._room: Final = room
        self._items: deque[tuple[int, Item]] = deque()
        self._dropped: tuple[int, Missed] | None = None
        self._changed = anyio.Event()
        self._is_read = False
        self._is_ended = False
        self._error: Exception | None = None

    def put(self, position: int, item: Item) -> None:
        """Add an item, and drop the oldest one if there is no room."""
        if len(self._items) >= self._room:
            self._drop(*self._items.popleft())
        self._items.append((position, item))
        self._changed.set()

    def end(self, error: Exception | None = None) -> None:
        """Return what is in the queue, and nothing more. After that each `get` raises the error, if there is one."""
        if not self._is_ended:
            self._is_ended, self._error = True, error
            self._changed.set()

    def discard(self) -> None:
        """End, and return nothing more."""
        self._items.clear()
        self._dropped = self._error = None
        self._is_ended = True
        self._changed.set()

    async def get(self) -> Item:
        """Wait for the next item, and return it. Raises `StopAsyncIteration` at the end."""
        if self._is_read:
            raise ClientMisuse("two tasks share one subscription, and each would miss what the other gets")
        self._is_read = True
        try:
            await anyio.lowlevel.checkpoint()
            while not self._items and not self._is_ended:  # what was dropped has left an item behind
                self._changed = anyio.Event()
                await self._changed.wait()
        finally:
            self._is_read = False
        if not self._items and self._dropped is None:
            self._raise_end()
        return self._next()

    def _next(self) -> Item:
        dropped, self._dropped = self._dropped, None
        self.position, item = dropped or self._items.popleft()
        return item

    def _drop(self, position: int, item: Item) -> None:
        before = 0 if self._dropped is None else self._dropped[1].count
        more = item.count if isinstance(item, Missed) else 1
        self._dropped = position, Missed(None if before is None or more is None else before + more)

    def _raise_end(self) -> NoReturn:
        if self._error is None:
            raise StopAsyncIteration
        raise _copy_of(self._error)


def _copy_of(error: Exception) -> Exception:
    """Return a copy, because each subscriber's task adds its frames to the error that it raises."""
    try:
        copied = copy.copy(error)
    except Exception:  # noqa: BLE001 # an error whose class cannot be called with its `args`
        return error
    return copied.with_traceback(error.__traceback__)
