"""Prefetch: items stay in order, concurrency is bounded, and no task is left behind."""

import asyncio
from typing import Any

import anyio
import pytest

from coaching_async import ClientMisuse, Listing, NotFound, Page, TransportError
from coaching_async.models import UserReference
from tests.support.fault_server import tasks_now

pytestmark = pytest.mark.anyio


class SlowList:
    """A list of numbered items. A page takes 1 second, unless `seconds` has another time for it."""

    def __init__(self, pages: int, *, seconds: dict[int, float] | None = None, **failures: Exception) -> None:
        self.pages = pages
        self.seconds = seconds or {}
        self.failures = failures
        self.asked: list[int] = []
        self.in_flight = self.most_in_flight = self.cancelled = 0

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append(number)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await anyio.sleep(self.seconds.get(number, 1))
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        if error := self.failures.get(f"page_{number}"):
            raise error
        ids = range((number - 1) * size, number * size)
        return Page(
            entities=tuple(UserReference(id=str(number)) for number in ids),
            page_number=number,
            page_size=size,
            page_count=self.pages,
            total=self.pages * size,
        )


def listing(*services: SlowList, **options: Any) -> Listing[Any]:
    return Listing(services, 2, key="a-key", **options)


async def test_items_stay_in_order_and_no_more_pages_are_in_flight_than_the_concurrency():
    service = SlowList(12, seconds={2: 9, 3: 1, 4: 5})
    async with listing(service).stream(4) as items:
        found = [item.id async for item in items]

    assert found == [str(number) for number in range(24)]
    assert service.most_in_flight == 4
    assert sorted(service.asked) == list(range(1, 13))
    assert items.report.re_reads == 0


async def test_the_first_page_is_read_alone_and_then_up_to_the_concurrency_at_once():
    service = SlowList(9)
    began = anyio.current_time()
    async with listing(service).stream(8) as items:
        assert service.asked == [], "nothing is requested before the first item is"
        await anext(items)
        assert (anyio.current_time() - began, service.asked) == (pytest.approx(1), [1])
        assert len([item async for item in items]) == 17

    assert anyio.current_time() - began == pytest.approx(2)


async def test_a_slow_consumer_pauses_the_prefetch():
    service = SlowList(40)
    async with listing(service).stream(3) as items:
        for read in range(1, 11):
            await anext(items)
            await anext(items)
            await anyio.sleep(100)
            assert len(service.asked) == min(read + 6, 40), "the current page, and twice three ahead"
            assert service.in_flight == 0


async def test_a_stream_with_a_concurrency_of_one_prefetches_two_pages():
    service = SlowList(9)
    async with listing(service).stream(1) as items:
        await anext(items)
        await anyio.sleep(5)
        assert service.asked == [1, 2, 3]

    assert service.most_in_flight == 1


async def test_one_slow_page_does_not_block_the_later_ones():
    service, began = SlowList(7, seconds={2: 4}), anyio.current_time()
    async with listing(service).stream(3) as items:
        found = [item.id async for item in items]

    assert found == [str(number) for number in range(14)]
    # The first page has the page count. All others are read in the 4 seconds of the second one.
    assert anyio.current_time() - began == pytest.approx(1 + 4)


async def test_leaving_the_block_cancels_the_reads_in_flight():
    service, before = SlowList(9, seconds=dict.fromkeys(range(2, 10), 100.0)), tasks_now()
    began = anyio.current_time()
    async with listing(service).stream(4) as items:
        async for _ in items:
            await anyio.sleep(1)
            break

    assert (service.cancelled, service.in_flight, tasks_now()) == (4, 0, before)
    assert anyio.current_time() - began == pytest.approx(2)


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt(), TransportError("mine")])
async def test_an_exception_of_the_block_is_raised_unwrapped(error: BaseException):
    service, before = SlowList(9), tasks_now()

    async def use() -> None:
        async with listing(service).stream() as items:
            async for _ in items:
                raise error

    with pytest.raises(type(error)) as caught:
        await use()

    assert caught.value is error
    assert (service.in_flight, tasks_now()) == (0, before)


async def test_an_error_is_raised_after_the_items_before_it_ends_the_stream_and_has_a_cursor():
    service, found = SlowList(9, seconds={2: 5}, page_3=NotFound("gone")), list[str]()

    async def use() -> None:
        async with listing(service).stream(4) as items:
            async for item in items:
                found.append(item.id)

    with pytest.raises(NotFound, match="gone") as caught:
        await use()

    assert found == ["0", "1", "2", "3"]
    assert not isinstance(caught.value, ExceptionGroup)
    assert max(service.asked) <= 7, "no page is requested after the failure, except those started at the same moment"

    service.failures.clear()
    async with listing(service, cursor=caught.value.cursor).stream(4) as items:
        assert [item.id async for item in items] == [str(number) for number in range(4, 18)]


async def test_a_stream_used_after_an_error_raises_client_misuse():
    async with listing(SlowList(9, page_1=NotFound("gone"))).stream() as items:
        with pytest.raises(NotFound):
            await anext(items)
        with pytest.raises(ClientMisuse, match="ended with an error"):
            await anext(items)


async def test_a_stream_used_outside_its_block_raises_client_misuse():
    items = listing(SlowList(2)).stream()
    with pytest.raises(ClientMisuse, match=r"async with listing\.stream"):
        await anext(items)
    async with items:
        await anext(items)
    with pytest.raises(ClientMisuse, match="ended with its block"):
        await anext(items)
    with pytest.raises(ClientMisuse, match="used once"):
        async with items:
            pass


async def test_a_cancelled_step_loses_no_item():
    service = SlowList(4, seconds={2: 10})
    async with listing(service).stream(2) as items:
        found = [(await anext(items)).id, (await anext(items)).id]
        with anyio.move_on_after(3) as scope:
            await anext(items)
        assert scope.cancelled_caught
        found += [item.id async for item in items]

    assert found == [str(number) for number in range(8)]


async def test_cancelling_a_scope_around_the_block_leaves_no_task():
    service, before, went_on = SlowList(9, seconds={3: 100}), tasks_now(), False
    with anyio.move_on_after(3) as scope:
        async with listing(service).stream(3) as items:
            async for _ in items:
                pass
        went_on = True

    assert (scope.cancelled_caught, went_on) == (True, False)
    assert (service.in_flight, tasks_now()) == (0, before)
    await anyio.sleep(1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_native_cancellation_leaves_no_task(anyio_backend: object, times: int):
    service, before = SlowList(9, seconds={number: 0.001 if number < 3 else 100 for number in range(10)}), tasks_now()

    async def use() -> None:
        async with listing(service).stream(3) as items:
            async for _ in items:
                pass

    task = asyncio.ensure_future(use())
    await asyncio.sleep(0.05)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert (service.in_flight, tasks_now()) == (0, before)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_timeout_raises_timeout_error(anyio_backend: object):
    service = SlowList(9, seconds={number: 0.001 if number < 3 else 100 for number in range(10)})

    async def use() -> None:
        async with asyncio.timeout(0.05), listing(service).stream(3) as items:
            async for _ in items:
                pass

    with pytest.raises(TimeoutError):
        await use()

    assert service.in_flight == 0
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_prefetch_continues_in_the_next_part_of_a_split_list():
    first, second = SlowList(3), SlowList(3)
    began = anyio.current_time()
    async with Listing((first, second), 2).stream(4) as items:
        assert [item.id async for item in items] == [str(number) for number in range(6)], "each item once"

    assert anyio.current_time() - began == pytest.approx(3)


async def test_collect_can_prefetch_and_its_error_has_the_items_read_so_far():
    service = SlowList(9, page_5=NotFound("gone"))
    with pytest.raises(NotFound) as caught:
        await listing(service).collect(concurrency=4)

    assert [item.id for item in caught.value.partial] == [str(number) for number in range(8)]  # type: ignore[attr-defined]
    assert caught.value.cursor is not None
    assert len(await listing(SlowList(9)).collect(limit=5, concurrency=4)) == 5
    with pytest.raises(ValueError, match="concurrency"):
        await listing(service).collect(concurrency=0)


@pytest.mark.parametrize("limit, reads", [(1, 1), (2, 1), (3, 2), (9, 5)])
@pytest.mark.parametrize("lists", [1, 3])
async def test_collect_with_a_limit_prefetches_no_page_beyond_it(limit: int, reads: int, lists: int):
    services = [SlowList(20) for _ in range(lists)]

    assert len(await listing(*services).collect(limit=limit, concurrency=8)) == limit
    assert sum(len(service.asked) for service in services) == reads


@pytest.mark.parametrize("concurrency", [0, -1, 2.5])
def test_a_concurrency_below_one_is_refused(concurrency: Any):
    with pytest.raises(ValueError, match="concurrency is a whole number, at least 1"):
        listing(SlowList(1)).stream(concurrency)
