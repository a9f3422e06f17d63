"""A look at the ends of the list of notifications. Does no I/O.

The list has no dates, no filter and no documented order, but a total. A look reads its first page, and its last one if it has
several. From a page whose rows were all missing when the list was last read, it goes on inwards. What stood between the old rows
at both ends is expected to be there still. If the list then has as many rows as its total says, nothing else is new.
"""

from coaching_async._pagination.pages import last_page_of, total_of
from coaching_async._serialization.rows import rows_of
from coaching_async.models.common import Page
from coaching_async.models.notifications import Notification

from .known import KnownNotifications, notification_digest

__all__ = ["Look", "digests_of"]


def digests_of(page: Page[Notification]) -> list[str]:
    """Return the digests of all rows of a page."""
    return [notification_digest(row.id or "") for row in rows_of(page)]


class Look:
    """What one look has shown so far. `surplus` is how many rows more the total promises than the list has."""

    def __init__(self, known: KnownNotifications, surplus: int = 0) -> None:
        self._known = known
        self._surplus = surplus
        self._first_page = 1
        """The first page that was not read."""
        self._last_page = 1
        """The last page that was not read, as the first page of the list tells it."""
        self._end_page = 1
        """The last page of the list, as the first one tells it."""
        self._first_rows: list[str] = []
        self._last_rows: list[str] = []
        self._totals: list[int | None] = []
        self._has_later_news = False
        """Whether a page after the first one has rows that the list lacked."""
        self._has_end = False
        """Whether the list ends with the last page, which it does not if it has grown since the first page was read."""

    @property
    def is_whole(self) -> bool:
        """Whether all pages were read."""
        return self._first_page > self._last_page and self._has_end

    def next_page(self, *, at_end: bool) -> int | None:
        """Return the number of the next page inwards from the start or the end; None if they have met."""
        if self._first_page > self._last_page:
            return None
        return self._last_page if at_end else self._first_page

    def add(self, page: Page[Notification], *, at_end: bool) -> bool:
        """Add that page. Return whether the next one has to be read, too, because the list lacked all rows of this one.

        The last page may be empty, because rows were deleted, or because the total counts rows that are on no page.
        """
        digests, number = digests_of(page), self._last_page if at_end else self._first_page
        last_page = last_page_of(page, page.page_size or max(1, len(digests))) or 1
        if not self._totals:
            self._last_page = self._end_page = last_page
        elif not self._known.are_listed(digests):
            self._has_later_news = True
        if number == self._end_page:
            self._has_end = last_page <= number
        self._totals.append(total_of(page))
        if at_end:
            self._last_page -= 1
            self._last_rows = digests + self._last_rows
        else:
            self._first_page += 1
            self._first_rows += digests
        return self._known.are_unlisted(digests) and bool(digests or number == self._end_page)

    def digests(self) -> list[str]:
        """Return the digests of the rows that the list has, if nothing but its ends has changed."""
        if self.is_whole:
            return list(dict.fromkeys(self._first_rows + self._last_rows))
        return self._known.expected_list(self._first_rows, self._last_rows, has_end=self._has_end)

    def is_complete(self) -> bool:
        """Return whether the list has as many rows as its total says, so that no other row of it is new.

        If the total has grown during the look, and the rows are those of the first total, the next look finds the others. If it
        has shrunk, rows may have moved to pages that were read.
        """
        totals = [total for total in self._totals if total is not None]
        if len(totals) < len(self._totals) or totals != sorted(totals):
            return False
        count = len(self.digests()) + self._surplus
        return count == totals[-1] or (count == totals[0] and not self._has_later_news)
