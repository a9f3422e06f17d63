"""`NotificationStream` and `TopicStream`: what a listener has received, for the reader's `async for`."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeAlias, TypeVar

import anyio
import attrs

from coaching_async._api.client import PLATFORM_ROOT, ApiClient
from coaching_async._api.session import CLIENT_CLOSED, Session
from coaching_async._concurrency.synchronization import SingleTaskGuard
from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._exceptions import BadRequest, ClientMisuse
from coaching_async._refusals.async_only import AsyncContextOnly, AsyncOnly
from coaching_async._value import NotCopyable, summary
from coaching_async.models.channels import ChannelEvent, ChannelTopic
from coaching_async.models.notifications import Notification
from coaching_async.models.users import User

from .catch_up import CatchUpPager, Start
from .frames import notification_topic
from .known import KnownNotifications
from .notification_cursor import encode_cursor
from .reports import Gap, ListenReport

if TYPE_CHECKING:  # what only listeners need is imported when the first one is entered
    from .channels import Channels
    from .listener import Listener
    from .receivers import Buffer, EventReceiver, NotificationReceiver

__all__ = ["ListenerState", "NotificationStream", "TopicStream"]

T = TypeVar("T")

ListenerState: TypeAlias = Literal["opening", "live", "moving", "waiting", "ended"]
"""What a listener does: it opens a WebSocket, has one, moves to another one while it has one, pauses before the next
attempt, or has ended."""


class ListenerStream(AsyncOnly, AsyncContextOnly, NotCopyable, AsyncIterator[T], Generic[T]):
    """Base of the streams: enters and leaves the listener, and waits for what it receives."""

    _instead = "it is used once, by one task"
    _instead_of_for = "`async with ... as stream`, and `async for` over the stream in it"
    _instead_of_len = "its `report`, which has the counts so far"
    _instead_of_index = "`await anext(stream)` for the next one"
    _pager: "CatchUpPager | None" = None

    def __init__(self, api: ApiClient, buffer: int, *, is_partial: bool) -> None:
        self._api = api
        self._buffer_size = buffer
        self._is_partial = is_partial
        self._guard = SingleTaskGuard("stream")
        self._problem: str | None = "a stream is used inside its block: async with ... as stream"
        self._is_entered = False
        self._session: Session
        self._tasks: ErrorCollectingTaskGroup
        self._buffer: Buffer[T]
        self._receiver: NotificationReceiver | EventReceiver
        self._channels: Channels | None = None
        self._listener: Listener | None = None

    def __repr__(self) -> str:
        report = self.report
        return summary(self, self.state if self._is_entered else "not entered", events=report.frames, gaps=report.gaps)

    @property
    def state(self) -> ListenerState:
        """What the listener does at the moment."""
        state = "opening" if self._listener is None else self._listener.state
        return "opening" if state == "idle" else state

    @property
    def silence(self) -> float | None:
        """Seconds since the service was last heard over a WebSocket; None until it is.

        Its heartbeats, which come every 30 s, count as well. So a health check may ask for less than a minute.
        """
        heard_at = None if self._listener is None else self._listener.heard_at
        return None if heard_at is None else anyio.current_time() - heard_at

    @property
    def report(self) -> ListenReport:
        """Counts so far."""
        if self._channels is None:
            return ListenReport()
        counts, pager = self._receiver.counts, self._pager
        return ListenReport(
            frames=counts.frames,
            duplicates=counts.duplicates,
            filled=0 if pager is None else pager.found,
            dropped=counts.dropped + self._buffer.dropped,
            gaps=counts.gaps,
            channels=self._channels.created,
            reconnects=counts.reconnects,
            pages=0 if pager is None else pager.pages,
            failures=counts.failures,
            rows_left_out=0 if pager is None else pager.rows_left_out,
            left_out=() if pager is None else pager.left_out,
        )

    @property
    def rejected(self) -> tuple[ChannelTopic, ...]:
        """The topics that the service refused. Without `partial` there are none, because each is an error."""
        return () if self._channels is None else self._channels.rejected

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise ClientMisuse("a stream is used once: make another one")
        self._is_entered = True
        from .channels import Channels
        from .listener import Listener
        from .machine.messages import BufferDrained, BufferFilled, Entered
        from .receivers import Buffer
        from .socket.websocket import require_websockets

        require_websockets()
        self._session = self._api.get_session()
        self._session.raise_if_closed()
        self._buffer = Buffer(self._buffer_size)
        topics, self._receiver = await self._prepare()
        self._channels = Channels(self._api, topics, is_partial=self._is_partial)
        listener = self._listener = Listener(self._api, self._channels, self._receiver, self._buffer.changed)
        self._buffer.on_full = lambda: listener.put(BufferFilled())
        self._buffer.on_drained = lambda since: listener.put(BufferDrained(since))
        await self._start(listener)
        listener.put(Entered())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._problem = "this stream has ended with its block: make another one"
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, traceback)

    async def __anext__(self) -> T:
        self._guard.enter()
        try:
            if self._problem is not None:
                raise ClientMisuse(self._problem)
            self._raise_if_foreign()
            while not len(self._buffer):
                self._raise_if_ended()
                await self._buffer.changed.wait()
                self._raise_if_foreign()
            return self._buffer.take()
        finally:
            self._guard.exit()

    async def _prepare(self) -> "tuple[Sequence[str], NotificationReceiver | EventReceiver]":
        """Return the topics, and what becomes of their events. Whatever has to be read before the channel is read here."""
        raise NotImplementedError

    async def _start(self, listener: "Listener") -> None:
        """Start the listener, and wait until it has a WebSocket and has caught up, or waits for the reader."""
        self._tasks = ErrorCollectingTaskGroup()
        await self._tasks.__aenter__()
        try:
            # In an empty context, because its requests belong to no call of the reader's.
            Context().run(self._tasks.start_soon, listener.run)
            while not (listener.is_ready or self._buffer.is_awaited):
                self._raise_if_foreign()
                self._raise_if_ended()
                await self._buffer.changed.wait()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        self._problem = None

    def _raise_if_foreign(self) -> None:
        """Raise `ClientMisuse` if the client is closed, or used in another event loop."""
        if self._session.is_closed:
            raise ClientMisuse(CLIENT_CLOSED)
        if self._api.get_session() is not self._session:
            raise ClientMisuse("this stream belongs to an event loop that has ended: make another one")

    def _raise_if_ended(self) -> None:
        """Raise what has ended the listener."""
        if self._listener is not None and self._listener.is_ended:
            self._problem = "this stream ended with an error: make another one"
            raise self._listener.failure or ClientMisuse(self._problem)


class NotificationStream(ListenerStream[Notification]):
    """Async iterator over notifications as they happen: `async with` it, then `async for` over it.

    The listener opens a channel and a WebSocket when the block is entered, and replaces them whenever that is necessary. It
    closes them when the block is left.

    **One's own notifications** come exactly once each. What happened while there was no WebSocket is read from the list of
    notifications, so it comes late, and in the order of the list. A notification that was created and deleted meanwhile is
    not seen. **Those of others** come at most once each, in their order. The service keeps nothing, so what happened while
    there was no WebSocket is missing: `on_gap` is told about it.

    One task reads. It may be slow: when `buffer` notifications wait for it, the next ones are dropped, and read from the list
    when it has taken the rest.
    """

    def __init__(
        self,
        api: ApiClient,
        user_ids: Sequence[str] | None,
        known: KnownNotifications,
        start: Start,
        buffer: int,
        *,
        is_partial: bool,
        on_gap: Callable[[Gap], None] | None,
    ) -> None:
        super().__init__(api, buffer, is_partial=is_partial)
        self.on_gap = on_gap
        """A plain function that is called with each gap when it is over: one's own notifications were read from the list then.

        What it raises ends the stream, and is raised there. It may be set until the block is entered.
        """
        self._user_ids = user_ids
        self._known = known
        self._begin: Start = start

    @property
    def cursor(self) -> str | None:
        """Opaque text with which another process goes on after the last notification that was handed out.

        It has 12 characters for each notification that is known. It is None for notifications of others, and until the first
        reading of the list has ended.
        """
        if self._pager is None or not self._pager.is_started:
            return None
        return encode_cursor(self._known, [notification.id for notification in self._buffer.items])

    async def _prepare(self) -> "tuple[Sequence[str], NotificationReceiver]":
        from .receivers import NotificationReceiver

        owner = await self._find_owner()
        user_ids = self._user_ids or (owner or "",)
        if owner is not None:
            self._known.set_owner(owner)
            self._pager = CatchUpPager(self._known, self._begin, owner=owner)
        elif self._begin != "new":
            raise ValueError(
                "start and cursor need a list, and that has only the notifications of the token's own user"
            )
        receiver = NotificationReceiver(
            self._api, self._buffer, user_ids, self._known, self._pager, lambda gap: self.on_gap and self.on_gap(gap)
        )
        if owner is not None and self._begin == "new":
            await receiver.catch_up()  # without this a notification whose event is late would be taken for an old one
        return tuple(map(notification_topic, user_ids)), receiver

    async def _find_owner(self) -> str | None:
        """Return the id of the token's user if the notifications are that user's, and None if they are others'."""
        if self._user_ids is not None and len(self._user_ids) != 1:
            return None
        try:
            me = await attrs.evolve(self._api, root=PLATFORM_ROOT).get(User, "users.me", "users", "me")
        except BadRequest as error:
            if error.code != "not.a.user":
                raise
            if self._user_ids is None:
                error.args = (f"{error}; or name the users: listen(user_ids)",)
                raise
            return None
        is_own = self._user_ids is None or self._user_ids[0].casefold() == me.id.casefold()
        return me.id if is_own else None


class TopicStream(ListenerStream[ChannelEvent[object] | Gap]):
    """Async iterator over the events of any topics: `async with` it, then `async for` over it.

    The body of an event is a `Notification`, a `ScheduleSlotsJob`, or else a mapping with the names of the JSON. The service
    keeps nothing, so what happened while there was no WebSocket is missing. Then a `Gap` stands where it was: read again
    what the events are about. Between gaps, events come in their order, and at most once each.

    One task reads. It may be slow: when `buffer` events wait for it, the next ones are dropped, and a `Gap` stands in their place.
    """

    def __init__(self, api: ApiClient, topics: Sequence[str], buffer: int, *, is_partial: bool) -> None:
        super().__init__(api, buffer, is_partial=is_partial)
        self._topics = topics

    async def _prepare(self) -> "tuple[Sequence[str], EventReceiver]":
        from .receivers import EventReceiver

        return self._topics, EventReceiver(self._api, self._buffer)
