"""The ways through what may be several lists on the service: one after the other, or merged."""

from collections.abc import Awaitable, Callable, Container, Sequence
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeAlias, TypeVar

import attrs

from coaching_async.models.appointments import SortOrder
from coaching_async.models.common import Page

from .cursor import LATER_PASS, START, Position
from .deduplication import SeenIds
from .pager import Pager
from .pages import NewItems, PageRequest, PageResult

__all__ = ["ChainedReader", "ListReader", "MergedReader", "ReadPage", "Reader", "combine", "list_readers"]

T = TypeVar("T")

ReadPage: TypeAlias = Callable[[PageRequest], Awaitable[PageResult[T]]]


class ListReader(Generic[T]):
    """One list of the service being walked: its course, and the batch in hand."""

    def __init__(self, course: Pager[T], start: Position | None, read: ReadPage[T]) -> None:
        self.pager = course
        self.page: Page[T] | None = None
        """The one that was read last."""
        self._start = start
        self._read = read
        self._steps = course.run()
        self._step: PageRequest | NewItems[T] | None
        self._advance(None)
        self._batch: NewItems[T] | None = None
        self._items: Sequence[T] = ()
        """Those of the batch."""
        self._returned = 0

    async def fetch_next(self) -> bool:
        """Whether there is an item to take; reads pages until one is there. After an error it may be asked again."""
        while not self.has_buffered():
            step = self._step
            if step is None:
                return False
            if isinstance(step, PageRequest):
                self._advance(await self._read(step))
            else:
                self._batch, self._items, self._returned, self.page = step, step.items, 0, step.page
                self._advance(None)
        return True

    def has_buffered(self) -> bool:
        """Whether there is one in hand."""
        return self._returned < len(self._items)

    def _advance(self, answer: PageResult[T] | None) -> None:
        try:
            self._step = self._steps.send(answer)
        except StopIteration:
            self._step = None

    def peek(self) -> T:
        """The next item, while there is one."""
        return self._items[self._returned]

    def take(self) -> T:
        """Hand out the next item."""
        item = self._items[self._returned]
        self._returned += 1
        return item

    def take_batch(self, most: int | None) -> Sequence[T]:
        """Hand out what is in hand, at most so many."""
        at = self._returned
        items = self._items[at:] if most is None else self._items[at : at + most]
        self._returned = at + len(items)
        return items

    def take_page(self) -> Page[T]:
        """Hand out all items of the page in hand."""
        batch = self._batch
        assert batch is not None  # noqa: S101 # has_more() came before
        self._returned = len(self._items)
        is_whole = len(self._items) == len(batch.page.entities)
        return batch.page if is_whole else attrs.evolve(batch.page, entities=tuple(self._items))

    def position(self) -> Position | None:
        """Where it is; None at its end."""
        batch, step = self._batch, self._step
        if batch is None:
            return None if step is None else self._start
        is_at_the_end = not self.has_buffered()
        if is_at_the_end and step is None:
            return None
        if batch.passes > 1 or (is_at_the_end and self.pager.passes > 1):
            return LATER_PASS
        return batch.position(self._returned)


def list_readers(
    reads: Sequence[ReadPage[T]], starts: Sequence[Position | None], seen: Container[str], *, until_agreed: bool
) -> list[ListReader[T]]:
    """One for each list. An item that two of them have comes once, and what was `seen` does not come at all."""
    known = SeenIds(seen)
    found: list[ListReader[T]] = []
    for read, place in zip(reads, starts, strict=True):
        start = place
        if start is not None and start.is_later_pass:  # possible only where all that was handed out is known
            start = START if seen else None
        found.append(ListReader(Pager(known, start, until_agreed=until_agreed), start, read))
    return found


class Reader(Protocol[T]):
    """The way through the strands."""

    yields_whole_pages: bool
    """Whether all that the strand has in hand comes next, and not only the first of it."""

    @property
    def strands(self) -> Sequence[ListReader[T]]: ...
    @property
    def page(self) -> Page[T]: ...
    async def next_reader(self) -> ListReader[T]:
        """The one that has the next item."""
        ...

    def positions(self) -> tuple[int, list[Position | None]]:
        """The strand where it is, and the positions in that and some after it."""
        ...


class ChainedReader(Generic[T]):
    """One strand after the other."""

    yields_whole_pages = True

    def __init__(self, strands: Sequence[ListReader[T]]) -> None:
        self.strands = strands
        self.page: Page[T] = Page(entities=())
        self._at = 0

    async def next_reader(self) -> ListReader[T]:
        """The one that has the next item."""
        while self._at < len(self.strands):
            strand = self.strands[self._at]
            has_more = await strand.fetch_next()
            self.page = strand.page or self.page
            if has_more:
                return strand
            self._at += 1
        raise StopAsyncIteration

    def positions(self) -> tuple[int, list[Position | None]]:
        """Which strand it is in, where that is, and where those after it are that were begun by an earlier walk."""
        found = [each.position() for each in self.strands[self._at :]]
        while found and found[-1] == START:  # as good as left out, and there may be many
            found.pop()
        return self._at, found


class MergedReader(Generic[T]):
    """All strands at once, each in order: the item that is due first comes first. It holds a page of each."""

    yields_whole_pages = False

    def __init__(self, strands: Sequence[ListReader[T]], order: SortOrder) -> None:
        self.strands = strands
        self.page: Page[T] = Page(entities=())
        self._sign = -1 if order is SortOrder.DESC else 1
        self._heads: list[tuple[bool, float, int]] = []
        self._headless = list(reversed(range(len(strands))))

    async def next_reader(self) -> ListReader[T]:
        """The one that has the item that is due first."""
        while self._headless:
            number = self._headless[-1]
            strand = self.strands[number]
            if await strand.fetch_next():
                heappush(self._heads, (*self._due(strand.peek()), number))
            self.page = strand.page or self.page
            self._headless.pop()
        if not self._heads:
            raise StopAsyncIteration
        *_, number = heappop(self._heads)
        self._headless.append(number)
        return self.strands[number]

    def _due(self, item: T) -> tuple[bool, float]:
        start = getattr(item, "date_start", None)
        return (True, 0.0) if start is None else (False, self._sign * start.timestamp())

    def positions(self) -> tuple[int, list[Position | None]]:
        """Where each strand is."""
        return 0, [each.position() for each in self.strands]


def combine(strands: Sequence[ListReader[T]], order: SortOrder | None) -> Reader[T]:
    """In order, where there is one to keep, and else one after the other."""
    return ChainedReader(strands) if order is None or len(strands) == 1 else MergedReader(strands, order)
