"""Row 99: closing a client ends its calls, also when it is closed twice or closing is cancelled."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from coaching_async import (
    ClientMisuse,
    CoachingClient,
    CoachingError,
    OutcomeUnknown,
)
from tests.faults.cancellation import Use, read, write
from tests.faults.support import ANNOTATION, client_to, eventually, failing
from tests.support.cancelling import (
    Way,
    assert_nothing_is_held,
    every_way,
    skip_where_unknown,
)
from tests.support.fault_server import HANG, Conversation, FaultServer

pytestmark = pytest.mark.anyio

IN_FLIGHT = 20


async def ended(use: Use, client: CoachingClient, told: list[BaseException]) -> None:
    with failing(CoachingError) as caught:
        await use(client)
    told.append(caught.value)


class Stopping:
    """Responds to the first request of each connection once all have arrived, and to no other. Some connections stay idle."""

    IDLE = 5

    def __init__(self) -> None:
        self.accepted = IN_FLIGHT + self.IDLE
        self.stopped = 0

    def __call__(self, conversation: Conversation) -> None:
        conversation.request()
        conversation.server.wait_until(lambda: conversation.server.accepted == self.accepted)
        conversation.answer(ANNOTATION)
        if conversation.request() is not None:
            self.stopped += 1
            conversation.pause()

    async def calls(self, client: CoachingClient, use: Use, tasks: Any, told: list[BaseException]) -> None:
        """Start `IN_FLIGHT` calls that get no response, beside `IDLE` idle connections."""
        async with anyio.create_task_group() as first:
            for _ in range(self.accepted):
                first.start_soon(write, client)
        for _ in range(IN_FLIGHT):
            tasks.start_soon(ended, use, client, told)
        await eventually(lambda: self.stopped == IN_FLIGHT)


def stopping_client(server: FaultServer) -> CoachingClient:
    return client_to(server.url, max_concurrency=IN_FLIGHT + Stopping.IDLE)


@pytest.mark.real_time
@pytest.mark.parametrize("use, kind", [(read, ClientMisuse), (write, OutcomeUnknown)])
async def test_row_99_closing_ends_twenty_calls_in_flight(use: Use, kind: type[CoachingError]):
    told = list[BaseException]()
    stopping = Stopping()
    with FaultServer(stopping) as server:
        client = stopping_client(server)
        async with anyio.create_task_group() as tasks:
            await stopping.calls(client, use, tasks, told)
            with anyio.fail_after(HANG):
                await client.aclose()
                await client.aclose()
        await eventually(lambda: server.open == 0)

        assert [type(each) for each in told] == [kind] * IN_FLIGHT
        assert {each.processed for each in told} == {"no" if use is read else "maybe"}  # type: ignore[attr-defined]
        for again in (read, write):
            with failing(ClientMisuse, match="this client is closed"):
                await again(client)
        assert_nothing_is_held(client, stopping.accepted)
        assert server.accepted == stopping.accepted


@pytest.mark.real_time
async def test_row_99_a_client_can_be_closed_twice_at_the_same_time():
    told = list[BaseException]()
    stopping = Stopping()
    with FaultServer(stopping) as server:
        client = stopping_client(server)
        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as tasks:
                await stopping.calls(client, read, tasks, told)
                tasks.start_soon(client.aclose)
                tasks.start_soon(client.aclose)
            await eventually(lambda: server.open == 0)
    assert len(told) == IN_FLIGHT


@pytest.mark.real_time
@every_way
async def test_row_99_closing_can_be_cancelled_and_repeated(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    told = list[BaseException]()
    stopping = Stopping()
    with FaultServer(stopping) as server:
        client = stopping_client(server)
        async with anyio.create_task_group() as tasks:
            await stopping.calls(client, read, tasks, told)
            with anyio.fail_after(HANG):
                await cancel(client.aclose, anyio.lowlevel.checkpoint)
                await client.aclose()
        await eventually(lambda: server.open == 0)

        assert [type(each) for each in told] == [ClientMisuse] * IN_FLIGHT
        with failing(ClientMisuse, match="this client is closed"):
            await read(client)
        assert_nothing_is_held(client, stopping.accepted)
