"""Lists: walking pages so that nobody has to see them."""

import math
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Generic, Literal, TypeAlias, TypedDict, TypeVar, get_args

import attrs

from ._batch import Answer, Ask
from ._cursor import FRESH, Position, unpacked
from ._errors import CoachingError
from ._lanes import in_bulk
from ._rate import RateLimit, seconds_of_bulk
from ._route import Chained, Read, Route, route, strands
from ._stream import Ahead, Stream
from ._value import Value
from ._walk import Items, PageWalk, Walk
from .models import Page, SortOrder

__all__ = ["Consistency", "How", "Listing", "Plan"]

T = TypeVar("T")

FetchSized: TypeAlias = Callable[[int, int], Awaitable[Page[T]]]
"""Reads page `number` with `size` entities a page."""

Consistency: TypeAlias = Literal["default", "verify"]


class How(TypedDict, total=False):
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

    _chunks: tuple[FetchSized[T], ...] = attrs.field(repr=False)
    """What the list is split into."""
    _page_size: int
    _key: str | None = attrs.field(alias="key", default=None, kw_only=True, repr=False)
    """What its cursors are known by; None where it takes none."""
    _order: SortOrder | None = attrs.field(alias="order", default=None, kw_only=True)
    """What its chunks are merged by."""
    _cursor: str | None = attrs.field(alias="cursor", default=None, kw_only=True)
    _consistency: Consistency = attrs.field(alias="consistency", default="default", kw_only=True)
    _rate_limit: RateLimit = attrs.field(alias="rate_limit", factory=RateLimit, kw_only=True, repr=False)
    _starts: tuple[Position | None, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _refuse_unless_whole("page_size", self._page_size)
        if self._consistency not in get_args(Consistency):
            raise ValueError('consistency is "default" or "verify"')
        if self._cursor is not None and self._consistency == "verify":
            raise ValueError("verify needs to know every item that was handed out, which a cursor does not tell")
        starts: tuple[Position | None, ...] = (FRESH,) * len(self._chunks)
        if self._cursor is not None:
            starts = unpacked(self._cursor, self._key or "", len(self._chunks))
        object.__setattr__(self, "_starts", starts)

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
        return Walk(self._route(self._reads(), seen), self._key)

    def pages(self) -> PageWalk[T]:
        """Walk the pages instead of the items. What came before is not on them."""
        found = strands(self._reads(), self._starts, (), until_agreed=self._consistency == "verify")
        return PageWalk(Chained(found), self._key)

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
        _refuse_unless_whole("concurrency", concurrency)
        return self._stream(concurrency, None)

    def _stream(self, concurrency: int, limit: int | None) -> Stream[T]:
        is_merged = self._order is not None and len(self._chunks) > 1
        ahead = Ahead(self._reads(), self._starts, concurrency, limit, is_merged=is_merged)
        return Stream(self._route(ahead.reads(), ()), ahead, self._key)

    async def first(self) -> T | None:
        """The first item, or None where the list is empty. One request, one entity; more where the list is split."""
        one = attrs.evolve(self, page_size=1) if self._cursor is None else self
        walk = Walk(one._route([_read_by(fetch, one._page_size) for fetch in one._chunks], ()), self._key)  # noqa: SLF001 # one of us
        return await anext(walk, None)

    async def total(self) -> int | None:
        """How many items the service counts, or None where it does not tell, or the list is split.

        One request, one entity.
        """
        return (await self._chunks[0](1, 1)).total if len(self._chunks) == 1 else None

    async def collect(self, limit: int | None = None, concurrency: int = 1) -> list[T]:
        """All items, or the first `limit`, as a list; with a `concurrency`, up to so many pages are read at once.

        When a page cannot be read, the error's `partial` has what came before, and its `cursor` where to go on.
        """
        if limit is not None:
            _refuse_unless_whole("limit", limit, at_least=0)
        _refuse_unless_whole("concurrency", concurrency)
        items: list[T] = []
        if limit == 0:
            return items
        try:
            if concurrency == 1:
                await _gather(self.walk(), items, limit)
            else:
                async with self._stream(concurrency, limit) as stream:
                    await _gather(stream, items, limit)
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
        chunks, limit = len(self._chunks), self._rate_limit
        requests = max(chunks, math.ceil((items or 0) / self._page_size))
        return Plan(requests, chunks, seconds_of_bulk(limit, requests))

    def _reads(self) -> list[Read[T]]:
        return [_one_of_many(_read_by(fetch, self._page_size)) for fetch in self._chunks]

    def _route(self, reads: Sequence[Read[T]], seen: Container[str]) -> Route[T]:
        return route(strands(reads, self._starts, seen, until_agreed=self._consistency == "verify"), self._order)


def _read_by(fetch: FetchSized[T], size: int) -> Read[T]:
    async def read(ask: Ask) -> Answer[T]:
        return Answer(await fetch(ask.number, size))

    return read


def _one_of_many(read: Read[T]) -> Read[T]:
    async def read_in_bulk(ask: Ask) -> Answer[T]:
        with in_bulk():
            return await read(ask)

    return read_in_bulk


async def _gather(walk: Items[T], items: list[T], limit: int | None) -> None:
    while len(items) != limit and (more := await walk.some(None if limit is None else limit - len(items))):
        items += more


def _refuse_unless_whole(name: str, value: int, at_least: int = 1) -> None:
    if type(value) is not int or value < at_least:
        raise ValueError(f"{name} has to be a whole number, at least {at_least}")
