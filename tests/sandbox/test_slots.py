"""The sandbox links conversations, counts appointments, and finds times at which people could meet."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching_async.sandbox import CLIENT_ID, Sandbox, UserGrant
from coaching_async.sandbox._state.seed import seeded_state
from coaching_async.sandbox._state.slots import suggestions
from coaching_async.sandbox._wire.formats import format_timestamp, parse_timestamp
from tests.sandbox.test_contract import (
    APPOINTMENTS,
    MINIMAL,
    Api,
    api,
    enter,
    first,
    hers,
    me,
    mine,
    only_attends,
    sandbox,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["api", "enter", "me", "mine", "sandbox"]

AGGREGATES = f"{APPOINTMENTS}/aggregates/query"
SLOTS = "/api/v2/coaching/scheduleslots/query"
JOBS = "/api/v2/coaching/scheduleslots/jobs"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVER = "0001-01-01T00:00:00Z/9999-12-31T00:00:00Z"
MONDAY = "2027-01-11T00:00:00.000Z/2027-01-12T00:00:00.000Z"
SUNDAY = "2027-01-10T00:00:00.000Z/2027-01-11T00:00:00.000Z"
EVERYTHING: dict[str, Any] = {"type": "And", "clauses": []}
COUNT = {"interval": EVER, "filter": EVERYTHING}
SEARCH = {"interval": MONDAY, "lengthInMinutes": 60, "attendeeIds": ["u"]}
JOB = {
    "attendeeIds": ["u"],
    "lengthInMinutes": 60,
    "activityCodeId": "5",
    "intervals": [MONDAY],
    "slotsType": "BestTime",
}


@pytest.fixture
def two(enter: Callable[..., Sandbox]) -> Sandbox:
    """A sandbox of two users who have nothing to do."""
    return enter(appointments=0, users=2)


@pytest.fixture
def ours(two: Sandbox) -> Iterator[Api]:
    with Api(two, token_of(two)) as client:
        yield client


def meeting(sandbox: Sandbox, start: str, minutes: int, *attendees: str, **changes: Any) -> str:
    body = {**MINIMAL, "dateStart": f"2027-01-{start}:00Z", "lengthInMinutes": minutes, "attendeeIds": attendees}
    appointment_id: str = sandbox.state.create(sandbox.state.new_id(), body | changes, None)["id"]
    return appointment_id


# conversations


def test_a_conversation_is_linked_once_and_the_others_are_told(api: Api, mine: Api, sandbox: Sandbox, me: str):
    one = hers(api, me)
    told = len(sandbox.state.notifications)
    linked = mine.post(f"{APPOINTMENTS}/{one}/conversations", json={"conversationId": "c/1"})

    assert linked.status_code == 200
    assert linked.json() == {
        "conversation": {"id": "c/1", "selfUri": "/api/v2/conversations/c%2F1"},
        "appointment": {"id": one, "selfUri": f"{APPOINTMENTS}/{one}"},
    }
    shown = api.get(f"{APPOINTMENTS}/{one}").json()
    assert shown["conversations"] == [linked.json()["conversation"]]
    assert shown["modifiedBy"]["id"] == me
    new = list(sandbox.state.notifications.values())[told:]
    assert [(each["user"]["id"], each["actionType"]) for each in new] == [("someone", "Update")]
    again = mine.post(f"{APPOINTMENTS}/{one}/conversations", json={"conversationId": "c/1"})
    assert (again.status_code, again.json()["code"]) == (409, "general.conflict")
    assert mine.post(f"{APPOINTMENTS}/{one}/conversations", json={"conversationId": "d"}).status_code == 200
    assert [each["id"] for each in api.get(f"{APPOINTMENTS}/{one}").json()["conversations"]] == ["c/1", "d"]


def test_a_completed_appointment_and_one_that_is_not_there_take_no_conversation(api: Api, me: str):
    one = f"{APPOINTMENTS}/{hers(api, me)}"
    api.patch(one, json={"status": "Completed"})

    assert api.post(f"{one}/conversations", json={"conversationId": "c"}).status_code == 409
    missing = api.post(f"{APPOINTMENTS}/nothing/conversations", json={"conversationId": "c"})
    assert (missing.status_code, missing.json()["entityName"]) == (404, "appointment")


def test_who_leads_it_or_has_either_permission_may_link_a_conversation(sandbox: Sandbox, api: Api, mine: Api, me: str):
    def status(caller: Api, appointment_id: str, conversation: str) -> int:
        path = f"{APPOINTMENTS}/{appointment_id}/conversations"
        return caller.post(path, json={"conversationId": conversation}).status_code

    led, attended, other = (
        hers(api, me),
        first(sandbox, only_attends(me)),
        api.post(APPOINTMENTS, json=MINIMAL).json()["id"],
    )
    assert [status(mine, each, "c") for each in (led, attended, other)] == [200, 403, 403]
    for permission, expected in (
        ("coaching:appointment:edit", 200),
        ("coaching:appointmentConversation:add", 200),
        ("coaching:appointment:view", 403),
    ):
        with Api(sandbox, user_token(sandbox, permission)) as permitted:
            assert status(permitted, other, permission) == expected


def user_token(sandbox: Sandbox, *permissions: str) -> str:
    """Of the first user, with these permissions."""
    sandbox.oauth.refresh_tokens["some"] = UserGrant(CLIENT_ID, sandbox.state.user_ids[0], frozenset(permissions))
    return token_of(sandbox, grant_type="refresh_token", refresh_token="some")


@pytest.mark.parametrize(
    "method, path, body, permission",
    [
        ("POST", AGGREGATES, COUNT, "coaching:appointment:view"),
        ("POST", SLOTS, SEARCH, "coaching:scheduleSlot:view"),
        ("POST", JOBS, JOB, "coaching:scheduleSlotJob:add"),
        ("GET", f"{JOBS}/there", None, "coaching:scheduleSlotJob:view"),
    ],
)
def test_each_operation_has_its_permission(sandbox: Sandbox, method: str, path: str, body: Any, permission: str):
    sandbox.state.add_job({"id": "there", "results": [], "reads": 0, "selfUri": f"{JOBS}/there"})
    others = sandbox.oauth.clients[CLIENT_ID].permissions - {permission}
    with Api(sandbox, user_token(sandbox, permission)) as permitted:
        assert permitted.request(method, path, json=body).status_code < 300
    with Api(sandbox, user_token(sandbox, *others)) as lacking:
        refused = lacking.request(method, path, json=body)
        assert (refused.status_code, refused.json()["messageParams"]) == (403, {"permissions": permission})


# aggregates


def counts(api: Api, **query: Any) -> dict[str | None, dict[str, int]]:
    """By group, and None where there is none, the counts by metric."""
    results = api.post(AGGREGATES, json=COUNT | query).json()["results"]
    return {
        each["group"].get("attendeeId"): {line["metric"]: line["stats"]["count"] for line in each["data"][0]["metrics"]}
        for each in results
    }


def test_counts_are_those_of_the_lists(api: Api, sandbox: Sandbox):
    interval = "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z"
    sandbox.state.clock = lambda: NOON

    def listed(user_ids: Any, **filters: str) -> dict[str, int]:
        def many(**more: str) -> int:
            return len(api.ids(userIds=user_ids, pageSize=100, interval=interval, **filters, **more))

        return {
            "nActivities": many(),
            "nPlannedActivities": many(statuses="Scheduled"),
            "nInProgressActivities": many(statuses="InProgress"),
            "nCompleteActivities": many(statuses="Completed"),
            "nOverdueActivities": many(overdue="True"),
            "nInvalidScheduleActivities": many(statuses="InvalidSchedule"),
        }

    everybody = sandbox.state.user_ids
    assert counts(api, interval=interval) == {None: listed(everybody)}
    assert counts(api, interval=interval, groupBy=[]) == {None: listed(everybody)}
    assert counts(api, interval=interval, groupBy=["attendeeId"]) == {
        user: listed(user, relationships="Attendee") for user in everybody
    }


def test_only_the_metrics_that_are_named_are_told_and_the_interval_comes_back(api: Api):
    asked = COUNT | {"interval": "2027-01-11T01:00:00+01:00/2027-01-12T00:00:00", "metrics": ["nActivities"]}
    assert api.post(AGGREGATES, json=asked).json() == {
        "results": [
            {"group": {}, "data": [{"interval": MONDAY, "metrics": [{"metric": "nActivities", "stats": {"count": 0}}]}]}
        ]
    }
    assert counts(api, metrics=[]) == {None: {}}


def test_an_interval_of_counts_takes_its_start_and_leaves_its_end(two: Sandbox, ours: Api):
    meeting(two, "11T00:00", 30, "u")
    meeting(two, "12T00:00", 30, "u")

    assert counts(ours, interval=MONDAY, metrics=["nActivities"]) == {None: {"nActivities": 1}}


def test_who_attends_twice_is_counted_once(two: Sandbox, ours: Api):
    meeting(two, "11T09:00", 30, "u", "u")

    assert counts(ours, groupBy=["attendeeId"], metrics=["nActivities"]) == {"u": {"nActivities": 1}}


def clause(kind: str, **values: str) -> dict[str, Any]:
    return {"type": kind, "predicates": [{"dimension": name, "value": value} for name, value in values.items()]}


@pytest.mark.parametrize(
    "wanted, found",
    [
        ({"type": "And", "clauses": []}, "abc"),
        ({"type": "Or", "clauses": []}, ""),
        ({"type": "And", "clauses": [clause("And")]}, "abc"),
        ({"type": "And", "clauses": [clause("Or")]}, ""),
        ({"type": "And", "clauses": [clause("Or", attendeeId="u")]}, "ac"),
        ({"type": "And", "clauses": [clause("And", attendeeId="u", facilitatorId="f")]}, "a"),
        ({"type": "And", "clauses": [clause("Or", attendeeId="v", facilitatorId="f")]}, "abc"),
        ({"type": "And", "clauses": [clause("Or", attendeeId="u"), clause("Or", attendeeId="v")]}, "c"),
        ({"type": "Or", "clauses": [clause("Or", attendeeId="w"), clause("Or", status="InProgress")]}, "b"),
        ({"type": "Or", "clauses": [clause("Or", attendeeId="nobody")]}, ""),
        ({"type": "Or", "clauses": [clause("Or", status="Gone")]}, ""),
    ],
)
def test_a_filter_combines_clauses_and_clauses_combine_predicates(two: Sandbox, ours: Api, wanted: Any, found: str):
    meetings = {
        "a": meeting(two, "11T09:00", 30, "u", facilitatorId="f"),
        "b": meeting(two, "11T10:00", 30, "v", facilitatorId="g"),
        "c": meeting(two, "11T11:00", 30, "u", "v"),
    }
    two.state.set_status(meetings["b"], "InProgress", None)
    attendees = {"a": ["u"], "b": ["v"], "c": ["u", "v"]}
    expected = [user for each in found for user in attendees[each]]

    grouped = counts(ours, filter=wanted, groupBy=["attendeeId"], metrics=["nActivities"])

    assert counts(ours, filter=wanted, metrics=["nActivities"]) == {None: {"nActivities": len(found)}}
    assert grouped == {user: {"nActivities": expected.count(user)} for user in expected}


# what is refused


@pytest.mark.parametrize("path, body", [(AGGREGATES, COUNT), (SLOTS, SEARCH), (JOBS, JOB)])
def test_what_is_required_and_missing_is_named(api: Api, path: str, body: dict[str, Any]):
    for missing in body:
        refused = api.post(path, json={name: value for name, value in body.items() if name != missing})
        assert refused.json()["details"][0]["fieldName"] == missing


@pytest.mark.parametrize(
    "path, body, change",
    [
        (AGGREGATES, COUNT, {"interval": "soon"}),
        (AGGREGATES, COUNT, {"interval": ["2026-11-01T00:00:00Z"]}),
        (AGGREGATES, COUNT, {"interval": "2026-12-01T00:00:00Z/2026-11-01T00:00:00Z"}),
        (AGGREGATES, COUNT, {"metrics": ["nNothing"]}),
        (AGGREGATES, COUNT, {"metrics": "nActivities"}),
        (AGGREGATES, COUNT, {"groupBy": ["facilitatorId"]}),
        (AGGREGATES, COUNT, {"filter": None}),
        (AGGREGATES, COUNT, {"filter": {"type": "Not", "clauses": []}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And"}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [{"type": "And", "predicates": None}]}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [clause("Nor")]}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [clause("And", teamId="t")]}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [clause("And", status=1)]}}),  # type: ignore[arg-type]
        (SLOTS, SEARCH, {"lengthInMinutes": 75}),
        (SLOTS, SEARCH, {"lengthInMinutes": 20}),
        (SLOTS, SEARCH, {"lengthInMinutes": 0}),
        (SLOTS, SEARCH, {"attendeeIds": []}),
        (SLOTS, SEARCH, {"attendeeIds": "u"}),
        (SLOTS, SEARCH, {"facilitatorIds": [1]}),
        (SLOTS, SEARCH, {"interruptibleAppointmentIds": "a"}),
        (SLOTS, SEARCH, {"interval": "2027-01-01T00:00:00Z/2027-02-12T00:00:01Z"}),
        (SLOTS, SEARCH, {"interval": 1}),
        (JOBS, JOB, {"lengthInMinutes": 50}),
        (JOBS, JOB, {"attendeeIds": []}),
        (JOBS, JOB, {"activityCodeId": 5}),
        (JOBS, JOB, {"intervals": []}),
        (JOBS, JOB, {"intervals": MONDAY}),
        (JOBS, JOB, {"intervals": [MONDAY, "soon"]}),
        (JOBS, JOB, {"intervals": ["2027-01-01T00:00:00Z/2027-02-12T00:00:00Z", MONDAY]}),
        (JOBS, JOB, {"slotsType": "WorstTime"}),
    ],
)
def test_a_value_that_is_not_allowed_is_named(api: Api, sandbox: Sandbox, path: str, body: Any, change: dict[str, Any]):
    refused = api.post(path, json=body | change)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["fieldName"] == next(iter(change))
    assert sandbox.state.jobs == {}


@pytest.mark.parametrize("body", [{}, {"conversationId": None}, {"conversationId": ["c"]}])
def test_a_conversation_without_an_id_is_refused(api: Api, me: str, body: dict[str, Any]):
    refused = api.post(f"{APPOINTMENTS}/{hers(api, me)}/conversations", json=body)
    assert (refused.status_code, refused.json()["details"][0]["fieldName"]) == (400, "conversationId")


# slots


def times(slots: dict[str, Any]) -> list[str]:
    return [each["dateStart"][11:16] for each in slots["suggestedSlots"]]


def free(schedule: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["dateStart"][11:16], each["lengthInMinutes"]) for each in schedule["availableTimes"]]


def test_who_has_nothing_to_do_is_free_from_nine_to_five_on_working_days(two: Sandbox, ours: Api):
    def found(interval: str) -> tuple[list[str], list[tuple[str, int]]]:
        asked = SEARCH | {"interval": interval, "attendeeIds": two.state.user_ids[:1]}
        slots = ours.post(SLOTS, json=asked).json()
        (schedule,) = slots["attendeeSchedules"]
        return times(slots), free(schedule)

    quarters = [f"{hour:02}:{minute:02}" for hour in range(9, 16) for minute in (0, 15, 30, 45)]
    assert found(MONDAY) == ([*quarters, "16:00"], [("09:00", 480)])
    assert found(SUNDAY) == ([], [])
    within = "2027-01-11T10:07:30+01:00/2027-01-11T10:44:59"
    assert found(within) == (["09:15", "09:30"], [("09:08", 96)])
    assert found("2027-01-11T09:00:00Z/2027-01-11T09:00:00Z") == ([], [])
    assert found("2027-01-15T16:00:00Z/2027-01-18T10:00:00Z") == (["16:00", "09:00"], [("16:00", 60), ("09:00", 60)])


def test_leading_and_attending_takes_time_whatever_the_status_but_creating_and_interrupted_does_not(
    two: Sandbox, ours: Api
):
    one, other = two.state.user_ids
    attended = meeting(two, "11T08:30", 60, one, facilitatorId="f")
    led = meeting(two, "11T10:00", 50, other, facilitatorId=one)
    two.state.set_status(attended, "Completed", None)
    body = MINIMAL | {"dateStart": "2027-01-11T14:00:00Z", "attendeeIds": ["someone else"]}
    two.state.create("created", body, one)

    def found(*interrupted: str) -> list[tuple[str, int]]:
        asked = SEARCH | {"attendeeIds": [one], "interruptibleAppointmentIds": interrupted}
        slots = ours.post(SLOTS, json=asked).json()
        (schedule,) = slots["attendeeSchedules"]
        return free(schedule)

    assert found() == [("09:30", 30), ("10:50", 370)]
    assert found(led) == [("09:30", 450)]
    assert found(led, attended, "unknown") == [("09:00", 480)]


def test_everybody_named_has_to_be_free_and_each_schedule_is_told(two: Sandbox, ours: Api):
    one, other = two.state.user_ids
    meeting(two, "11T09:00", 240, one)
    talk = meeting(two, "11T14:00", 180, other)

    slots = ours.post(SLOTS, json=SEARCH | {"attendeeIds": [one, one], "facilitatorIds": [other]}).json()

    assert times(slots) == ["13:00"]
    (attendee,), (facilitator,) = slots["attendeeSchedules"], slots["facilitatorSchedules"]
    assert (attendee["user"]["id"], free(attendee)) == (one, [("13:00", 240)])
    assert (facilitator["user"]["id"], free(facilitator)) == (other, [("09:00", 300)])
    assert [each["userReference"]["id"] for each in slots["wfmScheduleActivities"]] == [one, other]
    (activity,) = slots["wfmScheduleActivities"][1]["activities"]
    assert activity["externalActivityId"] == talk
    (slot,) = slots["suggestedSlots"]
    assert slot["wfmSchedule"]["weekDate"] == "2027-01-11"
    assert slot["wfmSchedule"] == attendee["availableTimes"][0]["wfmSchedule"]


def test_who_is_unknown_has_no_schedule_and_so_no_time(two: Sandbox, ours: Api):
    one = two.state.user_ids[0]
    meeting(two, "11T09:00", 60, "stranger")

    slots = ours.post(SLOTS, json=SEARCH | {"attendeeIds": [one, "stranger"]}).json()

    assert slots["suggestedSlots"] == []
    assert [free(each) for each in slots["attendeeSchedules"]] == [[("09:00", 480)], []]
    assert [each["userReference"]["id"] for each in slots["wfmScheduleActivities"]] == [one]


def test_a_slot_is_rated_by_who_is_left_at_work(enter: Callable[..., Sandbox]):
    with Api(sandbox := enter(appointments=0, users=6), token_of(sandbox)) as api:
        one, *others = sandbox.state.user_ids
        meeting(sandbox, "11T10:00", 60, *others[:1])
        meeting(sandbox, "11T11:00", 60, *others[:4])
        slots = api.post(SLOTS, json=SEARCH | {"attendeeIds": [one]}).json()["suggestedSlots"]

    rated = {each["dateStart"][11:16]: (each["staffingDifference"], each["differenceRating"]) for each in slots}
    assert rated["09:00"] == (2, "Good")
    assert rated["09:15"] == rated["10:00"] == (1, "Neutral")
    assert rated["11:00"] == (-2, "Poor")


STATE = seeded_state(400, 3, seed=5, clock=lambda: NOON)
BEGIN = datetime(2026, 10, 5, tzinfo=UTC)
moments = st.integers(0, 100 * 24 * 4 * 15).map(lambda minutes: BEGIN + timedelta(minutes=minutes))


@given(start=moments, hours=st.integers(0, 80), length=st.sampled_from([15, 30, 45, 60]), data=st.data())
def test_suggested_are_exactly_the_quarters_at_which_no_appointment_is_in_the_way(
    start: datetime, hours: int, length: int, data: st.DataObject
):
    end = start + timedelta(hours=hours)
    people = data.draw(st.lists(st.sampled_from(STATE.user_ids), min_size=1, unique=True))
    query = {
        "interval": f"{format_timestamp(start)}/{format_timestamp(end)}",
        "lengthInMinutes": length,
        "attendeeIds": people,
    }
    taken = [
        (
            parse_timestamp(each["dateStart"]),
            parse_timestamp(each["dateStart"]) + timedelta(minutes=each["lengthInMinutes"]),
        )
        for each in STATE.appointments.values()
        if {each["facilitator"]["id"], *(user["id"] for user in each["attendees"])} & set(people)
    ]

    def is_possible(slot: datetime) -> bool:
        over = slot + timedelta(minutes=length)
        at_work = slot.weekday() < 5 and slot.hour >= 9 and over <= slot.replace(hour=17, minute=0)
        return start <= slot and over <= end and at_work and not any(slot < to and begin < over for begin, to in taken)

    quarters = (start.replace(minute=0) + timedelta(minutes=15 * number) for number in range((hours + 1) * 4))
    expected = [format_timestamp(each) for each in quarters if is_possible(each)]
    assert [each["dateStart"] for each in suggestions(STATE, query)["suggestedSlots"]] == expected


@pytest.mark.parametrize(
    "interval", ["0001-01-01T00:00:00Z/0001-02-01T00:00:00Z", "9999-12-01T00:00:00Z/9999-12-31T23:59:59Z"]
)
def test_the_ends_of_time_are_like_any_other(ours: Api, two: Sandbox, interval: str):
    body = MINIMAL | {"dateStart": "9999-12-06T12:00:00Z", "lengthInMinutes": 2**31 - 1}
    ours.post(APPOINTMENTS, json=body | {"attendeeIds": two.state.user_ids[:1]})
    slots = ours.post(SLOTS, json=SEARCH | {"interval": interval, "attendeeIds": two.state.user_ids[:1]}).json()
    assert slots["suggestedSlots"]
    assert all(parse_timestamp(each["dateStart"]).weekday() < 5 for each in slots["suggestedSlots"])
    assert all(
        parse_timestamp(each["dateStart"]) < parse_timestamp("9999-12-06T12:00:00Z") for each in slots["suggestedSlots"]
    )


# jobs


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
def test_a_job_is_in_progress_for_its_first_reads_and_ends_in_one_interval_after_the_other(
    enter: Callable[..., Sandbox], job_reads: int, intervals: int, done: list[int]
):
    sandbox = enter(appointments=0, users=1, job_reads=job_reads)
    with Api(sandbox, token_of(sandbox)) as api:
        job = started(api, attendeeIds=sandbox.state.user_ids, intervals=[MONDAY] * intervals)
        shown = [job, *(api.get(job["selfUri"]).json() for _ in done[1:])]

    assert [[each["status"] for each in seen["results"]] for seen in shown] == [
        ["Complete"] * number + ["InProgress"] * (intervals - number) for number in done
    ]
    assert all(set(each) == {"interval", "status"} for each in job["results"])
    assert shown[-1]["results"][0]["slot"]["dateStart"] == "2027-01-11T09:00:00.000Z"


def test_a_job_tells_what_it_was_asked(two: Sandbox, ours: Api):
    one, other = two.state.user_ids
    asked = {name: value for name, value in JOB.items() if name != "intervals"}
    asked |= {"attendeeIds": [one], "facilitatorIds": [other]}

    job = started(ours, **asked)

    assert job | asked == job
    assert [each["interval"] for each in job["results"]] == [MONDAY]
    assert job["selfUri"] == f"{JOBS}/{job['id']}"


def test_a_job_takes_the_slot_with_the_best_staffing_and_the_earliest_of_them(two: Sandbox, ours: Api):
    one, other = two.state.user_ids
    meeting(two, "11T09:00", 90, other)
    meeting(two, "11T10:30", 15, one)

    (result,) = ended(ours, attendeeIds=[one])

    assert (result["slot"]["dateStart"], result["hasConflict"]) == ("2027-01-11T10:45:00.000Z", False)
    assert result["slot"]["schedule"]["weekDate"] == "2027-01-11"
    assert result["slot"]["schedule"]["weekCount"] == 1


def test_the_schedule_of_a_slot_is_that_of_its_week(two: Sandbox, ours: Api):
    week = [f"2027-01-{day}T00:00:00Z/2027-01-{day + 1}T00:00:00Z" for day in (11, 15, 18)]

    schedules = [each["slot"]["schedule"] for each in ended(ours, attendeeIds=two.state.user_ids[:1], intervals=week)]

    assert [each["weekDate"] for each in schedules] == ["2027-01-11", "2027-01-11", "2027-01-18"]
    assert schedules[0] == schedules[1]
    assert schedules[0]["id"] != schedules[2]["id"]


def test_a_job_without_a_free_slot_takes_one_that_clashes_and_without_working_time_none(two: Sandbox, ours: Api):
    one = two.state.user_ids[0]
    meeting(two, "11T00:00", 24 * 60, one)

    clashing, none = ended(ours, attendeeIds=[one], intervals=[MONDAY, SUNDAY])
    (too_long,) = ended(ours, attendeeIds=[one], lengthInMinutes=495)

    assert (clashing["hasConflict"], clashing["slot"]["dateStart"]) == (True, "2027-01-11T09:00:00.000Z")
    assert none == {"interval": SUNDAY, "status": "Complete"}
    assert too_long == {"interval": MONDAY, "status": "Complete"}


def test_a_job_about_people_who_are_unknown_fails_in_every_interval(two: Sandbox, ours: Api):
    found = ended(ours, facilitatorIds=[two.state.user_ids[0]], intervals=[MONDAY, SUNDAY])

    assert found == [{"interval": each, "status": "Error"} for each in (MONDAY, SUNDAY)]


def test_an_unknown_job_is_not_found(api: Api):
    missing = api.get(f"{JOBS}/a%2Fb")

    assert (missing.status_code, missing.json()["entityName"], missing.json()["entityId"]) == (404, "job", "a/b")


def test_what_a_job_has_found_stays_and_goes_into_the_file(two: Sandbox, ours: Api, tmp_path: Any):
    one = two.state.user_ids[0]
    job = started(ours, attendeeIds=[one])
    ours.get(job["selfUri"])
    meeting(two, "11T09:00", 60, one)
    two.save(tmp_path / "state.json")

    with Sandbox(state=tmp_path / "state.json") as again, Api(again, token_of(again)) as api:
        (result,) = api.get(job["selfUri"]).json()["results"]

    assert result["slot"]["dateStart"] == "2027-01-11T09:00:00.000Z"
    assert ours.get(job["selfUri"]).json()["results"] == [result]


def test_the_same_seed_gives_the_same_counts_slots_and_jobs():
    def answers() -> str:
        with Sandbox(appointments=200, users=4, seed=3) as sandbox, Api(sandbox, token_of(sandbox)) as api:
            sandbox.state.clock = lambda: NOON
            people = sandbox.state.user_ids[:2]
            asked = [
                (AGGREGATES, COUNT | {"groupBy": ["attendeeId"]}),
                (SLOTS, SEARCH | {"attendeeIds": people}),
                (JOBS, JOB | {"attendeeIds": people}),
            ]
            return json.dumps([api.post(path, json=body).json() for path, body in asked])

    assert answers() == answers()
