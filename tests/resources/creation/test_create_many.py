"""`create_many` creates each appointment once, whatever happens to its requests, and tells of each what became of it."""

import asyncio
import pickle
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import (
    CoachingError,
    CreateProgress,
    Forbidden,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    Unauthorized,
)
from tests.conftest import VirtualLoop
from tests.support.creating import LONG_AGO, START, Creating, body, days
from tests.support.doubles import answer

pytestmark = pytest.mark.anyio


async def test_a_first_run_creates_all_and_looks_for_nothing():
    service = Creating()
    async with service.client() as client:
        result = await client.appointments.create_many(days(3))

    assert [(each.index, each.status, each.result().name) for each in result.outcomes] == [
        (0, "created", "n0"),
        (1, "created", "n1"),
        (2, "created", "n2"),
    ]
    assert service.lists == []
    assert abs(result.since - datetime.now(UTC)) < timedelta(minutes=1)
    result.raise_for_failures()


@pytest.mark.parametrize("fault", ["cut after", "503 after", "later"])
async def test_an_appointment_whose_response_is_lost_is_found_and_not_created_again(fault: str):
    service = Creating([None, fault])
    async with service.client(timeout=2.0) as client:
        result = await client.appointments.create_many(days(3), concurrency=1)

    assert [each.status for each in result.outcomes] == ["created"] * 3
    assert [each.result().name for each in result.outcomes] == ["n0", "n1", "n2"]
    assert service.posts() == 3
    assert len(service.lists) == 1, "only the day in question is read"


async def test_an_appointment_that_appears_late_is_found_within_three_seconds():
    service = Creating(["later"], lag=3)
    async with service.client(timeout=0.5) as client:
        result = await client.appointments.create_many([body()])

    assert [each.status for each in result.outcomes] == ["created"]
    assert (len(service.lists), service.posts()) == (3, 1)


@pytest.mark.parametrize("fault, error", [("cut before", OutcomeUnknown), ("503 before", ServerError)])
async def test_what_is_not_found_is_a_failure_that_a_rerun_creates(fault: str, error: type[CoachingError]):
    service = Creating([None, fault, None])
    async with service.client() as client:
        result = await client.appointments.create_many(days(3), concurrency=1)

        (failure,) = result.failed
        assert (failure.index, type(failure.error), failure.error and failure.error.processed) == (1, error, "maybe")
        assert service.posts() == 3, "it is not sent again in the same run"

        rerun = await client.appointments.create_many(days(3), since=result.since)

    assert [each.status for each in rerun.outcomes] == ["existing", "created", "existing"]
    assert service.names == Counter(n0=1, n1=1, n2=1)
    assert rerun.since == result.since


async def test_what_was_certainly_not_created_is_not_looked_for():
    service = Creating(["403", "429", None])
    async with service.client() as client:
        result = await client.appointments.create_many(days(3), concurrency=1)

    assert [type(each.error) for each in result.failed] == [Forbidden, RateLimited]
    assert service.lists == []
    with pytest.raises(ExceptionGroup, match="2 of 3 items failed"):
        result.raise_for_failures()


async def test_a_rerun_reads_one_list_a_day():
    service = Creating()
    bodies = [body(attendee_ids=[f"u{number}"], date_start=START + timedelta(minutes=number)) for number in range(60)]
    async with service.client() as client:
        first = await client.appointments.create_many(bodies)
        rerun = await client.appointments.create_many(bodies, since=first.since)

    assert len(rerun.existing) == 60
    assert len(service.lists) == 1
    assert service.posts() == 60


async def test_equal_bodies_are_wanted_as_often_as_they_are_given():
    service = Creating([None, "cut after", "cut before"])
    bodies = [body()] * 3
    async with service.client() as client:
        result = await client.appointments.create_many(bodies, concurrency=1)
        assert [each.status for each in result.outcomes] == ["created", "created", "failed"]
        assert len({each.value.id for each in result.created if each.value}) == 2

        rerun = await client.appointments.create_many(bodies, since=result.since)

    assert Counter(each.status for each in rerun.outcomes) == Counter(existing=2, created=1)
    assert service.names == Counter(n=3)


async def test_more_appointments_than_bodies_are_reported_and_not_deleted():
    service = Creating()
    async with service.client() as client:
        first = await client.appointments.create_many([body(), body()])
        rerun = await client.appointments.create_many([body()], since=first.since)

    (outcome,) = rerun.ambiguous
    assert outcome.status == "existing"
    assert {each.id for each in outcome.candidates} == {"a0", "a1"}
    assert service.names == Counter(n=2)


async def test_bodies_that_cannot_be_told_apart_are_reported_and_not_created():
    service = Creating(["cut before", None])
    similar = [body(add_to_schedule=True), body(add_to_schedule=False)]
    async with service.client() as client:
        first = await client.appointments.create_many(similar, concurrency=1)
        rerun = await client.appointments.create_many(similar, since=first.since)

    assert service.names == Counter(n=1)
    assert [(each.status, len(each.candidates)) for each in rerun.ambiguous] == [("failed", 1)] * 2
    assert "it is not clear which" in str(rerun.failed[0].error)


async def test_excluded_appointments_count_for_no_body():
    service = Creating()
    async with service.client() as client:
        first = await client.appointments.create_many([body()])
        known = [each.id for each in (first.outcomes[0].value,) if each]
        found = await client.appointments.find_created_many([body()], since=first.since, exclude_ids=known)
        again = await client.appointments.create_many([body()], since=first.since, exclude_ids=known)

    assert [each.status for each in found.outcomes] == ["missing"]
    assert [each.status for each in again.outcomes] == ["created"]


async def test_find_created_many_reports_and_creates_nothing():
    service = Creating()
    service.add({**SENT, "name": "n1", "dateStart": days(2)[1].date_start.isoformat()})
    async with service.client() as client:
        result = await client.appointments.find_created_many(days(3), since=LONG_AGO)

    assert [each.status for each in result.outcomes] == ["missing", "existing", "missing"]
    assert [each.index for each in result.missing] == [0, 2]
    assert service.posts() == 0


SENT = {"description": "d", "lengthInMinutes": 30, "attendeeIds": ["u"]}


async def test_a_day_that_cannot_be_read_fails_its_bodies_and_none_of_them_is_created():
    service = Creating()
    service.list_answer = lambda: answer(None, 403)
    async with service.client() as client:
        result = await client.appointments.create_many(days(2), since=LONG_AGO)

    assert [type(each.error) for each in result.outcomes] == [Forbidden, Forbidden]
    assert [each.error and each.error.processed for each in result.outcomes] == ["no", "no"]
    assert service.posts() == 0


async def test_a_rejected_token_stops_the_run_and_the_rest_is_missing():
    service = Creating()
    service.list_answer = lambda: answer(None, 401)
    async with service.client() as client:
        result = await client.appointments.create_many(days(5), since=LONG_AGO, concurrency=1)

    assert [each.status for each in result.outcomes] == ["failed", *["missing"] * 4]
    assert isinstance(result.outcomes[0].error, Unauthorized)
    assert service.posts() == 0


async def test_progress_has_every_outcome_once_and_counts():
    service = Creating([None, "cut after", "403"])
    service.add({**SENT, "name": "n0", "dateStart": START.isoformat()})
    seen: list[CreateProgress] = []
    async with service.client() as client:
        result = await client.appointments.create_many(days(4), since=LONG_AGO, on_progress=seen.append, concurrency=1)

    assert sorted(each.newest.index for each in seen) == [0, 1, 2, 3]
    assert [each.done for each in seen] == [1, 2, 3, 4]
    assert (seen[-1].failed, seen[-1].total) == (1, 4)
    assert {each.newest.index: each.newest for each in seen} == dict(enumerate(result.outcomes))


async def test_a_cancelled_run_has_reported_what_it_created_and_a_rerun_creates_the_rest():
    service, done = Creating(), list[int]()
    since = datetime.now(UTC)
    async with service.client() as client:
        with anyio.CancelScope() as scope:

            def stop_after_two(progress: CreateProgress) -> None:
                done.append(progress.newest.index)
                if len(done) == 2:
                    scope.cancel()

            await client.appointments.create_many(days(6), concurrency=2, on_progress=stop_after_two)
        assert scope.cancelled_caught
        assert set(done) <= {0, 1, 2, 3}
        rerun = await client.appointments.create_many(days(6), since=since)

    assert set(done) <= {each.index for each in rerun.existing}
    assert service.names == Counter({f"n{number}": 1 for number in range(6)})


WRONG: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "no list": (TypeError, {"appointments": body()}),
    "other items": (TypeError, {"appointments": [{"name": "n"}]}),
    "nobody": (ValueError, {"appointments": [body(), body(attendee_ids=[])]}),
    "a naive since": (ValueError, {"since": datetime(2026, 1, 1)}),  # noqa: DTZ001
    "a day as since": (TypeError, {"since": START.date()}),
    "a since in the future": (ValueError, {"since": datetime.now(UTC) + timedelta(hours=1)}),
    "no concurrency": (ValueError, {"concurrency": 0}),
    "an async on_progress": (TypeError, {"on_progress": anyio.sleep}),
    "an empty id": (ValueError, {"exclude_ids": [""]}),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_invalid_arguments_are_refused_before_anything_is_sent(wrong: str):
    error, given = WRONG[wrong]
    service = Creating()
    async with service.client() as client:
        with pytest.raises(error):
            await client.appointments.create_many(**{"appointments": [body()]} | given)

    assert service.requests == []


async def test_the_earliest_time_finds_whatever_was_created():
    service = Creating()
    service.add({**SENT, "name": "n", "dateStart": START.isoformat()})
    async with service.client() as client:
        found = await client.appointments.find_created_many([body()], since=datetime.min.replace(tzinfo=UTC))

    assert [each.status for each in found.outcomes] == ["existing"]


async def test_no_bodies_need_no_request_and_a_result_can_be_pickled():
    service = Creating(["403"])
    async with service.client() as client:
        assert (await client.appointments.create_many([], since=LONG_AGO)).outcomes == ()
        assert service.requests == []
        result = await client.appointments.create_many(iter([body()]))

    copied = pickle.loads(pickle.dumps(result))
    assert [(each.item, each.status) for each in copied.outcomes] == [(body(), "failed")]


FAULTS = st.sampled_from([None, "cut after", "cut before", "503 after", "503 before", "429", "403"])


@settings(max_examples=25)
@given(st.lists(st.sampled_from("mn"), min_size=1, max_size=6), st.lists(FAULTS, max_size=12))
def test_reruns_create_each_body_as_often_as_it_is_given(names: list[str], faults: list[str | None]):
    async def run() -> None:
        service = Creating(faults)
        bodies = [body(name) for name in names]
        async with service.client() as client:
            result = await client.appointments.create_many(bodies)
            for _ in range(20):
                assert service.names <= Counter(names), "created twice"
                if not result.failed:
                    break
                result = await client.appointments.create_many(bodies, since=result.since)
        assert service.names == Counter(names)
        assert len({each.result().id for each in result.outcomes}) == len(bodies)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
