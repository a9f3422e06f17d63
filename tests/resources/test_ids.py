"""Ids in every argument that takes some: a `uuid.UUID` is one, and a text that was read with more than an id is none."""

import pickle
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote
from uuid import UUID

import pytest

from coaching_async import (
    AggregatePredicate,
    AppointmentCreate,
    AppointmentUpdate,
    BusinessUnitReference,
    CoachingClient,
    Interval,
    WfmScheduleReference,
    to_dict,
)
from tests.support.doubles import Service, answer, page

pytestmark = pytest.mark.anyio

GUID = "11111111-1111-4111-8111-11111111abcd"
PAST = datetime(2020, 1, 1, tzinfo=UTC)
DAY = Interval(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))

Use = Callable[[CoachingClient, Any], Any]


def create(**fields: Any) -> AppointmentCreate:
    given = {"name": "n", "description": "d", "date_start": DAY.start, "length_in_minutes": 30, "attendee_ids": ["u"]}
    return AppointmentCreate(**given | fields)


def schedule(id_: Any, unit: Any) -> WfmScheduleReference:
    return WfmScheduleReference(id=id_, business_unit=BusinessUnitReference(id=unit), week_date=date(2026, 11, 16))


def slots(client: CoachingClient, **ids: Any) -> Awaitable[Any]:
    return client.schedule_slots.query(interval=DAY, length_in_minutes=30, **{"attendee_ids": "u"} | ids)


def job(client: CoachingClient, **ids: Any) -> Awaitable[Any]:
    given = {"attendee_ids": "u", "activity_code_id": "5"} | ids
    return client.schedule_slots.start_job(intervals=DAY, length_in_minutes=30, **given)


async def iterated(listing: Any) -> None:
    await listing.collect()


USES: dict[str, Use] = {
    "appointments.list": lambda c, id_: iterated(c.appointments.list(id_)),
    "appointments.list, several": lambda c, id_: iterated(c.appointments.list(["u", id_])),
    "appointments.list, a set": lambda c, id_: iterated(c.appointments.list({"u", id_})),
    "appointments.list, facilitators": lambda c, id_: iterated(c.appointments.list("u", facilitator_ids=id_)),
    "appointments.list_mine": lambda c, id_: iterated(c.appointments.list_mine(facilitator_ids=(id_,))),
    "appointments.get": lambda c, id_: c.appointments.get(id_),
    "appointments.get_many": lambda c, id_: c.appointments.get_many([id_]),
    "appointments.update": lambda c, id_: c.appointments.update(id_, AppointmentUpdate()),
    "appointments.delete": lambda c, id_: c.appointments.delete(id_),
    "appointments.list_statuses": lambda c, id_: iterated(c.appointments.list_statuses(id_)),
    "appointments.set_status": lambda c, id_: c.appointments.set_status(id_, "Completed"),
    "appointments.add_conversation": lambda c, id_: c.appointments.add_conversation(id_, "1"),
    "appointments.add_conversation, its id": lambda c, id_: c.appointments.add_conversation("1", id_),
    "appointments.aggregate": lambda c, id_: c.appointments.aggregate(interval=DAY, attendee_ids=id_),
    "appointments.aggregate, several": lambda c, id_: c.appointments.aggregate(interval=DAY, facilitator_ids=[id_]),
    "appointments.find_created": lambda c, id_: c.appointments.find_created(
        create(attendee_ids=[id_]), since=DAY.start
    ),
    "appointments.find_created_many": lambda c, id_: c.appointments.find_created_many(
        [create(attendee_ids=[id_])], since=PAST
    ),
    "appointments.create_many": lambda c, id_: c.appointments.create_many([create(attendee_ids=[id_])]),
    "annotations.list": lambda c, id_: iterated(c.annotations.list(id_)),
    "annotations.get": lambda c, id_: c.annotations.get("1", id_),
    "annotations.create": lambda c, id_: c.annotations.create(id_, "text", access_type="Public"),
    "annotations.update": lambda c, id_: c.annotations.update(id_, "1", "text"),
    "annotations.delete": lambda c, id_: c.annotations.delete("1", id_),
    "notifications.get": lambda c, id_: c.notifications.get(id_),
    "notifications.mark_read": lambda c, id_: c.notifications.mark_read(id_),
    "schedule_slots.query": lambda c, id_: slots(c, attendee_ids=[id_]),
    "schedule_slots.query, interruptible": lambda c, id_: slots(c, interruptible_appointment_ids=id_),
    "schedule_slots.start_job": lambda c, id_: job(c, facilitator_ids=id_),
    "schedule_slots.start_job, activity": lambda c, id_: job(c, activity_code_id=id_),
    "schedule_slots.get_job": lambda c, id_: c.schedule_slots.get_job(id_),
    "request": lambda c, id_: c.request("GET", f"/api/v2/users/{quote(str(id_), safe='')}"),
    "request, a parameter": lambda c, id_: c.request("GET", "/api/v2/users", query={"id": id_}),
    "request, several": lambda c, id_: c.request("GET", "/api/v2/users", query={"id": ["u", id_]}),
    "raw": lambda c, id_: c.raw(c.appointments.get, id_),
    "bulk": lambda c, id_: c.bulk(c.appointments.get, [id_]),
    "facilitator of a new one": lambda c, id_: c.appointments.create(create(facilitator_id=id_)),
    "schedule of a new one": lambda c, id_: c.appointments.create(create(wfm_schedule=schedule(id_, "b"))),
    "business unit of a new one": lambda c, id_: c.appointments.create(create(wfm_schedule=schedule("s", id_))),
    "schedule of a changed one": lambda c, id_: c.appointments.update(
        "1", AppointmentUpdate(wfm_schedule=schedule(id_, "b"))
    ),
    "documents of a changed one": lambda c, id_: c.appointments.update("1", AppointmentUpdate(document_ids=[id_])),
}


class Everything(Service):
    """A service that has one answer to everything."""

    def __init__(self) -> None:
        answered = {**page(), "id": "1", "name": "n", "status": "Completed"}
        super().__init__(
            lambda each: answer(answered, 202 if (each.method, each.url.path[-5:]) == ("POST", "/jobs") else 200)
        )


@pytest.mark.parametrize("use", USES)
async def test_a_uuid_is_sent_as_its_text(use: str):
    service = Everything()
    async with service.client() as client:
        await USES[use](client, UUID(GUID))

    sent = [f"{unquote(str(request.url))} {request.content.decode()}" for request in service.requests]
    assert any(GUID in each for each in sent), sent


ODD = [
    f"{GUID}\n",
    f"{GUID}\r\n",
    f" {GUID}",
    f"{GUID}\t",
    f"\ufeff{GUID}",
    f"{GUID}\u200b",
    f"\u00a0{GUID}",
    f"{GUID}\u3000",
    f"{GUID}\x00",
    f"\u2060{GUID}",
    f"{GUID}\u2028",
    f"{GUID}\u2800",
    "\n",
    " ",
]


@pytest.mark.parametrize("use", USES)
async def test_an_id_with_a_blank_or_an_invisible_character_at_its_end_is_refused_and_shown(use: str):
    for odd in ODD:  # no parameter, because a thousand tests take longer than what they test
        service = Everything()
        async with service.client() as client:
            with pytest.raises(ValueError, match="is no id: it begins or ends with a blank") as caught:
                await USES[use](client, odd)

        assert ascii(odd) in str(caught.value)
        assert service.requests == []


@pytest.mark.parametrize("odd", [None, 5, b"1", ["1"], ""])
async def test_another_value_is_no_id(odd: Any):
    service = Everything()
    async with service.client() as client:
        for use in ("appointments.get", "appointments.list, several", "annotations.get", "facilitator of a new one"):
            with pytest.raises(ValueError, match="is no id: every id has to be a non-empty str or a UUID"):
                await USES[use](client, odd)

    assert service.requests == []


async def test_a_whole_file_in_place_of_an_id_is_shown_shortened():
    async with Everything().client() as client:
        with pytest.raises(ValueError, match="is no id") as caught:
            client.appointments.list("\n".join([GUID] * 1000) + "\n")

    assert len(str(caught.value)) < 250
    assert f"{GUID[-4:]}\\n' is no id" in str(caught.value)


@pytest.mark.parametrize("id_", ["a b", "é", "👩‍👧", "❤️", "a\u200bb", "x" * 1000, "id.", "1"])
async def test_other_ids_are_sent_as_they_are(id_: str):
    service = Everything()
    async with service.client() as client:
        await client.appointments.get(id_)
        await client.appointments.list([id_]).collect()

    assert unquote(service.requests[0].url.raw_path.decode().rpartition("/")[2]) == id_
    assert parse_qs(service.requests[1].url.query.decode())["userIds"] == [id_]


async def test_a_uuid_that_was_seen_is_skipped():
    async with Service(lambda _: answer(page(GUID, "2"))).client() as client:
        walk = client.appointments.list("u").walk(seen={UUID(GUID)})
        assert [each.id async for each in walk] == ["2"]


def test_bodies_hold_uuids_as_text():
    body = create(attendee_ids=[UUID(GUID)], facilitator_id=UUID(GUID), wfm_schedule=schedule(UUID(GUID), UUID(GUID)))

    assert body == create(attendee_ids=[GUID], facilitator_id=GUID, wfm_schedule=schedule(GUID, GUID))
    assert to_dict(pickle.loads(pickle.dumps(body))) == to_dict(body)
    assert AggregatePredicate(dimension="attendeeId", value=UUID(GUID)).value == GUID


async def test_the_order_of_ids_does_not_matter_to_a_cursor():
    def answered(request: Any) -> Any:
        number = int(request.url.params["pageNumber"])
        return answer(page(str(number), number=number, count=3, total=3, size=1))

    async with Service(answered).client() as client:
        walk = aiter(client.appointments.list(["u", "v"], page_size=1, statuses=["Scheduled", "Completed"]))
        await anext(walk)
        again = client.appointments.list(
            ["v", "u", "v"], page_size=1, statuses=("Completed", "Scheduled"), cursor=walk.cursor
        )
        assert [each.id async for each in again] == ["2", "3"]
        with pytest.raises(ValueError, match="cursor belongs to another list"):
            client.appointments.list(["u", "w"], page_size=1, cursor=walk.cursor)
