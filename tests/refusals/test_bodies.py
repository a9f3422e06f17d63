"""Bodies, texts and flags of a wrong kind are refused before anything is sent, in a sentence that says what to give."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from coaching_async import (
    AggregateClause,
    AggregateFilter,
    AggregatePredicate,
    AppointmentCreate,
    AppointmentUpdate,
    CoachingClient,
    Interval,
    WfmScheduleReference,
    from_dict,
)
from tests.support.doubles import Service

pytestmark = pytest.mark.anyio

FIELDS: dict[str, Any] = {
    "name": "Call opening",
    "description": "",
    "date_start": datetime(2026, 12, 1, 9, tzinfo=UTC),
    "length_in_minutes": 30,
    "attendee_ids": ["1"],
}
CLAUSE = AggregateClause(type="Or", predicates=[AggregatePredicate(dimension="status", value="Completed")])
WRONG = [None, 3, "text", b"text", [], {"name": "Call opening"}, AppointmentCreate]
MADE_OF_FIELDS = r"not dict: Appointment\w+\(\*\*fields\) makes one, or from_dict\(Appointment\w+, fields\) if"
Call = Callable[[CoachingClient, Any], Any]


async def refused(call: Call, value: object, problem: str) -> None:
    service = Service([])
    async with service.client() as client:
        with pytest.raises(TypeError, match=problem):
            await call(client, value)

    assert not service.requests


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    "call, problem",
    [
        (lambda client, value: client.appointments.create(value), "appointment is an AppointmentCreate, not "),
        (
            lambda client, value: client.appointments.find_created(value, since=datetime.now(UTC)),
            "appointment is an AppointmentCreate, not ",
        ),
        (lambda client, value: client.appointments.create_many([value]), "each of appointments is an Appoint"),
        (lambda client, value: client.appointments.update("1", value), "changes is an AppointmentUpdate, not "),
    ],
)
async def test_a_body_is_of_its_class(call: Call, problem: str, value: object):
    await refused(call, value, problem)


async def test_a_body_is_not_that_of_another_operation():
    await refused(lambda client, value: client.appointments.create(value), AppointmentUpdate(), "not AppointmentUpdate")
    await refused(
        lambda client, value: client.appointments.update("1", value),
        AppointmentCreate(**FIELDS),
        "not AppointmentCreate",
    )


async def test_of_a_dictionary_it_is_told_how_to_make_a_body():
    await refused(lambda client, value: client.appointments.create(value), FIELDS, MADE_OF_FIELDS)
    await refused(lambda client, value: client.appointments.update("1", value), {}, MADE_OF_FIELDS)


@pytest.mark.parametrize("value", [None, 3, AppointmentCreate(**FIELDS)])
async def test_many_bodies_are_iterable(value: object):
    problem = "appointments is a list of AppointmentCreate objects, or another iterable, not "
    await refused(lambda client, value: client.appointments.create_many(value), value, problem)
    await refused(
        lambda client, value: client.appointments.find_created_many(value, since=datetime.now(UTC)), value, problem
    )


@pytest.mark.parametrize("value", [None, 3, b"text", ["text"], {"text": "text"}])
async def test_the_text_of_an_annotation_is_a_text(value: object):
    problem = "text is a str, not "
    await refused(lambda client, value: client.annotations.create("1", value, access_type="Public"), value, problem)
    await refused(lambda client, value: client.annotations.update("1", "2", value), value, problem)


@pytest.mark.parametrize("value", [None, 0, 1, "false", "no", []])
@pytest.mark.parametrize(
    "call, problem",
    [
        (lambda client, value: client.notifications.mark_read("1", read=value), "read is True or False, not "),
        (
            lambda client, value: client.notifications.get("1", expand_appointment=value),
            "expand_appointment is True or",
        ),
        (lambda client, value: client.notifications.list(expand_appointment=value).collect(), "expand_appointment is"),
        (lambda client, value: anext(client.notifications.watch(expand_appointment=value)), "expand_appointment is"),
        (lambda client, value: client.request("POST", "/api/v2/x", safe=value), "safe is True or False, not "),
    ],
)
async def test_a_flag_is_true_or_false(call: Call, problem: str, value: object):
    await refused(call, value, problem)


@pytest.mark.parametrize("value", [None, 3, b"GET"])
async def test_a_method_is_a_text(value: object):
    await refused(lambda client, value: client.request(value, "/api/v2/users/me"), value, "method is a str, not ")


@pytest.mark.parametrize("value", [None, 3, "2026-12-01"])
async def test_what_is_no_interval_is_told_what_one_is(value: object):
    with pytest.raises(TypeError, match="an interval is an Interval or two datetimes, not "):
        await CoachingClient.from_env({"GENESYSCLOUD_ACCESS_TOKEN": "t"}).schedule_slots.find(
            attendee_ids="1", length_in_minutes=30, activity_code_id="2", intervals=value
        )


@pytest.mark.parametrize("field", ["share_insights_data", "add_to_schedule"])
@pytest.mark.parametrize("value", [None, 0, 1, "false", []])
async def test_a_flag_of_a_body_is_true_or_false(field: str, value: object):
    with pytest.raises(TypeError, match=f"{field} is True, False or UNSET, not "):
        AppointmentCreate(**FIELDS, **{field: value})
    with pytest.raises(TypeError, match=f"{field} is True, False or UNSET, not "):
        AppointmentUpdate(**{field: value})


async def test_a_start_is_a_datetime():
    for make in (
        lambda value: AppointmentCreate(**{**FIELDS, "date_start": value}),
        lambda value: AppointmentUpdate(date_start=value),
    ):
        with pytest.raises(TypeError, match=r"date_start is a datetime with a time zone, not str: datetime\.fromiso"):
            make("2026-12-01T09:00:00Z")
        with pytest.raises(TypeError, match=r"date_start is a datetime with a time zone, not date$"):
            make(date(2026, 12, 1))


@pytest.mark.parametrize(
    "filter_, problem",
    [
        ({"type": "And"}, r"filter is an AggregateFilter, not dict: AggregateFilter\(\*\*fields\) makes one"),
        (CLAUSE, "filter is an AggregateFilter, not AggregateClause"),
    ],
)
async def test_a_filter_of_counts_is_of_its_class(filter_: object, problem: str):
    interval = Interval.month(2026, 11)
    await refused(
        lambda client, value: client.appointments.aggregate(interval=interval, filter=value), filter_, problem
    )


async def test_the_parts_of_a_filter_are_of_their_classes():
    with pytest.raises(
        TypeError, match="clauses is a list of AggregateClause objects, or another iterable, not Aggreg"
    ):
        AggregateFilter(type="And", clauses=CLAUSE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="each of clauses is an AggregateClause, not dict"):
        AggregateFilter(type="And", clauses=[{}])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="predicates is a list of AggregatePredicate objects, or another iterable, not"):
        AggregateClause(type="And", predicates=CLAUSE.predicates[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields, problem",
    [
        ({"business_unit": {"id": "3"}}, "business_unit is a BusinessUnitReference, not dict"),
        ({"week_date": "2026-11-30"}, "week_date is a date, not str"),
    ],
)
async def test_the_parts_of_a_schedule_are_of_their_classes(fields: dict[str, Any], problem: str):
    with pytest.raises(TypeError, match=problem):
        AppointmentUpdate(wfm_schedule=WfmScheduleReference(id="1", **fields))


@pytest.mark.parametrize("value", [3, "id", {"id": "1"}, WfmScheduleReference])
async def test_a_schedule_of_a_body_is_a_reference(value: object):
    with pytest.raises(TypeError, match="wfm_schedule is a WfmScheduleReference, not "):
        AppointmentCreate(**FIELDS, wfm_schedule=value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wfm_schedule is a WfmScheduleReference, not "):
        AppointmentUpdate(wfm_schedule=value)  # type: ignore[arg-type]


async def test_a_body_of_a_dictionary_with_the_names_of_the_api_is_complete():
    body = from_dict(
        AppointmentUpdate, {"wfmSchedule": {"id": "1", "weekDate": "2026-11-30"}, "shareInsightsData": False}
    )

    assert body.wfm_schedule == WfmScheduleReference(id="1", week_date=body.wfm_schedule.week_date)  # type: ignore[union-attr]
    assert body.share_insights_data is False
