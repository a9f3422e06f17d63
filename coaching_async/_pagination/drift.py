"""Lists that change while they are read: what a page shows of it, and what to do then. Pure decisions, no I/O."""

import enum
from typing import Final

import attrs

__all__ = ["MAX_BACKTRACKS", "NextStep", "PageObservation", "decide", "is_plain_shift", "row_after_deletes"]


MAX_BACKTRACKS: Final = 4
"""How often a walk goes back from one place before it lets a gap be."""


MAX_REPEATED_PAGES: Final = 8


MAX_SHIFTED_PAGES: Final = 1000
"""Pages in a row that may come again where the list has changed, and where so many rows were inserted that they have to."""


class NextStep(enum.Enum):
    """What to do with a page that was read."""

    TAKE = "hand out what is new on it"
    REREAD = "it is older than what was seen since"
    BACKTRACK = "keep it, and read the pages before it: rows may have moved there"
    REREAD_SHORT_PAGE = "keep it, and read the page before it again, which was not full"
    STOP = "it was read already: the service has no more"


@attrs.define(eq=False, repr=False)
class PageObservation:
    """What one page shows, beside what this pass over the list has seen before it."""

    number: int
    rows: int
    repeats: int = 0
    """Rows that this pass has met before."""
    leading_repeats: int = 0
    """As many rows of the beginning are repeats."""
    total: int | None = None
    before: int | None = None
    """The total that the page before told, the same where there was none."""
    inserted_rows: int | None = 0
    """As many repeats are explained by rows that were inserted; None where the service tells no total."""
    expects_repeats: bool = False
    """Whether it begins with rows that were handed out."""
    is_beyond_frontier: bool = True
    """Whether no page of its rows has been taken in this pass."""
    is_current: bool = True
    """Whether it was read after all that was taken: one that was read ahead may be older."""
    follows_short_page: bool = False
    """Whether the page before it was not full."""
    should_be_full: bool = False
    """Whether the size of the pages, their number and the total agree, so that it should be full."""
    is_repeated_page: bool = False
    """Whether the very same page was taken in this pass."""
    repeated_pages: int = 0
    """As many pages in a row before it came again."""
    is_within_total: bool = True
    """Whether it is one of the pages that the total promises."""
    changed_before: bool = False
    """Whether the list has changed in this pass, even before this page."""
    has_ids: bool = True
    """Whether its rows can be told apart: of some lists only whole pages can."""
    rounds: int = 0
    """How often the walk went back from here."""

    @property
    def has_changed(self) -> bool:
        """Whether the list has, as far as its total tells."""
        return self.total != self.before

    @property
    def is_explained(self) -> bool:
        """Whether its repeats may be rows that moved down because as many others were inserted."""
        return self.inserted_rows is not None and self.repeats <= self.inserted_rows

    @property
    def allowed_repeats(self) -> int:
        """As many pages in a row may come again: some services repeat the last one for ever instead of ending."""
        if not self.has_ids:
            return MAX_REPEATED_PAGES if self.is_within_total else 0
        if self.total is None or not self.is_within_total:
            return 0
        if self.is_explained:
            return MAX_SHIFTED_PAGES
        return MAX_REPEATED_PAGES if self.has_changed or self.changed_before else 0

    @property
    def may_have_missed_rows(self) -> bool:
        """Whether rows may have moved to the pages before it.

        As long as rows are only inserted and deleted, all that is unread comes after all that was handed out. So a row that
        was met before shows that nothing in between was missed, and so does a total that has not changed.
        """
        return self.number > 1 and not self.repeats and (self.has_changed or self.expects_repeats)


def decide(sight: PageObservation) -> NextStep:
    """What to do with a page."""
    if not sight.is_current and (sight.has_changed or (sight.is_beyond_frontier and sight.repeats)):
        return NextStep.REREAD
    if sight.is_repeated_page and sight.is_beyond_frontier and sight.repeated_pages >= sight.allowed_repeats:
        return NextStep.STOP
    if sight.may_have_missed_rows and sight.rounds < MAX_BACKTRACKS:
        return NextStep.BACKTRACK
    if sight.follows_short_page and sight.should_be_full and sight.is_beyond_frontier and sight.rows:
        return NextStep.REREAD_SHORT_PAGE
    return NextStep.TAKE


def is_plain_shift(sight: PageObservation) -> bool:
    """Whether its repeats are rows that moved down because others were inserted before them, and nothing else."""
    return sight.repeats == sight.leading_repeats and (sight.inserted_rows is None or sight.is_explained)


def row_after_deletes(sight: PageObservation, unread: int) -> int:
    """The row where the first unread one is now, if all that was deleted stood before it."""
    if sight.total is None or sight.before is None:
        return unread
    return max(0, unread - max(0, sight.before - sight.total))
