"""`NotificationStream` and `TopicStream`: what a listener has received, for the reader's `async for`."""

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import Context
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeAlias, TypeVar

import anyio
import attrs

from coaching_async._api.client import ApiClient
from coaching_async._api.session import CLIENT_CLOSED, Session
from coaching_async._concurrency.synchronization import SingleTaskGuard
from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._exceptions import BadRequest, ClientMisuse
from coaching_async._value import NotCopyable
from coaching_async.models.channels import ChannelEvent, ChannelTopic
from coaching_async.models.common import UserReference
from coaching_async.models.notifications import Notification
from coaching_async.models.users import User

from .buffer import Buffer
from .reports import Counts, Gap, GapReason, ListenReport

if TYPE_CHECKING:
    from .catch_up import CatchUpPager, CatchUpResult
    from .channels import Channels
    from .listener import Listener
    from .notification_cursor import NotificationCursor

__all__ = ["ListenerState", "NotificationStream", "Start", "TopicStream"]

T = TypeVar("T")

ListenerState: TypeAlias = Literal["opening", "live", "moving", "waiting", "ended"]
"""What a listener does: it opens its first WebSocket or another one, has one, moves to another one while it has one, pauses
before the next attempt, or has ended."""

Start: TypeAlias = Literal["new", "unread", "all"]
"""The notifications that a listener begins with: none but new ones, those that are not marked as read, or all."""


OVERLAP: Final = 15.0
"""Seconds for which an event is remembered that came while two WebSockets were open, because the other may bring it later."""


class ListenerStream(NotCopyable, AsyncIterator[T], Generic[T]):
    """Base of the streams: enters and leaves the listener, and waits for its items."""

    _instead = "it is used once, by one task"

    def __init__(self, api: ApiClient, buffer: int, *, is_partial: bool) -> None:
        self._api = api
        self._buffer_size = buffer
        self._is_partial = is_partial
        self._guard = SingleTaskGuard("stream")
        self._is_entered = False
        self._problem: str | None = "a stream is used inside its block: async with ... as stream"
        self._buffer: Buffer[T]
        self._listener: Listener
        self._channels: Channels | None = None
        self._session: Session
        self._tasks: ErrorCollectingTaskGroup

    @property
    def state(self) -> ListenerState:
        """What the listener does at the moment."""
        if not self._is_entered:
            return "opening"
        state = self._listener.state
        return "opening" if state == "idle" else state

    @property
    def rejected(self) -> tuple[ChannelTopic, ...]:
        """The topics that the service refused. There are none without `partial`, because then they are an error."""
        return () if self._channels is None else self._channels.rejected

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def _enter(self) -> None:
        if self._is_entered:
            raise ClientMisuse("a stream is used once: make another one")
        self._is_entered = True
        from .websocket import require_websockets

        require_websockets()
        self._session = self._api.get_session()
        self._session.raise_if_closed()

    async def _listen(self, listener: "Listener") -> None:
        """Start the listener, and wait until it has a WebSocket and has caught up."""
        self._listener = listener
        self._tasks = ErrorCollectingTaskGroup()
        await self._tasks.__aenter__()
        try:
            # In an empty context, because its requests belong to no call of the reader's.
            Context().run(self._tasks.start_soon, listener.run)
            self._problem = None
            while not listener.is_ready and not self._buffer.is_awaited:
                self._raise_if_over()
                await self._buffer.changed.wait()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._problem = "this stream has ended with its block"
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, traceback)

    async def __anext__(self) -> T:
        self._guard.enter()
        try:
            if self._problem is not None:
                raise ClientMisuse(self._problem)
            while not len(self._buffer):
                self._raise_if_over()
                await self._buffer.changed.wait()
            if self._session.is_closed:
                self._raise_if_over()
            return self._buffer.take()
        finally:
            self._guard.exit()

    def _raise_if_over(self) -> None:
        """Raise what has ended the listener."""
        if self._session.is_closed:
            raise ClientMisuse(CLIENT_CLOSED)
        if self._api.get_session() is not self._session:
            raise ClientMisuse("this stream belongs to an event loop that has ended")
        if self._listener.is_ended:
            self._problem = "this stream ended with an error: make another one"
            raise self._listener.failure or ClientMisuse(self._problem)
