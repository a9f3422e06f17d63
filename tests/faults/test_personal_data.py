"""Row 108: no id and no personal data of the service's texts shows in error messages or log records."""

from typing import Any

import anyio
import attrs
import httpx
import pytest

from coaching_async import (
    AppointmentUpdate,
    AuthError,
    CoachingError,
    DecodeError,
    OutcomeUnknown,
    TransportError,
)
from tests.faults.security import NO_RETRIES, raw_answer
from tests.faults.support import (
    NEW,
    chain,
    client_to,
    credentials,
    failing,
)
from tests.support.doubles import Service, answer
from tests.support.fault_server import FaultServer

pytestmark = pytest.mark.anyio

UUID = "3f0c8f0e-6d0b-4a57-9a7e-0d7f6f3f9a11"
MAIL = "jane.doe@example.com"
PERSONAL = (UUID, UUID.upper(), MAIL)
CHATTY = {
    "code": f"not.found.{UUID}",
    "message": f"no user {UUID}, {UUID.upper()} or <{MAIL}> in 'x'",
    "details": [{"errorCode": "e", "fieldName": f"attendeeIds.{UUID}"}],
}


def ours(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("coaching_async"))


def assert_impersonal(text: str) -> None:
    assert not [each for each in PERSONAL if each in text], text


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 409, 413, 429, 500, 503])
async def test_row_108_no_id_shows_in_an_error_message_or_a_log_record(status: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    location = f"https://api.test/users/{UUID}"
    service = Service(lambda _: answer(CHATTY, status, Location=location))
    async with service.client(retry=NO_RETRIES) as client:
        for use in (
            client.appointments.get(UUID),
            client.appointments.delete(UUID),
            client.appointments.create(attrs.evolve(NEW, attendee_ids=[UUID], name=MAIL)),
            client.annotations.update(UUID, UUID, MAIL),
            client.appointments.list([UUID]).first(),
            client.notifications.get(UUID),
            client.request("GET", f"/api/v2/users/{UUID}", query={"email": MAIL}),
        ):
            with failing(CoachingError) as caught:
                await use
            assert str(status) in str(caught.value)
            for each in chain(caught.value):
                assert_impersonal(str(each))
    assert ours(caplog)
    assert_impersonal(ours(caplog))


@pytest.mark.parametrize(
    "body",
    [
        {"id": 5, MAIL: UUID},
        {"id": UUID, "lengthInMinutes": MAIL},
        {"id": UUID, "dateStart": UUID},
        {"id": UUID, "attendees": [{"id": UUID, "name": MAIL}, {"id": [UUID], UUID: MAIL}]},
        [UUID, MAIL],
        MAIL,
        b"<p>%s %s</p>" % (UUID.encode(), MAIL.encode()),
    ],
)
async def test_row_108_no_id_of_an_invalid_response_shows(body: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    async with Service(lambda _: httpx.Response(200, **content)).client() as client:
        for use, kind in (
            (client.appointments.get(UUID), DecodeError),
            (client.appointments.update(UUID, AppointmentUpdate(name=MAIL)), OutcomeUnknown),
        ):
            with failing(kind) as caught:
                await use
            for each in chain(caught.value):
                assert_impersonal(str(each))
    assert_impersonal(ours(caplog))


async def test_row_108_no_id_of_a_left_out_row_shows(caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    odd = [{"id": UUID, "name": [MAIL]}, {"id": UUID, "attendees": [{"id": [UUID], UUID: MAIL}]}, MAIL, {UUID: MAIL}]
    events: list[object] = []
    service = Service(lambda _: httpx.Response(200, json={"entities": odd}))
    async with service.client(on_event=events.append) as client:
        walk = aiter(client.appointments.list(UUID))
        assert [item async for item in walk] == []

    assert walk.report.rows_left_out == 3  # the second one has the id of the first
    assert_impersonal(str([row.reason for row in walk.report.left_out]))
    assert_impersonal(str(events))
    assert "left out 4 of the 4 rows" in ours(caplog)
    assert_impersonal(ours(caplog))


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
async def test_row_108_no_id_shows_if_there_is_no_response(error: Exception, caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    async with Service([error]).client(retry=NO_RETRIES) as client:
        for use in (client.appointments.get(UUID), client.annotations.update(UUID, UUID, MAIL)):
            with failing(TransportError) as caught:
                await use
            for each in chain(caught.value):
                assert_impersonal(str(each))
    assert_impersonal(ours(caplog))


async def test_row_108_no_id_of_a_cancelled_write_shows(caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)

    async def never(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with Service(never).client() as client:  # type: ignore[arg-type]
        with anyio.move_on_after(1):
            await client.annotations.update(UUID, UUID, MAIL)
    assert "cancelled in flight" in ours(caplog)
    assert_impersonal(ours(caplog))


async def test_row_108_no_id_of_the_token_endpoints_description_shows():
    refusal = {"error": "invalid_request", "error_description": f"client {UUID} of {MAIL} is unknown"}
    async with Service(lambda _: answer(refusal, 400)).client(credentials()) as client:
        with failing(AuthError) as caught:
            await client.appointments.get("1")
    assert_impersonal(str(caught.value))


@pytest.mark.real_time
async def test_row_108_no_id_in_invalid_http_shows():
    with FaultServer(raw_answer(f"no user {UUID} <{MAIL}>\r\n\r\n".encode())) as server:
        async with client_to(server.url, retry=NO_RETRIES) as client:
            with failing(TransportError) as caught:
                await client.appointments.get("1")
    for each in chain(caught.value):
        assert_impersonal(str(each))
