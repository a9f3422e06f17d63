"""Jobs, which find slots in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    Api,
    token_of,
)
from tests.sandbox.operations.requests import JOB, JOBS, MONDAY, SUNDAY, create_meeting

if TYPE_CHECKING:
    from collections.abc import Callable


def started(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api.post(JOBS, json=JOB | changes)
    assert answer.status_code == 202
    job: dict[str, Any] = answer.json()
    return job


def ended(api: Api, **changes: Any) -> list[dict[str, Any]]:
    job = started(api, **changes)
    for _ in range(2):
        job = api.get(job["selfUri"]).json()
    results: list[dict[str, Any]] = job["results"]
    return results


@pytest.mark.parametrize(
    "job_reads, intervals, done",
    [(0, 2, [0, 2, 2]), (1, 1, [0, 0, 1, 1]), (1, 2, [0, 1, 2, 2]), (1, 3, [0, 1, 3]), (3, 2, [0, 0, 1, 1, 2])],
)
def test_a_job_is_in_progress_for_its_first_reads_and_completes_one_interval_after_the_other(
    start_sandbox: Callable[..., Sandbox], job_reads: int, intervals: int, done: list[int]
):
    sandbox = start_sandbox(appointments=0, users=1, job_reads=job_reads)
    with Api(sandbox, token_of(sandbox)) as api:
        job = started(api, attendeeIds=sandbox.state.user_ids, intervals=[MONDAY] * intervals)
        shown = [job, *(api.get(job["selfUri"]).json() for _ in done[1:])]

    assert [[result["status"] for result in seen["results"]] for seen in shown] == [
        ["Complete"] * number + ["InProgress"] * (intervals - number) for number in done
    ]
    assert all(set(result) == {"interval", "status"} for result in job["results"])
    assert shown[-1]["results"][0]["slot"]["dateStart"] == "2027-01-11T09:00:00.000Z"


def test_a_job_contains_its_request(idle_sandbox: Sandbox, idle_api: Api):
    one, other = idle_sandbox.state.user_ids
    asked = {name: value for name, value in JOB.items() if name != "intervals"}
    asked |= {"attendeeIds": [one], "facilitatorIds": [other]}

    job = started(idle_api, **asked)

    assert job | asked == job
    assert [result["interval"] for result in job["results"]] == [MONDAY]
    assert job["selfUri"] == f"{JOBS}/{job['id']}"


def test_a_job_chooses_the_earliest_slot_with_the_best_staffing(idle_sandbox: Sandbox, idle_api: Api):
    one, other = idle_sandbox.state.user_ids
    create_meeting(idle_sandbox, "11T09:00", 90, other)
    create_meeting(idle_sandbox, "11T10:30", 15, one)

    (result,) = ended(idle_api, attendeeIds=[one])

    assert (result["slot"]["dateStart"], result["hasConflict"]) == ("2027-01-11T10:45:00.000Z", False)
    assert result["slot"]["schedule"]["weekDate"] == "2027-01-11"
    assert result["slot"]["schedule"]["weekCount"] == 1


def test_the_schedule_of_a_slot_is_that_of_its_week(idle_sandbox: Sandbox, idle_api: Api):
    week = [f"2027-01-{day}T00:00:00Z/2027-01-{day + 1}T00:00:00Z" for day in (11, 15, 18)]

    schedules = [
        each["slot"]["schedule"]
        for each in ended(idle_api, attendeeIds=idle_sandbox.state.user_ids[:1], intervals=week)
    ]

    assert [schedule["weekDate"] for schedule in schedules] == ["2027-01-11", "2027-01-11", "2027-01-18"]
    assert schedules[0] == schedules[1]
    assert schedules[0]["id"] != schedules[2]["id"]


def test_a_job_without_a_free_slot_chooses_a_conflicting_one_and_without_working_time_none(
    idle_sandbox: Sandbox, idle_api: Api
):
    one = idle_sandbox.state.user_ids[0]
    create_meeting(idle_sandbox, "11T00:00", 24 * 60, one)

    clashing, none = ended(idle_api, attendeeIds=[one], intervals=[MONDAY, SUNDAY])
    (too_long,) = ended(idle_api, attendeeIds=[one], lengthInMinutes=495)

    assert (clashing["hasConflict"], clashing["slot"]["dateStart"]) == (True, "2027-01-11T09:00:00.000Z")
    assert none == {"interval": SUNDAY, "status": "Complete"}
    assert too_long == {"interval": MONDAY, "status": "Complete"}


def test_a_job_for_unknown_users_fails_in_every_interval(idle_sandbox: Sandbox, idle_api: Api):
    found = ended(idle_api, facilitatorIds=[idle_sandbox.state.user_ids[0]], intervals=[MONDAY, SUNDAY])

    assert found == [{"interval": each, "status": "Error"} for each in (MONDAY, SUNDAY)]


def test_an_unknown_job_is_not_found(api: Api):
    missing = api.get(f"{JOBS}/a%2Fb")

    assert (missing.status_code, missing.json()["entityName"], missing.json()["entityId"]) == (404, "job", "a/b")


def test_the_result_of_a_job_does_not_change_and_is_saved(idle_sandbox: Sandbox, idle_api: Api, tmp_path: Any):
    one = idle_sandbox.state.user_ids[0]
    job = started(idle_api, attendeeIds=[one])
    idle_api.get(job["selfUri"])
    create_meeting(idle_sandbox, "11T09:00", 60, one)
    idle_sandbox.save(tmp_path / "state.json")

    with Sandbox(state=tmp_path / "state.json") as again, Api(again, token_of(again)) as api:
        (result,) = api.get(job["selfUri"]).json()["results"]

    assert result["slot"]["dateStart"] == "2027-01-11T09:00:00.000Z"
    assert idle_api.get(job["selfUri"]).json()["results"] == [result]
