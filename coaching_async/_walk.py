"""Walks: the items, or the pages, of what may be several lists on the service, one after the other or merged."""

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from heapq import heappop, heappush
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import attrs

from ._batch import Answer, Ask, Batch
from ._course import Course
from ._cursor import AGAIN, FRESH, Position, packed
from ._errors import CoachingError
from ._known import Known
from ._turns import Turns
from ._value import Value
from .models import Page, SortOrder

__all__ = ["Chained", "PageWalk", "Read", "Route", "Stepping", "Strand", "Walk", "WalkReport", "route", "strands"]

T = TypeVar("T")

Read: TypeAlias = Callable[[Ask], Awaitable[Answer[T]]]


@attrs.frozen(eq=False, repr=False)
class WalkReport(Value):
    """What a walk has met so far."""

    pages: int = 0
    """Pages read."""
    duplicates: int = 0
    """Items that came again, and were dropped."""
    re_reads: int = 0
    """Of `pages`, those that were read because the list had changed, or for another pass. A calm walk has none."""
    suspected_gaps: int = 0
    """Changes of the list that were seen, and after which something may still be missing."""
    passes: int = 0
    """How often the list was walked, the present time included."""


class Strand(Generic[T]):
    """One list of the service being walked: its course, and the batch in hand."""

    def __init__(self, course: Course[T], start: Position | None, read: Read[T]) -> None:
        self.course = course
        self.page: Page[T] | None = None
        """The one that was read last."""
        self._start = start
        self._read = read
        self._steps = course.steps()
        self._step: Ask | Batch[T] | None
        self._go_on(None)
        self._batch: Batch[T] | None = None
        self._handed_out = 0

    async def has_more(self) -> bool:
        """Whether there is an item to take; reads pages until one is there. After an error it may be asked again."""
        while not self.has_item():
            step = self._step
            if step is None:
                return False
            if isinstance(step, Ask):
                self._go_on(await self._read(step))
            else:
                self._batch, self._handed_out, self.page = step, 0, step.page
                self._go_on(None)
        return True

    def has_item(self) -> bool:
        """Whether there is one in hand."""
        return self._batch is not None and self._handed_out < len(self._batch.items)

    def _go_on(self, answer: Answer[T] | None) -> None:
        try:
            self._step = self._steps.send(answer)
        except StopIteration:
            self._step = None

    def head(self) -> T:
        """The next item, while there is one."""
        assert self._batch is not None  # noqa: S101 # has_more() came before
        return self._batch.items[self._handed_out]

    def take(self) -> T:
        """Hand out the next item."""
        batch, at = self._batch, self._handed_out
        assert batch is not None  # noqa: S101 # has_more() came before
        self._handed_out = at + 1
        return batch.items[at]

    def take_page(self) -> Page[T]:
        """Hand out all items of the page in hand."""
        batch = self._batch
        assert batch is not None  # noqa: S101 # has_more() came before
        self._handed_out = len(batch.items)
        is_whole = len(batch.items) == len(batch.page.entities)
        return batch.page if is_whole else attrs.evolve(batch.page, entities=tuple(batch.items))

    def position(self) -> Position | None:
        """Where it is; None at its end."""
        batch, step = self._batch, self._step
        if batch is None:
            return None if step is None else self._start
        is_at_the_end = self._handed_out == len(batch.items)
        if is_at_the_end and step is None:
            return None
        if batch.passes > 1 or (is_at_the_end and self.course.passes > 1):
            return AGAIN
        return batch.position(self._handed_out)


def strands(
    reads: Sequence[Read[T]], starts: Sequence[Position | None], seen: Container[str], *, until_agreed: bool
) -> list[Strand[T]]:
    """One for each list. An item that two of them have comes once, and what was `seen` does not come at all."""
    known = Known(seen)
    found: list[Strand[T]] = []
    for read, place in zip(reads, starts, strict=True):
        start = place
        if start is not None and start.is_later_pass:  # possible only where all that was handed out is known
            start = FRESH if seen else None
        found.append(Strand(Course(known, start, until_agreed=until_agreed), start, read))
    return found


class Route(Protocol[T]):
    """The way through the strands."""

    @property
    def strands(self) -> Sequence[Strand[T]]: ...
    @property
    def page(self) -> Page[T]: ...
    def at_hand(self) -> Strand[T] | None:
        """The one that has the next item, if that can be told without reading."""
        ...

    async def strand(self) -> Strand[T]:
        """The one that has the next item."""
        ...

    def positions(self) -> tuple[int, list[Position | None]]:
        """The strand where it is, and the positions in that and some after it."""
        ...


class Chained(Generic[T]):
    """One strand after the other."""

    def __init__(self, strands: Sequence[Strand[T]]) -> None:
        self.strands = strands
        self.page: Page[T] = Page(entities=())
        self._at = 0

    def at_hand(self) -> Strand[T] | None:
        """The present one, while it has an item in hand."""
        if self._at == len(self.strands):
            return None
        strand = self.strands[self._at]
        return strand if strand.has_item() else None

    async def strand(self) -> Strand[T]:
        """The one that has the next item."""
        while self._at < len(self.strands):
            strand = self.strands[self._at]
            has_more = await strand.has_more()
            self.page = strand.page or self.page
            if has_more:
                return strand
            self._at += 1
        raise StopAsyncIteration

    def positions(self) -> tuple[int, list[Position | None]]:
        """Which strand it is in, where that is, and where those after it are that were begun by an earlier walk."""
        found = [each.position() for each in self.strands[self._at :]]
        while found and found[-1] == FRESH:  # as good as left out, and there may be many
            found.pop()
        return self._at, found


class Merged(Generic[T]):
    """All strands at once, each in order: the item that is due first comes first. It holds a page of each."""

    def __init__(self, strands: Sequence[Strand[T]], order: SortOrder) -> None:
        self.strands = strands
        self.page: Page[T] = Page(entities=())
        self._sign = -1 if order is SortOrder.DESC else 1
        self._heads: list[tuple[bool, float, int]] = []
        self._headless = list(reversed(range(len(strands))))

    def at_hand(self) -> Strand[T] | None:
        """None: which is due first is told by all of them."""
        return None

    async def strand(self) -> Strand[T]:
        """The one that has the item that is due first."""
        while self._headless:
            number = self._headless[-1]
            strand = self.strands[number]
            if await strand.has_more():
                heappush(self._heads, (*self._due(strand.head()), number))
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


def route(strands: Sequence[Strand[T]], order: SortOrder | None) -> Route[T]:
    """In order, where there is one to keep, and else one after the other."""
    return Chained(strands) if order is None or len(strands) == 1 else Merged(strands, order)


class Stepping(Generic[T]):
    """What all ways of walking have."""

    def __init__(self, route: Route[T], key: str | None) -> None:
        self._route: Route[T] = route
        self._key: Final = key
        self._turns: Final = Turns("walk")

    @property
    def page(self) -> Page[T]:
        """The page that was read last: its `total` tells how far the walk has to go."""
        return self._route.page

    @property
    def report(self) -> WalkReport:
        """What it has met so far."""
        courses = [strand.course for strand in self._route.strands]
        return WalkReport(
            pages=sum(each.pages for each in courses),
            duplicates=sum(each.duplicates for each in courses),
            re_reads=sum(each.re_reads for each in courses),
            suspected_gaps=sum(each.suspected_gaps for each in courses),
            passes=max((each.passes for each in courses), default=0),
        )

    @property
    def cursor(self) -> str | None:
        """With what `list(..., cursor=...)` goes on after the last item, in another process, say; None where it takes none.

        It is short (of a list that is split and sorted, so much for each part), safe in a URL, and has no ids in it, only
        digests of the last page's. So a walk that goes on from it drops what came last, but cannot know what came long
        ago: where more rows than a page were inserted in the meantime, or all of the last page was deleted, or two parts
        of a list that is split have an item, it may hand out an item again. Where the list was walked to its end, and is
        being walked again for what was missed, a cursor is at the end.
        """
        return None if self._key is None else packed(self._key, *self._route.positions())

    def _at_hand(self) -> Strand[T] | None:
        """A step that waits for nothing: the one that has what comes next, if it has been read."""
        strand = self._route.at_hand()
        if strand is not None:
            self._turns.step()
        return strand

    async def _strand(self) -> Strand[T]:
        """A step: the one that has what comes next."""
        self._turns.begin()
        try:
            return await self._route.strand()
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._turns.end()

    def _failed(self, error: Exception) -> None:
        """A step has ended with that."""
        if isinstance(error, CoachingError):
            error.cursor = self.cursor


class Walk(Stepping[T], AsyncIterator[T]):
    """A walk over the items of a list, each once. After an error the next step goes on at the same item."""

    async def __anext__(self) -> T:
        return (self._at_hand() or await self._strand()).take()


class PageWalk(Stepping[T], AsyncIterator[Page[T]]):
    """A walk over the pages of a list, with what is new on each. After an error the next step goes on at the same page.

    Where the list was split, it goes through one part after the other, whatever the order.
    """

    async def __anext__(self) -> Page[T]:
        return (self._at_hand() or await self._strand()).take_page()
