"""Catching up: finding what is new in the list of notifications with few requests. `CatchUpPager` does no I/O.

A look reads the ends of the list. If it leaves open whether something else is new, the pager of all lists reads the whole list.
This is also done now and then, because an insert and a delete in the middle of the list leave no trace at its ends.

A reading of the whole list that fails goes on at the same page in the next catch-up, after a look. What was inserted before that
page in the meantime is found by another look at the end. New rows are handed out page by page, so that none waits for a page
that may fail.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Final, Literal, TypeAlias

import anyio
import attrs

from coaching_async._api.client import ApiClient
from coaching_async._exceptions import (
    AuthError,
    CoachingError,
    DeadlineExceeded,
    DecodeError,
    RateLimited,
    ServerError,
    TransportError,
)
from coaching_async._pagination.deduplication import SeenIds
from coaching_async._pagination.pager import Pager
from coaching_async._pagination.pages import NewItems, PageRequest, PageResult, total_of
from coaching_async._pagination.report import MAX_LEFT_OUT
from coaching_async._refusals.arguments import checked_flag
from coaching_async._serialization.rows import LeftOutRow, UnreadableRow, rows_of
from coaching_async._transport.priority import bulk_priority
from coaching_async.models.common import Page
from coaching_async.models.notifications import Notification

from .known import KnownNotifications, notification_digest
from .look import Look, digests_of

__all__ = [
    "CatchUpPager",
    "CatchUpResult",
    "ReadPage",
    "Start",
    "catch_up",
    "notification_page_reader",
    "will_pass",
]

ReadPage: TypeAlias = Callable[[int], Awaitable[Page[Notification]]]
"""Reads a page of the list of notifications, by its number."""


Start: TypeAlias = Literal["new", "unread", "all"]
"""Which notifications of the list are handed out at first: none, those that are not marked as read, or all."""


Step: TypeAlias = int | Sequence[Notification]
"""The number of a page to read, or rows of a page that were unknown when it was read, to hand out."""


Steps: TypeAlias = Generator[Step, Page[Notification] | None]


PAGE_SIZE: Final = 100


MAX_READINGS: Final = 3
"""Readings of the whole list in one catch-up. More are needed only if a previous one was cut, or if the list keeps changing."""


CATCH_UPS_BETWEEN_READINGS: Final = 10
SECONDS_BETWEEN_READINGS: Final = 900.0
"""The whole list is read when this many catch-ups, and this time, have passed since it was read last."""


class WholeReading:
    """One reading of the whole list, which may be continued after a failure."""

    def __init__(self) -> None:
        self.pager = Pager[Notification](SeenIds())
        self.digests: dict[str, None] = {}
        """The rows so far, in their order."""
        self._totals: set[int | None] = set()
        self._steps = self.pager.run()
        self.step: PageRequest | NewItems[Notification] | None = next(self._steps)

    def advance(self, page: Page[Notification] | None) -> None:
        """Receive the page that was requested, or None after the new items were handed out."""
        if page is not None:
            self._totals.add(total_of(page))
        try:
            self.step = self._steps.send(None if page is None else PageResult(page))
        except StopIteration:
            self.step = None

    def surplus(self) -> int | None:
        """Return how many rows more the total of the list promises than there are; None if the list has changed, or has none.

        A service may count rows that it leaves out, or count only up to a limit.
        """
        report = self.pager.report
        (total, *others) = self._totals
        if others or total is None or report.duplicates or report.passes > 1:
            return None
        return total - len(self.digests)


class CatchUpPager:
    """Decides which pages of the list of notifications are read, and which of their rows are new.

    It is used for one catch-up after the other. Each takes the steps from `begin` until `step` is None. A catch-up that fails is
    left where it is, and the next one goes on with what it had found.
    """

    def __init__(self, known: KnownNotifications, start: Start = "all", *, owner: str | None = None) -> None:
        self.known = known
        self.step: Step | None = None
        """What to do next; None when the catch-up has ended."""
        self.pages = 0
        """Pages read."""
        self.found = 0
        """Notifications handed out."""
        self.is_started = False
        """Whether the first catch-up has ended, so that what is unknown from now on is new."""
        self._start = start
        self._owner = owner
        """Id of the user whose notifications are handed out; None if all are the user's."""
        self._steps: Steps = self._run(is_whole=True)
        self._reading: WholeReading | None = None
        """The reading that has begun, and has not ended."""
        self._surplus = 0
        """How many rows more the total promises than the list has."""
        self._left_out: dict[str, LeftOutRow] = {}
        self._catch_ups = 0
        """Catch-ups since the whole list was read."""
        self._read_at = 0.0
        """When the whole list was read."""
        self._now = 0.0

    @property
    def rows_left_out(self) -> int:
        """Number of rows that cannot be read at present. One that becomes readable is new when it is next read."""
        return len(self._left_out)

    @property
    def left_out(self) -> tuple[LeftOutRow, ...]:
        """The first 1,000 of them."""
        return tuple(self._left_out.values())[:MAX_LEFT_OUT]

    def begin(self, now: float, *, is_whole: bool = False) -> None:
        """Begin a catch-up. It reads all of the list if `is_whole`, if that is due by the time in seconds, and at first."""
        self._now = now
        self._catch_ups += 1
        is_due = self._catch_ups > CATCH_UPS_BETWEEN_READINGS and now - self._read_at >= SECONDS_BETWEEN_READINGS
        self._steps = self._run(is_whole=is_whole or is_due or not self.is_started)
        self._advance(None)

    def interrupt(self) -> None:
        """End the catch-up where it is. The next one goes on with what this one has found."""
        self.step = None

    def receive(self, page: Page[Notification] | None = None) -> None:
        """Receive the page that `step` requested, or None when its rows were taken."""
        self.pages += page is not None
        self._advance(page)

    def take(self, notification: Notification) -> bool:
        """Take a row that is handed out now. Return False if its notification has become known since the page was read."""
        is_new = self.known.add(notification.id)
        self.found += is_new
        return is_new

    def _advance(self, page: Page[Notification] | None) -> None:
        try:
            self.step = self._steps.send(page)
        except StopIteration:
            self.step = None
            self.is_started = True

    def _run(self, *, is_whole: bool) -> Steps:
        for _ in range(MAX_READINGS):
            was_cut = self._reading is not None
            if was_cut or self.known.has_list:
                look = yield from self._look()
                if look and not was_cut and (look.is_whole or not is_whole):
                    return
            suspected_gaps = yield from self._read_all()
            if not was_cut and not suspected_gaps:
                return
            is_whole = False

    def _look(self) -> Generator[Step, Page[Notification] | None, Look | None]:
        """Read the ends of the list. Return the look if nothing else can be new, else None.

        Before the list was read once, all rows look new, so the look takes no more than a page of each end.
        """
        look = Look(self.known, self._surplus)
        for at_end in (False, True):
            is_new = True
            while is_new and (number := look.next_page(at_end=at_end)) is not None:
                page = yield from self._read(number)
                is_new = look.add(page, at_end=at_end) and self.known.has_list
                yield from self._hand_out(page)
        if not look.is_complete():
            return None
        self._set_list(look.digests(), is_whole=look.is_whole)
        return look

    def _read_all(self) -> Generator[Step, Page[Notification] | None, bool]:
        """Read all of the list, from where the last reading was cut. Return whether rows may be missing."""
        reading = self._reading = self._reading or WholeReading()
        while reading.step is not None:
            if isinstance(reading.step, PageRequest):
                reading.advance((yield from self._read(reading.step.number)))
            else:
                page = reading.step.page
                yield from self._hand_out(page)
                reading.digests.update(dict.fromkeys(digests_of(page)))
                reading.advance(None)
        self._reading = None
        self._surplus = reading.surplus() or 0
        self._set_list(list(reading.digests), is_whole=True)
        return bool(reading.pager.suspected_gaps)

    def _read(self, number: int) -> Generator[Step, Page[Notification] | None, Page[Notification]]:
        page = yield number
        assert page is not None  # noqa: S101 # a number is answered by a page
        return page

    def _hand_out(self, page: Page[Notification]) -> Steps:
        """Hand out the unknown rows of a page."""
        new: list[Notification] = []
        for row in rows_of(page):
            if isinstance(row, UnreadableRow):
                self._left_out.setdefault(row.id or "", row.left_out_row)
                if self.is_unwanted(None):
                    self.known.add(row.id or "")
                continue
            self._left_out.pop(row.id, None)
            if row.id in self.known or self._is_of_another(row):
                continue
            if self.is_unwanted(row):
                self.known.add(row.id)
            else:
                new.append(row)
        if new:
            yield new

    def is_unwanted(self, row: Notification | None) -> bool:
        """Return whether a row was in the list at the beginning and is not handed out. None is one that cannot be read.

        The same holds for an event that comes before the first catch-up has ended.
        """
        if self.is_started or self._start == "all":
            return False
        return self._start == "new" or bool(row and row.marked_as_read)

    def _is_of_another(self, row: Notification) -> bool:
        if self._owner is None or row.user is None:
            return False
        return row.user.id.casefold() != self._owner.casefold()

    def _set_list(self, digests: Sequence[str], *, is_whole: bool) -> None:
        self.known.set_list(digests)
        if self._left_out:
            listed = set(digests)
            self._left_out = {id_: row for id_, row in self._left_out.items() if notification_digest(id_) in listed}
        if is_whole:
            self._catch_ups, self._read_at = 0, self._now


@attrs.frozen
class CatchUpResult:
    """What a catch-up has done."""

    found: tuple[str, ...]
    """Ids of the notifications that it handed out."""
    pages: int
    """Pages that it read."""


async def catch_up(
    pager: CatchUpPager,
    read_page: ReadPage,
    wait_for_room: Callable[[], Awaitable[object]],
    put: Callable[[Notification], object],
    *,
    is_whole: bool = False,
) -> CatchUpResult:
    """Read what is needed of the list, and `put` each new notification as soon as there is room for it.

    An error of `read_page` is raised, and the next catch-up goes on.
    """
    found: list[str] = []
    pages_before = pager.pages
    pager.begin(anyio.current_time(), is_whole=is_whole)
    while (step := pager.step) is not None:
        if isinstance(step, int):
            pager.receive(await read_page(step))
            continue
        for notification in step:
            await wait_for_room()
            if pager.take(notification):
                put(notification)
                found.append(notification.id)
        pager.receive()
    return CatchUpResult(tuple(found), pager.pages - pages_before)


def notification_page_reader(api: ApiClient, *, expand_appointment: bool = False) -> ReadPage:
    """Return a function that reads a page of the caller's notifications, with bulk priority.

    A row that cannot be read is an event once, however often it is met.
    """
    expand = {"expand": ["appointment"]} if checked_flag("expand_appointment", expand_appointment) else {}
    told: set[str] = set()

    async def read_page(number: int) -> Page[Notification]:
        url = api.url("notifications", filters={**expand, "page_size": PAGE_SIZE, "page_number": number})
        with bulk_priority():
            return await api.get_page(Page[Notification], "notifications.list", url, number, told=told)

    return read_page


def will_pass(error: CoachingError, *, is_strict: bool = False) -> bool:
    """Return whether an error is one that may be gone at the next attempt, so that a listener or a watch waits it out.

    A client that `is_strict` raises a `DecodeError` for a row that cannot be read, which will not change by waiting.
    """
    if error.is_from_gateway or isinstance(error, TransportError | DeadlineExceeded | RateLimited | ServerError):
        return True
    if isinstance(error, AuthError):
        return error.is_temporary
    return isinstance(error, DecodeError) and not is_strict
