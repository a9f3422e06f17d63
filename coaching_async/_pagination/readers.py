"""Readers: they fetch the pages that a pager requests, and combine the lists of a split listing, chained or merged."""

from collections.abc import Awaitable, Callable, Container, Sequence
from heapq import heappop, heappush
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs

from coaching_async._serialization.rows import page_of_rows
from coaching_async.models.appointments import SortOrder
from coaching_async.models.common import Page

from .cursor import LATER_PASS, START, Position
from .deduplication import SeenIds
from .pager import Pager
from .pages import NewItems, PageRequest, PageResult, PagerSteps
from .report import WalkReport

__all__ = [
    "ChainedReader",
    "ListReader",
    "MergedReader",
    "NewPager",
    "ReadPage",
    "Reader",
    "combine",
    "make_list_readers",
]

T = TypeVar("T")

ReadPage: TypeAlias = Callable[[PageRequest], Awaitable[PageResult[T]]]


class ListPager(Protocol[T]):
    """Decides which pages of one list are read. Each way of paging has one, and all take the same steps."""

    @property
    def report(self) -> WalkReport:
        """Counts of the walk over this list so far."""
        ...

    def run(self) -> PagerSteps[T]:
        """Yield page requests and new items. Send the `PageResult` of each `PageRequest`."""
        ...


class NewPager(Protocol):
    """Makes the pager of a list: a class of pagers does."""

    def __call__(
        self, known: SeenIds, start: Position | None = START, *, verify: bool = False, chunk: int = 0
    ) -> ListPager[Any]: ...


class ListReader(Generic[T]):
    """Reads one list of the service, and buffers the new items of the current page."""

    def __init__(self, pager: ListPager[T], start: Position | None, read_page: ReadPage[T]) -> None:
        self.pager = pager
        self.page: Page[T] | None = None
        """The current page."""
        self._start = start
        self._read_page = read_page
        self._steps = pager.run()
        self._step: PageRequest | NewItems[T] | None
        self._advance(None)
        self._batch: NewItems[T] | None = None
        self._items: Sequence[T] = ()
        """Items of the batch."""
        self._returned = 0

    async def fetch_next(self) -> bool:
        """Read pages until an item is buffered; return False at the end. After an error it can be called again."""
        while not self.has_buffered():
            step = self._step
            if step is None:
                return False
            if isinstance(step, PageRequest):
                self._advance(await self._read_page(step))
            else:
                self._batch, self._items, self._returned, self.page = step, step.items, 0, page_of_rows(step.page)
                self._advance(None)
        return True

    def has_buffered(self) -> bool:
        """Return whether an item is buffered."""
        return self._returned < len(self._items)

    def _advance(self, result: PageResult[T] | None) -> None:
        try:
            self._step = self._steps.send(result)
        except StopIteration:
            self._step = None

    def peek(self) -> T:
        """Return the next buffered item, and keep it in the buffer."""
        return self._items[self._returned]

    def take(self) -> T:
        """Return the next buffered item."""
        item = self._items[self._returned]
        self._returned += 1
        return item

    def take_batch(self, limit: int | None) -> Sequence[T]:
        """Return up to `limit` of the buffered items."""
        first = self._returned
        items = self._items[first:] if limit is None else self._items[first : first + limit]
        self._returned = first + len(items)
        return items

    def take_page(self) -> Page[T]:
        """Return the current page with its new items only."""
        page = self.page
        assert page is not None  # noqa: S101 # fetch_next() returned True
        self._returned = len(self._items)
        is_whole = len(self._items) == len(page.entities)
        return page if is_whole else attrs.evolve(page, entities=tuple(self._items))

    def position(self) -> Position | None:
        """Return the position after the items that were returned; None at the end."""
        batch, step = self._batch, self._step
        if batch is None:
            return None if step is None else self._start
        is_used_up = not self.has_buffered()
        if is_used_up and step is None:
            return None
        if batch.passes > 1 or (is_used_up and self.pager.report.passes > 1):
            return LATER_PASS
        return batch.position(self._returned)


def make_list_readers(
    page_readers: Sequence[ReadPage[T]],
    start_positions: Sequence[Position | None],
    seen: Container[str],
    *,
    verify: bool,
    new_pager: NewPager = Pager,
) -> list[ListReader[T]]:
    """Return a reader for each list. Together they return each item once, and none whose id is in `seen`."""
    known = SeenIds(seen)
    readers: list[ListReader[T]] = []
    for chunk, (read_page, position) in enumerate(zip(page_readers, start_positions, strict=True)):
        start = position
        if start is not None and start.is_later_pass:  # another pass needs all ids that were returned
            start = START if seen else None
        readers.append(ListReader(new_pager(known, start, verify=verify, chunk=chunk), start, read_page))
    return readers


class Reader(Protocol[T]):
    """Reads the lists of a listing in some order."""

    yields_whole_pages: bool
    """Whether all buffered items of a list reader come next; False if only the first does."""

    @property
    def list_readers(self) -> Sequence[ListReader[T]]: ...
    @property
    def page(self) -> Page[T]: ...
    async def next_reader(self) -> ListReader[T]:
        """Return the list reader with the next item buffered. Raises `StopAsyncIteration` at the end."""
        ...

    def positions(self) -> tuple[int, list[Position | None]]:
        """Return the index of the current list, and the positions in it and in lists after it."""
        ...


class ChainedReader(Generic[T]):
    """Reads one list after the other."""

    yields_whole_pages = True

    def __init__(self, list_readers: Sequence[ListReader[T]]) -> None:
        self.list_readers = list_readers
        self.page: Page[T] = Page(entities=())
        self._index = 0

    async def next_reader(self) -> ListReader[T]:
        """Return the list reader with the next item buffered. Raises `StopAsyncIteration` at the end."""
        while self._index < len(self.list_readers):
            reader = self.list_readers[self._index]
            has_more = await reader.fetch_next()
            self.page = reader.page or self.page
            if has_more:
                return reader
            self._index += 1
        raise StopAsyncIteration

    def positions(self) -> tuple[int, list[Position | None]]:
        """Return the index of the current list, and the positions in it and in lists that an earlier walk has begun."""
        positions = [reader.position() for reader in self.list_readers[self._index :]]
        while positions and positions[-1] == START:  # the start is the default, and there may be many lists
            positions.pop()
        return self._index, positions


class MergedReader(Generic[T]):
    """Merges lists that are sorted by `date_start`. Buffers a page of each."""

    yields_whole_pages = False

    def __init__(self, list_readers: Sequence[ListReader[T]], order: SortOrder) -> None:
        self.list_readers = list_readers
        self.page: Page[T] = Page(entities=())
        self._sign = -1 if order is SortOrder.DESC else 1
        self._heads: list[tuple[bool, float, int]] = []
        """Heap of the sort key of each list's next item, with the index of the list."""
        self._to_refill = list(reversed(range(len(list_readers))))
        """Indexes of the lists whose next item is not in the heap."""

    async def next_reader(self) -> ListReader[T]:
        """Return the list reader whose next item comes first in the order. Raises `StopAsyncIteration` at the end."""
        while self._to_refill:
            index = self._to_refill[-1]
            reader = self.list_readers[index]
            if await reader.fetch_next():
                heappush(self._heads, (*self._sort_key(reader.peek()), index))
            self.page = reader.page or self.page
            self._to_refill.pop()
        if not self._heads:
            raise StopAsyncIteration
        *_, index = heappop(self._heads)
        self._to_refill.append(index)
        return self.list_readers[index]

    def _sort_key(self, item: T) -> tuple[bool, float]:
        """Return a key that sorts by date, and items without a date to the end."""
        start = getattr(item, "date_start", None)
        return (True, 0.0) if start is None else (False, self._sign * start.timestamp())

    def positions(self) -> tuple[int, list[Position | None]]:
        """Return 0, and the position in each list."""
        return 0, [reader.position() for reader in self.list_readers]


def combine(list_readers: Sequence[ListReader[T]], order: SortOrder | None) -> Reader[T]:
    """Return a reader that merges the lists in the order, or reads one after the other if there is none."""
    return ChainedReader(list_readers) if order is None or len(list_readers) == 1 else MergedReader(list_readers, order)
