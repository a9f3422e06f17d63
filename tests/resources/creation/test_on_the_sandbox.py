"""`create_many` on real sockets: faults of a sandbox double nothing and lose nothing."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import attrs
import pytest

from coaching_async import AppointmentCreate, ClientCredentials, CoachingClient, CreateProgress, RetryPolicy
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Sandbox
from coaching_async.testing import route
from tests.support.creating import days

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

FAULTS = {
    "the connection is cut after the work": Fault("drop_after", *route("appointments.create"), times=3),
    "the response is cut": Fault("half_body", *route("appointments.create"), times=3),
    "the response is no model": Fault("wrong_shape", *route("appointments.create"), times=3),
    "accepted for later": Fault("accepted", *route("appointments.create"), times=3, delay=0.3),
    "throttled": Fault("status", *route("appointments.create"), times=3, status=429, retry_after=0),
    "the token is revoked": Fault("revoke", *route("appointments.create")),
    "the list is throttled": Fault("status", *route("appointments.list"), status=429, retry_after=0),
}


def bodies_for(sandbox: Sandbox) -> Sequence[AppointmentCreate]:
    user = sandbox.state.user_ids[0]
    return [attrs.evolve(body, attendee_ids=user) for body in [*days(4), *days(1)]]


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Sandbox, CoachingClient]]:
    async with Sandbox(appointments=0) as sandbox:
        auth, retry = ClientCredentials(CLIENT_ID, CLIENT_SECRET), RetryPolicy(max_backoff=0.01)
        async with CoachingClient(auth, base_url=sandbox.base_url, retry=retry) as client:
            yield sandbox, client


def names(sandbox: Sandbox) -> Counter[str]:
    return Counter(row["name"] for row in sandbox.state.appointments.values())


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_doubles_nothing_and_loses_nothing(fault: str):
    async with running() as (sandbox, client):
        bodies = bodies_for(sandbox)
        sandbox.faults.add(FAULTS[fault])

        result = await client.appointments.create_many(bodies)

        result.raise_for_failures()
        assert [outcome.status for outcome in result.outcomes] == ["created"] * 5
        assert {outcome.result().id for outcome in result.outcomes} == set(sandbox.state.appointments)
        assert names(sandbox) == Counter(body.name for body in bodies)


async def test_a_run_that_is_cancelled_in_flight_is_finished_by_another():
    async with running() as (sandbox, client):
        bodies, since = bodies_for(sandbox), datetime.now(UTC)
        sandbox.faults.add(Fault("drip", *route("appointments.create"), times=10, after=2, delay=0.05))

        with anyio.CancelScope() as scope:

            def stop(progress: CreateProgress) -> None:
                if progress.done == 2:
                    scope.cancel()

            await client.appointments.create_many(bodies, on_progress=stop)
        sandbox.faults.clear()
        result = await client.appointments.create_many(bodies, since=since)

        assert scope.cancelled_caught
        assert {outcome.status for outcome in result.outcomes} <= {"existing", "created"}
        assert names(sandbox) == Counter(body.name for body in bodies)
