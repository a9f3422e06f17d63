"""Pagination of a list without page numbers: each page has the service's cursor of the next one. Does no I/O.

The service keeps the place in such a list, so rows that are inserted or deleted move no row between pages. A page is read once.
The list ends at a page without a cursor. A cursor that was used before would lead in a circle, so it ends the list, too, and so do
some pages in a row without a new row. Then a gap is suspected, because the pages behind them cannot be reached.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from coaching_async._serialization.rows import UnreadableRow, rows_of
from coaching_async.models.common import Page

from .cursor import START, Position
from .deduplication import PassTracker, SeenIds
from .drift import MAX_REPEATED_PAGES
from .pager import Pager
from .pages import NewItems, PageRequest, PagerSteps, ServiceCursor, ids_of, names_next, next_cursor_of
from .report import LeftOutRows, WalkReport

__all__ = ["CursorPager", "DetectingPager"]

T = TypeVar("T")


class CursorPager(Generic[T]):
    """Decides how to read one list by the service's cursors, always from its first page."""

    def __init__(self, known: SeenIds, start: Position | None = START, *, verify: bool = False, chunk: int = 0) -> None:
        assert start == START, "such a list takes no cursor of ours"  # noqa: S101
        assert not verify, "such a list is read once"  # noqa: S101
        self._seen = PassTracker(known, START)
        self._left_out = LeftOutRows(chunk)
        self._pages = self._duplicates = self._suspected_gaps = 0
        self._stale_pages = 0
        """Pages in a row that repeat rows only."""
        self._previous_rows: Sequence[T | UnreadableRow] = ()

    @property
    def report(self) -> WalkReport:
        """Counts of the walk over this list so far."""
        return WalkReport(
            pages=self._pages,
            duplicates=self._duplicates,
            suspected_gaps=self._suspected_gaps,
            passes=self._seen.passes,
            rows_left_out=self._left_out.count,
            left_out=self._left_out.first,
        )

    def run(self) -> PagerSteps[T]:
        """Yield page requests and new items. Send the `PageResult` of each `PageRequest`."""
        self._seen.begin_pass()
        cursor: ServiceCursor | None = None
        used: set[ServiceCursor] = set()
        while cursor not in used and self._stale_pages < MAX_REPEATED_PAGES:
            if cursor is not None:
                used.add(cursor)
            self._pages += 1
            result = yield PageRequest(self._pages, cursor=cursor)
            assert result is not None  # noqa: S101 # a PageRequest is answered by a PageResult
            yield self._new_items(result.page)
            cursor = next_cursor_of(result.page)
            if cursor is None:
                return
        self._suspected_gaps = 1

    def _new_items(self, page: Page[T]) -> NewItems[T]:
        rows, ids = rows_of(page), ids_of(page)
        is_stale = all(self._seen.contains_each(ids)) or rows == self._previous_rows
        self._stale_pages = self._stale_pages + 1 if rows and is_stale else 0
        self._previous_rows = rows
        new = [rows[index] for index in self._seen.add_new(ids, 0)]
        left_out = [row.left_out_row for row in new if isinstance(row, UnreadableRow)]
        items = [row for row in new if not isinstance(row, UnreadableRow)]
        self._left_out.add(left_out)
        self._duplicates += len(rows) - len(new)
        return NewItems(page, items, left_out, self._seen.passes)


class DetectingPager(Generic[T]):
    """Decides by the first page of a list how the others are read: by the service's cursors, by page numbers, or not at all."""

    def __init__(self, known: SeenIds, start: Position | None = START, *, verify: bool = False, chunk: int = 0) -> None:
        self._known, self._start, self._verify, self._chunk = known, start, verify, chunk
        self._pager: CursorPager[T] | Pager[T] | None = None

    @property
    def report(self) -> WalkReport:
        """Counts of the walk over this list so far."""
        return WalkReport() if self._pager is None else self._pager.report

    def run(self) -> PagerSteps[T]:
        """Yield page requests and new items. Send the `PageResult` of each `PageRequest`."""
        first = yield PageRequest(1)
        assert first is not None  # noqa: S101 # a PageRequest is answered by a PageResult
        kind = Pager[T] if _has_page_numbers(first.page) else CursorPager[T]
        self._pager = kind(self._known, self._start, verify=self._verify, chunk=self._chunk)
        steps = self._pager.run()
        next(steps)
        step = steps.send(first)
        while True:
            result = yield step
            try:
                step = steps.send(result)
            except StopIteration:
                return


def _has_page_numbers(page: Page[T]) -> bool:
    """Return whether a first page has any sign of page numbers. Without it, and without a cursor, it is the whole list."""
    if next_cursor_of(page) is not None:
        return False
    return names_next(page) or any(
        field is not None for field in (page.page_number, page.page_size, page.page_count, page.total)
    )
