"""Lists: walking pages so that nobody has to see them."""

import math
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Generic, Literal, TypeAlias, TypedDict, TypeVar, get_args

import attrs

from coaching_async._exceptions import CoachingError
from coaching_async._transport.priority import bulk_priority
from coaching_async._transport.rate_limit import RateLimit, bulk_seconds
from coaching_async._value import Value
from coaching_async.models.appointments import SortOrder
from coaching_async.models.common import Page

from .cursor import START, Position, decode_cursor
from .iterators import ItemWalk, PageWalk, Stream, Walk
from .pages import PageRequest, PageResult
from .prefetch import Prefetcher
from .readers import ChainedReader, Reader, ReadPage, combine, list_readers

__all__ = ["Consistency", "Listing", "Plan", "WalkOptions"]

T = TypeVar("T")

FetchPage: TypeAlias = Callable[[int, int], Awaitable[Page[T]]]
"""Reads page `number` with `size` entities a page."""


Consistency: TypeAlias = Literal["default", "verify"]


class WalkOptions(TypedDict, total=False):
    """How a list is walked that has cursors."""

    cursor: str | None
    """Where to go on; None begins afresh."""
    consistency: Consistency


@attrs.frozen(eq=False, repr=False)
class Plan(Value):
    """What reading a list will take, as far as that can be known without asking."""

    requests: int
    """At least. Retries, and pages that are read again because the list changes, come on top."""
    chunks: int
    """The lists that it is split into, because it has so many ids."""
    seconds: float
    """How long the client's rate limit holds them up, if nothing else is sent. The time of the answers comes on top."""


@attrs.frozen(eq=False, repr=False)
class Listing(Value, Generic[T]):
    """A list on the service. It does nothing until it is used, and may be used again: each walk starts afresh.

    Every way of using it needs the permission, and raises the errors, of the method that made it. Where the list changes
    while it is walked, each item comes once all the same, and none that lasts is missed: pages are read again as soon as
    rows may have moved to where the walk has been. What cannot be seen is a delete and an insert between two reads that
    leave the total as it was, and no row where it would show; `consistency="verify"` walks the list until two walks agree.
    """

    _fetchers: tuple[FetchPage[T], ...] = attrs.field(repr=False)
    """What the list is split into."""
    _page_size: int
    _fingerprint: str | None = attrs.field(alias="key", default=None, kw_only=True, repr=False)
    """What its cursors are known by; None where it takes none."""
    _order: SortOrder | None = attrs.field(alias="order", default=None, kw_only=True)
    """What its chunks are merged by."""
    _cursor: str | None = attrs.field(alias="cursor", default=None, kw_only=True)
    _consistency: Consistency = attrs.field(alias="consistency", default="default", kw_only=True)
    _rate_limit: RateLimit = attrs.field(alias="rate_limit", factory=RateLimit, kw_only=True, repr=False)
    _start_positions: tuple[Position | None, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _validate_count("page_size", self._page_size)
        if self._consistency not in get_args(Consistency):
            raise ValueError('consistency is "default" or "verify"')
        if self._cursor is not None and self._consistency == "verify":
            raise ValueError("verify needs to know every item that was handed out, which a cursor does not tell")
        starts: tuple[Position | None, ...] = (START,) * len(self._fetchers)
        if self._cursor is not None:
            starts = decode_cursor(self._cursor, self._fingerprint or "", len(self._fetchers))
        object.__setattr__(self, "_start_positions", starts)

    def __aiter__(self) -> Walk[T]:
        """Walk the items, one page at a time. `break` needs no cleanup."""
        return self.walk()

    def walk(self, *, seen: Container[str] = ()) -> Walk[T]:
        """Walk the items, but for those whose ids were `seen`: what was handed out before a cursor, say.

        A cursor alone knows the last page that was handed out. With all of it, a walk that goes on hands out each item once
        however the list has changed in the meantime.

        Raises `TypeError` where `seen` is a lone id.
        """
        if isinstance(seen, str):
            raise TypeError("seen is a set of ids, and not one id")
        return Walk(self._reader(self._page_readers(), seen), self._fingerprint)

    def pages(self) -> PageWalk[T]:
        """Walk the pages instead of the items. What came before is not on them."""
        found = list_readers(
            self._page_readers(), self._start_positions, (), until_agreed=self._consistency == "verify"
        )
        return PageWalk(ChainedReader(found), self._fingerprint)

    def stream(self, concurrency: int = 8) -> Stream[T]:
        """Walk the items while up to `concurrency` pages are read at once.

            async with listing.stream() as items:
                async for item in items: ...

        The order is that of the list. Up to twice as many pages are kept until they are wanted, so that one which is slow
        to come holds up nobody, and a slow reader stops the reading; leaving the block ends what is in flight. After an
        error the stream is over: go on with the error's `cursor`. Use it in the task that opened it, and not inside a
        generator of your own: there, walk the list itself.

        Raises `ValueError` for a `concurrency` below 1.
        """
        _validate_count("concurrency", concurrency)
        return self._stream(concurrency, None)

    def _stream(self, concurrency: int, limit: int | None) -> Stream[T]:
        is_merged = self._order is not None and len(self._fetchers) > 1
        ahead = Prefetcher(self._page_readers(), self._start_positions, concurrency, limit, is_merged=is_merged)
        return Stream(self._reader(ahead.page_readers(), ()), ahead, self._fingerprint)

    async def first(self) -> T | None:
        """The first item, or None where the list is empty. One request, one entity; more where the list is split."""
        one = attrs.evolve(self, page_size=1) if self._cursor is None else self
        readers = [_page_reader(fetch, one._page_size) for fetch in one._fetchers]  # noqa: SLF001 # a Listing, too
        walk = Walk(one._reader(readers, ()), self._fingerprint)  # noqa: SLF001 # a Listing, too
        return await anext(walk, None)

    async def total(self) -> int | None:
        """How many items the service counts, or None where it does not tell, or the list is split.

        One request, one entity.
        """
        return (await self._fetchers[0](1, 1)).total if len(self._fetchers) == 1 else None

    async def collect(self, limit: int | None = None, concurrency: int = 1) -> list[T]:
        """All items, or the first `limit`, as a list; with a `concurrency`, up to so many pages are read at once.

        When a page cannot be read, the error's `partial` has what came before, and its `cursor` where to go on.
        """
        if limit is not None:
            _validate_count("limit", limit, at_least=0)
        _validate_count("concurrency", concurrency)
        items: list[T] = []
        if limit == 0:
            return items
        try:
            if concurrency == 1:
                await _collect_into(self.walk(), items, limit)
            else:
                async with self._stream(concurrency, limit) as stream:
                    await _collect_into(stream, items, limit)
        except CoachingError as error:
            error.partial = tuple(items)
            raise
        return items

    def plan(self, items: int | None = None) -> Plan:
        """What reading this list takes, without asking: for so many `items`, or else at least.

        It cannot know how many items there are, how they are spread over the parts of a list that is split, whether the
        service caps the size of a page, and what else is sent in the meantime.

        Raises `ValueError` for negative `items`.
        """
        if items is not None and items < 0:
            raise ValueError("items must not be negative")
        chunks, limit = len(self._fetchers), self._rate_limit
        requests = max(chunks, math.ceil((items or 0) / self._page_size))
        return Plan(requests, chunks, bulk_seconds(limit, requests))

    def _page_readers(self) -> list[ReadPage[T]]:
        return [_with_bulk_priority(_page_reader(fetch, self._page_size)) for fetch in self._fetchers]

    def _reader(self, reads: Sequence[ReadPage[T]], seen: Container[str]) -> Reader[T]:
        return combine(
            list_readers(reads, self._start_positions, seen, until_agreed=self._consistency == "verify"), self._order
        )


def _page_reader(fetch: FetchPage[T], size: int) -> ReadPage[T]:
    async def read(ask: PageRequest) -> PageResult[T]:
        return PageResult(await fetch(ask.number, size))

    return read


def _with_bulk_priority(read: ReadPage[T]) -> ReadPage[T]:
    async def read_in_bulk(ask: PageRequest) -> PageResult[T]:
        with bulk_priority():
            return await read(ask)

    return read_in_bulk


async def _collect_into(walk: ItemWalk[T], items: list[T], limit: int | None) -> None:
    while len(items) != limit and (more := await walk.take_batch(None if limit is None else limit - len(items))):
        items += more


def _validate_count(name: str, value: int, at_least: int = 1) -> None:
    if type(value) is not int or value < at_least:
        raise ValueError(f"{name} has to be a whole number, at least {at_least}")
