"""The hub: reads one stream, and hands each notification to the subscribers of its user."""

import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from types import TracebackType
from typing import Final, Self, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import checkpoint

from coaching_async import ClientMisuse, Gap, Notification, NotificationStream
from coaching_async._refusals.arguments import checked_count, several_ids

from ._detached_task import DetachedTask
from ._history import History
from ._queue import Item, Missed, SubscriberQueue
from ._subscription import Subscription

__all__ = ["Hub"]

LOGGER: Final = logging.getLogger("coaching_async.fanout")


class Hub:
    """Reads one stream of notifications in a task of its own, and hands each one to the subscribers of its user.

    `stream` is `client.notifications.listen(...)`, `client.notifications.watch(...)`, or any other async iterator of
    notifications. It is given without being entered: the hub's task enters and leaves it. A gap of `listen` that is not filled
    is a `Missed` for every subscriber. An iterator of your own may return a `Missed` as well. `history` notifications of all
    users are kept, for subscribers that come back.

        async with Hub(client.notifications.listen(team)) as hub:
            with hub.subscribe(user_id) as subscription:
                async for notification in subscription:
                    ...

    The block opens no cancel scope and no task group in the caller's task. So it may be entered in a fixture or in the
    lifespan of an application, and be left by another task of the same event loop. An error that the stream raises when it is
    entered is raised there. If the stream fails later, the error is logged, `error` has it, and each subscriber gets it. The
    block is not cancelled. A hub is used once. It belongs to one event loop, and not to several threads.
    """

    def __init__(self, stream: AsyncIterator[Item], *, history: int = 1000) -> None:
        if not isinstance(stream, AsyncIterator):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("stream is an async iterator of notifications: client.notifications.listen(...)")
        self._stream: Final = stream
        self._history: Final = History(checked_count("history", history, at_least=0))
        self._subscribers: Final[WeakKeyDictionary[SubscriberQueue, frozenset[str]]] = WeakKeyDictionary()
        self._name: Final = secrets.token_hex(4)
        self._created: Final = time.monotonic_ns()
        self._position = 0
        self._task: Final = DetachedTask(self._pump, self._on_ended)
        self._opened: Final = anyio.Event()
        self._is_entered = False
        self._is_open = True
        self._error: Exception | None = None
        self._entering_error: Exception | None = None
        self._has_warned = False

    def __repr__(self) -> str:
        if "_has_warned" not in self.__dict__:  # `__init__` has raised
            return object.__repr__(self)
        return f"{type(self).__name__}({self.subscribers} subscribers{'' if self._error is None else ', failed'})"

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise ClientMisuse("this hub has been entered already: make a new one")
        self._is_entered = True
        self._task.start()
        try:
            await self._opened.wait()
        except BaseException:
            await self._task.stop()
            raise
        if self._entering_error is not None:
            raise self._entering_error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        await self._task.stop()

    @property
    def error(self) -> Exception | None:
        """Error that the stream has failed with, for a health check. Nothing comes any more after it."""
        return self._error

    @property
    def subscribers(self) -> int:
        """Number of open subscriptions."""
        return len(self._subscribers)

    def subscribe(
        self, user_ids: str | UUID | Iterable[str | UUID], *, last_event_id: str | None = None, room: int = 1000
    ) -> Subscription:
        """Subscribe to the notifications of one user, or of several. Those of other users are not handed out.

        With the `last_event_id` of an earlier subscription it begins behind that place, with what the hub has kept since. A
        `Missed` comes first if the hub has not kept all of it, or if the id is from another hub. `room` notifications may
        wait for a slow subscriber, beside those that it begins with.

        Raises: `ValueError` without a user id, with a blank one, or if `room` is not at least 1.
        """
        users = _to_user_ids(user_ids)
        checked_count("room", room)
        position, missed = self._position_after(last_event_id)
        kept = [*missed, *self._history.since(position, users)]
        queue = SubscriberQueue(room + len(kept), position)
        for each in kept:
            queue.put(*each)
        if self._is_open:
            self._subscribers[queue] = users
        else:
            queue.end(self._error)
        return Subscription(queue, self._to_event_id, lambda: self._unsubscribe(queue))

    def close(self) -> None:
        """End all subscriptions, after what waits in them. Later ones end at once.

        Servers wait for open responses before they end an application. So call it when the server is told to stop.
        """
        self._end_subscriptions(None)

    async def _pump(self) -> None:
        if isinstance(self._stream, NotificationStream):
            self._tell_gaps_of(self._stream)
        async with _entered(self._stream) as stream:
            self._opened.set()
            async for item in stream:
                self._publish(item)
                await checkpoint()  # a stream that has many at once must not fill the queues before they are read

    def _tell_gaps_of(self, stream: NotificationStream) -> None:
        callers = stream.on_gap

        def on_gap(gap: Gap) -> None:
            if not gap.is_filled:
                self._publish(Missed(gap.dropped if gap.reason == "overflow" else None))
            if callers is not None:
                callers(gap)

        stream.on_gap = on_gap

    def _publish(self, item: Item) -> None:
        if not isinstance(item, Notification | Missed):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the stream of a hub gives notifications, and not {type(item).__name__} objects")
        user_id = None
        if isinstance(item, Notification):
            if item.user is None:
                self._warn()
                return
            user_id = item.user.id.casefold()
        position = self._next_position()
        self._history.add(position, user_id, item)
        for queue, user_ids in self._subscribers.items():
            if user_id is None or user_id in user_ids:
                queue.put(position, item)

    def _warn(self) -> None:
        if not self._has_warned:
            LOGGER.warning("the stream of a hub gives notifications without a user: no subscriber gets them")
        self._has_warned = True

    def _unsubscribe(self, queue: SubscriberQueue) -> None:
        self._subscribers.pop(queue, None)

    def _on_ended(self, error: Exception | None) -> None:
        self._error = error
        if not self._opened.is_set():
            self._entering_error = error
        elif error is not None:
            LOGGER.error("the stream of a hub has failed: nothing comes any more", exc_info=error)
        self._end_subscriptions(error)
        self._opened.set()

    def _end_subscriptions(self, error: Exception | None) -> None:
        self._is_open = False
        for queue in self._subscribers:
            queue.end(error)
        self._subscribers.clear()

    # A position is a time. A number would tell each subscriber how many notifications the other ones got.

    def _next_position(self) -> int:
        self._position = max(self._position + 1, (time.monotonic_ns() - self._created) // 1000)
        return self._position

    def _to_event_id(self, position: int) -> str:
        return f"{self._name}-{position}"

    def _position_after(self, last_event_id: str | None) -> tuple[int, list[tuple[int, Item]]]:
        """Return where a subscription begins, and a `Missed` if what came before is not known."""
        now = self._next_position()
        if not last_event_id:
            return now, []
        found = re.fullmatch(rf"{self._name}-([0-9]{{1,18}})", last_event_id)
        position = int(found[1]) if found else now + 1
        return (position, []) if position <= now else (now, [(now, Missed())])


def _entered(stream: AsyncIterator[Item]) -> AbstractAsyncContextManager[AsyncIterator[Item]]:
    if isinstance(stream, AbstractAsyncContextManager):
        return stream
    if isinstance(stream, AsyncGenerator):
        return aclosing(cast("AsyncGenerator[Item, None]", stream))
    return nullcontext(stream)


def _to_user_ids(user_ids: str | UUID | Iterable[str | UUID]) -> frozenset[str]:
    ids = several_ids(user_ids)
    if not all(isinstance(each, str | UUID) for each in ids):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("a user id is text or a UUID")
    texts = frozenset(str(each).casefold() for each in ids)
    if not texts or any(not each or each != each.strip() for each in texts):
        raise ValueError("a subscription is for one or more user ids, without blanks around them")
    return texts
