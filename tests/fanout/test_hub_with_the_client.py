"""The hub over the client's own streams, with the sandbox."""

from collections.abc import Iterator

import anyio.to_thread
import pytest

from coaching_async import AccessToken, ClientCredentials, ClientMisuse, CoachingClient, Forbidden, Notification
from coaching_async.fanout import Hub, Subscription
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.support.fault_server import HANG, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=8) as sandbox:
        yield sandbox


def own(sandbox: Sandbox) -> CoachingClient:
    return CoachingClient(AccessToken(sandbox.user_token(sandbox.state.user_ids[0])), region=sandbox.base_url)


def of_the_application(sandbox: Sandbox) -> CoachingClient:
    return CoachingClient(ClientCredentials(CLIENT_ID, CLIENT_SECRET), region=sandbox.base_url)


async def taken(subscription: Subscription, count: int) -> list[str]:
    """Return the ids of the next notifications."""
    with anyio.fail_after(HANG):
        found = [await anext(subscription) for _ in range(count)]
    return [item.id if isinstance(item, Notification) else "missed" for item in found]


async def test_a_watch_serves_several_subscribers(sandbox: Sandbox):
    user_id, other_id = sandbox.state.user_ids[:2]
    async with own(sandbox) as client, Hub(client.notifications.watch(every=0.05, start="all")) as hub:
        subscriptions = [hub.subscribe(user_id) for _ in range(3)]
        others = hub.subscribe(other_id)
        made = {sandbox.notify(user_id)["id"] for _ in range(5)}
        for subscription in subscriptions:
            found: set[str] = set()
            while not made <= found:
                found.update(await taken(subscription, 1))
        hub.close()
        assert [item async for item in others] == []


async def test_one_listener_serves_fifty_subscribers_each_with_its_own_user(sandbox: Sandbox):
    users = sandbox.state.user_ids
    async with of_the_application(sandbox) as client, Hub(client.notifications.listen(users)) as hub:
        subscriptions = [(user_id, hub.subscribe(user_id)) for user_id in users for _ in range(6)]
        made = {user_id: [sandbox.notify(user_id)["id"] for _ in range(5)] for user_id in users}
        for user_id, subscription in subscriptions:
            assert await taken(subscription, 5) == made[user_id]
    await anyio.to_thread.run_sync(wait_until, lambda: not sandbox.sockets)


async def test_a_gap_of_the_listener_is_told_to_each_subscriber(sandbox: Sandbox):
    ann, bob = sandbox.state.user_ids[:2]
    told: list[bool] = []
    async with of_the_application(sandbox) as client:
        stream = client.notifications.listen([ann, bob], on_gap=lambda gap: told.append(gap.is_filled))
        async with Hub(stream) as hub:
            anns, bobs = hub.subscribe(ann), hub.subscribe(bob)
            sandbox.sockets.drop()
            assert await taken(anns, 1) == await taken(bobs, 1) == ["missed"]
            assert told == [False]

            made = sandbox.notify(ann)["id"]
            assert await taken(anns, 1) == [made]


async def test_what_the_listener_fills_is_not_missed(sandbox: Sandbox):
    user_id = sandbox.state.user_ids[0]
    async with own(sandbox) as client, Hub(client.notifications.listen()) as hub:
        subscription = hub.subscribe(user_id)
        sandbox.sockets.drop()
        made = [sandbox.notify(user_id)["id"] for _ in range(3)]
        assert sorted(await taken(subscription, 3)) == sorted(made)


async def test_a_topic_that_is_refused_is_raised_at_the_entering(sandbox: Sandbox):
    async with own(sandbox) as client:
        with pytest.raises(Forbidden):
            async with Hub(client.notifications.listen(sandbox.state.user_ids[:3])):
                pytest.fail("entered")
    await anyio.to_thread.run_sync(wait_until, lambda: not sandbox.sockets)


async def test_a_client_that_is_closed_first_ends_the_subscriptions_with_its_error(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
):
    client = of_the_application(sandbox)
    async with Hub(client.notifications.listen(sandbox.state.user_ids[:2])) as hub:
        subscription = hub.subscribe(sandbox.state.user_ids[0])
        await client.aclose()
        with pytest.raises(ClientMisuse), anyio.fail_after(HANG):
            await anext(subscription)
    await anyio.to_thread.run_sync(wait_until, lambda: not sandbox.sockets)


async def test_a_stream_that_was_entered_is_refused(sandbox: Sandbox):
    async with own(sandbox) as client, client.notifications.listen() as stream:
        with pytest.raises(ClientMisuse, match="once"):
            async with Hub(stream):
                pytest.fail("entered")
