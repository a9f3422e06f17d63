"""Walks: the items of a list, or its pages, step by step."""

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import attrs

from coaching_async._concurrency.synchronization import SingleTaskGuard
from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._exceptions import ClientMisuse, CoachingError
from coaching_async._value import Value
from coaching_async.models.common import Page

from .cursor import encode_cursor
from .prefetch import Prefetcher
from .readers import ListReader, Reader

__all__ = ["ItemWalk", "PageWalk", "Stream", "Walk", "WalkReport"]

T = TypeVar("T")


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


class BaseWalk(Generic[T]):
    """What all ways of walking have."""

    def __init__(self, route: Reader[T], key: str | None) -> None:
        self._route: Reader[T] = route
        self._key: Final = key
        self._turns: Final = SingleTaskGuard("walk")

    @property
    def page(self) -> Page[T]:
        """The page that was read last: its `total` tells how far the walk has to go."""
        return self._route.page

    @property
    def report(self) -> WalkReport:
        """What it has met so far."""
        courses = [strand.pager for strand in self._route.strands]
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
        return None if self._key is None else encode_cursor(self._key, *self._route.positions())

    async def _next_reader(self) -> ListReader[T]:
        """A step: the one that has what comes next."""
        self._turns.enter()
        try:
            return await self._route.next_reader()
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._attach_cursor(error)
            raise
        finally:
            self._turns.exit()

    def _attach_cursor(self, error: Exception) -> None:
        """A step has ended with that."""
        if isinstance(error, CoachingError):
            error.cursor = self.cursor


class ItemWalk(BaseWalk[T], AsyncIterator[T]):
    """Steps over items."""

    _current: ListReader[T] | None = None
    """The one that comes next for as long as it has an item in hand; most steps are taken by it alone."""

    async def __anext__(self) -> T:
        strand = self._current
        if strand is not None and strand.has_buffered():
            self._turns.check()
        else:
            strand = await self._next_reader()
            self._current = strand if self._route.yields_whole_pages else None
        return strand.take()

    async def take_batch(self, most: int | None) -> Sequence[T]:
        """As many items as one step gives, and not more than `most`; nothing at the end."""
        try:
            strand = await self._next_reader()
        except StopAsyncIteration:
            return ()
        return strand.take_batch(most if self._route.yields_whole_pages else 1)


class Walk(ItemWalk[T]):
    """A walk over the items of a list, each once. After an error the next step goes on at the same item."""


class PageWalk(BaseWalk[T], AsyncIterator[Page[T]]):
    """A walk over the pages of a list, with what is new on each. After an error the next step goes on at the same page.

    Where the list was split, it goes through one part after the other, whatever the order.
    """

    async def __anext__(self) -> Page[T]:
        return (await self._next_reader()).take_page()


class Stream(ItemWalk[T]):
    """The items of a list, each once and in its order, while pages are read ahead: `async with` it, then `async for` over it.

    Leaving the block ends what is in flight. After an error it is over: its `cursor` tells where another one goes on.
    """

    def __init__(self, route: Reader[T], ahead: Prefetcher[T], key: str | None) -> None:
        super().__init__(route, key)
        self._ahead = ahead
        self._tasks: ErrorCollectingTaskGroup | None = None
        self._problem: str | None = "a stream is used inside its block: async with listing.stream() as items"

    @property
    def report(self) -> WalkReport:
        """What it has met so far. What was read ahead in vain counts as read again."""
        found, wasted = super().report, self._ahead.wasted
        return attrs.evolve(found, pages=found.pages + wasted, re_reads=found.re_reads + wasted)

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise ClientMisuse("a stream is used once: make another one")
        self._tasks = ErrorCollectingTaskGroup()
        await self._tasks.__aenter__()
        self._ahead.tasks, self._problem = self._tasks, None
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tasks is not None  # noqa: S101 # it was entered
        self._end("this stream has ended with its block: its cursor tells where another one goes on")
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, traceback)

    async def _strand(self) -> ListReader[T]:
        if self._problem is not None:
            raise ClientMisuse(self._problem)
        return await super()._next_reader()

    def _failed(self, error: Exception) -> None:
        super()._attach_cursor(error)
        self._end("this stream ended with an error: its cursor tells where another one goes on")

    def _end(self, problem: str) -> None:
        """No more steps, not even those by what is in hand."""
        self._problem, self._current = problem, None
