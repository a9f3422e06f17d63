"""Async iterators over a list: its items (walk), its pages (page walk), or its items with prefetch (stream)."""

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import attrs

from coaching_async._concurrency.synchronization import SingleTaskGuard
from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._exceptions import ClientMisuse, CoachingError
from coaching_async._refusals.async_only import AsyncContextOnly, AsyncOnly
from coaching_async._value import summary
from coaching_async.models.common import Page

from .cursor import encode_cursor
from .prefetch import Prefetcher
from .readers import ListReader, Reader
from .report import WalkReport, merge_reports

__all__ = ["ItemWalk", "PageWalk", "Stream", "Walk"]

T = TypeVar("T")


class BaseWalk(AsyncOnly, Generic[T]):
    """Base of the iterators over a list."""

    _instead_of_for = "`async for item in walk`"
    _instead_of_len = "the `total` of its `page`, or `await listing.total()` of its listing"
    _instead_of_index = "`await anext(...)` for the next one"

    def __init__(self, reader: Reader[T], fingerprint: str | None, description: str = "") -> None:
        self._reader: Reader[T] = reader
        self._fingerprint: Final = fingerprint
        self._description: Final = description
        self._guard: Final = SingleTaskGuard("walk")

    def __repr__(self) -> str:
        return summary(self, self._description, pages_read=self.report.pages)

    @property
    def page(self) -> Page[T]:
        """The current page. Its `total` is the number of items in the list."""
        return self._reader.page

    @property
    def report(self) -> WalkReport:
        """Counts of this walk so far."""
        return merge_reports([reader.pager.report for reader in self._reader.list_readers])

    @property
    def cursor(self) -> str | None:
        """Position after the last item, for `list(..., cursor=...)`, also in another process; None if the list takes none.

        A cursor is short (if the list is split and sorted, that holds for each part) and safe in a URL. It contains no
        ids, only digests of the last page's ids. So a walk that resumes from it drops the items of that page, but does
        not know earlier ones. It may return an item again if more rows than a page were inserted in the meantime, if
        all rows of the last page were deleted, or if two parts of a split list contain the item. It may miss an item if
        as many rows were deleted before it as were inserted behind it. `Listing.walk(seen=...)` excludes both. If the
        first pass has ended and another one looks for missed items, the cursor is at the end.
        """
        return None if self._fingerprint is None else encode_cursor(self._fingerprint, *self._reader.positions())

    async def _next_reader(self) -> ListReader[T]:
        self._guard.enter()
        try:
            return await self._reader.next_reader()
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._attach_cursor(error)
            raise
        finally:
            self._guard.exit()

    def _attach_cursor(self, error: Exception) -> None:
        if isinstance(error, CoachingError):
            error.cursor = self.cursor


class ItemWalk(BaseWalk[T], AsyncIterator[T]):
    """Base of the iterators over items."""

    _current: ListReader[T] | None = None
    """The list reader whose buffered items come next. Most steps need nothing else."""

    async def __anext__(self) -> T:
        reader = self._current
        if reader is not None and reader.has_buffered():
            self._guard.check()
        else:
            reader = await self._next_reader()
            self._current = reader if self._reader.yields_whole_pages else None
        return reader.take()

    async def take_batch(self, limit: int | None) -> Sequence[T]:
        """Return the items that are buffered after one step, up to `limit`; none at the end."""
        try:
            reader = await self._next_reader()
        except StopAsyncIteration:
            return ()
        return reader.take_batch(limit if self._reader.yields_whole_pages else 1)


class Walk(ItemWalk[T]):
    """Async iterator over the items of a list, each once. After an error the next step continues at the same item."""


class PageWalk(BaseWalk[T], AsyncIterator[Page[T]]):
    """Async iterator over the pages of a list, each with its new items. After an error the next step continues at the same page.

    If the list was split, it reads one part after the other, even if the listing has an order.
    """

    _instead_of_for = "`async for page in listing.pages()`"

    async def __anext__(self) -> Page[T]:
        return (await self._next_reader()).take_page()


class Stream(AsyncContextOnly, ItemWalk[T]):
    """Async iterator over the items of a list, each once and in order, with prefetch: `async with` it, then `async for` over it.

    Leaving the block cancels the reads in flight. An error ends the stream; another one can resume from its `cursor`.
    """

    _instead_of_for = "`async with listing.stream() as items`, and `async for item in items` in it"

    def __init__(
        self, reader: Reader[T], prefetcher: Prefetcher[T], fingerprint: str | None, description: str = ""
    ) -> None:
        super().__init__(reader, fingerprint, description)
        self._prefetcher = prefetcher
        self._tasks: ErrorCollectingTaskGroup | None = None
        self._problem: str | None = "a stream is used inside its block: async with listing.stream() as items"

    @property
    def report(self) -> WalkReport:
        """Counts of this stream so far. Prefetched pages that were discarded count as read again."""
        report, wasted = super().report, self._prefetcher.wasted
        return attrs.evolve(report, pages=report.pages + wasted, re_reads=report.re_reads + wasted)

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise ClientMisuse("a stream is used once: make another one")
        self._tasks = ErrorCollectingTaskGroup()
        await self._tasks.__aenter__()
        self._prefetcher.tasks, self._problem = self._tasks, None
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tasks is not None  # noqa: S101 # it was entered
        self._end("this stream has ended with its block: its cursor tells where another one goes on")
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, traceback)

    async def _next_reader(self) -> ListReader[T]:
        if self._problem is not None:
            raise ClientMisuse(self._problem)
        return await super()._next_reader()

    def _attach_cursor(self, error: Exception) -> None:
        super()._attach_cursor(error)
        self._end("this stream ended with an error: its cursor tells where another one goes on")

    def _end(self, problem: str) -> None:
        """Refuse all further steps, those over buffered items included."""
        self._problem, self._current = problem, None
