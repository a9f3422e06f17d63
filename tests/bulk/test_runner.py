"""The runner of a bulk: concurrency, fatal errors, unexpected exceptions, cancellation, arguments, priority."""

import asyncio
import contextlib
import math
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
    RateLimit,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from coaching_async._transport.priority import Priority, current_priority
from tests.support.bulk import Input, Work, bytes_an_item, make_client, outcome_names
from tests.support.cancelling import Way, every_way, skip_where_unknown
from tests.support.doubles import Service, answer
from tests.support.effort import on_one_backend
from tests.support.fault_server import tasks_now

pytestmark = pytest.mark.anyio

FATAL = [Unauthorized, AuthError, ClientMisuse]
NOT_FATAL = [
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


# Concurrency


async def test_the_number_of_concurrent_calls_reaches_the_limit_and_does_not_exceed_it():
    for concurrency, peak in [(None, 3), (5, 5), (1, 1)]:
        work = Work()
        started = anyio.current_time()

        await make_client(3).bulk(work, range(30), concurrency=concurrency)

        assert work.peak == peak
        assert anyio.current_time() - started == pytest.approx(30 / peak), "no fewer either"


async def test_a_bulk_has_at_most_two_tasks_more_than_concurrent_calls():
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


async def test_an_async_input_is_read_only_when_a_call_may_start():
    source, work = Input(20), Work()
    items_ahead: list[int] = []

    async def record_and_work(item: int) -> str:
        items_ahead.append(source.items_read - len(work.ended))
        return await work(item)

    result = await make_client(4).bulk(record_and_work, source)

    assert len(result.outcomes) == 20
    assert max(items_ahead) == 4


async def test_calls_end_while_the_input_waits():
    work, ended = Work(), list[int]()

    with anyio.move_on_after(100):
        await make_client().bulk(
            work, Input(waits_before=2), on_progress=lambda progress: ended.append(progress.newest.item)
        )

    assert sorted(ended) == [0, 1]


async def test_a_sync_input_is_read_only_when_a_call_may_start():
    items_read = 0

    def items() -> Iterator[int]:
        nonlocal items_read
        while items_read < 20:
            items_read += 1
            yield items_read

    max_ahead = 0
    work = Work()

    async def record_and_work(item: int) -> str:
        nonlocal max_ahead
        max_ahead = max(max_ahead, items_read - len(work.ended))
        return await work(item)

    await make_client(4).bulk(record_and_work, items())

    assert (items_read, max_ahead) == (20, 4)


@pytest.mark.real_time
@on_one_backend
async def test_memory_grows_by_less_than_150_bytes_an_item():
    """tests/slow has the same for 100,000 items."""
    assert await bytes_an_item(1_000, 4_000) < 150


# Fatal errors


@pytest.mark.parametrize("error_class", FATAL)
async def test_a_fatal_error_stops_the_bulk_and_running_calls_end_normally(
    error_class: type[CoachingError],
):
    seconds = {0: 3.0, 1: 1.0, 2: 2.0}
    started: list[int] = []

    async def work(item: int) -> str:
        started.append(item)
        await anyio.sleep(seconds[item])
        if item == 1:
            raise error_class("no")
        return "done"

    result = await make_client(3).bulk(work, range(6))

    assert sorted(started) == [0, 1, 2]
    assert outcome_names(result) == ["ok", error_class.__name__, "ok", "not started", "not started", "not started"]
    assert result.not_started == (3, 4, 5)
    assert isinstance(result.failed[1], error_class)


@pytest.mark.parametrize("error_class", NOT_FATAL)
async def test_an_error_that_is_not_fatal_does_not_stop_the_bulk(error_class: type[CoachingError]):
    result = await make_client(1).bulk(Work({0: error_class("no")}), range(3))

    assert outcome_names(result) == [error_class.__name__, "ok", "ok"]


async def test_after_a_fatal_error_no_call_starts_not_even_in_the_same_iteration_of_the_event_loop():
    started: list[int] = []

    async def refused(item: int) -> None:
        started.append(item)
        raise Unauthorized("no")

    result = await make_client().bulk(refused, range(5), concurrency=5)

    assert len(started) == 1
    assert len(result.not_started) == 4


async def test_after_a_fatal_error_the_rest_of_a_sync_generator_is_not_started():
    result = await make_client(1).bulk(Work({1: Unauthorized("no")}), (item for item in range(4)))

    assert outcome_names(result) == ["ok", "Unauthorized", "not started", "not started"]


async def test_after_a_fatal_error_an_async_input_is_not_read_any_further():
    for source in (Input(), Input(waits_before=2)):
        result = await make_client(2).bulk(Work({0: Unauthorized("no")}), source)

        assert outcome_names(result)[:2] == ["Unauthorized", "ok"]
        assert len(result.outcomes) == source.items_read <= 3


async def test_an_async_generator_that_is_not_exhausted_is_closed():
    closed = False

    async def items() -> AsyncIterator[int]:
        nonlocal closed
        try:
            for item in range(1000):
                yield item
        finally:
            closed = True

    await make_client(2).bulk(Work({0: Unauthorized("no")}), items())

    assert closed


@pytest.mark.parametrize("ending", ["its end", "a fatal error", "a bug", "a cancellation"])
async def test_an_async_generator_may_hold_a_task_group_open_however_the_bulk_ends(ending: str):
    async def items() -> AsyncIterator[int]:
        async with anyio.create_task_group():  # as a stream of WebSocket messages does
            for item in range(20):
                yield item

    work = Work({"a fatal error": {5: Unauthorized("no")}, "a bug": {5: KeyError("bug")}}.get(ending, {}))
    with anyio.move_on_after(3.5 if ending == "a cancellation" else math.inf), contextlib.suppress(KeyError):
        result = await make_client(2).bulk(work, items())
        assert len(result.outcomes) == len(work.started)

    assert len(work.started) == {"its end": 20, "a fatal error": 6, "a bug": 6, "a cancellation": 8}[ending]


async def test_an_exception_from_closing_an_async_generator_is_raised_unchanged():
    async def items() -> AsyncIterator[int]:
        try:
            for item in range(20):
                yield item
        finally:
            raise ValueError("closing")

    with pytest.raises(ValueError, match="closing"):
        await make_client(2).bulk(Work({0: Unauthorized("no")}), items())


async def test_after_a_fatal_error_an_async_generator_is_closed_without_cancellation():
    events: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            for item in range(20):
                yield item
        finally:
            await anyio.sleep(1)
            events.append("closed")

    await make_client(2).bulk(Work({0: Unauthorized("no")}), items())

    assert events == ["closed"]


async def test_an_error_of_a_sync_input_after_a_fatal_error_has_all_outcomes():
    def items() -> Iterator[int]:
        yield from range(5)
        raise ServerError("no more of the list")

    with pytest.raises(ServerError) as caught:
        await make_client(1).bulk(Work({1: Unauthorized("no")}), items())

    assert [outcome.item for outcome in caught.value.partial] == [0, 1, 2, 3, 4]


# Unexpected exceptions


@pytest.mark.parametrize("text", ["ZeroDivisionError()", "MemoryError()", "ExceptionGroup('two', [ValueError()])"])
async def test_an_unexpected_exception_is_raised_at_once_unchanged_and_cancels_the_other_calls(text: str):
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
    assert (sorted(work.started), sorted(work.cancelled), work.ended) == ([0, 2], [0, 2], [])
    assert tasks_now() == tasks
    assert error.__notes__ == ["raised by the call for item 1 of a bulk, counted from 0; the others were cancelled"]


async def test_an_unexpected_exception_keeps_its_cause_and_context():
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


async def test_an_exception_that_every_call_raises_is_raised_once():
    async def buggy(item: int) -> None:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        await make_client().bulk(buggy, range(10), concurrency=10)


async def test_exceptions_of_cancelled_calls_do_not_replace_the_first_exception():
    async def fails_when_cancelled(item: int) -> None:
        if item == 1:
            await anyio.sleep(1)
            raise ZeroDivisionError
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while it was cancelled")

    with pytest.raises(ZeroDivisionError):
        await make_client().bulk(fails_when_cancelled, range(3))


async def test_exception_groups_of_cancelled_calls_do_not_replace_the_first_exception():
    async def start_child_tasks(item: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 5)
            if item == 1:
                await anyio.sleep(0.5)
                raise ValueError("the first")
            try:
                await anyio.sleep(5)
            finally:
                raise KeyError("while it was cancelled")

    with pytest.raises(ExceptionGroup) as caught:
        await make_client().bulk(start_child_tasks, range(5))

    assert [str(error) for error in caught.value.exceptions] == ["the first"]
    assert caught.value.__notes__ == [
        "raised by the call for item 1 of a bulk, counted from 0; the others were cancelled"
    ]


@pytest.mark.parametrize("error_class", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_is_raised_rather_than_an_earlier_exception(error_class: type[BaseException]):
    async def interrupted(item: int) -> None:
        if item == 0:
            await anyio.sleep(1)
            raise ZeroDivisionError
        try:
            await anyio.sleep_forever()
        finally:
            if item == 1:
                raise error_class

    with pytest.raises(error_class):
        await make_client().bulk(interrupted, range(3))


async def test_a_call_that_awaits_a_cancelled_task_does_not_count_as_done(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("only tasks of asyncio can be awaited")

    async def waits(item: int) -> int:
        if item == 1:
            task = asyncio.ensure_future(asyncio.sleep(1))
            task.cancel()
            await task
        return item

    with pytest.raises(asyncio.CancelledError):
        await make_client().bulk(waits, range(3))


@every_way
async def test_cancelling_a_bulk_cancels_its_calls_and_leaves_no_task(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    client, work = make_client(3), Work(seconds=1000)
    tasks = tasks_now()

    assert await cancel(lambda: client.bulk(work, Input()), lambda: anyio.sleep(5))

    assert sorted(work.cancelled) == [0, 1, 2]
    assert tasks_now() == tasks
    assert len((await client.bulk(Work(), range(3))).succeeded) == 3


async def test_an_unexpected_exception_of_the_input_is_raised_unchanged_and_cancels_the_calls():
    work, error = Work(seconds=1000), ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError) as caught:
        await make_client(3).bulk(work, Input(2, failure=error))

    assert caught.value is error
    assert sorted(work.cancelled) == [0, 1]


async def test_if_reading_the_input_fails_running_calls_end_and_the_error_has_all_outcomes():
    error = ServerError("page 3")
    work = Work({1: NotFound("gone")})

    with pytest.raises(ServerError) as caught:
        await make_client(5).bulk(work, Input(3, failure=error))

    assert caught.value is error
    outcomes: Any = caught.value.partial
    assert [outcome.item for outcome in outcomes] == [0, 1, 2]
    assert [outcome.is_ok for outcome in outcomes] == [True, False, True]


# Arguments


@pytest.mark.parametrize("items", ["an-id", b"an-id", 5, None])
async def test_items_that_are_not_an_iterable_of_items_raise_type_error(items: Any):
    client = make_client()
    with pytest.raises(TypeError, match="items is a list"):
        await client.bulk(client.appointments.get, items)
    with pytest.raises(TypeError, match="items is a list"):
        client.bulk_stream(client.appointments.get, items)
    with pytest.raises(TypeError, match="items is a list"):
        await client.appointments.get_many(items)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, "3"])
async def test_a_concurrency_that_is_not_a_positive_integer_raises_value_error(concurrency: Any):
    with pytest.raises(ValueError, match=r"concurrency is a whole number, at least 1, not (0|-1|float|str)"):
        await make_client().bulk(Work(), [1], concurrency=concurrency)


@pytest.mark.parametrize(
    "function, returned",
    [
        (str, "str"),
        (lambda _: None, "None"),
        (lambda user: make_client().appointments.list(user_ids=user), "Listing: its `collect\\(\\)` can be awaited"),
    ],
)
async def test_a_function_that_is_not_async_is_refused_with_what_it_returned(function: Any, returned: str):
    client = make_client()
    problem = f"^function is an async function, and not one that returns {returned}"
    with pytest.raises(TypeError, match=problem):
        await client.bulk(function, ["a", "b", "c"])
    with pytest.raises(TypeError, match=problem):
        async with client.bulk_stream(function, ["a", "b", "c"]) as stream:
            await anext(stream)


async def test_a_function_that_is_not_callable_raises_type_error():
    client: Any = make_client()
    with pytest.raises(TypeError, match="without being called"):
        await client.bulk(5, [1])


async def test_an_on_progress_that_is_not_a_plain_function_raises_type_error():
    async def on_progress(_: object) -> None: ...

    for wrong in (on_progress, 5):
        with pytest.raises(TypeError, match="plain function"):
            await make_client().bulk(Work(), [1], on_progress=wrong)  # type: ignore[arg-type]


# Calls of a client


def found(request: httpx.Request) -> httpx.Response:
    id_ = request.url.path.rpartition("/")[2]
    if "missing" in id_:
        return answer({"code": "not.found"}, status=404)
    return answer({"id": id_, "name": f"name of {id_}"}) if request.method == "GET" else answer(status=204)


async def test_get_many_gets_appointments_by_their_ids():
    service = Service(found)
    async with service.client() as client:
        result = await client.appointments.get_many(["a", "missing", "b"])

    assert result.outcomes[0] == Outcome("a", Appointment(id="a", name="name of a"))
    assert outcome_names(result) == ["ok", "NotFound", "ok"]


async def test_bulk_takes_any_method_and_any_function_of_one_item():
    service = Service(found)
    async with service.client() as client:
        deleted = await client.bulk(client.appointments.delete, {"a", "b"})
        notes = await client.bulk(lambda id_: client.annotations.delete("x", id_), (item for item in "cd"))

    assert {
        reference.id for reference in deleted.succeeded.values() if isinstance(reference, AppointmentReference)
    } == {"a", "b"}
    assert notes.succeeded == {"c": None, "d": None}


async def test_each_call_has_a_deadline_of_its_own():
    started = anyio.current_time()
    async with Service(found).client(timeout=2.0, rate_limit=RateLimit(1, per=1.5)) as client:
        result = await client.appointments.get_many(list("abcd"), concurrency=1)

    assert len(result.succeeded) == 4
    assert anyio.current_time() - started > 4


async def test_a_value_error_for_a_bad_id_is_raised_unchanged():
    async with Service(found).client() as client:
        with pytest.raises(ValueError, match="no id"):
            await client.appointments.get_many(["a", ""])


async def test_a_bulk_ends_with_its_outcomes_when_the_client_is_closed():
    async with anyio.create_task_group() as tasks:
        client = Service(lambda _: answer({"id": "x"})).client(max_concurrency=2)
        await client.appointments.get("x")

        async def read(item: int) -> Any:
            if item == 1:
                tasks.start_soon(client.aclose)
                await anyio.sleep(1)
            return await client.appointments.get(str(item))

        result = await client.bulk(read, range(5), concurrency=1)

    assert outcome_names(result) == ["ok", "ClientMisuse", "not started", "not started", "not started"]


# Priority


async def test_calls_of_a_bulk_and_their_child_tasks_have_bulk_priority_and_nothing_else_has():
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
