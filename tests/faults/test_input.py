"""Rows 93 and 94: invalid arguments are refused before a socket opens, unusual ones arrive unchanged."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import AppointmentCreate, AppointmentUpdate, CoachingClient, CoachingError, Interval, NotFound
from tests.faults.support import NEW, Source, client_to
from tests.support.doubles import Service, answer, refusal
from tests.support.effort import examples
from tests.support.fault_server import FaultServer, answering

pytestmark = pytest.mark.anyio

ROOT = "/api/v2/coaching"
A = "{}"

TEMPLATES: dict[str, tuple[str, Callable[[CoachingClient, str], Awaitable[Any]]]] = {
    "get": (f"/appointments/{A}", lambda c, x: c.appointments.get(x)),
    "update": (f"/appointments/{A}", lambda c, x: c.appointments.update(x, AppointmentUpdate(name="n"))),
    "delete": (f"/appointments/{A}", lambda c, x: c.appointments.delete(x)),
    "set_status": (f"/appointments/{A}/status", lambda c, x: c.appointments.set_status(x, "Completed")),
    "list_statuses": (f"/appointments/{A}/statuses", lambda c, x: first(c.appointments.list_statuses(x))),
    "add_conversation": (f"/appointments/{A}/conversations", lambda c, x: c.appointments.add_conversation(x, "c")),
    "annotations.list": (f"/appointments/{A}/annotations", lambda c, x: first(c.annotations.list(x))),
    "annotations.get": (f"/appointments/{A}/annotations/1", lambda c, x: c.annotations.get(x, "1")),
    "annotations.get, the second": (f"/appointments/1/annotations/{A}", lambda c, x: c.annotations.get("1", x)),
    "annotations.create": (
        f"/appointments/{A}/annotations",
        lambda c, x: c.annotations.create(x, "t", access_type="Public"),
    ),
    "annotations.update": (f"/appointments/1/annotations/{A}", lambda c, x: c.annotations.update("1", x, "t")),
    "annotations.delete": (f"/appointments/1/annotations/{A}", lambda c, x: c.annotations.delete("1", x)),
    "notifications.get": (f"/notifications/{A}", lambda c, x: c.notifications.get(x)),
    "notifications.mark_read": (f"/notifications/{A}", lambda c, x: c.notifications.mark_read(x)),
    "schedule_slots.get_job": (f"/scheduleslots/jobs/{A}", lambda c, x: c.schedule_slots.get_job(x)),
}


async def first(listing: Any) -> Any:
    return await anext(aiter(listing))


@asynccontextmanager
async def service_of() -> AsyncIterator[tuple[Service, CoachingClient]]:
    """Yield a service in memory that responds 404 to everything, and its client."""
    service = Service(lambda _: answer(status=404))
    async with service.client(Source()) as client:
        yield service, client
    await service.http.aclose()


def is_of(target: bytes, template: str, text: str) -> None:
    """Assert that a request target has exactly the template's path segments, with the id as one of them."""
    path, question, query = target.partition(b"?")
    assert not question or query.startswith(b"pageSize="), target
    expected = (ROOT + template).encode().split(b"/")
    sent = path.split(b"/")
    assert len(sent) == len(expected), target
    for ours, theirs in zip(expected, sent, strict=True):
        if ours == A.encode():
            assert unquote_to_bytes(theirs) == text.encode(), target
            assert theirs not in {b"", b".", b".."}, target
            assert not set(theirs) & set(b"\r\n\0 #?/\\"), target
            assert theirs.isascii(), target
        else:
            assert theirs == ours, target


async def asked(client: CoachingClient, service: Service, operation: str, text: Any) -> None:
    template, call = TEMPLATES[operation]
    before = len(service.requests)
    if await was_refused(call, client, text):
        assert len(service.requests) == before, "a request was sent"
        return
    assert len(service.requests) == before + 1
    request = service.requests[-1]
    assert request.url.host == "api.test"
    is_of(request.url.raw_path, template, text)


async def was_refused(call: Callable[[CoachingClient, Any], Awaitable[Any]], client: CoachingClient, text: Any) -> bool:
    """Return whether a call was refused for its arguments. If not, it gets a 404."""
    with pytest.raises((ValueError, TypeError, NotFound)) as caught:
        await call(client, text)
    refused = not isinstance(caught.value, NotFound)
    assert not (refused and isinstance(caught.value, CoachingError))
    return refused


ODD = [
    "",
    ".",
    "..",
    "../../users",
    "../..",
    "./",
    "/",
    "//evil.test/x",
    "a/b",
    "a\\b",
    "..\\..",
    "a?x=1",
    "?",
    "a#b",
    "#",
    "a b",
    " ",
    "\t",
    "a\r\nHost: evil.test",
    "\r\n\r\n",
    "\0",
    "a\0b",
    "%2e%2e",
    "%2F",
    "%",
    "%00",
    "a;b",
    "a@evil.test",
    "http://evil.test/",
    ":",
    "é",
    "😀",
    "\u202e",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "\ud800",
    "a\udcffb",
    "{}",
    "x" * 10_000,
    "é" * 9_000,
    "x" * 70_000,
]


def shown(text: Any) -> str:
    return ascii(text)[:24]


@pytest.mark.parametrize("operation", TEMPLATES)
async def test_row_93_an_unusual_id_is_refused_or_one_path_segment(operation: str):
    for odd in ODD:  # no parameter, because a thousand tests take longer than what they test
        async with service_of() as (service, client):
            await asked(client, service, operation, odd)


INVALID: list[Any] = ["", ".", "..", "\ud800", "x" * 70_000, None, 5, b"a", ["a"], True, object()]


@pytest.mark.parametrize("operation", TEMPLATES)
async def test_row_93_an_invalid_id_is_refused_before_anything_is_sent(operation: str):
    for invalid in INVALID:
        async with service_of() as (service, client):
            with pytest.raises((ValueError, TypeError)) as caught:
                await TEMPLATES[operation][1](client, invalid)
            assert not isinstance(caught.value, CoachingError)
            assert service.requests == []


likely = st.lists(
    st.sampled_from([".", "..", "/", "\\", "?", "#", "%", "%2e", "%2f", ";", "@", ":", "\r\n", "\0", "a", " "])
)
texts = st.one_of(
    st.text(),
    likely.map("".join),
    st.text(st.characters(categories=["Cs", "Cc", "Zs", "Po"])),
    st.text("./%2eEfF\\", min_size=1),
)


@settings(deadline=None, max_examples=examples(150))
@given(operation=st.sampled_from(list(TEMPLATES)), text=texts)
@example(operation="delete", text="..")
@example(operation="delete", text="../../users")
async def test_row_93_any_text_is_refused_or_one_path_segment(operation: str, text: str):
    async with service_of() as (service, client):
        await asked(client, service, operation, text)


@pytest.mark.real_time
@pytest.mark.parametrize("operation", ["get", "delete", "annotations.get, the second", "notifications.mark_read"])
async def test_row_93_over_a_socket_an_unusual_id_is_one_path_segment(operation: str):
    template, call = TEMPLATES[operation]
    sent = 0

    def behave(conversation: Any) -> None:
        while conversation.request() is not None:
            answering(refusal(404), 404)(conversation)

    with FaultServer(behave) as server:
        async with client_to(server.url) as client:
            for odd in ODD:
                if not await was_refused(call, client, odd):
                    sent += 1
                    received = server.requests[-1]
                    is_of(received.target.encode("latin-1"), template, odd)
                    assert received.headers["host"] == server.url.removeprefix("http://")
                assert len(server.requests) == sent
    assert sent > len(ODD) / 2


@pytest.mark.real_time
async def test_row_93_no_id_can_smuggle_a_request():
    smuggled = "x HTTP/1.1\r\nHost: evil.test\r\n\r\nDELETE /api/v2/users/me"
    with FaultServer(lambda each: answering(refusal(404), 404)(each) if each.request() else None) as server:
        async with client_to(server.url) as client:
            with pytest.raises(NotFound):
                await client.appointments.delete(smuggled)
        assert [request.target for request in server.requests] == [f"{ROOT}/appointments/{quote(smuggled, safe='')}"]


# Row 94

NAIVE = datetime(2026, 11, 20)  # noqa: DTZ001
AWARE = datetime(2026, 11, 20, tzinfo=UTC)
DAY = Interval(AWARE, AWARE + timedelta(days=1))
NAN = float("nan")


def new(**changes: Any) -> AppointmentCreate:
    given = {"name": "n", "description": "d", "date_start": AWARE, "length_in_minutes": 30, "attendee_ids": ["u"]}
    return AppointmentCreate(**given | changes)


def slots(client: CoachingClient, **changes: Any) -> Awaitable[Any]:
    return client.schedule_slots.query(**{"interval": DAY, "length_in_minutes": 30, "attendee_ids": "u"} | changes)


BAD: dict[str, Callable[[CoachingClient], Any]] = {
    "no users": lambda c: first(c.appointments.list([])),
    "a comma": lambda c: first(c.appointments.list(["a,b"])),
    "a comma among others": lambda c: first(c.appointments.list(["a", "b,c"])),
    "a comma alone": lambda c: first(c.appointments.list(",")),
    "None for a user": lambda c: first(c.appointments.list([None])),  # type: ignore[list-item]
    "a number for a user": lambda c: first(c.appointments.list([5])),  # type: ignore[list-item]
    "an empty user": lambda c: first(c.appointments.list([""])),
    "None for users": lambda c: first(c.appointments.list(None)),  # type: ignore[arg-type]
    "half a surrogate pair": lambda c: first(c.appointments.list(["\ud800"])),
    "no facilitators": lambda c: first(c.appointments.list("u", facilitator_ids=[])),
    "a comma in a facilitator": lambda c: first(c.appointments.list("u", facilitator_ids=["a,b"])),
    "no statuses": lambda c: first(c.appointments.list("u", statuses=[])),
    "None for a status": lambda c: first(c.appointments.list("u", statuses=[None])),  # type: ignore[list-item]
    "a naive start": lambda c: first(c.appointments.list("u", interval=(NAIVE, AWARE))),
    "a naive end": lambda c: first(c.appointments.list("u", interval=(AWARE, NAIVE.replace(day=21)))),
    "a naive completion": lambda c: first(c.appointments.list_mine(completion_interval=(NAIVE, AWARE))),
    "a naive date to create": lambda c: c.appointments.create(new(date_start=NAIVE)),
    "a naive date to change": lambda c: c.appointments.update("1", AppointmentUpdate(date_start=NAIVE)),
    "a naive date to count": lambda c: c.appointments.aggregate(interval=(NAIVE, AWARE)),
    "a naive date for slots": lambda c: slots(c, interval=(NAIVE, AWARE)),
    "a naive since": lambda c: c.appointments.find_created(NEW, since=NAIVE),
    "a text for a date": lambda c: c.appointments.create(new(date_start="2026-11-20T00:00:00Z")),
    "a date beyond UTC": lambda c: c.appointments.create(
        new(date_start=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))
    ),
    "NaN minutes": lambda c: c.appointments.create(new(length_in_minutes=NAN)),
    "endless minutes": lambda c: c.appointments.create(new(length_in_minutes=float("inf"))),
    "NaN minutes to change": lambda c: c.appointments.update("1", AppointmentUpdate(length_in_minutes=NAN)),  # type: ignore[arg-type]
    "NaN minutes for slots": lambda c: slots(c, length_in_minutes=NAN),
    "NaN in another request": lambda c: c.request("POST", "/api/v2/x", json={"a": [NAN]}),
    "NaN for a page": lambda c: first(c.appointments.list("u", page_size=NAN)),  # type: ignore[arg-type]
    "a comma in another request": lambda c: c.request("GET", "/api/v2/x", query={"id": ["a,b"]}),
    "None in another request": lambda c: c.request("GET", "/api/v2/x", query={"id": [None]}),  # type: ignore[list-item]
    "no attendees": lambda c: slots(c, attendee_ids=[]),
    "None for an attendee": lambda c: slots(c, attendee_ids=[None]),
    "an attendee to create of None": lambda c: c.appointments.create(new(attendee_ids=[None])),
}


@pytest.mark.parametrize("wrong", BAD)
async def test_row_94_an_invalid_argument_is_refused_before_anything_is_sent(wrong: str):
    async with service_of() as (service, client):
        with pytest.raises((ValueError, TypeError)) as caught:
            await BAD[wrong](client)
        assert not isinstance(caught.value, CoachingError)
        assert service.requests == []


@pytest.mark.real_time
async def test_row_94_an_invalid_argument_is_refused_before_a_socket_opens():
    with FaultServer(lambda each: each.pause()) as server:
        async with client_to(server.url) as client:
            for wrong in BAD.values():
                with pytest.raises((ValueError, TypeError)):
                    await wrong(client)
        assert server.accepted == 0


ZONES = st.one_of(
    st.just(UTC),
    st.integers(-(24 * 60 - 1), 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati"]).map(ZoneInfo),
)


def text_of(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}-{utc:%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


@settings(deadline=None, max_examples=examples(80))
@given(
    moment=st.datetimes(datetime(1, 1, 3), datetime(9998, 12, 29), timezones=ZONES)  # noqa: DTZ001 # of the zones
)
@example(moment=datetime(2026, 11, 20, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))))
@example(moment=datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")))
async def test_row_94_a_time_of_any_zone_is_sent_as_exact_utc(moment: datetime):
    end = moment.astimezone(UTC) + timedelta(hours=1)
    async with service_of() as (service, client):
        with pytest.raises(NotFound):
            await client.appointments.create(new(date_start=moment))
        with pytest.raises(NotFound):
            await first(client.appointments.list("u", interval=(moment, end)))

    created, listed = service.requests
    assert f'"dateStart":"{text_of(moment)}"'.encode() in created.content
    assert httpx.QueryParams(listed.url.query)["interval"] == f"{text_of(moment)}/{text_of(end)}"


async def test_row_94_each_item_of_a_list_is_a_query_parameter_of_its_own():
    async with service_of() as (service, client):
        with pytest.raises(NotFound):
            await first(client.appointments.list(["a", "b&c=d", "e f", "g%2Ch", "é"]))

    (request,) = service.requests
    assert request.url.params.get_list("userIds") == ["a", "b&c=d", "e f", "g%2Ch", "é"]
    assert b"%2C" not in request.url.query.replace(b"%252C", b"")
