"""Slots: times at which all participants can meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching_async.sandbox import Sandbox
from coaching_async.sandbox._state.seed import seeded_state
from coaching_async.sandbox._state.slots import suggestions
from coaching_async.sandbox._wire.formats import format_timestamp, parse_timestamp
from tests.sandbox.api import (
    APPOINTMENTS,
    MINIMAL,
    Api,
    token_of,
)
from tests.sandbox.operations.requests import MIDNIGHT, MONDAY, NOON, SEARCH, SLOTS, SUNDAY, create_meeting

if TYPE_CHECKING:
    from collections.abc import Callable


def times(slots: dict[str, Any]) -> list[str]:
    return [slot["dateStart"][11:16] for slot in slots["suggestedSlots"]]


def free(schedule: dict[str, Any]) -> list[tuple[str, int]]:
    return [(time["dateStart"][11:16], time["lengthInMinutes"]) for time in schedule["availableTimes"]]


def test_a_user_without_appointments_is_free_from_nine_to_five_on_working_days(idle_sandbox: Sandbox, idle_api: Api):
    def found(interval: str) -> tuple[list[str], list[tuple[str, int]]]:
        asked = SEARCH | {"interval": interval, "attendeeIds": idle_sandbox.state.user_ids[:1]}
        slots = idle_api.post(SLOTS, json=asked).json()
        (schedule,) = slots["attendeeSchedules"]
        return times(slots), free(schedule)

    quarters = [f"{hour:02}:{minute:02}" for hour in range(9, 16) for minute in (0, 15, 30, 45)]
    assert found(MONDAY) == ([*quarters, "16:00"], [("09:00", 480)])
    assert found(SUNDAY) == ([], [])
    within = "2027-01-11T10:07:30+01:00/2027-01-11T10:44:59"
    assert found(within) == (["09:15", "09:30"], [("09:08", 96)])
    assert found("2027-01-11T09:00:00Z/2027-01-11T09:00:00Z") == ([], [])
    assert found("2027-01-15T16:00:00Z/2027-01-18T10:00:00Z") == (["16:00", "09:00"], [("16:00", 60), ("09:00", 60)])


def test_led_and_attended_appointments_take_time_but_created_and_interruptible_ones_do_not(
    idle_sandbox: Sandbox, idle_api: Api
):
    one, other = idle_sandbox.state.user_ids
    attended = create_meeting(idle_sandbox, "11T08:30", 60, one, facilitatorId="f")
    led = create_meeting(idle_sandbox, "11T10:00", 50, other, facilitatorId=one)
    idle_sandbox.state.set_status(attended, "Completed", None)
    body = MINIMAL | {"dateStart": "2027-01-11T14:00:00Z", "attendeeIds": ["someone else"]}
    idle_sandbox.state.create("created", body, one)

    def found(*interrupted: str) -> list[tuple[str, int]]:
        asked = SEARCH | {"attendeeIds": [one], "interruptibleAppointmentIds": interrupted}
        slots = idle_api.post(SLOTS, json=asked).json()
        (schedule,) = slots["attendeeSchedules"]
        return free(schedule)

    assert found() == [("09:30", 30), ("10:50", 370)]
    assert found(led) == [("09:30", 450)]
    assert found(led, attended, "unknown") == [("09:00", 480)]


def test_all_participants_have_to_be_free_and_each_schedule_is_returned(idle_sandbox: Sandbox, idle_api: Api):
    one, other = idle_sandbox.state.user_ids
    create_meeting(idle_sandbox, "11T09:00", 240, one)
    talk = create_meeting(idle_sandbox, "11T14:00", 180, other)

    slots = idle_api.post(SLOTS, json=SEARCH | {"attendeeIds": [one, one], "facilitatorIds": [other]}).json()

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


def test_an_unknown_user_has_no_schedule_and_no_free_time(idle_sandbox: Sandbox, idle_api: Api):
    one = idle_sandbox.state.user_ids[0]
    create_meeting(idle_sandbox, "11T09:00", 60, "stranger")

    slots = idle_api.post(SLOTS, json=SEARCH | {"attendeeIds": [one, "stranger"]}).json()

    assert slots["suggestedSlots"] == []
    assert [free(slot) for slot in slots["attendeeSchedules"]] == [[("09:00", 480)], []]
    assert [slot["userReference"]["id"] for slot in slots["wfmScheduleActivities"]] == [one]


def test_a_slot_is_rated_by_the_number_of_users_left_at_work(start_sandbox: Callable[..., Sandbox]):
    with Api(sandbox := start_sandbox(appointments=0, users=6), token_of(sandbox)) as api:
        one, *others = sandbox.state.user_ids
        create_meeting(sandbox, "11T10:00", 60, *others[:1])
        create_meeting(sandbox, "11T11:00", 60, *others[:4])
        slots = api.post(SLOTS, json=SEARCH | {"attendeeIds": [one]}).json()["suggestedSlots"]

    rated = {slot["dateStart"][11:16]: (slot["staffingDifference"], slot["differenceRating"]) for slot in slots}
    assert rated["09:00"] == (2, "Good")
    assert rated["09:15"] == rated["10:00"] == (1, "Neutral")
    assert rated["11:00"] == (-2, "Poor")


STATE = seeded_state(400, 3, 5, MIDNIGHT, lambda: NOON)
BEGIN = datetime(2026, 10, 5, tzinfo=UTC)
moments = st.integers(0, 100 * 24 * 4 * 15).map(lambda minutes: BEGIN + timedelta(minutes=minutes))


@given(start=moments, hours=st.integers(0, 80), length=st.sampled_from([15, 30, 45, 60]), data=st.data())
def test_the_suggested_slots_are_exactly_the_free_quarter_hours(
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
            parse_timestamp(appointment["dateStart"]),
            parse_timestamp(appointment["dateStart"]) + timedelta(minutes=appointment["lengthInMinutes"]),
        )
        for appointment in STATE.appointments.values()
        if {appointment["facilitator"]["id"], *(user["id"] for user in appointment["attendees"])} & set(people)
    ]

    def is_possible(slot: datetime) -> bool:
        over = slot + timedelta(minutes=length)
        at_work = slot.weekday() < 5 and slot.hour >= 9 and over <= slot.replace(hour=17, minute=0)
        return start <= slot and over <= end and at_work and not any(slot < to and begin < over for begin, to in taken)

    quarters = (start.replace(minute=0) + timedelta(minutes=15 * number) for number in range((hours + 1) * 4))
    expected = [format_timestamp(quarter) for quarter in quarters if is_possible(quarter)]
    assert [suggestion["dateStart"] for suggestion in suggestions(STATE, query)["suggestedSlots"]] == expected


@pytest.mark.parametrize(
    "interval", ["0001-01-01T00:00:00Z/0001-02-01T00:00:00Z", "9999-12-01T00:00:00Z/9999-12-31T23:59:59Z"]
)
def test_slots_are_found_in_the_first_and_the_last_year(idle_api: Api, idle_sandbox: Sandbox, interval: str):
    body = MINIMAL | {"dateStart": "9999-12-06T12:00:00Z", "lengthInMinutes": 2**31 - 1}
    idle_api.post(APPOINTMENTS, json=body | {"attendeeIds": idle_sandbox.state.user_ids[:1]})
    slots = idle_api.post(
        SLOTS, json=SEARCH | {"interval": interval, "attendeeIds": idle_sandbox.state.user_ids[:1]}
    ).json()
    assert slots["suggestedSlots"]
    assert all(parse_timestamp(slot["dateStart"]).weekday() < 5 for slot in slots["suggestedSlots"])
    assert all(
        parse_timestamp(slot["dateStart"]) < parse_timestamp("9999-12-06T12:00:00Z") for slot in slots["suggestedSlots"]
    )
