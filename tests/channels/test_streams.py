"""The surface of streams, against the sandbox: what is refused, what is raised and where, what a stream tells."""

import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from coaching_async import (
    AccessToken,
    BadRequest,
    ChannelClosed,
    ChannelEvent,
    ChannelLost,
    ChannelOpened,
    ChannelTaken,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    ConfigurationError,
    DecodeError,
    Event,
    Forbidden,
    FramesDropped,
    Gap,
    ListenReport,
    RetryPolicy,
    ServerError,
    TransportError,
)
from coaching_async._channels import channels
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from coaching_async.testing import fails
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left", "no_pauses")]

PRESENCE = "v2.users.{}.presence"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    with Sandbox(appointments=8, users=4) as sandbox:
        yield sandbox


@pytest.fixture
def users(sandbox: Sandbox) -> list[str]:
    return list(sandbox.state.user_ids)


@pytest.fixture
def events() -> list[Event]:
    return []


def client_of(sandbox: Sandbox, user: str | None = None, **options: Any) -> CoachingClient:
    auth = AccessToken(sandbox.user_token(user or sandbox.state.user_ids[0]))
    return CoachingClient(auth, base_url=sandbox.base_url, **options)


@pytest.fixture
async def client(sandbox: Sandbox, events: list[Event]) -> AsyncIterator[CoachingClient]:
    with anyio.fail_after(HANG):
        async with client_of(sandbox, on_event=events.append) as client:
            yield client


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true that another thread or task makes true. The fixture of the client reports a hang."""
    while not condition():  # noqa: ASYNC110 # as above
        await anyio.sleep(0.01)


# What comes


async def test_a_notification_comes_as_it_happens_and_after_a_lost_connection(
    sandbox: Sandbox, client: CoachingClient, users: list[str]
):
    async with client.notifications.listen() as stream:
        first = sandbox.notify(users[0])["id"]
        assert (await anext(stream)).id == first
        sandbox.sockets.drop()
        second = sandbox.notify(users[0])["id"]
        assert (await anext(stream)).id == second
        assert stream.report.channels == 1
        assert stream.state == "live"
    assert stream.state == "ended"
    await until(lambda: not sandbox.sockets)


async def test_nothing_that_was_there_before_comes_unless_it_is_asked_for(
    sandbox: Sandbox, client: CoachingClient, users: list[str]
):
    unread, read = (sandbox.notify(users[0])["id"] for _ in range(2))
    await client.notifications.mark_read(read)
    old = {notification.id for notification in await client.notifications.list().collect()}

    async def received(**options: Any) -> list[str]:
        async with client.notifications.listen(**options) as stream:
            last = sandbox.notify(users[0])["id"]
            ids = [(await anext(stream)).id]
            while ids[-1] != last:
                ids.append((await anext(stream)).id)
            return ids

    assert len(await received()) == 1
    assert {read, unread} & set(await received(start="unread")) == {unread}
    assert old <= set(await received(start="all"))


async def test_another_stream_goes_on_after_a_cursor(sandbox: Sandbox, client: CoachingClient, users: list[str]):
    async with client.notifications.listen(buffer=10) as stream:
        ids = [sandbox.notify(users[0])["id"] for _ in range(3)]
        assert (await anext(stream)).id == ids[0]
        await until(lambda: stream.report.frames == 3)
        cursor = stream.cursor
    ids.append(sandbox.notify(users[0])["id"])

    async with client.notifications.listen(cursor=cursor) as stream:
        assert {(await anext(stream)).id for _ in range(3)} == set(ids[1:])
        with pytest.raises(TimeoutError), anyio.fail_after(0.05):
            await anext(stream)

    with pytest.raises(ValueError, match="another user"):
        async with client_of(sandbox, users[1]) as other, other.notifications.listen(cursor=cursor):
            pass


async def test_a_list_that_is_longer_than_the_buffer_does_not_delay_the_block(
    sandbox: Sandbox, client: CoachingClient, users: list[str]
):
    made = {sandbox.notify(users[0])["id"] for _ in range(5)}

    async with client.notifications.listen(start="all", buffer=2) as stream:
        assert stream.cursor is None
        async for notification in stream:
            made.discard(notification.id)
            if not made:
                break


async def test_notifications_of_others_come_with_their_user_and_gaps_are_told(
    sandbox: Sandbox, users: list[str], events: list[Event]
):
    gaps: list[Gap] = []
    token = AccessToken(sandbox.user_token(users[0], ["coaching:notification:view"]))
    with anyio.fail_after(HANG):
        async with (
            CoachingClient(token, base_url=sandbox.base_url, on_event=events.append) as client,
            client.notifications.listen(users[1:3], on_gap=gaps.append) as stream,
        ):
            assert stream.cursor is None
            made = [sandbox.notify(user) for user in users[1:3]]
            got = [await anext(stream) for _ in made]
            assert [(one.id, one.user.id) for one in got if one.user] == [
                (one["id"], user) for one, user in zip(made, users[1:3], strict=True)
            ]
            sandbox.sockets.drop()
            await until(lambda: gaps)
    assert [(gap.reason, gap.is_filled, gap.dropped) for gap in gaps] == [("lost", False, 0)]
    assert [type(event) for event in events if isinstance(event, ChannelOpened | ChannelLost | ChannelClosed)] == [
        ChannelOpened,
        ChannelLost,
        ChannelOpened,
        ChannelClosed,
    ]


async def test_a_gap_of_ones_own_is_told_when_it_is_filled(sandbox: Sandbox, client: CoachingClient, users: list[str]):
    gaps: list[tuple[Gap, int]] = []
    stream = client.notifications.listen(on_gap=None)
    stream.on_gap = lambda gap: gaps.append((gap, stream.report.filled))
    async with stream:
        sandbox.sockets.drop()
        sandbox.notify(users[0])
        await anext(stream)
        await until(lambda: gaps)

    ((gap, filled),) = gaps
    assert (gap.reason, gap.is_filled, filled) == ("lost", True, 1)
    assert 0 <= gap.seconds < HANG


async def test_a_gap_is_told_once_also_if_the_list_cannot_be_read_at_first(sandbox: Sandbox, users: list[str]):
    gaps: list[Gap] = []
    with anyio.fail_after(HANG):
        async with (
            client_of(sandbox, retry=RetryPolicy(attempts=1)) as client,
            client.notifications.listen(on_gap=gaps.append) as stream,
        ):
            fails(sandbox, "notifications.list")
            sandbox.sockets.drop()
            await until(lambda: stream.report.failures)
            assert gaps == []
            await until(lambda: gaps)
    assert [(gap.reason, gap.is_filled) for gap in gaps] == [("lost", True)]


async def test_what_a_slow_reader_of_ones_own_has_no_room_for_comes_later(
    sandbox: Sandbox, client: CoachingClient, users: list[str]
):
    async with client.notifications.listen(buffer=2) as stream:
        made = [sandbox.notify(users[0])["id"] for _ in range(6)]
        await until(lambda: stream.report.frames == 6)
        assert stream.report.dropped == 4
        got = [(await anext(stream)).id for _ in made]
    assert sorted(got) == sorted(made)
    assert got[:2] == made[:2]


async def test_events_of_any_topic_come_as_they_are_and_a_gap_stands_where_it_was(
    sandbox: Sandbox, client: CoachingClient, users: list[str]
):
    topic = PRESENCE.format(users[0])
    async with client.topics.subscribe(topic) as events:
        sandbox.sockets.publish(topic, {"presence": "busy"})
        first = await anext(events)
        assert isinstance(first, ChannelEvent)
        assert (first.topic_name, first.event_body) == (topic, {"presence": "busy"})
        sandbox.sockets.drop()
        gap = await anext(events)
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.is_filled) == ("lost", False)
        sandbox.sockets.publish(topic, {"presence": "away"})
        assert isinstance(await anext(events), ChannelEvent)


async def test_events_that_a_slow_reader_has_no_room_for_are_counted_in_a_gap(
    sandbox: Sandbox, client: CoachingClient, users: list[str], events: list[Event]
):
    topic = PRESENCE.format(users[0])
    async with client.topics.subscribe(topic, buffer=2) as stream:
        for number in range(5):
            sandbox.sockets.publish(topic, {"number": number})
        await until(lambda: stream.report.frames == 5)
        assert [(await anext(stream)).event_body for _ in range(2)] == [{"number": 0}, {"number": 1}]  # type: ignore[union-attr]
        gap = await anext(stream)
        sandbox.sockets.publish(topic, {"number": 5})
        last = await anext(stream)
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.dropped) == ("overflow", 3)
    assert isinstance(last, ChannelEvent)
    assert last.event_body == {"number": 5}
    assert FramesDropped(3) in events
    assert stream.report.dropped == client.stats().dropped == 3


async def test_the_client_counts_what_its_listeners_do(sandbox: Sandbox, client: CoachingClient, users: list[str]):
    async with client.notifications.listen() as stream:
        sandbox.sockets.drop()
        sandbox.notify(users[0])
        await anext(stream)
        stats = client.stats()
        assert (stats.sockets, stats.reconnects, stats.gaps, stats.filled) == (1, 1, 1, 1)
        assert stream.report == ListenReport(filled=1, gaps=1, channels=1, reconnects=1, pages=stream.report.pages)
    assert client.stats().sockets == 0


# What is refused before anything is sent


async def test_without_the_extra_an_error_names_it_before_anything_is_sent(
    sandbox: Sandbox, client: CoachingClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "websockets.client", None)

    with pytest.raises(ConfigurationError, match=r"coaching_async\[live\]"):
        async with client.notifications.listen():
            pass
    assert sandbox.requests == []


async def test_a_stream_is_used_once_inside_its_block_by_one_task_and_not_copied(
    sandbox: Sandbox, client: CoachingClient
):
    stream = client.topics.subscribe(PRESENCE.format("u"))
    with pytest.raises(ClientMisuse, match="inside its block"):
        await anext(stream)
    async with stream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.__anext__)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ClientMisuse, match="two tasks"):
                await anext(stream)
            tasks.cancel_scope.cancel()
        with pytest.raises(ClientMisuse, match="used once"):
            await stream.__aenter__()
    with pytest.raises(ClientMisuse, match="ended with its block"):
        await anext(stream)
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        pickle.dumps(stream)


# Errors


async def test_a_closed_client_ends_the_stream_at_its_next_step(sandbox: Sandbox, client: CoachingClient):
    async with client_of(sandbox) as other, other.notifications.listen() as stream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.aclose)
            with pytest.raises(ClientMisuse, match="closed"):
                await anext(stream)
        with pytest.raises(ClientMisuse, match="closed"):
            await anext(stream)
    with pytest.raises(ClientMisuse, match="closed"):
        async with other.notifications.listen():
            pass


async def test_a_step_in_another_event_loop_is_refused(client: CoachingClient):
    async with client.notifications.listen() as stream:

        def step() -> None:
            with pytest.raises(ClientMisuse, match="another thread"):
                anyio.run(stream.__anext__)

        await anyio.to_thread.run_sync(step)


async def test_an_error_of_the_block_comes_out_as_itself(client: CoachingClient):
    with pytest.raises(KeyError) as caught:
        async with client.notifications.listen():
            raise KeyError("mine")
    assert caught.value.__context__ is None
    with pytest.raises(KeyboardInterrupt):
        async with client.notifications.listen():
            raise KeyboardInterrupt


async def test_an_error_of_on_gap_ends_the_stream_with_it(sandbox: Sandbox, client: CoachingClient):
    def on_gap(gap: Gap) -> None:
        raise LookupError(gap.reason)

    async with client.notifications.listen(on_gap=on_gap) as stream:
        sandbox.sockets.drop()
        with pytest.raises(LookupError, match="lost"):
            await anext(stream)
        assert stream.state == "ended"
        with pytest.raises(ClientMisuse, match="ended with an error"):
            await anext(stream)


async def test_a_client_without_a_user_is_told_to_name_the_users(sandbox: Sandbox, client: CoachingClient):
    async with CoachingClient(ClientCredentials(CLIENT_ID, CLIENT_SECRET), base_url=sandbox.base_url) as machine:
        with pytest.raises(BadRequest, match="name the users") as caught:
            async with machine.notifications.listen():
                pass
        assert caught.value.code == "not.a.user"
        async with machine.notifications.listen(sandbox.state.user_ids[1]) as stream:
            assert stream.cursor is None
        with pytest.raises(ValueError, match="need a list"):
            async with machine.notifications.listen(sandbox.state.user_ids[1], start="all"):
                pass


async def test_refused_topics_are_an_error_that_names_the_permission_unless_the_others_do(
    sandbox: Sandbox, client: CoachingClient, users: list[str]
):
    with pytest.raises(Forbidden, match=r"2 of 3 topics: .*coaching:notification:view.*; partial=True") as caught:
        async with client.notifications.listen(users[:3]):
            pass
    assert caught.value.status == 403
    assert not any(user in str(caught.value) for user in users)

    async with client.notifications.listen(users[:3], partial=True) as stream:
        assert {topic.id.split(".")[2] for topic in stream.rejected} == set(users[1:3])
        made = sandbox.notify(users[0])["id"]
        assert (await anext(stream)).id == made

    for partial in (True, False):  # there is nothing to go on with
        with pytest.raises(Forbidden, match=r"2 of 2 topics: .*coaching:notification:view$"):
            async with client.notifications.listen(users[1:3], partial=partial):
                pass


@pytest.mark.parametrize("operation", ["topics.create_channel", "topics.subscribe", "notifications.list", "users.me"])
async def test_what_fails_while_the_block_is_entered_is_raised_there(sandbox: Sandbox, operation: Any):
    async with client_of(sandbox, retry=RetryPolicy(attempts=1)) as client:
        fails(sandbox, operation)
        with pytest.raises(ServerError):
            async with client.notifications.listen():
                pass


async def test_a_socket_that_cannot_be_opened_is_an_error_of_the_block_after_three_attempts(
    sandbox: Sandbox, client: CoachingClient
):
    sandbox.sockets.refuse_handshakes(503, 503, 503)

    with pytest.raises(TransportError, match="503"):
        async with client.notifications.listen():
            pass


async def test_an_address_of_another_host_is_not_visited(
    sandbox: Sandbox, client: CoachingClient, monkeypatch: pytest.MonkeyPatch
):
    opened: list[str] = []
    real = channels.check_connect_uri

    def elsewhere(uri: str, api_url: str) -> None:
        opened.append(uri)
        real("wss://streaming.example.com/channels/secret-id", api_url)

    monkeypatch.setattr(channels, "check_connect_uri", elsewhere)
    with pytest.raises(DecodeError, match="names another host") as caught:
        async with client.notifications.listen():
            pass
    assert len(opened) == 1
    assert "secret-id" not in str(caught.value)
    assert not [request for request in sandbox.requests if request.path.startswith("/channels")]


async def test_a_channel_that_is_taken_again_and_again_ends_the_stream(
    sandbox: Sandbox, client: CoachingClient, events: list[Event]
):
    async with client.notifications.listen() as stream:
        for _ in range(4):
            await until(lambda: stream.state == "live" and len(sandbox.sockets))
            sandbox.sockets.evict()
        with pytest.raises(ChannelTaken, match="OAuth client of their own"):
            await anext(stream)
    assert [event.reason for event in events if isinstance(event, ChannelLost)] == ["channel taken"] * 3
    assert client.stats().sockets == 0
