"""Watching notifications: an iterator that reads their list again and again."""

import math
import random
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import anyio

from coaching_async._api.client import ApiClient
from coaching_async._concurrency.synchronization import SingleTaskGuard
from coaching_async._events import FillFailed
from coaching_async._exceptions import CoachingError, ResponseError
from coaching_async._refusals.arguments import kind_of
from coaching_async._refusals.async_only import AsyncOnly
from coaching_async._value import summary
from coaching_async.models.common import Page
from coaching_async.models.notifications import Notification

from .catch_up import CatchUpPager, Start, notification_page_reader, will_pass
from .notification_cursor import encode_cursor, known_at_start
from .reports import ListenReport

__all__ = ["NotificationWatch"]


MAX_PAUSE: Final = 60.0
"""Seconds between two attempts while the service fails, unless the watch reads less often than that anyway."""


MAX_RETRY_AFTER: Final = 180.0
"""Longest time in seconds that is waited because the service asks for it."""


JITTER: Final = 0.1
"""Share of the interval by which it varies, so that processes that start together do not stay together."""


class NotificationWatch(AsyncOnly, AsyncIterator[Notification]):
    """Async iterator over the notifications of a user, each once, as they are found in the list.

    Between two steps it holds nothing, so `break` needs no cleanup, and iterating over it again goes on. After an error the
    next step goes on, too.
    """

    _instead_of_for = (
        "`async for notification in watch`, or `await client.notifications.list().collect()` for those in the list"
    )
    _instead_of_len = "`await client.notifications.list().total()`"
    _instead_of_index = "`await anext(...)` for the next one"

    def __init__(
        self, api: ApiClient, *, every: float, start: Start, cursor: str | None, expand_appointment: bool
    ) -> None:
        known, start = known_at_start(start, cursor)
        self._api = api
        self._every = _check_interval(every)
        self._pager = CatchUpPager(known, start)
        self._read_page = notification_page_reader(api, expand_appointment=expand_appointment)
        self._rows: deque[Notification] = deque()
        """The rest of the rows that the pager hands out."""
        self._is_owner_known = False
        self._has_cursor = start == "all"
        """Whether what is known is all that the next watch has to know, even before the first look has ended."""
        self._failures = 0
        self._failures_in_a_row = 0
        self._pause = 0.0
        self._next_look = 0.0
        self._guard = SingleTaskGuard("watch")

    def __repr__(self) -> str:
        if "_guard" not in self.__dict__:  # `__init__` has raised
            return object.__repr__(self)
        return summary(self, f"every {self._every:g} s", found=self._pager.found, failures=self._failures)

    @property
    def cursor(self) -> str | None:
        """What was handed out, for `notifications.watch(cursor=...)` or `listen(cursor=...)`, also in another process.

        It is opaque text, safe in a URL, and contains no ids. Of each notification in the list it has 12 characters. It is
        None until the list was read, because only then it is known what is new.
        """
        return encode_cursor(self._pager.known) if self._has_cursor or self._pager.is_started else None

    @property
    def report(self) -> ListenReport:
        """Counts so far: `filled` notifications, `pages`, `failures`, and the rows that cannot be read."""
        pager = self._pager
        return ListenReport(
            filled=pager.found,
            pages=pager.pages,
            failures=self._failures,
            rows_left_out=pager.rows_left_out,
            left_out=pager.left_out,
        )

    async def __anext__(self) -> Notification:
        self._guard.enter()
        try:
            while True:
                while self._rows:
                    notification = self._rows.popleft()
                    if self._pager.take(notification):
                        return notification
                await self._go_on()
        finally:
            self._guard.exit()

    async def _go_on(self) -> None:
        """Take one step: wait for the next look, read a page, or end a page whose rows were taken. If cancelled, it is taken again."""
        pager = self._pager
        if pager.step is None:
            await self._sleep_until_next_look()
            pager.begin(anyio.current_time())
        elif isinstance(pager.step, int):
            page = await self._read(pager.step)
            if page is None:
                return
            pager.receive(page)
        else:
            pager.receive()
        if pager.step is None:
            self._schedule_next_look(self._every)
        elif not isinstance(pager.step, int):
            self._rows.extend(pager.step)

    async def _read(self, number: int) -> Page[Notification] | None:
        """Read a page; return None after a failure that will pass. A failure ends the look, and the next one goes on."""
        try:
            page = await self._read_page(number)
            self._check_owner(page)
        except (CoachingError, ValueError) as error:
            has_read = self._pager.pages > 0
            self._pager.interrupt()
            self._failures_in_a_row += 1
            pause = min(self._every * 2 ** min(self._failures_in_a_row - 1, 32), max(self._every, MAX_PAUSE))
            retry_after = (isinstance(error, ResponseError) and error.retry_after) or 0.0
            self._schedule_next_look(max(pause, min(retry_after, MAX_RETRY_AFTER)))
            # Before anything was read, the configuration may be wrong, which waiting would hide.
            if not (has_read and isinstance(error, CoachingError) and will_pass(error, is_strict=self._api.strict)):
                raise
            self._failures += 1
            self._api.emit(FillFailed("watch", type(error).__name__))
            return None
        self._failures_in_a_row = 0
        return page

    def _check_owner(self, page: Page[Notification]) -> None:
        user = next((row.user for row in page.entities if row.user is not None), None)
        if user is not None and not self._is_owner_known:
            self._pager.known.set_owner(user.id)
            self._is_owner_known = True

    def _schedule_next_look(self, pause: float) -> None:
        self._pause = pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 # no secret
        self._next_look = anyio.current_time() + self._pause

    async def _sleep_until_next_look(self) -> None:
        """Wait until the next look is due. Closing the client ends the wait."""
        session = self._api.get_session()
        session.raise_if_closed()
        seconds = min(
            self._next_look - anyio.current_time(), self._pause
        )  # the event loop, and its clock, may be another one
        with anyio.CancelScope() as scope:
            session.add_call(scope)
            try:
                await anyio.sleep(max(0.0, seconds))
            finally:
                session.remove_call(scope)
        session.raise_if_closed()


def _check_interval(every: object) -> float:
    if isinstance(every, bool) or not isinstance(every, int | float):
        raise TypeError(f"every is a number of seconds, not {kind_of(every)}")
    if not 0 < every < math.inf:
        raise ValueError("every has to be a number of seconds above 0")
    return float(every)
