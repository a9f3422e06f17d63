"""Pagination of one list: which page to read next, and which of its items are new. Does no I/O.

A pass reads the list from its start to its end. The pager relies on one rule: as long as rows are only inserted and deleted,
all unread rows come after all rows that were returned. `decide` checks after each page whether that can have been violated:

| the page shows | the pager |
|---|---|
| the total of the page before, no unexpected repeats | takes it: a list that does not change costs no extra request |
| repeats | takes it without the repeats: nothing before them was missed |
| another total, no repeats | keeps it, and reads the pages before it until one has a row that was seen; continues from there |
| the same, after `MAX_BACKTRACKS` backtracks from one place | takes it, and counts an unexplained change |
| another total or repeats, and it was prefetched or kept | reads it again |
| that the page before it should have been full | keeps it, and reads the page before it again, once while short pages are usual |
| the rows of a page that was taken, which nothing explains | ends the pass |

A pass ends at the furthest page that the page count or the total promises, and reads on behind a full page that names a next one.
An empty page, or one without a new row, ends it there. If the total still promises more, a gap is suspected.

Rows are counted in pages of the size that the service reports. If that size changes, the page with the next row is read.
If changes are left unexplained at the end of a pass, another pass returns the missed items, where items have ids; there are up to `MAX_PASSES`.
With `verify` there are passes until two in a row see the same ids and the last one sees no change, up to `MAX_VERIFY_PASSES`.
"""

from typing import Final, Generic, TypeVar

from coaching_async._serialization.rows import rows_of
from coaching_async.models.common import Page

from .cursor import START, Position
from .deduplication import PassTracker, SeenIds
from .drift import NextStep, PageObservation, decide
from .pages import PageRequest, PageResult, PagerRead, PagerSearch, PagerSteps, ids_of
from .pass_state import PassState
from .report import LeftOutRows, WalkReport

__all__ = ["Pager"]

T = TypeVar("T")

MAX_PASSES: Final = 3


MAX_VERIFY_PASSES: Final = 6


class Pager(Generic[T]):
    """Decides how to read one list from a position on. At the position None the list was read to its end."""

    def __init__(self, known: SeenIds, start: Position | None = START, *, verify: bool = False, chunk: int = 0) -> None:
        self.pages = self.re_reads = self.duplicates = 0
        self._left_out = LeftOutRows(chunk)
        self._start = start
        self._verify = verify
        self._seen = PassTracker(known, start or START)
        self._highest_page = 0
        self._pass: PassState[T] = PassState.begin(start or START, self._seen)

    @property
    def passes(self) -> int:
        """Passes over the list so far, the current one included."""
        return self._seen.passes

    @property
    def suspected_gaps(self) -> int:
        """Changes after which items may be missing. Only those of the current pass count, because it sees the whole list."""
        return self._pass.unexplained_changes + self._pass.short_pages + self._pass.contradictions

    @property
    def report(self) -> WalkReport:
        """Counts of the walk over this list so far."""
        return WalkReport(
            pages=self.pages,
            duplicates=self.duplicates,
            re_reads=self.re_reads,
            suspected_gaps=self.suspected_gaps,
            passes=self.passes,
            rows_left_out=self._left_out.count,
            left_out=self._left_out.first,
        )

    def run(self) -> PagerSteps[T]:
        """Yield page requests and new items. Send the `PageResult` of each `PageRequest`."""
        start = self._start
        while start is not None and self._is_another_pass_due():
            self._seen.begin_pass()
            self._pass = PassState.begin(start, self._seen, short_pages_are_usual=self._pass.short_pages_are_usual)
            yield from self._run_pass()
            if self._pass.is_incomplete():
                self._pass.unexplained_changes += 1
            elif not self.suspected_gaps and self._pass.lacks_promised_rows():
                self._pass.contradictions = 1
            start = START

    def _is_another_pass_due(self) -> bool:
        seen, ended = self._seen, self._pass
        if not seen.passes:
            return True
        if ended.has_no_ids or not seen.is_complete:
            return False  # items that were returned could not be distinguished from new ones
        if not self._verify:
            return bool(ended.unexplained_changes) and seen.passes < MAX_PASSES
        if seen.count == seen.previous_count and not seen.new_in_pass and not ended.changes:
            return False
        if seen.passes == MAX_VERIFY_PASSES:
            ended.unexplained_changes = max(1, ended.unexplained_changes)
        return seen.passes < MAX_VERIFY_PASSES

    def _run_pass(self) -> PagerSteps[T]:
        state = self._pass
        number, must_be_fresh = state.start.pages_before + 1, self.passes > 1
        while True:
            result = yield from self._read(number, must_be_fresh)
            page, must_be_fresh = result.page, False
            if (resized := state.page_after_resize(number, page)) != number:
                number, must_be_fresh = resized, True
                continue
            if not rows_of(page) and state.is_past_end(number):
                return
            observation = state.observe(number, result)
            match decide(observation):
                case NextStep.REREAD:
                    must_be_fresh = True
                    continue
                case NextStep.STOP:
                    state.changes += state.is_short_of(observation.total) and not state.is_past_end(number)
                    return
                case NextStep.BACKTRACK:
                    state.kept_pages[number] = page
                    number, page = yield from self._go_back(observation, page)
                case NextStep.REREAD_SHORT_PAGE:
                    state.kept_pages[number] = page
                    number, page = yield from self._reread_short_page(number - 1)
                case NextStep.TAKE:
                    state.record_changes(observation)
            is_beyond_frontier = state.is_beyond_frontier(number)
            items = state.accept(number, page)
            self._left_out.add(items.left_out)
            if is_beyond_frontier and self.passes == 1:
                self.duplicates += len(rows_of(page)) - len(items.items) - len(items.left_out)
            yield items
            if state.is_last_page(number, page):
                return
            number += 1

    def _read(self, number: int, must_be_fresh: bool) -> PagerRead[T]:
        kept = self._pass.kept_pages.pop(number, None)
        if kept is not None and not must_be_fresh:
            return PageResult(kept, is_fresh=False)
        if must_be_fresh:
            self._pass.kept_pages.clear()
        return (yield from self._request(PageRequest(number, must_be_fresh)))

    def _request(self, request: PageRequest) -> PagerRead[T]:
        result = yield request
        assert result is not None  # noqa: S101 # a PageRequest is answered by a PageResult
        self._pass.record_total(result)
        self.pages += 1
        self.re_reads += self.passes > 1 or request.number <= self._highest_page
        self._highest_page = max(request.number, self._highest_page)
        return result

    def _go_back(self, observation: PageObservation, page: Page[T]) -> PagerSearch[T]:
        """Read the pages before until one has a row that was seen, because all unread rows come after that row."""
        state = self._pass
        lowest = state.lowest_page(page)
        number, guess = state.begin_backtrack(observation, page)
        while True:
            page = (yield from self._request(PageRequest(number))).page
            lowest = min(lowest, state.lowest_page(page))
            if number <= lowest or any(self._seen.contains_each(ids_of(page))):
                return number, page
            state.kept_pages[number] = page
            number = max(lowest, min(number - 1, guess))

    def _reread_short_page(self, number: int) -> PagerSearch[T]:
        page = (yield from self._request(PageRequest(number))).page
        self._pass.record_reread_of_short_page(page)
        return number, page
