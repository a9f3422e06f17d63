"""The course of a walk over one list: which page is read next, and what of it is handed out. No I/O."""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from coaching_async.models.common import Page

from .cursor import START, Position
from .deduplication import PassTracker, SeenIds
from .drift import MAX_BACKTRACKS, NextStep, PageObservation, decide, is_plain_shift, row_after_deletes
from .pages import (
    NewItems,
    PageRequest,
    PageResult,
    PagerRead,
    PagerSearch,
    PagerSteps,
    ids_of,
    last_page_of,
    page_count_of,
    total_of,
)

__all__ = ["Pager"]

T = TypeVar("T")

MAX_PASSES: Final = 3


MAX_VERIFY_PASSES: Final = 6


class Pager(Generic[T]):
    """The course over one list, from a position on, None being its end: pages are asked for, and batches given."""

    def __init__(self, known: SeenIds, start: Position | None = START, *, until_agreed: bool = False) -> None:
        self.pages = self.re_reads = self.duplicates = 0
        self._start = start
        self._until_agreed = until_agreed
        self._seen = PassTracker(known, start or START)
        self._highest_page = 0
        self._shorts = self._unexplained = self._changes = 0
        self._short_is_usual = self._has_no_ids = False

    @property
    def passes(self) -> int:
        """How often the list was walked, the present time included."""
        return self._seen.passes

    @property
    def suspected_gaps(self) -> int:
        """What was seen to be wrong and could not be mended. Each pass makes up for those before it."""
        return self._unexplained + self._shorts

    def run(self) -> PagerSteps[T]:
        """The whole course. Send each `Ask` its `Answer`."""
        start = self._start
        while start is not None and self._is_another_pass_due():
            self._begin_pass(start)
            yield from self._run_pass()
            if self._is_short_of_total():
                self._unexplained += 1
            start = START

    def _is_another_pass_due(self) -> bool:
        met = self._seen
        if not met.passes:
            return True
        if self._has_no_ids or not met.is_complete:
            return False  # what is handed out already could not be told from what is new
        if not self._until_agreed:
            return bool(self._unexplained) and met.passes < MAX_PASSES
        if met.count == met.before and not met.new_in_pass and not self._changes:
            return False
        if met.passes == MAX_VERIFY_PASSES:
            self._unexplained = max(1, self._unexplained)
        return met.passes < MAX_VERIFY_PASSES

    def _begin_pass(self, start: Position) -> None:
        self._seen.begin_pass()
        self._next_row = self._frontier_row = self._start_row = start.row
        self._size, self._total, self._has_begun = start.size, start.total, start.row > 0
        self._previous_ids: Sequence[str | None] = ()
        self._frontier_ids: Sequence[str | None] = ()
        """Ids of the page that is furthest on, of those taken."""
        self._blind_before: Sequence[T] = ()
        """The items of the page before, where they have no ids: a page like it is the same again."""
        self._digests: Sequence[str] = start.digests
        self._kept_pages: dict[int, Page[T]] = {}
        self._taken: set[int] = set()
        self._is_current = self._seen.passes > 1
        """Whether what was read ahead will not do."""
        self._inserted_rows = 0
        """As many repeats are explained by rows that were inserted."""
        self._latest_total = start.total
        self._repeated_pages = 0
        self._inserted_above = 0
        self._backtracks = self._resizes = 0
        self._shorts, self._unexplained, self._changes = 0, start.gaps, 0
        self._short_page: int | None = None
        self._was_empty = False

    def _run_pass(self) -> PagerSteps[T]:
        number = self._next_row // self._size + 1 if self._size else 1
        while True:
            answer = yield from self._read(number)
            page = answer.page
            if (here := self._page_after_resize(number, page)) != number:
                number, self._is_current = here, True
                continue
            sight = self._observe(number, answer)
            match decide(sight):
                case NextStep.REREAD:
                    self._is_current = True
                    continue
                case NextStep.STOP:
                    self._changes += self._is_short_of(sight.total)
                    return
                case NextStep.BACKTRACK:
                    self._kept_pages[number] = page
                    number, page = yield from self._go_back(sight, page)
                case NextStep.REREAD_SHORT_PAGE:
                    self._kept_pages[number] = page
                    number, page = yield from self._reread_short_page(number - 1)
                case NextStep.TAKE:
                    self._record_changes(sight)
            yield self._accept(number, page)
            if self._is_last_page(number, page):
                return
            number += 1

    def _read(self, number: int) -> PagerRead[T]:
        held = self._kept_pages.pop(number, None)
        if held is not None and not self._is_current:
            return PageResult(held, is_current=False)
        return (yield from self._ask(number))

    def _ask(self, number: int) -> PagerRead[T]:
        if self._is_current:
            self._kept_pages.clear()
        answer = yield PageRequest(number, self._is_current)
        assert answer is not None  # noqa: S101 # an Ask is sent its Answer
        self._is_current = False
        total = total_of(answer.page)
        if answer.is_current and total is not None and total != self._latest_total:
            self._kept_pages.clear()  # it may change back, and what was read before would pass for good
            self._inserted_rows += max(0, total - (total if self._latest_total is None else self._latest_total))
            self._latest_total = total
        self.pages += 1
        self.re_reads += self.passes > 1 or number <= self._highest_page
        self._highest_page = max(number, self._highest_page)
        return answer

    def _page_after_resize(self, number: int, page: Page[T]) -> int:
        """The page where the first unread row is, if the service has changed the size of its pages."""
        before, told = self._size, page.page_size
        self._size = told if told and told > 0 else max(before, len(page.entities), 1)
        if not self._has_begun or told is None or before == self._size or self._resizes == MAX_BACKTRACKS:
            return number
        self._resizes += 1
        return self._next_row // self._size + 1

    def _observe(self, number: int, answer: PageResult[T]) -> PageObservation:
        ids, total, first = ids_of(answer.page), total_of(answer.page), (number - 1) * self._size
        self._has_no_ids = None in ids or (self._has_no_ids and not ids)
        if self._has_no_ids:
            return PageObservation(
                number,
                len(ids),
                total=total,
                before=total,
                is_repeated_page=bool(ids) and answer.page.entities == self._blind_before,
                repeated_pages=self._repeated_pages,
                has_ids=False,
                is_within_total=last_page_of(answer.page, self._size) is not None,
            )
        are_met = self._seen.contains_each(ids)
        is_new_ground = first >= self._frontier_row
        return PageObservation(
            number,
            len(ids),
            repeats=sum(are_met),
            leading_repeats=are_met.index(False) if False in are_met else len(ids),
            total=total,
            before=self._total if self._has_begun else total,
            inserted_rows=None if total is None else self._inserted_rows,
            expects_repeats=first < self._next_row,
            is_beyond_frontier=is_new_ground,
            is_current=answer.is_current,
            follows_short_page=self._short_page == number - 1 and not self._short_is_usual,
            should_be_full=total is not None and last_page_of(answer.page, self._size) == -(-total // self._size),
            is_repeated_page=bool(ids) and hash(tuple(ids)) in self._taken,
            repeated_pages=self._repeated_pages,
            is_within_total=total is None or first < total,
            changed_before=bool(self._changes),
            rounds=self._backtracks,
        )

    def _record_changes(self, sight: PageObservation) -> None:
        """Keep what a page that is taken tells of changes."""
        self._changes += sight.has_changed or (sight.is_beyond_frontier and bool(sight.repeats))
        if sight.may_have_missed_rows:
            self._unexplained += 1  # they were looked for in vain
        if not sight.is_beyond_frontier:
            return
        self._repeated_pages = self._repeated_pages + 1 if sight.is_repeated_page else 0
        if sight.follows_short_page and sight.rows:
            self._short_is_usual = True
            self._shorts += sight.total is None  # else the sizes are not what the service says
        if not is_plain_shift(sight):
            self._unexplained += 1
        else:
            self._inserted_rows = max(0, self._inserted_rows - sight.repeats) if sight.repeats else 0
            self._inserted_above += sight.repeats

    def _go_back(self, sight: PageObservation, page: Page[T]) -> PagerSearch[T]:
        """Read the pages before, until one has a row that was met: what is unread comes after that."""
        self._changes += 1
        self._backtracks += 1
        self._was_empty = False
        lowest, last = self._lowest_page(page), last_page_of(page, self._size)
        first_guess = row_after_deletes(sight, self._next_row) // self._size + 1
        number = min(sight.number - 1, max(lowest, sight.number if last is None else last))
        while True:
            page = (yield from self._ask(number)).page
            lowest = min(lowest, self._lowest_page(page))
            if number <= lowest or any(self._seen.contains_each(ids_of(page))):
                return number, page
            self._kept_pages[number] = page
            number = max(lowest, min(number - 1, first_guess))

    def _reread_short_page(self, number: int) -> PagerSearch[T]:
        """Read a page again that was not full. Where it still is not, the service leaves rows out."""
        page = (yield from self._ask(number)).page
        self._was_empty = False
        self._short_is_usual = len(page.entities) < self._size
        self._shorts += self._short_is_usual
        self._changes += not self._short_is_usual
        return number, page

    def _accept(self, number: int, page: Page[T]) -> NewItems[T]:
        ids, first = ids_of(page), (number - 1) * self._size
        new = self._seen.add_new(ids, self._count_known_rows(page, first))
        is_new_ground = first >= self._frontier_row
        batch = NewItems(
            page,
            page.entities if len(new) == len(ids) else [page.entities[at] for at in new],
            [first + at for at in new],
            number * self._size,
            self._size,
            self._previous_ids if is_new_ground else [*self._frontier_ids, *self._previous_ids],
            self._digests,
            self._size if is_new_ground else 3 * self._size,
            self.passes,
            self._unexplained,
        )
        if is_new_ground and ids:
            self._backtracks, self._frontier_ids = 0, ids
            self.duplicates += len(ids) - len(new) if self.passes == 1 else 0
        if ids:
            self._previous_ids, self._digests = ids, ()
            self._taken.add(hash(tuple(ids)))
        self._short_page = number if len(ids) < self._size else None
        self._blind_before = page.entities if self._has_no_ids else ()
        self._total, self._has_begun = total_of(page), True
        self._next_row = batch.end
        self._frontier_row = max(self._frontier_row, self._next_row)
        return batch

    def _lowest_page(self, page: Page[T]) -> int:
        """The first page where something unread can be."""
        return 1 if self._seen.is_complete else min(self._start_row, self._returned_up_to(page)) // self._size + 1

    def _returned_up_to(self, page: Page[T]) -> int:
        """The row up to which all was handed out before a cursor, if what has come and gone since did so before it."""
        total, before = total_of(page), self._start.total if self._start else None
        return self._start_row if total is None or before is None else max(0, self._start_row + total - before)

    def _count_known_rows(self, page: Page[T], first: int) -> int:
        """How many of its rows were handed out before a cursor, of which only the last ids may be known."""
        end = self._returned_up_to(page)
        if self._seen.is_complete or first > max(self._start_row, end):
            return 0
        if (at := next((at for at, each in enumerate(ids_of(page)) if self._seen.contains(each)), None)) is not None:
            return at  # whatever stands above one that is known is old too
        return max(0, (min(self._start_row, end) if first >= self._frontier_row else end) - first)

    def _is_last_page(self, number: int, page: Page[T]) -> bool:
        count, was_empty = page_count_of(page), self._was_empty
        self._was_empty = not page.entities
        if count is not None and number < count:
            return was_empty and self._was_empty  # one empty page may be a slip, two are the end
        total = total_of(page)
        if count is not None or total is None:
            return count is not None or self._was_empty
        return self._was_empty or (number - 1) * self._size + len(page.entities) >= total

    def _is_short_of_total(self) -> bool:
        """Whether the list changed, and then fewer were met than the service counts."""
        return bool(self._changes) and self._is_short_of(self._total)

    def _is_short_of(self, total: int | None) -> bool:
        if total is None or self._has_no_ids or not self._seen.is_complete:
            return False
        before = self._start_row if self.passes == 1 else 0
        return before + self._seen.count + self._inserted_above < total
