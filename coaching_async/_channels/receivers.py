"""What becomes of the events of a listener: the buffer, and what is put into it, once each."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs

from coaching_async._api.client import ApiClient
from coaching_async._concurrency.synchronization import Signal
from coaching_async.models.channels import ChannelEvent
from coaching_async.models.common import UserReference
from coaching_async.models.notifications import Notification

from .catch_up import CatchUpPager, CatchUpResult, catch_up, notification_page_reader
from .known import KnownNotifications
from .reports import Counts, Gap, GapReason

__all__ = ["Buffer", "EventReceiver", "NotificationReceiver"]

T = TypeVar("T")


OVERLAP_MEMORY: Final = 15.0
"""Seconds for which an event is remembered that came while two WebSockets were open, because the other one may bring it later."""


class Buffer(Generic[T]):
    """Up to `limit` items that wait for the reader, who may be slow.

    When it is full, items are dropped until the reader has emptied it and `resume` was called. So what is missing stood in
    one place. `on_full` is called for the first item that is dropped. `on_drained` is called with the time of that when the
    reader has taken the last item.
    """

    def __init__(self, limit: int) -> None:
        self.changed = Signal()
        """Wakes the reader."""
        self.on_full: Callable[[], None] = lambda: None
        self.on_drained: Callable[[float], None] = lambda _: None
        self.dropped = 0
        """Items that were dropped since the last `resume`."""
        self._limit = limit
        self._items: deque[T] = deque()
        self._taken = Signal()
        self._dropping_since: float | None = None
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> Iterable[T]:
        """The items that the reader has not taken yet."""
        return self._items

    @property
    def has_room(self) -> bool:
        """Whether the next item would not be dropped."""
        return self._dropping_since is None and len(self._items) < self._limit

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for room."""
        return self._waiting > 0

    def offer(self, item: T) -> bool:
        """Add an item, or drop it. Return whether it was added."""
        if self.has_room:
            self.put(item)
            return True
        self.dropped += 1
        self.start_dropping(anyio.current_time())
        return False

    def put(self, item: T) -> None:
        """Add an item. There has to be room."""
        self._items.append(item)
        self.changed.notify_all()

    def start_dropping(self, since: float) -> None:
        """Drop all items from now on. Something is missing after the last one, `since` this time."""
        is_first = self._dropping_since is None
        self._dropping_since = since if self._dropping_since is None else min(since, self._dropping_since)
        if is_first:
            self.on_full()

    async def wait_for_room(self) -> None:
        """Wait until the reader has made room."""
        while not self.has_room:
            self._waiting += 1
            self.changed.notify_all()
            try:
                await self._taken.wait()
            finally:
                self._waiting -= 1

    def take(self) -> T:
        """Return the next item, and remove it."""
        item = self._items.popleft()
        if self._dropping_since is not None and not self._items:
            self.on_drained(self._dropping_since)
        self._taken.notify_all()
        return item

    def resume(self) -> int:
        """Accept items again. Return how many were dropped."""
        dropped, self.dropped, self._dropping_since = self.dropped, 0, None
        self._taken.notify_all()
        return dropped


class BaseReceiver(Generic[T]):
    """What the receivers have in common."""

    def __init__(self, api: ApiClient, buffer: Buffer[T]) -> None:
        self.counts = Counts()
        self._api = api
        self._buffer = buffer
        self._dropped = 0
        """Events that were dropped in a gap which is not reported yet."""

    def resume(self) -> int:
        """Accept events again after the buffer was full. Return how many were dropped."""
        dropped = self._buffer.resume()
        self.counts.dropped += dropped
        self._dropped += dropped
        return dropped

    def _gap(self, reason: GapReason, since: float, *, is_filled: bool = False) -> Gap:
        seconds = anyio.current_time() - since
        began = self._api.clock.to_service_time(datetime.now(UTC) - timedelta(seconds=seconds))
        dropped, self._dropped = self._dropped, 0
        return Gap(reason=reason, since=began, seconds=seconds, dropped=dropped, is_filled=is_filled)


class NotificationReceiver(BaseReceiver[Notification]):
    """Receives the notifications of some users, each once, by its id.

    With a `pager` they are those of the token's own user, and what no event brought is read from the list.
    """

    def __init__(
        self,
        api: ApiClient,
        buffer: Buffer[Notification],
        user_ids: Iterable[str],
        known: KnownNotifications,
        pager: CatchUpPager | None,
        on_gap: Callable[[Gap], None],
    ) -> None:
        super().__init__(api, buffer)
        self.has_list = pager is not None
        self._users = {id_.casefold(): UserReference(id=id_) for id_ in user_ids}
        self._known = known
        self._pager = pager
        self._on_gap = on_gap
        self._read_page = notification_page_reader(api)
        self._gaps: list[Gap] = []
        """Gaps that are over, and not filled yet."""
        self._filled_gaps: list[Gap] = []

    def receive(self, event: ChannelEvent[Any], slot: int, text: str, *, is_overlap: bool) -> str | None:  # noqa: ARG002
        """Take an event. Return its notification's id, if that may be in the list."""
        notification = event.event_body
        user = getattr(notification, "user", None)
        if not isinstance(notification, Notification) or user is None or user.id.casefold() not in self._users:
            return None  # of a topic that was not asked for
        self.counts.frames += 1
        if notification.id in self._known:
            self.counts.duplicates += 1
        elif self._pager is not None and self._pager.is_unwanted(notification):
            pass  # an old one that was marked as read just now
        elif self._buffer.offer(notification):
            self._known.add(notification.id)
        return notification.id if self.has_list else None

    async def catch_up(self) -> CatchUpResult:
        """Read the list and take what is new."""
        assert self._pager is not None  # noqa: S101 # there is a list
        gaps, self._gaps = self._gaps, []
        try:
            result = await catch_up(self._pager, self._read_page, self._buffer.wait_for_room, self._put_row)
        except BaseException:
            self._gaps[:0] = gaps
            raise
        self._filled_gaps += gaps
        return result

    def tell_gaps(self) -> None:
        """Tell the reader of the gaps that were filled."""
        gaps, self._filled_gaps = self._filled_gaps, []
        for gap in gaps:
            self._on_gap(gap)

    def _put_row(self, notification: Notification) -> None:
        if notification.user is None:
            (user,) = self._users.values()
            notification = attrs.evolve(notification, user=user)
        self._buffer.put(notification)

    def report_gap(self, reason: GapReason, since: float) -> None:
        """Take a gap that is over. With a list it is passed on when it was filled, otherwise at once."""
        if self.has_list:
            self._gaps.append(self._gap(reason, since, is_filled=True))
        else:
            self._on_gap(self._gap(reason, since))


class EventReceiver(BaseReceiver[ChannelEvent[object] | Gap]):
    """Receives the events of any topics. Gaps stand among them, where they were."""

    has_list = False

    def __init__(self, api: ApiClient, buffer: Buffer[ChannelEvent[object] | Gap]) -> None:
        super().__init__(api, buffer)
        self._overlap = Overlap()

    def receive(self, event: ChannelEvent[Any], slot: int, text: str, *, is_overlap: bool) -> str | None:
        """Take an event."""
        self.counts.frames += 1
        if self._overlap.is_repeat(text, slot, anyio.current_time(), is_overlap=is_overlap):
            self.counts.duplicates += 1
        else:
            self._buffer.offer(event)
        return None

    async def catch_up(self) -> CatchUpResult:
        """Do nothing, because there is no list."""
        return CatchUpResult((), 0)

    def tell_gaps(self) -> None:
        """Do nothing, because gaps stand among the events."""

    def report_gap(self, reason: GapReason, since: float) -> None:
        """Put a gap into the buffer. Without room it becomes a part of the gap in which the buffer was full."""
        if self._buffer.has_room:
            self._buffer.put(self._gap(reason, since))
        else:
            self._buffer.start_dropping(since)


class Overlap:
    """The events that came while two WebSockets were open, to recognize what the second one of them brings again.

    Events have no ids that are always there, so they are compared by their texts. Each event on one WebSocket matches one
    on the other, because the same text may be that of another event.
    """

    def __init__(self) -> None:
        self._unmatched: defaultdict[tuple[int, int], deque[float]] = defaultdict(deque)
        """Times of events that have come on one WebSocket only, by slot and hash of the text."""
        self._recent: deque[tuple[float, tuple[int, int]]] = deque()
        """The same events by time, with those that were matched since."""
        self._slots: set[int] = set()

    def is_repeat(self, text: str, slot: int, now: float, *, is_overlap: bool) -> bool:
        """Return whether the other WebSocket has brought this event."""
        self._forget(now - OVERLAP_MEMORY)
        if not (self._recent or is_overlap):
            return False
        digest = hash(text)
        for other in self._slots - {slot}:
            if times := self._unmatched.get((other, digest)):
                times.popleft()
                return True
        if is_overlap:
            self._slots.add(slot)
            self._unmatched[slot, digest].append(now)
            self._recent.append((now, (slot, digest)))
        return False

    def _forget(self, until: float) -> None:
        while self._recent and self._recent[0][0] < until:
            time, key = self._recent.popleft()
            times = self._unmatched[key]
            if times and times[0] == time:  # it was not matched
                times.popleft()
            if not times:
                del self._unmatched[key]
        if not self._recent:
            self._slots.clear()
