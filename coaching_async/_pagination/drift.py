"""Drift: decisions about a list whose rows are inserted and deleted while its pages are read. Pure functions, no I/O."""

import enum
from typing import Final

import attrs

__all__ = [
    "MAX_BACKTRACKS",
    "MAX_REPEATED_PAGES",
    "NextStep",
    "PageObservation",
    "decide",
    "is_plain_shift",
    "row_after_deletes",
]


MAX_BACKTRACKS: Final = 4
"""Backtracks from one place before a possible gap is only counted."""


MAX_REPEATED_PAGES: Final = 8
"""Repeated pages in a row that are read in a list that has changed."""


MAX_SHIFTED_PAGES: Final = 1000
"""Repeated pages in a row that are read where enough rows were inserted to explain them."""


class NextStep(enum.Enum):
    """What the pager does with a page that was read."""

    TAKE = "return the new items of the page"
    REREAD = "read the page again, because it is older than a page read since"
    BACKTRACK = "keep the page and read the pages before it, because rows may have moved there"
    REREAD_SHORT_PAGE = "keep the page and read the one before it again, because that was not full"
    STOP = "end the pass, because the service repeats pages at the end of the list"


@attrs.define(eq=False, repr=False)
class PageObservation:
    """What a page shows, compared with what this pass has seen so far."""

    number: int
    rows: int
    repeats: int = 0
    """Rows that this pass has already seen."""
    leading_repeats: int = 0
    """Repeats before the first row that is new."""
    total: int | None = None
    previous_total: int | None = None
    """Total of the page before; the same as `total` if there was none."""
    inserted_rows: int | None = 0
    """Inserted rows that have not explained a repeat yet; None if the service sends no total."""
    expects_repeats: bool = False
    """Whether the page begins with rows that were returned."""
    is_beyond_frontier: bool = True
    """Whether all of its rows come after the furthest page taken in this pass."""
    is_fresh: bool = True
    """Whether it was read after all pages that were taken. A page that was prefetched or kept may be older."""
    follows_short_page: bool = False
    """Whether the page before it was not full."""
    should_be_full: bool = False
    """Whether the page size, the page count and the total agree, so that pages before the last one have to be full."""
    is_repeated_page: bool = False
    """Whether a page with exactly these rows was taken in this pass."""
    repeated_pages: int = 0
    """Repeated pages in a row just before this page."""
    is_within_total: bool = True
    """Whether the total covers the first row of the page; without ids, whether the page has a total or a page count."""
    changed_before: bool = False
    """Whether the list has changed in this pass before this page."""
    has_ids: bool = True
    """Whether rows have ids. Without ids only whole pages can be compared."""
    backtracks: int = 0
    """Backtracks from this place so far."""

    @property
    def has_changed(self) -> bool:
        """Whether the total shows that the list has changed since the page before."""
        return self.total != self.previous_total

    @property
    def is_explained(self) -> bool:
        """Whether at least as many rows were inserted as the page has repeats, so that inserts can have shifted them."""
        return self.inserted_rows is not None and self.repeats <= self.inserted_rows

    @property
    def allowed_repeats(self) -> int:
        """Repeated pages in a row to accept. A limit is needed because some services repeat the last page forever."""
        if not self.has_ids:
            return MAX_REPEATED_PAGES if self.is_within_total else 0
        if self.total is None or not self.is_within_total:
            return 0
        if self.is_explained:
            return MAX_SHIFTED_PAGES
        return MAX_REPEATED_PAGES if self.has_changed or self.changed_before else 0

    @property
    def may_have_missed_rows(self) -> bool:
        """Whether unread rows may have moved to the pages before.

        As long as rows are only inserted and deleted, all unread rows come after all rows that were returned. So a
        repeat on this page shows that nothing before it was missed, and so does an unchanged total.
        """
        return self.number > 1 and not self.repeats and (self.has_changed or self.expects_repeats)


def decide(page: PageObservation) -> NextStep:
    """Return what to do with a page."""
    if not page.is_fresh and (page.has_changed or (page.is_beyond_frontier and page.repeats)):
        return NextStep.REREAD
    if page.is_repeated_page and page.is_beyond_frontier and page.repeated_pages >= page.allowed_repeats:
        return NextStep.STOP
    if page.may_have_missed_rows and page.backtracks < MAX_BACKTRACKS:
        return NextStep.BACKTRACK
    if page.follows_short_page and page.should_be_full and page.is_beyond_frontier and page.rows:
        return NextStep.REREAD_SHORT_PAGE
    return NextStep.TAKE


def is_plain_shift(page: PageObservation) -> bool:
    """Return whether the repeats of a page are explained by inserts before it, which moved rows down."""
    return page.repeats == page.leading_repeats and (page.inserted_rows is None or page.is_explained)


def row_after_deletes(page: PageObservation, next_row: int) -> int:
    """Return the index that the row `next_row` has now, if all rows deleted since the page before came before it."""
    if page.total is None or page.previous_total is None:
        return next_row
    return max(0, next_row - max(0, page.previous_total - page.total))
