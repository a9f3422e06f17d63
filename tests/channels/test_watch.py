"""Watching notifications: each comes once, failures are waited out, and nothing is held between two steps."""

import gc
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    BadRequest,
    ClientMisuse,
    DecodeError,
    Event,
    FillFailed,
    Forbidden,
    Notification,
    ServerError,
    Unauthorized,
)
from coaching_async._concurrency.tasks import current_task
from coaching_async._transport.priority import Priority, current_priority
from tests.support.doubles import Service, answer
from tests.support.notification_lists import NEWEST_FIRST, ORDERS
from tests.support.watched import PASSING, Answer, Watched

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def reading(watch: AsyncIterator[Notification]) -> AsyncIterator[list[str]]:
    """Read a watch in a task, and give the ids of what came."""
    found: list[str] = []

    async def read() -> None:
        async for notification in watch:
            found.append(notification.id)  # noqa: PERF401 # seen while it goes on

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        yield found
        tasks.cancel_scope.cancel()


async def take(watch: AsyncIterator[Notification], count: int) -> list[str]:
    return [(await anext(watch)).id for _ in range(count)]


@pytest.mark.parametrize("order", ORDERS)
async def test_new_notifications_come_within_an_interval_and_old_ones_do_not(order: str):
    service = Watched(order)
    async with service.client() as client, reading(client.notifications.watch(every=30)) as found:
        await anyio.sleep(10)
        for _ in range(5):
            service.list.create()
            service.list.create()
            await anyio.sleep(34)
            assert sorted(found) == sorted(service.list.created[5:])


async def test_a_calm_hour_costs_a_request_each_half_minute_and_two_for_a_long_list():
    for length, requests in (5, 120), (18, 240):
        service = Watched(length=length, size=5)
        async with service.client() as client, reading(client.notifications.watch()):
            await anyio.sleep(10)
            begun = len(service.requests)
            await anyio.sleep(3600)
            whole = 4 * 4 if length > 10 else 0
            assert 0.9 * requests <= len(service.requests) - begun <= 1.1 * requests + whole


async def test_the_looks_of_many_processes_do_not_stay_together():
    service = Watched()
    async with service.client() as client, reading(client.notifications.watch(every=30)):
        await anyio.sleep(3000)
    pauses = [after - before for before, after in itertools.pairwise(service.times)]

    assert all(27 <= pause <= 33 for pause in pauses)
    assert len({round(pause, 3) for pause in pauses}) > len(pauses) // 2


@pytest.mark.parametrize("start", ["new", "unread", "all"])
async def test_at_the_start_none_or_the_unread_or_all_come(start: Any):
    service = Watched(length=12, size=5)
    service.list.read_ids = {"n2", "n7"}
    expected = {"new": [], "unread": [id_ for id_ in service.list.ids if id_ not in {"n2", "n7"}]}
    async with service.client() as client, reading(client.notifications.watch(start=start)) as found:
        await anyio.sleep(100)
        assert found == expected.get(start, service.list.ids)


async def test_unread_ones_that_are_marked_as_read_after_handling_come_again_only_if_they_were_not():
    service = Watched(length=4)
    async with service.client() as client:
        async for notification in client.notifications.watch(start="unread"):
            service.list.read_ids.add(notification.id)
            if notification.id == "n1":
                break
        assert await take(client.notifications.watch(start="unread"), 2) == ["n2", "n3"]


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
async def test_what_passes_is_waited_out(fault: Callable[[], Answer]):
    service = Watched(NEWEST_FIRST, 250)
    events: list[Event] = []
    async with service.client(on_event=events.append) as client:
        watch = client.notifications.watch(every=10)
        async with reading(watch) as found:
            await anyio.sleep(5)
            for _ in range(3):
                service.faults = [fault()]
                service.list.create()
                await anyio.sleep(60)
                assert found == service.list.created[250:]
        assert watch.report.failures == 3
        assert sum(isinstance(event, FillFailed) for event in events) == 3


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden), (400, BadRequest)])
async def test_what_does_not_pass_is_raised_and_the_next_step_goes_on(status: int, error: type[Exception]):
    service = Watched()
    async with service.client() as client:
        watch = client.notifications.watch(every=10)
        service.list.before_read = lambda: service.list.create() if len(service.list.reads) == 1 else None
        assert await anext(watch)
        for _ in range(3):
            service.list.create()
            service.faults = [answer(status=status)]
            with pytest.raises(error):
                await anext(watch)
            assert (await anext(watch)).id == service.list.created[-1]


async def test_before_anything_was_read_each_error_is_raised_because_waiting_would_hide_a_wrong_configuration():
    service = Watched()
    service.faults = [httpx.ConnectError("no such host"), answer(status=503)]
    async with service.client() as client:
        watch = client.notifications.watch(every=10)
        for _ in range(2):
            with pytest.raises(Exception, match=r"notifications\.list"):
                await anext(watch)
        async with reading(watch) as found:
            await anyio.sleep(60)
            service.list.create()
            await anyio.sleep(20)
            assert found == ["n5"]


async def test_failures_in_a_row_are_waited_for_twice_as_long_each_time_up_to_a_minute_and_as_long_as_the_service_says():
    service = Watched()
    async with service.client() as client:
        watch = client.notifications.watch(every=10)
        async with reading(watch):
            await anyio.sleep(5)
            service.faults = [answer(status=503) for _ in range(5)]
            service.faults.append(answer(status=503, Retry_After="100"))
            await anyio.sleep(600)
        pauses = [after - before for before, after in itertools.pairwise(service.times)]
    for pause, expected in zip(pauses, [10, 10, 20, 40, 60, 60, 100, 10], strict=False):
        assert expected * 0.89 <= pause <= expected * 1.12
    assert watch.report.failures == 6


async def test_failures_of_a_watch_that_reads_seldom_do_not_make_it_read_more_often():
    service = Watched()
    async with service.client() as client, reading(client.notifications.watch(every=600)):
        await anyio.sleep(5)
        service.faults = [answer(status=503) for _ in range(3)]
        await anyio.sleep(3000)
    assert len(service.requests) <= 6


async def test_a_row_that_cannot_be_read_is_reported_and_comes_when_it_can_be_read(caplog: pytest.LogCaptureFixture):
    service = Watched()
    bad = {"n5"}
    row = service.row
    service.row = lambda id_: {**row(id_), "lengthInMinutes": "long" if id_ in bad else 30}
    async with service.client() as client:
        watch = client.notifications.watch(every=10)
        async with reading(watch) as found:
            await anyio.sleep(5)
            service.list.create()
            await anyio.sleep(60)
            assert found == []
            assert [(row.id, row.page, row.index) for row in watch.report.left_out] == [("n5", 1, 5)]
            assert caplog.text.count("lengthInMinutes") == 1, "one WARNING, and not one a look"
            bad.clear()
            await anyio.sleep(20)
            assert found == ["n5"]
            assert watch.report.rows_left_out == 0


async def test_on_a_strict_client_a_row_that_cannot_be_read_is_raised():
    service = Watched()
    async with service.client(strict=True) as client:
        watch = client.notifications.watch(every=10)
        with anyio.move_on_after(5):
            await anext(watch)
        service.row = lambda id_: {"id": id_, "lengthInMinutes": "long"}
        with pytest.raises(DecodeError, match="lengthInMinutes"):
            await anext(watch)


@pytest.mark.parametrize("order", ORDERS)
async def test_another_watch_goes_on_after_a_cursor(order: str):
    service = Watched(order, 12, size=5)
    async with service.client() as client:
        watch = client.notifications.watch(start="all")
        assert watch.cursor is not None
        before = await take(watch, 5)
        cursor = watch.cursor
        service.list.delete(0.5)
        service.list.create()
        async with reading(client.notifications.watch(cursor=cursor)) as found:
            await anyio.sleep(50)
        assert set(found) == service.list.lasting - set(before)
        assert len(found) == len(set(found))


async def test_there_is_a_cursor_when_it_is_known_what_is_new():
    service = Watched(length=12, size=5)
    async with service.client() as client:
        watch = client.notifications.watch(start="new")
        assert watch.cursor is None
        with anyio.move_on_after(10):
            await anext(watch)
        cursor = watch.cursor
        assert cursor is not None
        service.list.create()
        assert await take(client.notifications.watch(cursor=cursor), 1) == ["n12"]


async def test_a_cursor_of_another_user_is_refused_by_the_first_look():
    service = Watched()
    async with service.client() as client:
        watch = client.notifications.watch(start="all")
        await take(watch, 2)
        service.row = lambda id_: {"id": id_, "user": {"id": "her"}}
        resumed = client.notifications.watch(cursor=watch.cursor)
        with pytest.raises(ValueError, match="another user"):
            await anext(resumed)


async def test_steps_that_are_cancelled_lose_nothing_and_repeat_nothing():
    service = Watched(length=20, size=7)
    service.list.before_read = lambda: service.list.create() if len(service.list.created) < 35 else None
    found: list[str] = []
    async with service.client() as client:
        watch = client.notifications.watch(start="all", every=1)
        for step in range(120):
            with anyio.move_on_after(step % 5 / 3):
                async for notification in watch:
                    found.append(notification.id)
                    if len(found) % 3 == 0:
                        break
    assert sorted(found) == sorted(service.list.ids)


async def test_a_break_leaves_no_task_and_a_dropped_watch_no_warning(recwarn: pytest.WarningsRecorder):
    service = Watched()
    async with service.client() as client:
        async for _ in client.notifications.watch(start="all"):
            break
        gc.collect()
        assert current_task() is not None
        requests = len(service.requests)
        await anyio.sleep(300)
        assert len(service.requests) == requests, "nothing goes on reading"
    assert not recwarn.list


async def test_two_tasks_do_not_share_a_watch():
    service = Watched()
    async with service.client() as client:
        watch = client.notifications.watch()
        async with reading(watch):
            await anyio.sleep(5)
            with pytest.raises(ClientMisuse, match="two tasks share one watch"):
                await anext(watch)


async def test_closing_the_client_ends_a_step_that_waits_at_once():
    service = Watched()
    client = service.client()
    watch = client.notifications.watch(every=1000)
    ended: list[float] = []

    async def read() -> None:
        with pytest.raises(ClientMisuse, match="closed"):
            await anext(watch)
        ended.append(anyio.current_time())
        with pytest.raises(ClientMisuse, match="closed"):
            await anext(watch)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.sleep(50)
        await client.aclose()
        closed = anyio.current_time()
    assert ended == pytest.approx([closed], abs=1)


async def test_the_appointment_is_included_on_request():
    service = Watched()
    async with service.client() as client:
        await take(client.notifications.watch(start="all", expand_appointment=True), 1)
        await take(client.notifications.watch(start="all"), 1)
    assert [request.url.params.get("expand") for request in service.requests] == ["appointment", None]


@pytest.mark.parametrize(
    "arguments",
    [
        {"every": 0},
        {"every": -1},
        {"every": float("nan")},
        {"every": float("inf")},
        {"start": "old"},
        {"cursor": "x"},
        {"cursor": "notifications-1..", "start": "all"},
    ],
)
def test_invalid_arguments_are_refused_at_once(arguments: Any):
    with pytest.raises(ValueError, match=r"every|start|cursor"):
        Watched().client().notifications.watch(**arguments)


@pytest.mark.parametrize("every", [None, "30", True])
def test_an_interval_that_is_no_number_is_refused_at_once(every: Any):
    with pytest.raises(TypeError, match="every is a number of seconds"):
        Watched().client().notifications.watch(every=every)


async def test_ids_are_in_no_log_record_and_no_error(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "coaching_async")
    service = Watched()
    async with service.client() as client:
        watch = client.notifications.watch(start="all", every=5)
        await take(watch, 5)
        service.faults = [answer(status=503), answer(status=403)]
        with pytest.raises(Forbidden) as raised:
            await anext(watch)
    assert not any(id_ in caplog.text + str(raised.value) + repr(watch) for id_ in service.list.ids)


async def test_other_requests_go_before_those_of_a_watch():
    service = Watched(length=250)
    priorities: list[Priority] = []
    service.list.before_read = lambda: priorities.append(current_priority())
    async with service.client() as client:
        await take(client.notifications.watch(start="all"), 250)
    assert priorities == [Priority.BULK] * 3


# Marking all as read


async def test_all_unread_ones_are_marked_as_read_and_the_others_are_left_alone():
    marked: list[str] = []
    service = Watched(length=12, size=5)
    service.list.read_ids = {"n2", "n7"}

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return service.respond(request)
        id_ = request.url.path.rpartition("/")[2]
        marked.append(id_)
        return answer(status=404) if id_ == "n4" else answer({"id": id_, "markedAsRead": True})

    both = Service(respond)
    async with both.client() as client:
        result = await client.notifications.mark_all_read(concurrency=3)

    assert sorted(marked) == sorted(service.list.lasting - {"n2", "n7"})
    assert [outcome.item.id for outcome in result.outcomes] == [id_ for id_ in service.list.ids if id_ in marked]
    assert all(notification.marked_as_read for notification in result.succeeded.values())
    assert [notification.id for notification in result.failed] == ["n4"]


async def test_with_nothing_unread_nothing_is_written():
    service = Watched(length=3)
    service.list.read_ids = set(service.list.ids)
    async with service.client() as client:
        assert (await client.notifications.mark_all_read()).outcomes == ()
    assert len(service.requests) == 1


async def test_marking_refuses_an_invalid_concurrency_before_it_reads():
    service = Watched()
    async with service.client() as client:
        with pytest.raises(ValueError, match="concurrency"):
            await client.notifications.mark_all_read(concurrency=0)
    assert service.requests == []


async def test_marking_raises_what_the_list_raises():
    service = Watched()
    service.faults = [answer(status=503)]
    async with service.client() as client:
        with pytest.raises(ServerError):
            await client.notifications.mark_all_read()
