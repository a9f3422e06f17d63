"""The hub over the client's own streams, with the sandbox."""

from collections.abc import Iterator

import anyio
import pytest

from coaching_async import AccessToken, CoachingClient, Notification
from coaching_async.fanout import Hub, Subscription
from coaching_async.sandbox import Sandbox
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=8) as sandbox:
        yield sandbox


async def taken(subscription: Subscription, count: int) -> list[str]:
    with anyio.fail_after(HANG):
        found = [await anext(subscription) for _ in range(count)]
    return [item.id for item in found if isinstance(item, Notification)]


async def test_a_watch_serves_several_subscribers(sandbox: Sandbox):
    user_id = sandbox.state.user_ids[0]
    async with (
        CoachingClient(AccessToken(sandbox.user_token(user_id)), region=sandbox.base_url) as client,
        Hub(client.notifications.watch(every=0.05, start="all")) as hub,
    ):
        subscriptions = [hub.subscribe(user_id) for _ in range(3)]
        others = hub.subscribe(sandbox.state.user_ids[1])
        made = {sandbox.notify(user_id)["id"] for _ in range(5)}
        for subscription in subscriptions:
            found: set[str] = set()
            while not made <= found:
                found.update(await taken(subscription, 1))
        hub.close()
        assert [item async for item in others] == []
