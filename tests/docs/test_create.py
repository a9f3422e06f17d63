"""The documented procedure after a `create` with an unknown outcome creates nothing twice.

The page shows it as a function, and so does the everyday program: both are held to the same.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from coaching_async import (
    Appointment,
    AppointmentCreate,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    DeadlineExceeded,
    Forbidden,
    OutcomeUnknown,
    RetryPolicy,
    ServerError,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Sandbox
from coaching_async.testing import build, fails, loses_answer, route
from tests.support.deadlines import DEADLINES
from tests.support.fault_server import HANG
from tests.support.markdown import ROOT, blocks
from tests.support.official_sdk.everyday import OURS, program

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

Create: TypeAlias = Callable[[CoachingClient, AppointmentCreate], Awaitable[Appointment]]


def on_the_page() -> Create:
    names: dict[str, Create] = {}
    (block,) = (each for each in blocks(ROOT / "docs" / "errors.md", "python") if "def create_once" in each.text)
    exec(block.text, names)
    return names["create_once"]


@pytest.fixture(params=["page", "everyday"])
def create(request: pytest.FixtureRequest) -> Create:
    return on_the_page() if request.param == "page" else program(OURS / "create.py").create


async def created_by(create: Create, sandbox: Sandbox, timeout: float = 10 * HANG) -> Appointment:
    body = build(AppointmentCreate, attendee_ids=sandbox.state.user_ids[:1])
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    retry = RetryPolicy(attempts=1, max_backoff=0.01)
    async with CoachingClient(auth, base_url=sandbox.base_url, retry=retry) as client:
        await client.warmup()
        return await create(client.with_options(timeout=timeout), body)


def posts(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" and request.path.endswith("/appointments") for request in sandbox.requests)


async def test_an_appointment_created_with_a_lost_response_is_found(create: Create):
    with Sandbox(appointments=5) as sandbox:
        loses_answer(sandbox, "appointments.create")

        created = await created_by(create, sandbox)

        assert created.id in sandbox.state.appointments
        assert posts(sandbox) == 1


async def test_a_503_is_raised_if_nothing_is_found(create: Create):
    with Sandbox(appointments=5) as sandbox:
        fails(sandbox, "appointments.create", 503)

        with pytest.raises(ServerError) as told:
            await created_by(create, sandbox)

        assert told.value.processed == "maybe"
        assert posts(sandbox) == 1


async def test_an_accepted_appointment_that_does_not_exist_yet_is_not_created_again(create: Create):
    for seconds in DEADLINES:
        with Sandbox(appointments=5) as sandbox:
            sandbox.faults.add(Fault("accepted", *route("appointments.create"), delay=3600))

            with pytest.raises((OutcomeUnknown, DeadlineExceeded)) as told:
                await created_by(create, sandbox, timeout=seconds)

        assert posts(sandbox) <= 1
        if isinstance(told.value, OutcomeUnknown) and told.value.reference is not None:
            break
    assert isinstance(told.value, OutcomeUnknown)
    assert told.value.reference is not None
    assert posts(sandbox) == 1


async def test_an_error_of_the_search_does_not_replace_that_of_the_create(create: Create):
    """Its `processed` would be "no", because a search changes nothing."""
    with Sandbox(appointments=5) as sandbox:
        loses_answer(sandbox, "appointments.create")
        fails(sandbox, "appointments.list", 403)

        with pytest.raises(CoachingError) as told:
            await created_by(create, sandbox)

        assert (told.value.operation, told.value.processed) == ("appointments.create", "maybe")
        assert posts(sandbox) == 1


async def test_an_appointment_that_was_certainly_not_created_is_not_searched_for(create: Create):
    with Sandbox(appointments=5) as sandbox:
        fails(sandbox, "appointments.create", 403)

        with pytest.raises(Forbidden):
            await created_by(create, sandbox)

        assert not any(request.method == "GET" for request in sandbox.requests)
