"""Bad input is refused before a socket opens."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from coaching_async import (
    AggregateClause,
    AggregateFilter,
    AggregatePredicate,
    AppointmentCreate,
    AppointmentUpdate,
    CoachingClient,
    Interval,
)
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

NAIVE = datetime(2026, 11, 20)  # noqa: DTZ001
AWARE = datetime(2026, 11, 20, tzinfo=UTC)
DAY = Interval(AWARE, AWARE.replace(day=21))
EVERYTHING = AggregateFilter(type="And", clauses=[])


@pytest.fixture
async def untouched() -> AsyncIterator[CoachingClient]:
    service = Service([answer({})])
    async with service.client() as client:
        yield client
    assert service.requests == []
    await service.http.aclose()


def create(**fields: Any) -> AppointmentCreate:
    given = {"name": "n", "description": "d", "date_start": AWARE, "length_in_minutes": 30, "attendee_ids": ["u"]}
    return AppointmentCreate(**given | fields)


def aggregate(client: CoachingClient, **given: Any) -> Awaitable[Any]:
    return client.appointments.aggregate(**{"interval": DAY} | given)


def query(client: CoachingClient, **given: Any) -> Awaitable[Any]:
    fields = {"interval": DAY, "length_in_minutes": 30, "attendee_ids": "u"}
    return client.schedule_slots.query(**fields | given)


def find(client: CoachingClient, **given: Any) -> Awaitable[Any]:
    fields = {"intervals": DAY, "length_in_minutes": 30, "attendee_ids": "u", "activity_code_id": "5"}
    return client.schedule_slots.find(**fields | given)


LISTS: dict[str, Callable[[CoachingClient], Any]] = {
    "no users": lambda c: c.appointments.list([]),
    "an empty user": lambda c: c.appointments.list([""]),
    "a comma in a user": lambda c: c.appointments.list(["a,b"]),
    "a user longer than a URL": lambda c: c.appointments.list(["u" * 61_000]),
    "half a page": lambda c: c.appointments.list("u", page_size=2.5),  # type: ignore[arg-type]
    "no page": lambda c: c.appointments.list("u", page_size=0),
    "a negative page": lambda c: c.appointments.list_mine(page_size=-1),
    "a naive interval": lambda c: c.appointments.list("u", interval=(NAIVE, AWARE)),
    "a backward interval": lambda c: c.appointments.list("u", interval=(AWARE, AWARE.replace(year=2025))),
    "an empty interval": lambda c: c.appointments.list_mine(completion_interval=(AWARE, AWARE)),
    "an unknown status": lambda c: c.appointments.list("u", statuses=["Gone"]),
    "no status": lambda c: c.appointments.list("u", statuses=[]),
    "no facilitator": lambda c: c.appointments.list_mine(facilitator_ids=[]),
    "an unknown order": lambda c: c.appointments.list("u", sort_order="asc"),
    "an unknown relationship": lambda c: c.appointments.list_mine(relationships="Owner"),
    "an unknown condition": lambda c: c.appointments.list("u", interval_condition="Within"),
    "statuses of no id": lambda c: c.appointments.list_statuses(""),
    "annotations of no id": lambda c: c.annotations.list(".."),
    "no page of notifications": lambda c: c.notifications.list(page_size=0),
    "an interval that ends before it starts": lambda _: Interval(AWARE, AWARE.replace(year=2025)),
}


@pytest.mark.parametrize("wrong", LISTS)
async def test_a_list_rejects_invalid_arguments_when_it_is_made(wrong: str, untouched: CoachingClient):
    with pytest.raises(ValueError, match=r"\w"):
        LISTS[wrong](untouched)


@pytest.mark.parametrize("wrong", [{"overdue": "False"}, {"interval": "2026-11-01/2026-12-01"}, {"interval": 5}])
async def test_a_filter_of_a_wrong_type_is_rejected(wrong: Any, untouched: CoachingClient):
    with pytest.raises(TypeError, match=r"an interval is an|overdue is True"):
        untouched.appointments.list("u", **wrong)


async def test_an_unknown_filter_is_rejected_by_name(untouched: CoachingClient):
    with pytest.raises(TypeError, match=r"no argument 'status': choose one of interval, .*; did you mean statuses\?"):
        untouched.appointments.list_mine(status="Completed")  # type: ignore[call-arg]


CALLS: dict[str, Callable[[CoachingClient, str], Any]] = {
    "get": lambda c, bad: c.appointments.get(bad),
    "update": lambda c, bad: c.appointments.update(bad, AppointmentUpdate()),
    "delete": lambda c, bad: c.appointments.delete(bad),
    "set_status": lambda c, bad: c.appointments.set_status(bad, "Completed"),
    "annotations.get": lambda c, bad: c.annotations.get(bad, "1"),
    "annotations.get 2": lambda c, bad: c.annotations.get("1", bad),
    "annotations.create": lambda c, bad: c.annotations.create(bad, "text", access_type="Public"),
    "annotations.update": lambda c, bad: c.annotations.update("1", bad, "text"),
    "annotations.delete": lambda c, bad: c.annotations.delete("1", bad),
    "notifications.get": lambda c, bad: c.notifications.get(bad),
    "notifications.mark_read": lambda c, bad: c.notifications.mark_read(bad),
    "add_conversation": lambda c, bad: c.appointments.add_conversation(bad, "1"),
    "schedule_slots.get_job": lambda c, bad: c.schedule_slots.get_job(bad),
}


@pytest.mark.parametrize("bad", ["", ".", ".."])
@pytest.mark.parametrize("call", CALLS)
async def test_an_id_that_would_change_the_path_is_rejected(call: str, bad: str, untouched: CoachingClient):
    with pytest.raises(ValueError, match="is no id"):
        await CALLS[call](untouched, bad)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda c: c.appointments.set_status("1", "InvalidSchedule"), "service alone"),
        (lambda c: c.appointments.set_status("1", "Gone"), "is no AppointmentStatus"),
        (lambda c: c.annotations.create("1", "text", access_type="Secret"), "is no AccessType"),
        (lambda c: c.appointments.create(create(date_start=NAIVE)), "no time zone"),
        (lambda c: c.appointments.update("1", AppointmentUpdate(date_start=NAIVE)), "no time zone"),
        (lambda c: c.appointments.create(create(length_in_minutes=float("inf"))), "whole number"),
        (lambda c: c.appointments.add_conversation("1", ""), "every id has to be"),
        (lambda c: aggregate(c, interval=(NAIVE, AWARE)), "no time zone"),
        (lambda c: aggregate(c, interval=(AWARE, AWARE)), "has to end after"),
        (lambda c: aggregate(c, metrics="nothing"), "is no AppointmentMetric: choose one of nActivities, "),
        (lambda c: aggregate(c, group_by=["facilitatorId"]), "is no AggregateGroupBy"),
        (lambda c: aggregate(c, attendee_ids=[]), "a filter is an empty list"),
        (lambda c: aggregate(c, facilitator_ids=[""]), "every id has to be"),
        (lambda c: aggregate(c, statuses=[]), "a filter is an empty list"),
        (lambda c: aggregate(c, statuses="Gone"), "is no AppointmentStatus"),
        (lambda c: aggregate(c, statuses="Completed", filter=EVERYTHING), "filter stands instead of"),
        *[
            (lambda c, call=call, fields=fields: call(c, **fields), says)
            for call in (lambda c, **fields: query(c, **fields), lambda c, **fields: find(c, **fields))
            for fields, says in (
                ({"length_in_minutes": 20}, "a multiple of 15"),
                ({"length_in_minutes": 0}, "a multiple of 15"),
                ({"length_in_minutes": -15}, "a multiple of 15"),
                ({"length_in_minutes": 30.0}, "a multiple of 15"),
                ({"length_in_minutes": True}, "a multiple of 15"),
                ({"attendee_ids": []}, "attendee_ids is empty"),
                ({"attendee_ids": ["a", ""]}, "every id has to be"),
                ({"facilitator_ids": [None]}, "every id has to be"),
            )
        ],
        (lambda c: query(c, length_in_minutes=75), "at most 60"),
        (lambda c: query(c, interval=(NAIVE, AWARE)), "no time zone"),
        (lambda c: query(c, interruptible_appointment_ids=[""]), "every id has to be"),
        (lambda c: find(c, intervals=[]), "intervals is empty"),
        (lambda c: find(c, intervals=[(NAIVE, AWARE)]), "no time zone"),
        (lambda c: find(c, intervals=(AWARE, AWARE)), "has to end after"),
        (lambda c: find(c, activity_code_id=""), "every id has to be"),
        (lambda c: find(c, slots_type="WorstTime"), "is no SlotsType"),
        (lambda _: AggregateFilter(type="Not", clauses=[]), "is no AggregateFilterType"),
        (lambda _: AggregateClause(type="Nor", predicates=[]), "is no AggregateFilterType"),
        (lambda _: AggregatePredicate(dimension="teamId", value="1"), "is no AggregateDimension"),
        (lambda _: AggregatePredicate(dimension="status", value=""), "every id has to be"),
    ],
)
async def test_a_value_that_cannot_be_encoded_is_rejected(call: Any, says: str, untouched: CoachingClient):
    with pytest.raises(ValueError, match=says):
        await call(untouched)


@pytest.mark.parametrize("intervals", ["2026-11-20/2026-11-21", [AWARE], [(AWARE,)], [5]])
async def test_an_interval_of_a_wrong_type_is_rejected(intervals: Any, untouched: CoachingClient):
    with pytest.raises(TypeError, match="an interval is an Interval or two datetimes, not "):
        await find(untouched, intervals=intervals)


async def test_missing_and_unknown_arguments_of_a_job_are_named(untouched: CoachingClient):
    with pytest.raises(TypeError, match="'attendee_ids'"):
        await untouched.schedule_slots.start_job(  # type: ignore[call-arg]
            intervals=DAY, length_in_minutes=30, activity_code_id="5"
        )
    with pytest.raises(TypeError, match="'interval'"):
        await find(untouched, interval=DAY)


@pytest.mark.parametrize("odd", ["a/b", "a?x=1", "a#b", "a b", "é", "../../users", "a\r\nb", "%2e%2e"])
@pytest.mark.parametrize("call", CALLS)
async def test_an_id_with_special_characters_stays_one_path_segment(call: str, odd: str):
    plain, service = Service([answer({}, 404)]), Service([answer({}, 404)])

    for each, given in ((plain, "plain"), (service, odd)):
        async with each.client() as client:
            with pytest.raises(Exception, match="404"):
                await CALLS[call](client, given)
        await each.http.aclose()

    def raw(request: httpx.Request) -> list[bytes]:
        path, _, query = request.url.raw_path.partition(b"?")
        assert not query
        return path.split(b"/")

    expected, sent = raw(plain.requests[0]), raw(service.requests[0])
    assert [a for a, b in zip(expected, sent, strict=True) if a != b] == [b"plain"]
