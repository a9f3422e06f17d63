"""Prefetch: pages are read ahead of the consumer, several at once, and returned in the order of the list."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import anyio
import attrs

from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._serialization.rows import rows_of
from coaching_async.models.common import Page

from .cursor import Position
from .pages import PageRequest, PageResult, last_page_of, next_cursor_of
from .readers import ReadPage

__all__ = ["Prefetcher"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class PrefetchedPage(Generic[T]):
    """A page that is being prefetched, with its error if it fails."""

    ready: anyio.Event = attrs.field(factory=anyio.Event)
    page: Page[T] | None = None
    error: Exception | None = None


@attrs.define(eq=False, repr=False)
class PrefetchQueue(Generic[T]):
    """Pages of one list that are prefetched, and the range of those to come."""

    read_page: ReadPage[T]
    requested: int
    """The furthest page that the pager has requested."""
    last_page: int
    """The last page of the list, as far as known."""
    last_requested: int = 0
    """The page that the pager requested last."""
    has_cursors: bool = False
    """Whether each page names the next one, so that none can be prefetched."""
    pages: dict[int, PrefetchedPage[T]] = attrs.field(factory=dict[int, PrefetchedPage[T]])

    def next(self) -> int | None:
        """Return the number of the next page to prefetch; None if there is none."""
        number = self.requested + 1
        while number in self.pages:
            number += 1
        return number if number <= self.last_page else None

    def pages_of_other_total(self, total: int | None) -> list[int]:
        """Return the numbers of the pages that have arrived with another total, and are therefore outdated."""
        return [number for number, item in self.pages.items() if item.page is not None and item.page.total != total]


class Prefetcher(Generic[T]):
    """Reads pages ahead of the pager, in tasks of its own, up to `concurrency` at once.

    Up to twice as many pages are in flight or waiting for the consumer, so that one slow page does not block the later ones.
    """

    def __init__(
        self,
        page_readers: Sequence[ReadPage[T]],
        start_positions: Sequence[Position | None],
        concurrency: int,
        limit: int | None = None,
        *,
        is_merged: bool,
    ) -> None:
        self.tasks: ErrorCollectingTaskGroup | None = None
        """Task group of the fetches; no page is prefetched while it is None."""
        self._queues = [
            _prefetch_queue(read_page, start) for read_page, start in zip(page_readers, start_positions, strict=True)
        ]
        self._concurrency = concurrency
        self._limit = limit
        """Number of items that the consumer wants. Pages beyond them are not prefetched. None for all."""
        self._requested_pages = 0
        self._is_merged = is_merged
        self._semaphore = anyio.Semaphore(concurrency, fast_acquire=True)
        self._page_size = 1
        self._has_failed = False
        self.wasted: int = 0
        """Prefetched pages that were discarded because the list had changed."""

    def page_readers(self) -> list[ReadPage[T]]:
        """Return a function for each list that reads its pages with prefetch."""
        return [self._page_reader_of(queue) for queue in self._queues]

    def _page_reader_of(self, queue: PrefetchQueue[T]) -> ReadPage[T]:
        async def read(request: PageRequest) -> PageResult[T]:
            return await self._read(queue, request)

        return read

    async def _read(self, queue: PrefetchQueue[T], request: PageRequest) -> PageResult[T]:
        if not self._is_merged:
            for earlier in self._queues[: self._queues.index(queue)]:
                self._discard(earlier, list(earlier.pages))
        if request.must_be_fresh and (request.number == 1 or request.number != queue.last_requested):
            self._discard(queue, list(queue.pages))  # the pager starts another pass, or the page size has changed
            queue.requested = 0
        queue.requested = max(queue.requested, request.number)
        prefetched = queue.pages.get(request.number)
        if prefetched is None:
            self._requested_pages += 1
            page = await self._fetch(queue, request)
            self._discard(queue, queue.pages_of_other_total(page.total))
        else:
            page = await _wait_for_page(prefetched)
            queue.pages.pop(request.number, None)
        queue.last_requested = request.number
        self._page_arrived(queue, page)
        return PageResult(page, is_fresh=prefetched is None)

    def _discard(self, queue: PrefetchQueue[T], numbers: Sequence[int]) -> None:
        for number in numbers:
            del queue.pages[number]
        self.wasted += len(numbers)

    async def _fetch(self, queue: PrefetchQueue[T], request: PageRequest) -> Page[T]:
        async with self._semaphore:
            return (await queue.read_page(request)).page

    def _page_arrived(self, queue: PrefetchQueue[T], page: Page[T]) -> None:
        """Learn from the page how many there are, and prefetch more."""
        size = page.page_size if page.page_size and page.page_size > 0 else max(1, len(rows_of(page)))
        queue.has_cursors |= next_cursor_of(page) is not None
        last = None if queue.has_cursors else last_page_of(page, size)
        queue.last_page = queue.requested if last is None else max(1, last)
        for number in [number for number in queue.pages if number > queue.last_page]:
            del queue.pages[number]
        self._page_size = size
        self._start_fetches()

    def _start_fetches(self) -> None:
        """Start fetching pages until a limit is reached."""
        while self.tasks is not None and not self._has_failed and self._below_limit() and self._wants_more():
            waiting = [(queue, number) for queue in self._queues if (number := queue.next()) is not None]
            if not waiting:
                return
            try:
                self._semaphore.acquire_nowait()  # here and not in the task, so that pages are fetched in their order
            except anyio.WouldBlock:
                return
            queue, number = (
                min(waiting, key=lambda item: item[1] - item[0].last_requested) if self._is_merged else waiting[0]
            )
            prefetched = queue.pages[number] = PrefetchedPage[T]()
            self._requested_pages += 1
            self.tasks.start_soon(self._fetch_into, queue, number, prefetched)

    def _below_limit(self) -> bool:
        return sum(len(queue.pages) for queue in self._queues) < 2 * self._concurrency

    def _wants_more(self) -> bool:
        return self._limit is None or self._requested_pages * self._page_size < self._limit

    async def _fetch_into(self, queue: PrefetchQueue[T], number: int, prefetched: PrefetchedPage[T]) -> None:
        """Fetch a page. The caller has acquired the semaphore."""
        try:
            prefetched.page = (await queue.read_page(PageRequest(number))).page
        except Exception as error:  # noqa: BLE001 # raised when the pager requests the page
            prefetched.error = error
            self._has_failed = True
        finally:
            self._semaphore.release()
        if prefetched.page is not None and queue.pages.get(number) is prefetched:
            self._page_arrived(queue, prefetched.page)
        else:
            self._start_fetches()
        prefetched.ready.set()


async def _wait_for_page(prefetched: PrefetchedPage[T]) -> Page[T]:
    await prefetched.ready.wait()
    if prefetched.error is not None:
        raise prefetched.error
    assert prefetched.page is not None  # noqa: S101 # the event is set
    return prefetched.page


def _prefetch_queue(read_page: ReadPage[T], start: Position | None) -> PrefetchQueue[T]:
    if start is None:
        return PrefetchQueue(read_page, requested=0, last_page=0)
    before = start.pages_before
    return PrefetchQueue(read_page, requested=before, last_page=before + 1, last_requested=before)
