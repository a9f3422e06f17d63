"""Which appointment was created from which body: as multisets, and never twice."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching_async import UNSET, Appointment, AppointmentCreate, UserReference, WfmScheduleReference
from coaching_async._resources.creation.lookups import plan_lookups
from coaching_async._resources.creation.matching import is_match, match_all

START = datetime(2027, 1, 11, 9, tzinfo=UTC)


def body(**fields: Any) -> AppointmentCreate:
    given = {"name": "n", "description": "d", "date_start": START, "length_in_minutes": 30, "attendee_ids": ["u", "v"]}
    return AppointmentCreate(**given | fields)


def created(from_body: AppointmentCreate, number: int = 1, **changes: Any) -> Appointment:
    """What the service makes of a body: another order of attendees, its own spelling of times."""
    facilitator = None if from_body.facilitator_id is UNSET else UserReference(id=str(from_body.facilitator_id))
    appointment = Appointment(
        id=f"a{number}",
        name=from_body.name,
        description=from_body.description,
        date_start=from_body.date_start.astimezone(UTC).replace(second=0, microsecond=0),
        length_in_minutes=from_body.length_in_minutes,
        attendees=tuple(UserReference(id=id_) for id_ in reversed(from_body.attendee_ids)),
        facilitator=facilitator,
        location=None if from_body.location is UNSET else str(from_body.location),
    )
    return attrs.evolve(appointment, **changes)


def statuses(bodies: Sequence[AppointmentCreate], *found: Appointment) -> list[str]:
    """For each body the id of its appointment, "missing", or the ids of what may be its own."""
    matches = match_all(dict(enumerate(bodies)), found)
    return [
        "missing"
        if matches[index].is_missing
        else " or ".join(each.id for each in matches[index].candidates)
        or getattr(matches[index].appointment, "id", "nothing")
        for index in range(len(bodies))
    ]


def test_attendees_in_another_order_and_the_same_time_in_another_zone_match():
    berlin = timezone(timedelta(hours=1))
    wanted = body(date_start=datetime(2027, 1, 11, 10, 0, 42, tzinfo=berlin), attendee_ids=["v", "u", "u"])

    assert is_match(wanted, created(body()))
    assert statuses([wanted], created(body())) == ["a1"]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "m"},
        {"date_start": START + timedelta(minutes=1)},
        {"length_in_minutes": 45},
        {"attendee_ids": ["u"]},
        {"attendee_ids": ["u", "v", "w"]},
    ],
)
def test_another_name_start_length_or_attendee_does_not_match(other: dict[str, Any]):
    assert statuses([body()], created(body(**other))) == ["missing"]


def test_equal_bodies_are_wanted_as_often_as_they_are_given():
    three = [body(), body(), body()]

    assert statuses(three, created(body(), 1), created(body(), 2)) == ["a1", "a2", "missing"]


def test_more_appointments_than_bodies_are_reported_with_all_of_them():
    assert statuses([body()], created(body(), 1), created(body(), 2)) == ["a1 or a2"]


def test_a_body_without_a_facilitator_matches_whomever_the_service_has_chosen():
    assert statuses([body()], created(body(), facilitator=UserReference(id="f"))) == ["a1"]
    assert statuses([body(facilitator_id="g")], created(body(), facilitator=UserReference(id="f"))) == ["missing"]


def test_similar_bodies_are_told_apart_by_their_details():
    bodies = [body(description="one"), body(description="two"), body(location="Room 4")]

    assert statuses(bodies, created(bodies[1], 1), created(bodies[2], 2)) == ["missing", "a1", "a2"]


def test_an_appointment_whose_details_were_changed_since_is_recognized():
    assert statuses([body()], created(body(), description="changed", location="Room 5")) == ["a1"]


def test_of_similar_bodies_none_is_created_if_a_changed_appointment_may_be_any_of_them():
    bodies = [body(description="one"), body(description="two"), body(name="m")]

    assert statuses(bodies, created(bodies[0], 1, description="changed")) == ["a1", "a1", "missing"]
    assert [
        match.appointment
        for match in match_all(dict(enumerate(bodies[:2])), [created(bodies[0], description="x")]).values()
    ] == [None, None]


def test_bodies_that_differ_in_what_an_appointment_does_not_show_cannot_be_told_apart():
    bodies = [body(add_to_schedule=True), body(add_to_schedule=False)]

    matches = match_all(dict(enumerate(bodies)), [created(body())])

    assert [(match.appointment, len(match.candidates)) for match in matches.values()] == [(None, 1), (None, 1)]
    assert statuses(bodies, created(body(), 1), created(body(), 2)) == ["a1", "a2"]


def test_a_facilitator_that_the_service_may_have_chosen_tells_no_bodies_apart():
    bodies = [body(facilitator_id="f"), body()]

    assert statuses(bodies, created(bodies[0])) == ["a1", "a1"]
    assert statuses(bodies, created(bodies[1])) == ["missing", "a1"]


def test_a_schedule_that_is_not_shown_does_not_hide_its_appointment():
    assert statuses([body(wfm_schedule=WfmScheduleReference(id="s"))], created(body())) == ["a1"]


def test_a_lookup_reads_one_day_of_one_participant_of_each_body():
    bodies = [
        body(),
        body(date_start=START + timedelta(hours=2), attendee_ids=["w", "x"]),
        body(date_start=START + timedelta(days=7), attendee_ids=[], facilitator_id="f"),
    ]

    first, second = plan_lookups(dict(enumerate(bodies)))

    assert (first.indexes, first.user_ids) == ((0, 1), ("u", "w"))
    assert (first.interval.start, first.interval.end) == (START, START + timedelta(hours=2, minutes=1))
    assert (second.indexes, second.user_ids) == ((2,), ("f",))


BODIES = st.builds(
    body,
    name=st.sampled_from("mn"),
    description=st.sampled_from(["one", "two"]),
    facilitator_id=st.sampled_from([UNSET, "f", "g"]),
    add_to_schedule=st.sampled_from([UNSET, True]),
)


@given(st.lists(BODIES, max_size=7), st.data())
def test_a_rerun_creates_what_is_missing_and_nothing_twice(bodies: list[AppointmentCreate], data: st.DataObject):
    """The service may choose a facilitator where none is named."""
    indexes = range(len(bodies))
    done = data.draw(st.sets(st.sampled_from(indexes)) if bodies else st.just(set[int]()))
    chosen = data.draw(st.sampled_from([None, "f"]))
    found = [
        created(
            bodies[index],
            index,
            **({"facilitator": UserReference(id=chosen)} if chosen and bodies[index].facilitator_id is UNSET else {}),
        )
        for index in sorted(done)
    ]

    matches = match_all(dict(enumerate(bodies)), found)

    owned = [match.appointment.id for match in matches.values() if match.appointment]
    assert len(owned) == len(set(owned))
    missing = [index for index in indexes if matches[index].is_missing]
    there = Counter(bodies[index] for index in [*done, *missing])
    assert there <= Counter(bodies), "created twice"
    if all(match.appointment or match.is_missing for match in matches.values()):
        assert there == Counter(bodies)


@given(st.lists(BODIES, max_size=7))
def test_all_bodies_that_were_created_are_found(bodies: list[AppointmentCreate]):
    matches = match_all(dict(enumerate(bodies)), [created(each, index) for index, each in enumerate(bodies)])

    assert all(match.appointment and not match.candidates for match in matches.values())
