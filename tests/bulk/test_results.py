"""Results of a bulk: outcomes, progress, and retries of failed items."""

import json
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from coaching_async import (
    ClientMisuse,
    Forbidden,
    NotFound,
    Outcome,
    OutcomeUnknown,
    Progress,
    ServerError,
    Unauthorized,
)
from tests.support.bulk import Work, make_client, outcome_names

pytestmark = pytest.mark.anyio


# Results


async def test_outcomes_are_in_the_order_of_the_input_in_whatever_order_the_calls_end():
    async def slow_first(item: int) -> int:
        await anyio.sleep(10 - item)
        return item * item

    result = await make_client().bulk(slow_first, range(10))

    assert result.outcomes == tuple(Outcome(item, item * item) for item in range(10))
    assert result.succeeded == {item: item * item for item in range(10)}
    assert (dict(result.failed), result.not_started) == ({}, ())


async def test_a_bulk_of_no_items_returns_at_once():
    work = Work()

    result = await make_client().bulk(work, [])

    assert (result.outcomes, work.started) == ((), [])
    result.raise_for_failures()


async def test_a_failed_call_does_not_stop_the_others():
    result = await make_client().bulk(Work({3: NotFound("gone")}), range(6))

    assert outcome_names(result) == ["ok", "ok", "ok", "NotFound", "ok", "ok"]
    assert list(result.failed) == [3]
    assert 3 not in result.succeeded


async def test_a_call_that_returns_none_succeeded():
    async def delete(_: int) -> None:
        await anyio.lowlevel.checkpoint()

    result = await make_client().bulk(delete, [1])

    assert result.succeeded == {1: None}
    assert result.outcomes[0].is_ok
    assert result.outcomes[0].result() is None


async def test_for_an_item_given_twice_there_are_two_calls_and_the_mappings_have_the_last_outcome():
    answers: Iterator[Any] = iter(["old", NotFound("gone"), "new"])

    async def answer_in_turn(_: str) -> str:
        await anyio.lowlevel.checkpoint()
        outcome = next(answers)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    result = await make_client(1).bulk(answer_in_turn, ["x", "x", "x"])

    assert outcome_names(result) == ["ok", "NotFound", "ok"]
    assert result.succeeded == {"x": "new"}
    assert [str(error) for error in result.failed.values()] == ["gone"]


async def test_if_one_item_is_not_hashable_the_mappings_are_keyed_by_index():
    async def size(item: Any) -> int:
        await anyio.lowlevel.checkpoint()
        if not item:
            raise NotFound("nothing")
        return len(item)

    result = await make_client().bulk(size, ["one", ["two"], []])

    assert dict(result.succeeded) == {0: 3, 1: 1}
    assert list(result.failed) == [2]


async def test_an_item_whose_hash_raises_any_exception_is_not_hashable():
    class Unsaved:
        def __hash__(self) -> int:
            raise ValueError("it has no id yet")

    async def save(_: object) -> str:
        return "saved"

    assert dict((await make_client().bulk(save, [Unsaved()])).succeeded) == {0: "saved"}


async def test_the_result_of_an_outcome_is_its_value_or_raises():
    assert Outcome("x", 1).result() == 1
    with pytest.raises(NotFound, match="gone"):
        Outcome("x", error=NotFound("gone")).result()
    with pytest.raises(ClientMisuse, match="no call was started"):
        Outcome("x", is_started=False).result()


async def test_outcomes_can_be_pickled():
    for outcome in [Outcome("x", 1), Outcome("x", is_started=False)]:
        assert pickle.loads(pickle.dumps(outcome)) == outcome


async def test_failures_are_raised_as_one_group_with_a_note_of_each_index():
    failures = {"id-1": NotFound("gone"), "id-3": Forbidden("no")}
    result = await make_client().bulk(Work(failures), ["id-0", "id-1", "id-2", "id-3"])

    for _ in range(2):  # the second time adds no notes
        with pytest.raises(ExceptionGroup) as caught:
            result.raise_for_failures()

        assert caught.value.message == "2 of 4 items failed"
        assert caught.value.exceptions == tuple(failures.values())
        notes = [error.__notes__ for error in caught.value.exceptions]
        assert notes == [["item 1 of the bulk, counted from 0"], ["item 3 of the bulk, counted from 0"]]


async def test_the_group_says_how_many_items_were_not_started():
    result = await make_client(1).bulk(Work({0: Unauthorized("no")}), range(3))

    with pytest.raises(ExceptionGroup, match="1 of 3 items failed, and 2 were not started"):
        result.raise_for_failures()


async def test_the_traceback_of_an_outcome_error_begins_in_the_function():
    async def fails(_: int) -> None:
        await anyio.lowlevel.checkpoint()
        raise NotFound("gone")

    result = await make_client().bulk(fails, [1])

    error = result.outcomes[0].error
    assert error is not None
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "fails"
    assert error.__traceback__.tb_next is None


async def test_error_messages_of_a_bulk_contain_no_id():
    result = await make_client().bulk(Work({"secret-id": NotFound("gone")}), ["secret-id"])

    with pytest.raises(ExceptionGroup) as caught:
        result.raise_for_failures()
    assert "secret-id" not in json.dumps([str(caught.value), caught.value.exceptions[0].__notes__])


# Progress


async def test_on_progress_is_called_after_each_call():
    seen: list[Progress[int, str]] = []

    result = await make_client(1).bulk(Work({1: NotFound("gone")}), range(3), on_progress=seen.append)

    assert [(progress.done, progress.failed, progress.total) for progress in seen] == [(1, 0, 3), (2, 1, 3), (3, 1, 3)]
    assert tuple(progress.newest for progress in seen) == result.outcomes


async def test_progress_counts_only_started_calls_and_has_no_total_if_the_input_has_no_length():
    seen: list[Progress[int, str]] = []

    await make_client(1).bulk(Work({1: Unauthorized("no")}), iter(range(5)), on_progress=seen.append)

    assert [(progress.done, progress.failed, progress.total) for progress in seen] == [(1, 0, None), (2, 1, None)]


async def test_an_item_that_was_read_after_the_stop_is_not_started_and_does_not_count_as_done():
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
        work, items(), on_progress=lambda progress: done.append((progress.newest.item, progress.done))
    )

    assert outcome_names(result) == ["ok", "Unauthorized", "not started"]
    assert done == [(1, 1), (0, 2)]


async def test_on_progress_has_received_the_outcomes_before_an_unexpected_exception():
    kept: list[Outcome[int, str]] = []

    with pytest.raises(ZeroDivisionError):
        await make_client(1).bulk(
            Work({2: ZeroDivisionError()}), range(5), on_progress=lambda progress: kept.append(progress.newest)
        )

    assert [outcome.item for outcome in kept] == [0, 1]


async def test_an_exception_of_on_progress_is_raised_unchanged():
    work = Work()

    def fails(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await make_client(3).bulk(work, range(10), on_progress=fails)
    assert work.running == 0


# retry_failed


async def test_retry_failed_runs_failed_and_not_started_items_again_in_their_places():
    failures: dict[Any, BaseException] = {1: NotFound("gone"), 3: Unauthorized("no")}
    work = Work(failures)
    first = await make_client(1).bulk(work, range(6))
    assert outcome_names(first) == ["ok", "NotFound", "ok", "Unauthorized", "not started", "not started"]

    del failures[3]
    work.started.clear()
    second = await first.retry_failed()

    assert work.started == [1, 3, 4, 5]
    assert outcome_names(second) == ["ok", "NotFound", "ok", "ok", "ok", "ok"]
    assert [outcome.item for outcome in second.outcomes] == list(range(6))
    assert outcome_names(first)[3] == "Unauthorized", "the first result stays what it was"
    failures.clear()
    assert (await second.retry_failed()).succeeded.keys() == set(range(6))


@pytest.mark.parametrize("processed", ["maybe", "yes"])
async def test_retry_failed_does_not_repeat_calls_that_may_have_been_carried_out(processed: Any):
    errors = {0: OutcomeUnknown("cut", processed=processed), 1: ServerError("500", processed=processed)}
    work = Work(errors | {2: NotFound("gone")})
    first = await make_client(1).bulk(work, range(4))

    second = await first.retry_failed()

    assert work.started == [0, 1, 2, 3, 2]
    assert dict(second.failed) == errors | {2: work.failures[2]}


async def test_retry_failed_returns_the_same_result_if_there_is_nothing_to_retry():
    work = Work({1: OutcomeUnknown("cut", processed="maybe")})
    result = await make_client().bulk(work, range(2))

    assert await result.retry_failed() is result
    assert len(work.started) == 2


async def test_retry_failed_has_the_same_concurrency_and_on_progress():
    work, seen = Work({item: NotFound("gone") for item in range(8)}), list[Progress[int, str]]()
    result = await make_client(1).bulk(work, range(8), concurrency=4, on_progress=seen.append)
    work.peak = 0

    await result.retry_failed()

    assert work.peak == 4
    assert (seen[-1].done, seen[-1].total) == (8, 8)
    assert len(seen) == 16
