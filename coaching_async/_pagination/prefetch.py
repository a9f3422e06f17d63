"""Streams: walks that read pages ahead, several at once, and give the items in the order of the list all the same."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import anyio
import attrs

from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async.models.common import Page

from .cursor import Position
from .pages import PageRequest, PageResult, last_page_of
from .readers import ReadPage

__all__ = ["Prefetcher"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class PrefetchedPage(Generic[T]):
    """A page that is read ahead, or why it could not be."""

    ready: anyio.Event = attrs.field(factory=anyio.Event)
    page: Page[T] | None = None
    error: Exception | None = None


@attrs.define(eq=False, repr=False)
class PrefetchQueue(Generic[T]):
    """How far one list is read."""

    read: ReadPage[T]
    requested: int
    """The furthest page that the walk has asked for."""
    last_page: int
    """The last page there is, as far as that is known."""
    last_requested: int = 0
    """The page that it asked for last."""
    slots: dict[int, PrefetchedPage[T]] = attrs.field(factory=dict[int, PrefetchedPage[T]])

    def next(self) -> int | None:
        """The page that comes after all that are read or being read."""
        number = self.requested + 1
        while number in self.slots:
            number += 1
        return number if number <= self.last_page else None


class Prefetcher(Generic[T]):
    """Reads ahead of a walk, in tasks of its own, at most `width` at once.

    Twice as many are under way or kept until they are wanted: so one that is slow does not hold up all that come after it.
    """

    def __init__(
        self,
        reads: Sequence[ReadPage[T]],
        starts: Sequence[Position | None],
        width: int,
        limit: int | None = None,
        *,
        is_merged: bool,
    ) -> None:
        self.tasks: ErrorCollectingTaskGroup | None = None
        """Where its tasks live."""
        self._lanes = [_prefetch_queue(read, start) for read, start in zip(reads, starts, strict=True)]
        self._width = width
        self._limit = limit
        """As many items will do, and no page is read ahead that is beyond them; None for all."""
        self._begun = 0
        """Pages."""
        self._is_merged = is_merged
        self._semaphore = anyio.Semaphore(width, fast_acquire=True)
        self._size = 1
        """Items on a page."""
        self._has_failed = False
        self.wasted = 0
        """Pages that were read ahead, and of no use because the list had changed by then."""

    def page_readers(self) -> list[ReadPage[T]]:
        """What reads the pages of each list."""
        return [self._read_of(lane) for lane in self._lanes]

    def _read_of(self, lane: PrefetchQueue[T]) -> ReadPage[T]:
        async def read(ask: PageRequest) -> PageResult[T]:
            return await self._read(lane, ask)

        return read

    async def _read(self, lane: PrefetchQueue[T], ask: PageRequest) -> PageResult[T]:
        if not self._is_merged:
            for left in self._lanes[: self._lanes.index(lane)]:
                self._discard(left, lambda _: True)
        if ask.is_current and (ask.number == 1 or ask.number != lane.last_requested):  # it begins afresh
            self._discard(lane, lambda _: True)
            lane.requested = 0
        lane.requested = max(lane.requested, ask.number)
        slot = lane.slots.get(ask.number)
        if slot is None:
            self._begun += 1
            page = await self._fetch(lane, ask.number)
            self._discard(lane, lambda each: each.page is not None and each.page.total != page.total)  # they are older
        else:
            page = await _wait_for_page(slot)
            lane.slots.pop(ask.number, None)
        lane.last_requested = ask.number
        self._page_arrived(lane, page)
        return PageResult(page, is_current=slot is None)

    def _discard(self, lane: PrefetchQueue[T], which: Callable[[PrefetchedPage[T]], bool]) -> None:
        """Forget pages that are of no use any more."""
        for number in [number for number, slot in lane.slots.items() if which(slot)]:
            del lane.slots[number]
            self.wasted += 1

    async def _fetch(self, lane: PrefetchQueue[T], number: int) -> Page[T]:
        async with self._semaphore:
            return (await lane.read(PageRequest(number))).page

    def _page_arrived(self, lane: PrefetchQueue[T], page: Page[T]) -> None:
        """Now that the page is there, there may be more to read."""
        size = page.page_size if page.page_size and page.page_size > 0 else max(1, len(page.entities))
        last = last_page_of(page, size)
        lane.last_page = lane.requested if last is None else max(1, last)
        for beyond in [each for each in lane.slots if each > lane.last_page]:
            del lane.slots[beyond]
        self._size = size
        self._start_fetches()

    def _start_fetches(self) -> None:
        """Read what comes next, as far as there are places and room for it."""
        while self.tasks is not None and not self._has_failed and self._below_limit() and self._wants_more(self._size):
            waiting = [(each, number) for each in self._lanes if (number := each.next()) is not None]
            if not waiting:
                return
            try:
                self._semaphore.acquire_nowait()  # here, so that they are taken in the order of the pages
            except anyio.WouldBlock:
                return
            lane, number = (
                min(waiting, key=lambda each: each[1] - each[0].last_requested) if self._is_merged else waiting[0]
            )
            slot = lane.slots[number] = PrefetchedPage[T]()
            self._begun += 1
            self.tasks.start_soon(self._fetch_into, lane, number, slot)

    def _below_limit(self) -> bool:
        return sum(len(each.slots) for each in self._lanes) < 2 * self._width

    def _wants_more(self, size: int) -> bool:
        return self._limit is None or self._begun * size < self._limit

    async def _fetch_into(self, lane: PrefetchQueue[T], number: int, slot: PrefetchedPage[T]) -> None:
        """Read a page, from a place that was taken for it."""
        try:
            slot.page = (await lane.read(PageRequest(number))).page
        except Exception as error:  # noqa: BLE001 # raised when it is its turn
            slot.error = error
            self._has_failed = True
        finally:
            self._semaphore.release()
        if slot.page is not None and lane.slots.get(number) is slot:
            self._page_arrived(lane, slot.page)
        else:
            self._start_fetches()
        slot.ready.set()


async def _wait_for_page(slot: PrefetchedPage[T]) -> Page[T]:
    await slot.ready.wait()
    if slot.error is not None:
        raise slot.error
    assert slot.page is not None  # noqa: S101 # it is ready
    return slot.page


def _prefetch_queue(read: ReadPage[T], start: Position | None) -> PrefetchQueue[T]:
    if start is None:
        return PrefetchQueue(read, requested=0, last_page=0)
    before = start.row // start.size if start.size else 0
    return PrefetchQueue(read, requested=before, last_page=before + 1, last_requested=before)
