"""Listings: lists of the service, whose pagination is hidden behind async iterators."""

import math
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Generic, Literal, TypeAlias, TypedDict, TypeVar, get_args

import attrs

from coaching_async._exceptions import CoachingError
from coaching_async._refusals.arguments import checked_count
from coaching_async._refusals.async_only import AsyncOnly
from coaching_async._refusals.suggestions import choices
from coaching_async._transport.priority import bulk_priority
from coaching_async._transport.rate_limit.limit import RateLimit, bulk_seconds
from coaching_async._value import Value, summary
from coaching_async.models.appointments import SortOrder
from coaching_async.models.coercion import IdLike, to_id_container
from coaching_async.models.common import Page

from .cursor import START, Position, decode_cursor
from .iterators import ItemWalk, PageWalk, Stream, Walk
from .pager import Pager
from .pages import PageRequest, PageResult
from .prefetch import Prefetcher
from .readers import ChainedReader, ListReader, NewPager, Reader, ReadPage, combine, make_list_readers

__all__ = ["Consistency", "Listing", "Plan", "WalkOptions"]

T = TypeVar("T")

FetchPage: TypeAlias = Callable[..., Awaitable[Page[T]]]
"""Reads a page, with `size` entities per page: `fetch(number, size)`, or `fetch(number, size, cursor)` by a cursor of the service."""


Consistency: TypeAlias = Literal["default", "verify"]


class WalkOptions(TypedDict, total=False):
    """Options of a walk over a list that has cursors."""

    cursor: str | None
    """Where to resume; None starts at the first item."""
    consistency: Consistency


@attrs.frozen(eq=False, repr=False)
class Plan(Value):
    """Estimate of what reading a list takes, made without a request."""

    requests: int
    """Minimum number of requests. Retries, and pages that are read again because the list changes, come on top."""
    chunks: int
    """Number of lists that it is split into, because it was given many ids."""
    seconds: float
    """Seconds that the client's rate limit delays them, if nothing else is sent. The time of the responses comes on top."""


@attrs.frozen(eq=False, repr=False)
class Listing(AsyncOnly, Value, Generic[T]):
    """A list of the service. It sends nothing until it is used. It can be used again: each walk starts from the beginning.

    All its methods need the permission, and raise the errors, of the method that made it. If the list changes during a
    walk, each item is still returned once, and no item that stays in the list is missed, because pages are read again when
    rows may have moved to a place that was read. One change cannot be seen: a delete and an insert between two reads that
    leave the total unchanged and shift no row that is read. `consistency="verify"` reads the list until two passes agree.
    """

    _instead_of_for = "`async for item in listing`, or `await listing.collect()` for a list"
    _instead_of_len = "`await listing.total()`"
    _instead_of_index = "`await listing.first()`, or `await listing.collect(limit=...)` for the first ones"

    _fetchers: tuple[FetchPage[T], ...]
    """Reads the pages of each list that it is split into."""
    _page_size: int
    _description: str = attrs.field(alias="description", default="", kw_only=True)
    """Its operation and filters, without ids and names, for `repr()`."""
    _fingerprint: str | None = attrs.field(alias="key", default=None, kw_only=True)
    """Identifies its cursors; None if it takes none."""
    _order: SortOrder | None = attrs.field(alias="order", default=None, kw_only=True)
    """Order in which its chunks are merged."""
    _cursor: str | None = attrs.field(alias="cursor", default=None, kw_only=True)
    _consistency: Consistency = attrs.field(alias="consistency", default="default", kw_only=True)
    _rate_limit: RateLimit = attrs.field(alias="rate_limit", factory=RateLimit, kw_only=True)
    _new_pager: NewPager = attrs.field(alias="new_pager", default=Pager, kw_only=True)
    _start_positions: tuple[Position | None, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        checked_count("page_size", self._page_size)
        if self._consistency not in get_args(Consistency):
            raise ValueError(
                f"consistency {self._consistency!r} does not exist: {choices(self._consistency, get_args(Consistency))}"
            )
        if self._cursor is not None and self._consistency == "verify":
            raise ValueError("verify needs to know every item that was handed out, which a cursor does not tell")
        start_positions: tuple[Position | None, ...] = (START,) * len(self._fetchers)
        if self._cursor is not None:
            start_positions = decode_cursor(self._cursor, self._fingerprint or "", len(self._fetchers))
        object.__setattr__(self, "_start_positions", start_positions)

    def __repr__(self) -> str:
        resumed, verified = "resumed" if self._cursor else "", "verified" if self._consistency == "verify" else ""
        return summary(self, self._description, resumed, verified)

    def __aiter__(self) -> Walk[T]:
        """Return a walk over the items, one page at a time. `break` needs no cleanup."""
        return self.walk()

    def walk(self, *, seen: Container[IdLike] = ()) -> Walk[T]:
        """Return a walk over the items whose ids are not in `seen`, which can hold the ids returned before a cursor.

            walk = client.appointments.list(user_ids).walk()
            async for appointment in walk:
                print(appointment.name, walk.cursor)
            print(walk.report)

        A cursor knows only the page that was returned last. With all ids in `seen`, a resumed walk returns each item once,
        however the list has changed in the meantime.

        Raises `TypeError` if `seen` is a single id.
        """
        if isinstance(seen, IdLike):
            raise TypeError("seen is a set of ids, and not one id")
        return Walk(self._reader(self._page_readers(), to_id_container(seen)), self._fingerprint, self._description)

    def pages(self) -> PageWalk[T]:
        """Return a walk over the pages.

            pages = client.appointments.list(user_ids).pages()
            async for page in pages:
                print(page.total, len(page.entities))

        Items of earlier pages are left out of them.
        """
        reader = ChainedReader(self._list_readers(self._page_readers(), ()))
        return PageWalk(reader, self._fingerprint, self._description)

    def stream(self, concurrency: int = 8) -> Stream[T]:
        """Return a stream of the items, which reads up to `concurrency` pages at once (prefetch).

            listing = client.appointments.list(user_ids)
            async with listing.stream(concurrency=4) as appointments:
                async for appointment in appointments:
                    print(appointment.date_start, appointment.name)

        The order is that of the list. Up to twice as many pages are buffered, so that one slow page does not block the
        later ones; a slow consumer pauses the reads (backpressure). Leaving the block cancels the reads in flight. An error
        ends the stream: resume from the error's `cursor`. Use it in the task that opened it, and not inside a generator of
        your own: there, iterate over the listing itself. A list without page numbers, that of teams for example, is read one
        page at a time.

        Raises `ValueError` if `concurrency` is below 1.
        """
        checked_count("concurrency", concurrency)
        return self._stream(concurrency, None)

    def _stream(self, concurrency: int, limit: int | None) -> Stream[T]:
        is_merged = self._order is not None and len(self._fetchers) > 1
        prefetcher = Prefetcher(self._page_readers(), self._start_positions, concurrency, limit, is_merged=is_merged)
        return Stream(self._reader(prefetcher.page_readers(), ()), prefetcher, self._fingerprint, self._description)

    async def first(self) -> T | None:
        """Return the first item, or None if the list is empty.

            listing = client.appointments.list(user_ids)
            earliest = await listing.first()

        Sends one request for one entity; more if the list is split.
        """
        listing = attrs.evolve(self, page_size=1) if self._cursor is None else self
        readers = [_page_reader(fetch, listing._page_size) for fetch in listing._fetchers]  # noqa: SLF001 # a Listing, too
        walk = Walk(listing._reader(readers, ()), self._fingerprint)  # noqa: SLF001 # a Listing, too
        return await anext(walk, None)

    async def total(self) -> int | None:
        """Return the number of items that the service reports, or None if it reports none or the list is split.

            overdue = client.appointments.list(user_ids, overdue=True)
            print(await overdue.total(), "are overdue")

        Sends one request for one entity.
        """
        return (await self._fetchers[0](1, 1)).total if len(self._fetchers) == 1 else None

    async def collect(self, limit: int | None = None, concurrency: int = 1) -> list[T]:
        """Return all items, or the first `limit`, as a list. Reads up to `concurrency` pages at once.

            listing = client.appointments.list(user_ids)
            appointments = await listing.collect(concurrency=4)

        If a page cannot be read, the error's `partial` has the items before it, and its `cursor` the place to resume.
        """
        if limit is not None:
            checked_count("limit", limit, at_least=0)
        checked_count("concurrency", concurrency)
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
        """Return an estimate of what reading this list takes for that many `items`, or else the minimum. Sends nothing.

            plan = client.appointments.list(user_ids).plan(50_000)
            print(plan.requests, "requests,", plan.seconds, "seconds")

        It does not know how many items there are, how they are spread over the parts of a split list, whether the service
        limits the page size, and what else is sent in the meantime.

        Raises `ValueError` unless `items` is a whole number, at least 0, or None.
        """
        if items is not None:
            checked_count("items", items, at_least=0)
        chunks, limit = len(self._fetchers), self._rate_limit
        requests = max(chunks, math.ceil((items or 0) / self._page_size))
        return Plan(requests, chunks, bulk_seconds(limit, requests))

    def _page_readers(self) -> list[ReadPage[T]]:
        return [_with_bulk_priority(_page_reader(fetch, self._page_size)) for fetch in self._fetchers]

    def _reader(self, page_readers: Sequence[ReadPage[T]], seen: Container[str]) -> Reader[T]:
        return combine(self._list_readers(page_readers, seen), self._order)

    def _list_readers(self, page_readers: Sequence[ReadPage[T]], seen: Container[str]) -> list[ListReader[T]]:
        verify = self._consistency == "verify"
        return make_list_readers(page_readers, self._start_positions, seen, verify=verify, new_pager=self._new_pager)


def _page_reader(fetch: FetchPage[T], size: int) -> ReadPage[T]:
    async def read(request: PageRequest) -> PageResult[T]:
        cursor = () if request.cursor is None else (request.cursor,)
        return PageResult(await fetch(request.number, size, *cursor))

    return read


def _with_bulk_priority(read_page: ReadPage[T]) -> ReadPage[T]:
    async def read_in_bulk(request: PageRequest) -> PageResult[T]:
        with bulk_priority():
            return await read_page(request)

    return read_in_bulk


async def _collect_into(walk: ItemWalk[T], items: list[T], limit: int | None) -> None:
    while len(items) != limit and (more := await walk.take_batch(None if limit is None else limit - len(items))):
        items += more
