import asyncio
import contextlib
import json
import math
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from coaching_async import (
    Appointment,
    AppointmentReference,
    AuthError,
    BadRequest,
    ClientMisuse,
    CoachingError,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    NotFound,
    Outcome,
    OutcomeUnknown,
    Progress,
    RateLimit,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from coaching_async._transport.priority import Priority, current_priority
from tests.support.bulk import Input, Work, bytes_an_item, kinds, make_client
from tests.support.cancelling import Way, every_way, skip_where_unknown
from tests.support.doubles import Service, answer
from tests.support.fault_server import tasks_now

pytestmark = pytest.mark.anyio

STOPPING = [Unauthorized, AuthError, ClientMisuse]
HARMLESS = [
    BadRequest,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    TransportError,
]


# What comes of it


async def test_outcomes_come_in_the_order_of_the_input_whichever_call_ends_first():
    async def slow_first(item: int) -> int:
        await anyio.sleep(10 - item)
        return item * item

    result = await make_client().bulk(slow_first, range(10))

    assert result.outcomes == tuple(Outcome(item, item * item) for item in range(10))
    assert result.succeeded == {item: item * item for item in range(10)}
    assert (dict(result.failed), result.not_started) == ({}, ())


async def test_nothing_to_do_is_done_at_once():
    work = Work()

    result = await make_client().bulk(work, [])

    assert (result.outcomes, work.begun) == ((), [])
    result.raise_for_failures()


async def test_one_failure_stops_nobody_else():
    result = await make_client().bulk(Work({3: NotFound("gone")}), range(6))

    assert kinds(result) == ["ok", "ok", "ok", "NotFound", "ok", "ok"]
    assert list(result.failed) == [3]
    assert 3 not in result.succeeded


async def test_a_value_of_none_is_a_success():
    async def delete(_: int) -> None:
        await anyio.lowlevel.checkpoint()

    result = await make_client().bulk(delete, [1])

    assert result.succeeded == {1: None}
    assert result.outcomes[0].is_ok
    assert result.outcomes[0].result() is None


async def test_an_item_that_comes_twice_is_called_for_twice_and_the_last_one_wins():
    answers: Iterator[Any] = iter(["old", NotFound("gone"), "new"])

    async def in_turn(_: str) -> str:
        await anyio.lowlevel.checkpoint()
        outcome = next(answers)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    result = await make_client(1).bulk(in_turn, ["x", "x", "x"])

    assert kinds(result) == ["ok", "NotFound", "ok"]
    assert result.succeeded == {"x": "new"}
    assert [str(each) for each in result.failed.values()] == ["gone"]


async def test_where_one_item_is_no_key_all_are_known_by_index():
    async def size(item: Any) -> int:
        await anyio.lowlevel.checkpoint()
        if not item:
            raise NotFound("nothing")
        return len(item)

    result = await make_client().bulk(size, ["one", ["two"], []])

    assert dict(result.succeeded) == {0: 3, 1: 1}
    assert list(result.failed) == [2]


async def test_an_item_whose_hash_raises_whatever_it_likes_is_no_key():
    class Unsaved:
        def __hash__(self) -> int:
            raise ValueError("it has no id yet")

    async def save(_: object) -> str:
        return "saved"

    assert dict((await make_client().bulk(save, [Unsaved()])).succeeded) == {0: "saved"}


async def test_an_outcome_gives_its_value_or_raises_what_there_is_instead():
    assert Outcome("x", 1).result() == 1
    with pytest.raises(NotFound, match="gone"):
        Outcome("x", error=NotFound("gone")).result()
    with pytest.raises(ClientMisuse, match="not started"):
        Outcome("x", is_started=False).result()


async def test_outcomes_pickle():
    for outcome in [Outcome("x", 1), Outcome("x", is_started=False)]:
        assert pickle.loads(pickle.dumps(outcome)) == outcome


async def test_failures_are_raised_as_one_group_with_a_note_of_each_index():
    failures = {"id-1": NotFound("gone"), "id-3": Forbidden("no")}
    result = await make_client().bulk(Work(failures), ["id-0", "id-1", "id-2", "id-3"])

    for _ in range(2):  # a second look adds nothing
        with pytest.raises(ExceptionGroup) as caught:
            result.raise_for_failures()

        assert caught.value.message == "2 of 4 items failed"
        assert caught.value.exceptions == tuple(failures.values())
        notes = [each.__notes__ for each in caught.value.exceptions]
        assert notes == [["item 1 of the bulk, counted from 0"], ["item 3 of the bulk, counted from 0"]]


async def test_the_group_says_how_many_were_not_started():
    result = await make_client(1).bulk(Work({0: Unauthorized("no")}), range(3))

    with pytest.raises(ExceptionGroup, match="1 of 3 items failed, and 2 were not started"):
        result.raise_for_failures()


async def test_an_error_in_an_outcome_keeps_where_the_call_failed_and_not_the_bulk():
    async def fails(_: int) -> None:
        await anyio.lowlevel.checkpoint()
        raise NotFound("gone")

    result = await make_client().bulk(fails, [1])

    error = result.outcomes[0].error
    assert error is not None
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "fails"
    assert error.__traceback__.tb_next is None


# How much at once


async def test_no_more_calls_are_under_way_than_allowed():
    for concurrency, peak in [(None, 3), (5, 5), (1, 1)]:
        work = Work()
        started = anyio.current_time()

        await make_client(3).bulk(work, range(30), concurrency=concurrency)

        assert work.peak == peak
        assert anyio.current_time() - started == pytest.approx(30 / peak), "and no fewer either"


async def test_few_items_need_few_tasks_and_many_no_more_than_two_beyond_the_concurrency():
    live: list[int] = []

    async def count(_: int) -> None:
        await anyio.sleep(1)
        live.append(tasks_now() - before)

    before = tasks_now() - 1
    await make_client().bulk(count, range(2), concurrency=1000)
    assert max(live) <= 4
    await make_client().bulk(count, range(100), concurrency=10)
    assert max(live) <= 12
    assert tasks_now() - before == 1


async def test_an_item_is_taken_only_when_there_is_room_for_its_call():
    source, work = Input(20), Work()
    ahead: list[int] = []

    async def noting(item: int) -> str:
        ahead.append(source.drawn - len(work.ended))
        return await work(item)

    result = await make_client(4).bulk(noting, source)

    assert len(result.outcomes) == 20
    assert max(ahead) == 4


async def test_an_input_that_waits_keeps_nobody_from_ending():
    work, ended = Work(), list[int]()

    with anyio.move_on_after(100):
        await make_client().bulk(work, Input(waits=2), on_progress=lambda each: ended.append(each.newest.item))

    assert sorted(ended) == [0, 1]


async def test_a_plain_input_is_drawn_only_as_needed_too():
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        while drawn < 20:
            drawn += 1
            yield drawn

    most = 0
    work = Work()

    async def noting(item: int) -> str:
        nonlocal most
        most = max(most, drawn - len(work.ended))
        return await work(item)

    await make_client(4).bulk(noting, items())

    assert (drawn, most) == (20, 4)


@pytest.mark.real_time
async def test_memory_grows_by_less_than_150_bytes_an_item():
    """tests/slow has the same for 100,000 items."""
    assert await bytes_an_item(1_000, 4_000) < 150


# What stops it


@pytest.mark.parametrize("kind", STOPPING)
async def test_what_every_call_would_meet_stops_the_rest_and_those_under_way_end_by_themselves(
    kind: type[CoachingError],
):
    seconds = {0: 3.0, 1: 1.0, 2: 2.0}
    begun: list[int] = []

    async def work(item: int) -> str:
        begun.append(item)
        await anyio.sleep(seconds[item])
        if item == 1:
            raise kind("no")
        return "done"

    result = await make_client(3).bulk(work, range(6))

    assert sorted(begun) == [0, 1, 2]
    assert kinds(result) == ["ok", kind.__name__, "ok", "not started", "not started", "not started"]
    assert result.not_started == (3, 4, 5)
    assert isinstance(result.failed[1], kind)


@pytest.mark.parametrize("kind", HARMLESS)
async def test_what_concerns_one_call_stops_nothing(kind: type[CoachingError]):
    result = await make_client(1).bulk(Work({0: kind("no")}), range(3))

    assert kinds(result) == [kind.__name__, "ok", "ok"]


async def test_after_a_stop_nothing_begins_not_even_in_the_same_turn_of_the_loop():
    begun: list[int] = []

    async def refused(item: int) -> None:
        begun.append(item)
        raise Unauthorized("no")

    result = await make_client().bulk(refused, range(5), concurrency=5)

    assert len(begun) == 1
    assert len(result.not_started) == 4


async def test_after_a_stop_a_generator_still_tells_what_was_left():
    result = await make_client(1).bulk(Work({1: Unauthorized("no")}), (each for each in range(4)))

    assert kinds(result) == ["ok", "Unauthorized", "not started", "not started"]


async def test_after_a_stop_an_async_input_is_not_read_any_further_not_even_when_it_waits():
    for source in (Input(), Input(waits=2)):
        result = await make_client(2).bulk(Work({0: Unauthorized("no")}), source)

        assert kinds(result)[:2] == ["Unauthorized", "ok"]
        assert len(result.outcomes) == source.drawn <= 3


async def test_an_async_generator_that_is_not_read_to_its_end_is_closed():
    closed = False

    async def items() -> AsyncIterator[int]:
        nonlocal closed
        try:
            for each in range(1000):
                yield each
        finally:
            closed = True

    await make_client(2).bulk(Work({0: Unauthorized("no")}), items())

    assert closed


@pytest.mark.parametrize("ending", ["its end", "a stop", "a bug", "a cancelling"])
async def test_an_async_generator_may_keep_a_task_group_open_however_the_bulk_ends(ending: str):
    async def items() -> AsyncIterator[int]:
        async with anyio.create_task_group():  # as a stream of WebSocket messages has
            for each in range(20):
                yield each

    work = Work({"a stop": {5: Unauthorized("no")}, "a bug": {5: KeyError("bug")}}.get(ending, {}))
    with anyio.move_on_after(3.5 if ending == "a cancelling" else math.inf), contextlib.suppress(KeyError):
        result = await make_client(2).bulk(work, items())
        assert len(result.outcomes) == len(work.begun)

    assert len(work.begun) == {"its end": 20, "a stop": 6, "a bug": 6, "a cancelling": 8}[ending]


async def test_what_an_async_generator_raises_when_it_is_closed_comes_out_as_itself():
    async def items() -> AsyncIterator[int]:
        try:
            for each in range(20):
                yield each
        finally:
            raise ValueError("closing")

    with pytest.raises(ValueError, match="closing"):
        await make_client(2).bulk(Work({0: Unauthorized("no")}), items())


async def test_what_stops_a_bulk_lets_an_async_generator_end_in_peace():
    said: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            for each in range(20):
                yield each
        finally:
            await anyio.sleep(1)
            said.append("closed in peace")

    await make_client(2).bulk(Work({0: Unauthorized("no")}), items())

    assert said == ["closed in peace"]


# What is not expected


@pytest.mark.parametrize("text", ["ZeroDivisionError()", "MemoryError()", "ExceptionGroup('two', [ValueError()])"])
async def test_what_is_no_error_of_ours_comes_out_at_once_as_itself_and_the_others_are_cancelled(text: str):
    work, error = Work(), eval(text)
    tasks = tasks_now()

    async def buggy(item: int) -> str:
        if item == 1:
            await anyio.sleep(0.5)
            raise error
        return await work(item)

    started = anyio.current_time()
    with pytest.raises(type(error)) as caught:
        await make_client(3).bulk(buggy, range(100))

    assert caught.value is error
    assert anyio.current_time() - started == pytest.approx(0.5)
    assert (sorted(work.begun), sorted(work.cancelled), work.ended) == ([0, 2], [0, 2], [])
    assert tasks_now() == tasks
    assert error.__notes__ == ["raised by the call for item 1 of a bulk, counted from 0; the others were cancelled"]


async def test_such_an_error_keeps_what_it_came_from():
    async def buggy(_: int) -> None:
        await anyio.sleep(1)
        try:
            {}["x"]
        except KeyError as error:
            raise ZeroDivisionError from error

    with pytest.raises(ZeroDivisionError) as caught:
        await make_client().bulk(buggy, [1])

    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.__context__ is caught.value.__cause__


async def test_a_bug_that_every_call_has_comes_out_once():
    async def buggy(item: int) -> None:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        await make_client().bulk(buggy, range(10), concurrency=10)


async def test_what_the_others_raise_when_they_are_cancelled_hides_nothing():
    async def unruly(item: int) -> None:
        if item == 1:
            await anyio.sleep(1)
            raise ZeroDivisionError
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("in tidying up")

    with pytest.raises(ZeroDivisionError):
        await make_client().bulk(unruly, range(3))


async def test_a_task_group_of_a_call_that_is_cancelled_hides_nothing_either():
    async def many(item: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 5)
            if item == 1:
                await anyio.sleep(0.5)
                raise ValueError("the first")
            try:
                await anyio.sleep(5)
            finally:
                raise KeyError("while it tidied up")

    with pytest.raises(ExceptionGroup) as caught:
        await make_client().bulk(many, range(5))

    assert [str(each) for each in caught.value.exceptions] == ["the first"]
    assert caught.value.__notes__ == [
        "raised by the call for item 1 of a bulk, counted from 0; the others were cancelled"
    ]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_comes_out_as_itself_whatever_came_before_it(kind: type[BaseException]):
    async def interrupted(item: int) -> None:
        if item == 0:
            await anyio.sleep(1)
            raise ZeroDivisionError
        try:
            await anyio.sleep_forever()
        finally:
            if item == 1:
                raise kind

    with pytest.raises(kind):
        await make_client().bulk(interrupted, range(3))


async def test_a_call_that_waits_for_a_cancelled_task_is_not_taken_for_done(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("there tasks are not waited for")

    async def waits(item: int) -> int:
        if item == 1:
            task = asyncio.ensure_future(asyncio.sleep(1))
            task.cancel()
            await task
        return item

    with pytest.raises(asyncio.CancelledError):
        await make_client().bulk(waits, range(3))


@every_way
async def test_whoever_cancels_gets_free_and_nothing_is_left(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    client, work = make_client(3), Work(seconds=1000)
    tasks = tasks_now()

    assert await cancel(lambda: client.bulk(work, Input()), lambda: anyio.sleep(5))

    assert sorted(work.cancelled) == [0, 1, 2]
    assert tasks_now() == tasks
    assert len((await client.bulk(Work(), range(3))).succeeded) == 3


async def test_what_the_input_raises_comes_out_as_itself_and_the_others_are_cancelled():
    work, error = Work(seconds=1000), ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError) as caught:
        await make_client(3).bulk(work, Input(2, failure=error))

    assert caught.value is error
    assert sorted(work.cancelled) == [0, 1]


async def test_where_the_input_is_a_list_that_fails_those_under_way_end_and_the_error_has_all_outcomes():
    error = ServerError("page 3")
    work = Work({1: NotFound("gone")})

    with pytest.raises(ServerError) as caught:
        await make_client(5).bulk(work, Input(3, failure=error))

    assert caught.value is error
    outcomes: Any = caught.value.partial
    assert [each.item for each in outcomes] == [0, 1, 2]
    assert [each.is_ok for each in outcomes] == [True, False, True]


# Progress


async def test_what_a_plain_input_raises_after_a_stop_takes_no_outcomes_with_it():
    def items() -> Iterator[int]:
        yield from range(5)
        raise ServerError("no more of the list")

    with pytest.raises(ServerError) as caught:
        await make_client(1).bulk(Work({1: Unauthorized("no")}), items())

    assert [each.item for each in caught.value.partial] == [0, 1, 2, 3, 4]


async def test_progress_is_told_of_each_call_that_has_ended():
    seen: list[Progress[int, str]] = []

    result = await make_client(1).bulk(Work({1: NotFound("gone")}), range(3), on_progress=seen.append)

    assert [(each.done, each.failed, each.total) for each in seen] == [(1, 0, 3), (2, 1, 3), (3, 1, 3)]
    assert tuple(each.newest for each in seen) == result.outcomes


async def test_progress_knows_no_total_where_the_input_knows_none_and_counts_only_what_was_started():
    seen: list[Progress[int, str]] = []

    await make_client(1).bulk(Work({1: Unauthorized("no")}), iter(range(5)), on_progress=seen.append)

    assert [(each.done, each.failed, each.total) for each in seen] == [(1, 0, None), (2, 1, None)]


async def test_what_was_drawn_too_late_is_not_started_and_does_not_count_as_done():
    done: list[tuple[int, int]] = []

    async def items() -> AsyncIterator[int]:
        yield 0
        yield 1
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)
        yield 2

    async def work(item: int) -> None:
        await anyio.sleep(5 if item == 0 else 1)
        if item == 1:
            raise Unauthorized("no")

    result = await make_client().bulk(
        work, items(), on_progress=lambda each: done.append((each.newest.item, each.done))
    )

    assert kinds(result) == ["ok", "Unauthorized", "not started"]
    assert done == [(1, 1), (0, 2)]


async def test_what_came_before_an_error_is_known_to_whoever_watched_the_progress():
    kept: list[Outcome[int, str]] = []

    with pytest.raises(ZeroDivisionError):
        await make_client(1).bulk(
            Work({2: ZeroDivisionError()}), range(5), on_progress=lambda each: kept.append(each.newest)
        )

    assert [each.item for each in kept] == [0, 1]


async def test_what_progress_raises_comes_out_as_itself():
    work = Work()

    def fails(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await make_client(3).bulk(work, range(10), on_progress=fails)
    assert work.under_way == 0


# Again


async def test_what_failed_and_what_was_not_started_may_be_run_again_in_its_place():
    failures: dict[Any, BaseException] = {1: NotFound("gone"), 3: Unauthorized("no")}
    work = Work(failures)
    first = await make_client(1).bulk(work, range(6))
    assert kinds(first) == ["ok", "NotFound", "ok", "Unauthorized", "not started", "not started"]

    del failures[3]
    work.begun.clear()
    second = await first.retry_failed()

    assert work.begun == [1, 3, 4, 5]
    assert kinds(second) == ["ok", "NotFound", "ok", "ok", "ok", "ok"]
    assert [each.item for each in second.outcomes] == list(range(6))
    assert kinds(first)[3] == "Unauthorized", "the first result stays what it was"
    failures.clear()
    assert (await second.retry_failed()).succeeded.keys() == set(range(6))


@pytest.mark.parametrize("processed", ["maybe", "yes"])
async def test_what_may_have_been_carried_out_is_not_run_again(processed: Any):
    errors = {0: OutcomeUnknown("cut", processed=processed), 1: ServerError("500", processed=processed)}
    work = Work(errors | {2: NotFound("gone")})
    first = await make_client(1).bulk(work, range(4))

    second = await first.retry_failed()

    assert work.begun == [0, 1, 2, 3, 2]
    assert dict(second.failed) == errors | {2: work.failures[2]}


async def test_where_there_is_nothing_to_run_again_the_result_stays():
    work = Work({1: OutcomeUnknown("cut", processed="maybe")})
    result = await make_client().bulk(work, range(2))

    assert await result.retry_failed() is result
    assert len(work.begun) == 2


async def test_running_again_goes_as_wide_and_tells_the_same_progress():
    work, seen = Work({each: NotFound("gone") for each in range(8)}), list[Progress[int, str]]()
    result = await make_client(1).bulk(work, range(8), concurrency=4, on_progress=seen.append)
    work.peak = 0

    await result.retry_failed()

    assert work.peak == 4
    assert (seen[-1].done, seen[-1].total) == (8, 8)
    assert len(seen) == 16


# Whatever is given


@pytest.mark.parametrize("items", ["an-id", b"an-id", 5, None])
async def test_what_is_no_list_of_items_is_refused_in_words(items: Any):
    client = make_client()
    with pytest.raises(TypeError, match="items is a list"):
        await client.bulk(client.appointments.get, items)
    with pytest.raises(TypeError, match="items is a list"):
        client.bulk_stream(client.appointments.get, items)
    with pytest.raises(TypeError, match="items is a list"):
        await client.appointments.get_many(items)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, "3"])
async def test_a_concurrency_that_is_none_is_refused_in_words(concurrency: Any):
    with pytest.raises(ValueError, match="whole number, at least 1"):
        await make_client().bulk(Work(), [1], concurrency=concurrency)


async def test_a_function_that_was_called_already_is_refused_in_words():
    client: Any = make_client()
    with pytest.raises(TypeError, match="without being called"):
        await client.bulk(5, [1])


async def test_progress_that_would_have_to_be_awaited_is_refused_in_words():
    async def on_progress(_: object) -> None: ...

    for wrong in (on_progress, 5):
        with pytest.raises(TypeError, match="plain function"):
            await make_client().bulk(Work(), [1], on_progress=wrong)  # type: ignore[arg-type]


# With calls of the client's


def found(request: httpx.Request) -> httpx.Response:
    id_ = request.url.path.rpartition("/")[2]
    if "missing" in id_:
        return answer({"code": "not.found"}, status=404)
    return answer({"id": id_, "name": f"name of {id_}"}) if request.method == "GET" else answer(status=204)


async def test_many_appointments_are_got_by_their_ids():
    service = Service(found)
    async with service.client() as client:
        result = await client.appointments.get_many(["a", "missing", "b"])

    assert result.outcomes[0] == Outcome("a", Appointment(id="a", name="name of a"))
    assert kinds(result) == ["ok", "NotFound", "ok"]


async def test_any_method_will_do_and_any_function_of_one_item():
    service = Service(found)
    async with service.client() as client:
        deleted = await client.bulk(client.appointments.delete, {"a", "b"})
        notes = await client.bulk(lambda id_: client.annotations.delete("x", id_), (each for each in "cd"))

    assert {each.id for each in deleted.succeeded.values() if isinstance(each, AppointmentReference)} == {"a", "b"}
    assert notes.succeeded == {"c": None, "d": None}


async def test_each_call_has_a_deadline_of_its_own():
    started = anyio.current_time()
    async with Service(found).client(timeout=2.0, rate_limit=RateLimit(1, per=1.5)) as client:
        result = await client.appointments.get_many(list("abcd"), concurrency=1)

    assert len(result.succeeded) == 4
    assert anyio.current_time() - started > 4


async def test_a_bad_id_is_the_callers_mistake_and_comes_out_as_itself():
    async with Service(found).client() as client:
        with pytest.raises(ValueError, match="no id"):
            await client.appointments.get_many(["a", ""])


async def test_closing_the_client_ends_a_bulk_with_what_it_has():
    async with anyio.create_task_group() as tasks:
        client = Service(lambda _: answer({"id": "x"})).client(max_concurrency=2)
        await client.appointments.get("x")

        async def read(item: int) -> Any:
            if item == 1:
                tasks.start_soon(client.aclose)
                await anyio.sleep(1)
            return await client.appointments.get(str(item))

        result = await client.bulk(read, range(5), concurrency=1)

    assert kinds(result) == ["ok", "ClientMisuse", "not started", "not started", "not started"]


# Lanes


async def test_calls_of_a_bulk_are_on_the_bulk_lane_and_what_they_start_too_and_nothing_else():
    seen: list[Priority] = []

    async def look(_: object) -> None:
        async def child() -> None:
            seen.append(current_priority())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
        seen.append(current_priority())

    async def items() -> AsyncIterator[int]:
        assert current_priority() is Priority.INTERACTIVE
        yield 1

    client = make_client()
    await client.bulk(look, items(), on_progress=lambda _: seen.append(current_priority()))
    async with client.bulk_stream(look, [1]) as outcomes:
        seen += [current_priority() async for _ in outcomes]

    assert seen == [Priority.BULK, Priority.BULK, Priority.INTERACTIVE] * 2
    assert current_priority() is Priority.INTERACTIVE


async def test_no_id_is_in_what_a_bulk_says_of_itself():
    result = await make_client().bulk(Work({"secret-id": NotFound("gone")}), ["secret-id"])

    with pytest.raises(ExceptionGroup) as caught:
        result.raise_for_failures()
    assert "secret-id" not in json.dumps([str(caught.value), caught.value.exceptions[0].__notes__])
