"""Slots: what is asked by POST is asked again like any read; a job is started once and then looked at."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    CoachingClient,
    CoachingError,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    Interval,
    OutcomeUnknown,
    ScheduleSlotsJob,
    ScheduleSlotsJobStatus,
    ServerError,
    from_dict,
)
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

DAY = Interval(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
SEARCH: dict[str, Any] = {
    "attendee_ids": "u",
    "length_in_minutes": 30,
    "activity_code_id": "5",
    "intervals": [DAY],
}


def job(*statuses: str, **fields: Any) -> dict[str, Any]:
    return {"id": "j", "results": [{"status": status} for status in statuses], **fields}


def started(*statuses: str) -> httpx.Response:
    return answer(job(*statuses), 202)


async def find(client: CoachingClient) -> ScheduleSlotsJob:
    return await client.schedule_slots.find(**SEARCH)


async def start(client: CoachingClient) -> ScheduleSlotsJob:
    return await client.schedule_slots.start_job(**SEARCH)


async def query(client: CoachingClient) -> object:
    return await client.schedule_slots.query(interval=DAY, length_in_minutes=30, attendee_ids="u")


async def aggregate(client: CoachingClient) -> object:
    return await client.appointments.aggregate(interval=DAY)


async def failed(service: Service, call: Callable[[CoachingClient], Any], **options: Any) -> CoachingError:
    async with service.client(**options) as client, service.http:
        with pytest.raises(CoachingError) as caught:
            await call(client)
    return caught.value


def asked(service: Service) -> list[str]:
    return [f"{request.method} {request.url.path.removeprefix('/api/v2/coaching/')}" for request in service.requests]


QUESTIONS = pytest.mark.parametrize("question", [query, aggregate])


@QUESTIONS
@pytest.mark.parametrize("hiccup", [answer(status=503), answer(status=429, Retry_After="2"), httpx.ReadError("cut")])
async def test_a_query_by_post_is_retried(question: Any, hiccup: Any):
    service = Service([hiccup, answer({})])

    async with service.client() as client, service.http:
        await question(client)

    first, second = service.requests
    assert first.content == second.content
    assert (second.method, second.headers["Content-Type"]) == ("POST", "application/json")


@QUESTIONS
async def test_a_query_without_a_response_has_changed_nothing(question: Any):
    async def silence(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    http = httpx.AsyncClient(transport=httpx.MockTransport(silence))
    async with (
        http,
        CoachingClient(AccessToken("t"), base_url="https://api.test", http_client=http, timeout=5) as client,
    ):
        with pytest.raises(DeadlineExceeded, match="nothing was changed"):
            await question(client)


@QUESTIONS
async def test_an_unreadable_response_to_a_query_is_a_decode_error(question: Any):
    error = await failed(Service([answer([])]), question)

    assert isinstance(error, DecodeError)
    assert error.processed == "no"


async def test_start_job_returns_the_first_state_and_does_not_poll():
    service = Service([started("InProgress")])

    async with service.client() as client, service.http:
        assert await start(client) == from_dict(ScheduleSlotsJob, job("InProgress"))

    assert asked(service) == ["POST scheduleslots/jobs"]


@pytest.mark.parametrize("call", [start, find])
async def test_starting_a_job_is_not_retried_if_it_may_have_been_started(call: Any):
    service = Service([answer(status=503)])

    error = await failed(service, call)

    assert isinstance(error, ServerError)
    assert (error.processed, error.partial) == ("maybe", ())
    assert len(service.requests) == 1


@pytest.mark.parametrize("hollow", [answer({}, 202), answer({"id": ".."}, 202), answer(job(), 204)])
@pytest.mark.parametrize("call", [start, find])
async def test_an_unreadable_job_returns_no_empty_object(call: Any, hollow: httpx.Response):
    error = await failed(Service([hollow]), call)

    assert type(error) is OutcomeUnknown
    assert (error.processed, error.partial) == ("yes", ())


async def test_find_polls_until_no_result_is_in_progress():
    service = Service(
        [
            started(),
            answer(status=404),  # accepted, and not yet there
            answer(job()),
            answer(job("InProgress", "InProgress")),
            answer(status=503),
            answer(job("Complete", "InProgress")),
            answer(job("Complete", "Error")),
        ]
    )

    async with service.client() as client, service.http:
        found = await find(client)

    assert [result.status for result in found.results] == [
        ScheduleSlotsJobStatus.COMPLETE,
        ScheduleSlotsJobStatus.ERROR,
    ]
    assert asked(service) == ["POST scheduleslots/jobs", *["GET scheduleslots/jobs/j"] * 6]
    assert (client.stats().calls, client.stats().requests, client.stats().failed_calls) == (1, 7, 0)


async def test_find_does_not_poll_a_job_that_is_finished_at_once():
    service = Service([started("Complete")])

    async with service.client() as client, service.http:
        assert (await find(client)).id == "j"

    assert len(service.requests) == 1


async def test_find_does_not_wait_for_an_unknown_status():
    service = Service([started("InProgress"), answer(job("Unknown"))])

    async with service.client() as client, service.http:
        (result,) = (await find(client)).results

    assert result.status == "Unknown"


async def test_find_polls_with_growing_intervals_until_its_deadline():
    times: list[float] = []

    def in_progress(request: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time())
        return started("InProgress") if request.method == "POST" else answer(job("Complete", "InProgress"))

    began = anyio.current_time()
    error = await failed(Service(in_progress), find, timeout=30)

    assert anyio.current_time() - began == pytest.approx(30)
    waits = [after - before for before, after in pairwise(times)]
    assert waits[:6] == pytest.approx([0.25, 0.5, 1, 2, 4, 4])
    assert type(error) is OutcomeUnknown
    assert (error.processed, error.operation) == ("yes", "schedule_slots.find")
    (last,) = error.partial
    assert last == from_dict(ScheduleSlotsJob, job("Complete", "InProgress"))


async def test_find_reports_a_missing_permission_to_view_the_job():
    error = await failed(Service([started("InProgress"), answer(status=403)]), find)

    assert isinstance(error, Forbidden)
    assert (error.processed, error.attempts) == ("yes", 2)
    assert error.partial == (from_dict(ScheduleSlotsJob, job("InProgress")),)


@pytest.mark.parametrize("form", [tuple, list, iter], ids=["a tuple", "a list", "an iterator"])
@pytest.mark.parametrize("each", [DAY, (DAY.start, DAY.end)], ids=["an Interval", "its ends"])
async def test_intervals_are_accepted_in_every_form(form: Callable[[Any], Any], each: Any):
    assert await intervals_sent(form([each])) == ONE_DAY
    assert await intervals_sent(form([each, each])) == ONE_DAY * 2


@pytest.mark.parametrize("lone", [DAY, (DAY.start, DAY.end), [DAY.start, DAY.end]])
async def test_a_single_interval_is_not_read_as_two(lone: Any):
    assert await intervals_sent(lone) == ONE_DAY


ONE_DAY = ["2026-11-20T00:00:00.000Z/2026-11-21T00:00:00.000Z"]


async def intervals_sent(intervals: Any) -> list[str]:
    service = Service([started()])
    async with service.client() as client, service.http:
        await client.schedule_slots.start_job(**SEARCH | {"intervals": intervals})
    sent: list[str] = json.loads(service.requests[0].content)["intervals"]
    return sent
