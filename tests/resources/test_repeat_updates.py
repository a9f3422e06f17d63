"""`RetryPolicy(repeat_updates=True)`: which writes are sent again after an unknown outcome, and what is raised if none helps."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from coaching_async import AppointmentUpdate, CoachingClient, Conflict, OutcomeUnknown, RetryPolicy, ServerError
from tests.support.creating import body
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

Write = Callable[[CoachingClient], Awaitable[Any]]

REPEATED: dict[str, Write] = {
    "an update": lambda c: c.appointments.update("1", AppointmentUpdate(location="Room 4")),
    "an annotation": lambda c: c.annotations.update("1", "2", "text"),
    "a mark": lambda c: c.notifications.mark_read("1"),
}

NOT_REPEATED: dict[str, Write] = {
    "an update of the status": lambda c: c.appointments.update("1", AppointmentUpdate(status="Completed")),
    "a status": lambda c: c.appointments.set_status("1", "Completed"),
    "a create": lambda c: c.appointments.create(body()),
    "a new annotation": lambda c: c.annotations.create("1", "text", access_type="Public"),
    "a conversation": lambda c: c.appointments.add_conversation("1", "2"),
    "a PATCH of request": lambda c: c.request("PATCH", "/api/v2/users/1", json={"title": "t"}),
}

DONE = answer({"id": "1", "status": "Completed"})
LOST: dict[str, httpx.Response | Exception] = {
    "cut": httpx.ReadError("cut"),
    "no data": httpx.ReadTimeout("no data"),
    "503": answer(None, 503),
    "no HTTP": httpx.RemoteProtocolError("illegal status line"),
}


def client_of(service: Service, *, repeat_updates: bool = True, attempts: int = 4) -> CoachingClient:
    return service.client(retry=RetryPolicy(attempts, repeat_updates=repeat_updates))


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("write", REPEATED)
async def test_an_update_that_sets_values_is_sent_again_unchanged(write: str, lost: str):
    service = Service([LOST[lost], DONE])
    async with client_of(service) as client:
        await REPEATED[write](client)

    first, second = service.requests
    assert (first.method, first.url, first.content) == (second.method, second.url, second.content)


@pytest.mark.parametrize("write", REPEATED)
async def test_no_update_is_sent_again_unless_asked_for(write: str):
    service = Service([httpx.ReadError("cut"), DONE])
    async with client_of(service, repeat_updates=False) as client:
        with pytest.raises(OutcomeUnknown):
            await REPEATED[write](client)

    assert len(service.requests) == 1


@pytest.mark.parametrize("write", NOT_REPEATED)
async def test_no_other_write_is_sent_again(write: str):
    service = Service([httpx.ReadError("cut"), DONE])
    async with client_of(service) as client:
        with pytest.raises(OutcomeUnknown):
            await NOT_REPEATED[write](client)

    assert len(service.requests) == 1


async def test_a_view_can_ask_for_repeats():
    service = Service([httpx.ReadError("cut"), DONE])
    async with service.client() as client:
        await REPEATED["an update"](client.with_options(retry=RetryPolicy(repeat_updates=True)))

    assert len(service.requests) == 2


@pytest.mark.parametrize("last, error", [(httpx.ReadError("cut"), OutcomeUnknown), (answer(None, 503), ServerError)])
async def test_an_update_that_no_repeat_helps_may_have_been_carried_out(last: Any, error: type[Exception]):
    service = Service([httpx.ReadError("cut"), last])
    async with client_of(service, attempts=2) as client:
        with pytest.raises(error) as caught:
            await REPEATED["an update"](client)

    assert (caught.value.processed, caught.value.attempts) == ("maybe", 2)  # type: ignore[attr-defined]


async def test_a_repeat_that_is_refused_leaves_open_whether_the_first_was_carried_out():
    service = Service([httpx.ReadError("cut"), answer(None, 409)])
    async with client_of(service) as client:
        with pytest.raises(Conflict) as caught:
            await REPEATED["an update"](client)

    assert caught.value.processed == "maybe"


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_repeat_updates_is_a_boolean(wrong: Any):
    with pytest.raises(TypeError, match="repeat_updates"):
        RetryPolicy(repeat_updates=wrong)
