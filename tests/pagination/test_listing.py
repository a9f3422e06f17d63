"""Listings: walks over items and pages, first, total and collect."""

import tracemalloc
from typing import Any

import anyio
import pytest

from coaching_async import AppointmentStatus, Listing, NotFound, Page, RateLimit, StatusChange, TransportError
from coaching_async.models import UserReference
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

DONE = AppointmentStatus.COMPLETED


def users(*ids: str) -> tuple[UserReference, ...]:
    return tuple(UserReference(id=id_) for id_ in ids)


class Pages:
    """A service with fixed pages. `failures` has the error that the first request for a page raises."""

    def __init__(self, *pages: Page[Any], failures: dict[int, Exception] | None = None) -> None:
        self.pages = pages
        self.failures = failures or {}
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append((number, size))
        if number in self.failures:
            raise self.failures.pop(number)
        return self.pages[number - 1] if number <= len(self.pages) else Page(entities=())

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.asked]


def pages_of(*groups: tuple[UserReference, ...]) -> list[Page[Any]]:
    total = sum(map(len, groups))
    return [
        Page(entities=group, page_number=number, page_size=2, page_count=len(groups), total=total)
        for number, group in enumerate(groups, 1)
    ]


async def ids(listing: Listing[Any]) -> list[str]:
    return [item.id async for item in listing]


async def test_a_walk_returns_every_item_and_requests_each_page_once():
    fetch = Pages(*pages_of(users("1", "2"), users("3", "4"), users("5")))

    assert await ids(Listing((fetch,), 2)) == ["1", "2", "3", "4", "5"]
    assert fetch.asked == [(1, 2), (2, 2), (3, 2)]


class WithoutLength:
    """A container of ids that cannot tell whether it is empty, like a table of a database."""

    def __contains__(self, id_: object) -> bool:
        return id_ in {"2", "3"}

    def __len__(self) -> int:
        raise NotImplementedError


async def test_seen_needs_to_support_containment_only():
    listing = Listing((Pages(*pages_of(users("1", "2"), users("3", "4"))),), 2)

    assert [item.id async for item in listing.walk(seen=WithoutLength())] == ["1", "4"]


async def test_a_listing_sends_nothing_until_it_is_used_and_each_walk_starts_at_the_beginning():
    fetch = Pages(*pages_of(users("1")))
    listing = Listing((fetch,), 2)
    assert fetch.asked == []

    assert await ids(listing) == await ids(listing) == ["1"]


async def test_an_empty_list_costs_one_request_and_has_no_page():
    fetch = Pages(Page(entities=(), page_count=0, total=0))

    assert await ids(Listing((fetch,), 2)) == []
    assert [page async for page in Listing((fetch,), 2).pages()] == []
    assert fetch.numbers == [1, 1]


async def test_without_a_page_count_the_walk_ends_at_an_empty_page():
    fetch = Pages(Page(entities=users("1")), Page(entities=users("2")))

    assert await ids(Listing((fetch,), 1)) == ["1", "2"]
    assert fetch.numbers == [1, 2, 3]


async def test_the_latest_page_count_ends_the_walk():
    first, second = pages_of(users("1"), users("2"))
    fetch = Pages(first, Page(entities=second.entities, page_count=3), Page(entities=users("3"), page_count=3))

    assert await ids(Listing((fetch,), 1)) == ["1", "2", "3"]


@pytest.mark.parametrize("page_count", [None, 10**9])
async def test_a_repeated_page_ends_the_walk(page_count: int | None):
    fetch = Pages(*[Page(entities=users(id_), page_count=page_count) for id_ in "1212"])

    assert await ids(Listing((fetch,), 1)) == ["1", "2"]
    assert fetch.numbers == [1, 2, 3]


async def test_an_item_that_moved_to_the_next_page_is_returned_once():
    fetch = Pages(*pages_of(users("1", "2"), users("2", "3")))

    assert await ids(Listing((fetch,), 2)) == ["1", "2", "3"]


async def test_equal_items_without_an_id_are_all_returned():
    fetch = Pages(*[Page(entities=(StatusChange(status=DONE),), page_count=3)] * 3)

    assert [item async for item in Listing((fetch,), 1)] == [StatusChange(status=DONE)] * 3


async def test_without_a_page_count_and_ids_the_total_ends_the_walk():
    fetch = Pages(*[Page(entities=(StatusChange(status=DONE),), total=2)] * 5)

    assert len([item async for item in Listing((fetch,), 1)]) == 2
    assert fetch.numbers == [1, 2]


async def test_without_counts_and_ids_a_page_equal_to_the_previous_one_ends_the_walk():
    fetch = Pages(*[Page(entities=(StatusChange(status=DONE),))] * 9)

    assert len([item async for item in Listing((fetch,), 1)]) == 1
    assert fetch.numbers == [1, 2]


@pytest.mark.parametrize("limit", [2.5, "2", True, float("nan"), -1])
async def test_a_limit_that_is_not_a_whole_number_is_refused(limit: Any):
    fetch = Pages(*pages_of(users("1", "2"), users("3")))

    with pytest.raises(ValueError, match="limit is a whole number, at least 0"):
        await Listing((fetch,), 2).collect(limit=limit)

    assert fetch.numbers == []


async def test_after_an_error_a_walk_continues_at_the_same_item():
    fetch = Pages(*pages_of(users("1", "2"), users("3")), failures={2: TransportError("cut")})
    walk = aiter(Listing((fetch,), 2))
    read = [(await anext(walk)).id, (await anext(walk)).id]

    with pytest.raises(TransportError):
        await anext(walk)

    read += [item.id async for item in walk]
    assert read == ["1", "2", "3"]
    assert fetch.numbers == [1, 2, 2]
    with pytest.raises(StopAsyncIteration):
        await anext(walk)


async def test_a_walk_can_be_left_before_its_end():
    fetch = Pages(*pages_of(users("1", "2"), users("3")))

    async for _ in Listing((fetch,), 2):
        break

    assert fetch.numbers == [1]


async def test_pages_are_read_one_at_a_time_and_keep_their_counts():
    pages = [page async for page in Listing((Pages(*pages_of(users("1", "2"), users("3"))),), 2).pages()]

    assert [(page.page_number, page.page_count, page.total, len(page.entities)) for page in pages] == [
        (1, 2, 3, 2),
        (2, 2, 3, 1),
    ]


async def test_first_and_total_request_one_entity():
    fetch = Pages(*pages_of(users("1", "2"), users("3")))
    listing = Listing((fetch,), 100)

    assert await listing.first() == UserReference(id="1")
    assert await listing.total() == 3
    assert fetch.asked == [(1, 1), (1, 1)]
    assert await Listing((Pages(),), 100).first() is None
    assert await Listing((Pages(),), 100).total() is None


async def test_collect_returns_all_items_or_the_first_ones_and_reads_no_page_beyond_them():
    fetch = Pages(*pages_of(users("1", "2"), users("3")))
    listing = Listing((fetch,), 2)

    assert [item.id for item in await listing.collect()] == ["1", "2", "3"]
    fetch.asked.clear()
    assert [item.id for item in await listing.collect(limit=2)] == ["1", "2"]
    assert fetch.numbers == [1]
    assert await listing.collect(limit=0) == []
    assert len(await listing.collect(limit=99)) == 3
    with pytest.raises(ValueError, match="limit"):
        await listing.collect(limit=-1)


async def test_if_collect_fails_the_error_has_the_items_read_so_far():
    fetch = Pages(*pages_of(users("1", "2"), users("3")), failures={2: NotFound("gone")})

    with pytest.raises(NotFound) as caught:
        await Listing((fetch,), 2).collect()

    assert caught.value.partial == users("1", "2")


@pytest.mark.parametrize("size", [0, -1])
def test_a_page_size_below_one_is_refused(size: int):
    with pytest.raises(ValueError, match="page_size is a whole number, at least 1"):
        Listing((Pages(),), size)


@pytest.mark.parametrize("counts", [{}, {"pageCount": 10**9}, {"total": 10**9}, {"pageCount": 10**9, "total": 10**9}])
async def test_a_list_without_ids_that_repeats_its_last_page_forever_ends_with_any_counts(counts: dict[str, int]):
    service = Service(lambda _: answer({"entities": [{"status": "Scheduled"}], **counts}))
    async with service.client(rate_limit=RateLimit(10**6)) as client:
        changes = await client.appointments.list_statuses("1").collect()

    assert len(service.requests) <= 10
    assert 1 <= len(changes) <= 10


def test_walks_and_streams_hold_less_than_150_bytes_per_item():
    size, pages = 100, 200

    async def fetch(page: int, _: int) -> Page[Any]:
        numbers = range((page - 1) * size, page * size)
        entities = tuple(UserReference(id=f"11111111-1111-4111-8111-{number:012}") for number in numbers)
        return Page(entities=entities, page_number=page, page_size=size, page_count=pages, total=size * pages)

    async def bytes_per_item(walk: Any) -> float:
        before, _ = tracemalloc.get_traced_memory()
        async for _ in walk:
            pass
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / (size * pages)

    async def main() -> None:
        assert await bytes_per_item(aiter(Listing((fetch,), size))) < 150
        async with Listing((fetch,), size).stream(4) as stream:
            assert await bytes_per_item(stream) < 150

    tracemalloc.start()
    try:
        anyio.run(main)
    finally:
        tracemalloc.stop()
