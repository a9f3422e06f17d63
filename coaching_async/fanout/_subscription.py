"""What one subscriber gets."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from ._queue import Item, SubscriberQueue

__all__ = ["Subscription"]


class Subscription(AsyncIterator[Item]):
    """The notifications of some users, as `Hub.subscribe` returns it. `async for` returns them as they come.

    A subscriber that is slower than its notifications gets a `Missed` in place of the oldest ones. The iteration ends when the
    hub ends. If the hub's stream has failed, each step raises a copy of its error, after what had come before.

    It belongs to one task. It ends with its `with` block, with `close`, or when nothing refers to it any more.
    """

    def __init__(self, queue: SubscriberQueue, to_text: Callable[[int], str], unsubscribe: Callable[[], None]) -> None:
        self._queue = queue
        self._to_text = to_text
        self._unsubscribe = unsubscribe

    def __repr__(self) -> str:
        return f"{type(self).__name__}(at {self.last_event_id})"

    @property
    def last_event_id(self) -> str:
        """Place behind the item that was returned last, for `Hub.subscribe(last_event_id=...)`."""
        return self._to_text(self._queue.position)

    async def __anext__(self) -> Item:
        return await self._queue.get()

    def close(self) -> None:
        """End the subscription. What waits in it is dropped."""
        self._unsubscribe()
        self._queue.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
