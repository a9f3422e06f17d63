"""`AppointmentCreate.of`: a new appointment that is like another one."""

import inspect
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import attrs
import pytest

from coaching_async import (
    UNSET,
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    AppointmentUpdate,
    BusinessUnitReference,
    UserReference,
    WfmScheduleReference,
    to_dict,
)
from coaching_async.testing import build

SCHEDULE = WfmScheduleReference(id="s", business_unit=BusinessUnitReference(id="b"), week_date=date(2026, 11, 16))


def test_everything_that_a_create_takes_is_carried_over():
    old = build(Appointment, attendees=(UserReference(id="u"), UserReference(id="v")), wfm_schedule=SCHEDULE)

    sent = to_dict(AppointmentCreate.of(old))

    shown = to_dict(old)
    same = ("name", "description", "dateStart", "lengthInMinutes", "externalLinks", "location", "shareInsightsData")
    assert {name: sent.pop(name) for name in same} == {name: shown[name] for name in same}
    assert sent.pop("wfmSchedule") == shown["wfmSchedule"]
    assert sent == {
        "attendeeIds": ["u", "v"],
        "facilitatorId": shown["facilitator"]["id"],
        "conversationIds": [each["id"] for each in shown["conversations"]],
        "documentIds": [each["id"] for each in shown["documents"]],
    }


@pytest.mark.parametrize("name", ["name", "description", "location"])
@pytest.mark.parametrize("odd", [float("nan"), 7, b"x"], ids=["empty cell", "number", "bytes"])
def test_a_text_that_is_none_is_refused_before_it_is_sent(name: str, odd: Any):
    for make in (partial(AppointmentCreate.of, build(Appointment)), AppointmentUpdate):
        with pytest.raises(TypeError, match=f"{name} is a str"):
            make(**{name: odd})


def test_a_new_appointment_has_a_name_and_a_description_and_an_update_may_clear_the_description_and_the_location():
    for odd in ({"name": None}, {"name": UNSET}, {"description": None}, {"location": None}):
        with pytest.raises(TypeError, match="is a str"):
            AppointmentCreate.of(build(Appointment), **odd)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="name is a str or UNSET"):
        AppointmentUpdate(name=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert to_dict(AppointmentUpdate(description=None, location=None)) == {"description": None, "location": None}


def test_changes_replace_fields_and_unset_leaves_them_out():
    old = build(Appointment)

    new = AppointmentCreate.of(old, facilitator_id="f", attendee_ids="u", location=UNSET, add_to_schedule=True)

    assert (new.facilitator_id, new.attendee_ids, new.location, new.add_to_schedule) == ("f", ("u",), UNSET, True)
    assert new.name == old.name


def test_what_an_appointment_lacks_is_left_out():
    bare = Appointment(id="1", name="n", date_start=datetime(2026, 11, 20, tzinfo=UTC), length_in_minutes=30)

    assert to_dict(AppointmentCreate.of(bare)) == {
        "name": "n",
        "description": "",
        "dateStart": "2026-11-20T00:00:00.000Z",
        "lengthInMinutes": 30,
        "attendeeIds": [],
    }


def test_a_schedule_that_a_request_could_not_name_is_left_out():
    old = build(Appointment, wfm_schedule=WfmScheduleReference(id="s"))

    assert AppointmentCreate.of(old).wfm_schedule is UNSET


def test_a_required_field_that_is_missing_is_named_unless_it_is_given():
    with pytest.raises(ValueError, match="has no name and no length_in_minutes"):
        AppointmentCreate.of(Appointment(id="1", date_start=datetime(2026, 11, 20, tzinfo=UTC)))
    given: dict[str, Any] = {"name": "n", "date_start": datetime(2026, 11, 20, tzinfo=UTC), "length_in_minutes": 30}
    assert AppointmentCreate.of(Appointment(id="1"), **given).name == "n"


def test_another_model_and_another_field_are_refused():
    with pytest.raises(TypeError, match="appointment is an Appointment, not AppointmentReference"):
        AppointmentCreate.of(AppointmentReference(id="1"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="status"):
        AppointmentCreate.of(build(Appointment), status="Completed")  # type: ignore[call-arg]


def test_the_changes_are_exactly_the_fields_of_a_create():
    taken = inspect.signature(AppointmentCreate.of).parameters.keys() - {"appointment"}
    assert taken == {field.name for field in attrs.fields(AppointmentCreate)}
