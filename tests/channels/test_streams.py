"""Streams of notifications and events against the sandbox."""

from collections.abc import AsyncIterator

import anyio
import pytest

from coaching_async import AccessToken, CoachingClient
from coaching_async.sandbox import Sandbox
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left")]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    with Sandbox(appointments=8, users=4) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[CoachingClient]:
    async with CoachingClient(
        AccessToken(sandbox.user_token(sandbox.state.user_ids[0])), base_url=sandbox.base_url
    ) as client:
        yield client


async def test_a_notification_comes_as_it_happens_and_after_a_lost_connection(sandbox: Sandbox, client: CoachingClient):
    me = sandbox.state.user_ids[0]
    with anyio.fail_after(HANG):
        async with client.notifications.listen() as stream:
            first = sandbox.notify(me)["id"]
            assert (await anext(stream)).id == first
            sandbox.sockets.drop()
            second = sandbox.notify(me)["id"]
            assert (await anext(stream)).id == second
            assert stream.report.channels == 1
    assert len(sandbox.sockets) == 0
