"""State of one pass over a list: position, kept pages, and the changes (drift) seen so far."""

from collections.abc import Sequence
from typing import Generic, Self, TypeVar, cast

import attrs

from coaching_async._serialization.rows import LeftOutRow, PartialPage, UnreadableRow, rows_of
from coaching_async.models.common import Page

from .cursor import Position
from .deduplication import PassTracker
from .drift import MAX_BACKTRACKS, MAX_REPEATED_PAGES, PageObservation, is_plain_shift, row_after_deletes
from .pages import (
    NewItems,
    PageResult,
    fingerprint_of,
    furthest_page_of,
    ids_of,
    last_page_of,
    names_next,
    page_count_of,
    total_of,
)

__all__ = ["PassState"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class PassState(Generic[T]):
    """State of one pass. The pager makes a new one for each pass."""

    start: Position
    seen: PassTracker

    next_row: int
    """The row after the page that was taken last."""
    frontier_row: int
    """The row after the furthest page that was taken."""
    size: int
    """Rows per page, as the service makes them; 0 before the first page."""
    total: int | None
    """Total of the page that was taken last."""
    latest_total: int | None
    """Total of the page that was read last."""
    has_begun: bool
    """Whether rows were taken before, in this pass or before the cursor."""
    digests: Sequence[str]
    """Digests from the cursor, until a page is taken."""
    unexplained_changes: int
    """Changes after which rows may be missing."""
    short_pages_are_usual: bool = False
    """Whether the service was seen to leave pages short that are not the last one."""
    has_no_ids: bool = False

    previous_ids: Sequence[str | None] = ()
    """Ids of the page that was taken last."""
    last_page: int | None = None
    """The last page of the list, by the page that was taken last."""
    names_next_page: bool = False
    """Whether the page that was taken last has the URI of a next one."""
    end_row: int = 0
    """The row after the last one that was seen."""
    frontier_ids: Sequence[str | None] = ()
    """Ids of the furthest page that was taken."""
    previous_rows: Sequence[T | UnreadableRow] = ()
    """Rows of the page that was taken last, if they have no ids."""
    first_rows: Sequence[T | UnreadableRow] = ()
    """Rows of the page that was taken first, if they have no ids."""
    kept_pages: dict[int, Page[T]] = attrs.field(factory=dict[int, Page[T]])
    """Pages that were read before it was their turn, by number. They are valid while the total does not change."""
    taken_pages: set[int] = attrs.field(factory=set[int])
    """Hashes of the ids of each page that was taken."""
    short_page: int | None = None
    """Number of the page that was taken last, if it was not full."""
    is_previous_empty: bool = False
    """Whether the page that was taken last was empty."""

    changes: int = 0
    """Changes of the list."""
    short_pages: int = 0
    """Pages that stayed short when they were read again, which may be missing rows."""
    inserted_rows: int = 0
    """Inserted rows that have not explained a repeat yet."""
    shifted_rows: int = 0
    """Repeats explained by inserted rows."""
    repeated_pages: int = 0
    """Repeated pages in a row."""
    stale_pages: int = 0
    """Pages in a row without a new row."""
    backtracks: int = 0
    """Backtracks since the frontier moved last."""
    contradictions: int = 0
    """Totals that promise more rows than there were to read."""
    resizes: int = 0
    """Changes of the page size."""

    @classmethod
    def begin(cls, start: Position, seen: PassTracker, *, short_pages_are_usual: bool = False) -> Self:
        """Return the state at the start of a pass."""
        return cls(
            start,
            seen,
            next_row=start.row,
            frontier_row=start.row,
            size=start.size,
            total=start.total,
            latest_total=start.total,
            has_begun=start.row > 0,
            digests=start.digests,
            unexplained_changes=start.gaps,
            short_pages_are_usual=short_pages_are_usual,
        )

    def next_page(self) -> int:
        """Return the number of the page with the next row."""
        return self.next_row // self.size + 1 if self.size else 1

    def record_total(self, result: PageResult[T]) -> None:
        """Record the total of a page that was read, and drop the kept pages if it has changed."""
        total = total_of(result.page)
        if not result.is_fresh or total is None or total == self.latest_total:
            return
        self.kept_pages.clear()  # the total may change back, and then outdated pages would look valid
        if self.latest_total is not None:
            self.inserted_rows += max(0, total - self.latest_total)
        self.latest_total = total

    def page_after_resize(self, number: int, page: Page[T]) -> int:
        """Return the number of the page to read instead, if the service has changed its page size; else `number`."""
        old_size, new_size = self.size, page.page_size
        self.size = new_size if new_size and new_size > 0 else max(old_size, len(rows_of(page)), 1)
        if not self.has_begun or new_size is None or self.size == old_size or self.resizes == MAX_BACKTRACKS:
            return number
        self.resizes += 1
        return self.next_page()

    def observe(self, number: int, result: PageResult[T]) -> PageObservation:
        """Return what the page shows, compared with the pages before it."""
        ids = ids_of(result.page)
        self.has_no_ids = None in ids or (self.has_no_ids and not ids)
        return self._observe_without_ids(number, result.page) if self.has_no_ids else self._observe(number, result, ids)

    def _observe(self, number: int, result: PageResult[T], ids: Sequence[str | None]) -> PageObservation:
        total, first_row = total_of(result.page), self._first_row(number)
        are_known = self.seen.contains_each(ids)
        has_ids = not isinstance(result.page, PartialPage) or result.page.has_ids
        return PageObservation(
            number,
            len(ids),
            repeats=sum(are_known),
            leading_repeats=are_known.index(False) if False in are_known else len(ids),
            total=total,
            previous_total=self._comparable_total(total, first_row, len(ids), is_fresh=result.is_fresh),
            inserted_rows=None if total is None else self.inserted_rows,
            expects_repeats=first_row < self.next_row,
            is_beyond_frontier=self.is_beyond_frontier(number),
            is_fresh=result.is_fresh,
            follows_short_page=self.short_page == number - 1 and not self.short_pages_are_usual,
            should_be_full=total is not None and last_page_of(result.page, self.size) == -(-total // self.size),
            is_repeated_page=bool(ids)
            and (fingerprint_of(result.page, ids) in self.taken_pages or self._has_no_new_row(number, are_known)),
            repeated_pages=self.repeated_pages,
            is_within_total=total is None or first_row < total or not has_ids,  # several pages may be full of nulls
            has_ids=has_ids,
            changed_before=bool(self.changes),
            backtracks=self.backtracks,
        )

    def _comparable_total(self, total: int | None, first_row: int, rows: int, *, is_fresh: bool) -> int | None:
        """Return the total of the page before, or `total` itself if it says nothing about a change.

        It says nothing if it is less than the rows so far. Nor does it if both are the rows so far, though a page followed.
        """
        end = first_row + rows
        is_impossible = rows > 0 and total is not None and total < end
        is_running = is_fresh and self.names_next_page and total == end and self.total == self.next_row == first_row
        return self.total if self.has_begun and not is_impossible and not is_running else total

    def _has_no_new_row(self, number: int, are_known: Sequence[bool]) -> bool:
        """Return whether the list must be over, because all rows of a page were returned before.

        Within the list a few such pages may come, if rows have moved. After a cursor only a few of the rows are known.
        """
        if not self.is_past_end(number):
            return all(are_known) and self.stale_pages >= MAX_REPEATED_PAGES
        return all(are_known) if self.seen.is_complete else any(are_known)

    def _observe_without_ids(self, number: int, page: Page[T]) -> PageObservation:
        total, rows = total_of(page), rows_of(page)
        return PageObservation(
            number,
            len(rows),
            total=total,
            previous_total=total,
            is_repeated_page=bool(rows)
            and (rows == self.previous_rows or (self.is_past_end(number) and rows == self.first_rows)),
            repeated_pages=self.repeated_pages,
            has_ids=False,
            is_within_total=last_page_of(page, self.size) is not None and not self.is_past_end(number),
        )

    def record_changes(self, observation: PageObservation) -> None:
        """Record the changes that a page shows which is about to be taken."""
        self.changes += observation.has_changed or (observation.is_beyond_frontier and bool(observation.repeats))
        if observation.may_have_missed_rows:
            self.unexplained_changes += 1  # all backtracks were in vain
        if not observation.is_beyond_frontier:
            return
        self.repeated_pages = self.repeated_pages + 1 if observation.is_repeated_page else 0
        self.stale_pages = self.stale_pages + 1 if observation.rows == observation.repeats else 0
        if observation.follows_short_page and observation.rows:
            self.short_pages_are_usual = True
            self.short_pages += observation.total is None  # with a total, the page size is wrong and no row is missing
        if not is_plain_shift(observation):
            self.unexplained_changes += 1
        elif observation.repeats:
            self.inserted_rows = max(0, self.inserted_rows - observation.repeats)
            self.shifted_rows += observation.repeats
        else:
            self.inserted_rows = 0

    def begin_backtrack(self, observation: PageObservation, page: Page[T]) -> tuple[int, int]:
        """Return the page to read first in a backtrack, and a guess at the page to try second."""
        self.changes += 1
        self.backtracks += 1
        self.is_previous_empty = False
        first = max(self.lowest_page(page), furthest_page_of(page, self.size) or observation.number)
        return min(observation.number - 1, first), row_after_deletes(observation, self.next_row) // self.size + 1

    def record_reread_of_short_page(self, page: Page[T]) -> None:
        """Record whether a short page is full now. If it is not, the service leaves rows out."""
        is_short = len(rows_of(page)) < self.size
        self.is_previous_empty = False
        self.short_pages_are_usual = is_short
        self.short_pages += is_short
        self.changes += not is_short

    def accept(self, number: int, page: Page[T]) -> NewItems[T]:
        """Take a page: move behind it, and return its new items."""
        rows, ids, first_row = rows_of(page), ids_of(page), self._first_row(number)
        is_beyond_frontier = self.is_beyond_frontier(number)
        new = self.seen.add_new(ids, self._count_known_rows(page, first_row))
        left_out: list[LeftOutRow] = []
        if rows is not page.entities:
            left_out = [row.left_out_row for index in new if isinstance(row := rows[index], UnreadableRow)]
            new = [index for index in new if not isinstance(rows[index], UnreadableRow)]
        items = NewItems(
            page,
            page.entities if len(new) == len(page.entities) else cast("list[T]", [rows[index] for index in new]),
            left_out,
            self.seen.passes,
            [first_row + index for index in new],
            number * self.size,
            self.size,
            self.previous_ids if is_beyond_frontier else [*self.frontier_ids, *self.previous_ids],
            self.digests,
            self.size if is_beyond_frontier else 3 * self.size,
            self.unexplained_changes,
        )
        if is_beyond_frontier and ids:
            self.backtracks, self.frontier_ids = 0, ids
        if ids:
            self.end_row = max(self.end_row, first_row + len(ids))
            self.previous_ids, self.digests = ids, ()
            self.taken_pages.add(fingerprint_of(page, ids))
        self.short_page = number if len(ids) < self.size else None
        self.previous_rows = rows if self.has_no_ids else ()
        self.first_rows = self.first_rows or self.previous_rows
        self.total, self.last_page, self.has_begun = total_of(page), last_page_of(page, self.size), True
        self.names_next_page = names_next(page)
        self.next_row = items.end
        self.frontier_row = max(self.frontier_row, self.next_row)
        return items

    def is_beyond_frontier(self, number: int) -> bool:
        """Return whether all rows of the page come after the furthest page that was taken."""
        return self._first_row(number) >= self.frontier_row

    def is_past_end(self, number: int) -> bool:
        """Return whether the page comes after the last one of the list, and is read because something else promises it."""
        return self.last_page is not None and number > self.last_page

    def _first_row(self, number: int) -> int:
        return (number - 1) * self.size

    def lowest_page(self, page: Page[T]) -> int:
        """Return the first page that can contain an unread row."""
        if self.seen.is_complete:
            return 1
        return min(self.start.row, self._row_of_cursor(page)) // self.size + 1

    def _row_of_cursor(self, page: Page[T]) -> int:
        """Return the row that the cursor's row is now, if all changes since the cursor came before it."""
        total = total_of(page)
        if total is None or self.start.total is None:
            return self.start.row
        return max(0, self.start.row + total - self.start.total)

    def _count_known_rows(self, page: Page[T], first_row: int) -> int:
        """Return how many rows at the top of the page were returned before the cursor.

        The cursor has digests of the last rows only, so rows above them can be known only by their place.
        """
        if self.seen.is_complete:
            return 0
        end = self._row_of_cursor(page)
        if first_row > max(self.start.row, end):
            return 0
        for index, id_ in enumerate(ids_of(page)):
            if self.seen.contains(id_):
                return index  # all rows above a known row were returned too
        return max(0, (min(self.start.row, end) if first_row >= self.frontier_row else end) - first_row)

    def is_last_page(self, number: int, page: Page[T]) -> bool:
        """Return whether the pass ends with this page, which was taken."""
        count, total = page_count_of(page), total_of(page)
        is_empty = not rows_of(page)
        is_second_empty = self.is_previous_empty and is_empty
        self.is_previous_empty = is_empty
        if is_empty:  # a single one within the page count may be a mistake of the service
            return count is None or number >= count or is_second_empty
        if names_next(page) and (len(rows_of(page)) >= self.size or total is None):
            return False
        has_all_rows = total is not None and self._first_row(number) + len(rows_of(page)) >= total
        if count is None:
            return has_all_rows
        return number >= furthest_page_of(page, self.size) or (number >= count and has_all_rows)

    def is_short_of(self, total: int | None) -> bool:
        """Return whether fewer items were seen than the total says there are."""
        if total is None or self.has_no_ids or not self.seen.is_complete:
            return False
        return self.start.row + self.seen.count + self.shifted_rows < total

    def lacks_promised_rows(self) -> bool:
        """Return whether the list has not changed, and fewer rows were seen than the last total says there are."""
        if self.seen.is_complete and not self.has_no_ids:
            return not self.changes and self.is_short_of(self.total)
        return self.total is not None and self.end_row < self.total

    def is_incomplete(self) -> bool:
        """Return whether the list has changed, and fewer items were seen than the last total says there are."""
        return bool(self.changes) and self.is_short_of(self.total)
