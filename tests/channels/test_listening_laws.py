"""What a listener promises, one case each, against the sandbox. The times of its state machine are a tenth."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import anyio
import pytest

from coaching_async import (
    AuthError,
    ChannelEvent,
    ChannelLost,
    ChannelMoved,
    Event,
    FramesDropped,
    Gap,
    GapFilled,
    Notification,
    NotificationStream,
    RefreshToken,
    RequestFailed,
    TopicStream,
    Unauthorized,
)
from coaching_async._channels.machine import catch_ups, slots, sockets, state_machine
from coaching_async._events import CallFinished
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from tests.support.chaos import PATIENCE, client_of
from tests.support.effort import combinations
from tests.support.fast_machine import hurry

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

BACKENDS = ["asyncio", "trio"]

E = TypeVar("E", bound=Event)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    hurry(monkeypatch, 10.0)
    async with Sandbox(appointments=20, users=3, heartbeat=0.3) as sandbox:
        yield sandbox


def notify(sandbox: Sandbox) -> str:
    """Make a notification of the user of `client_of`, and return its id."""
    id_: str = sandbox.notify(sandbox.state.user_ids[0])["id"]
    return id_


def topic(sandbox: Sandbox) -> str:
    return f"v2.users.{sandbox.state.user_ids[0]}.wem.coaching.notification"


def of(kind: type[E], events: list[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


async def happened(kind: type[E], events: list[Event], count: int = 1) -> E:
    """Wait for an event of the client, and return it."""
    with anyio.fail_after(PATIENCE):
        while len(found := of(kind, events)) < count:  # noqa: ASYNC110 - events are given to a function
            await anyio.sleep(0.002)
    return found[count - 1]


async def ids(stream: NotificationStream | TopicStream, count: int) -> list[str]:
    """Return the ids of the next notifications."""
    with anyio.fail_after(PATIENCE):
        return [_id(await anext(stream)) for _ in range(count)]


def _id(item: Notification | ChannelEvent[Any] | Gap) -> str:
    body = item.event_body if isinstance(item, ChannelEvent) else item
    return body.id if isinstance(body, Notification) else f"{body!r}"


class Tokens:
    """A source of tokens of the user of `client_of`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.change()

    def change(self) -> None:
        """Have another token from now on. The previous one is valid for a day, too."""
        self._token = self._sandbox.user_token(self._sandbox.state.user_ids[0])

    async def token(self, rejected: str | None = None) -> str:
        assert rejected is None
        return self._token


@pytest.fixture
def no_routine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither audits nor polls, which find later what was forgotten."""
    monkeypatch.setattr(state_machine, "AUDIT_INTERVAL", 1e9)
    monkeypatch.setattr(state_machine, "POLL_INTERVAL", 1e9)


@pytest.mark.usefixtures("no_routine")
@pytest.mark.parametrize(
    ("anyio_backend", "operation"),
    combinations(BACKENDS, ["users.me", "notifications.list", "topics.create_channel", "topics.subscribe"]),
    indirect=["anyio_backend"],
)
async def test_what_is_made_while_the_block_is_entered_comes_once(sandbox: Sandbox, operation: str):
    made: list[str] = []

    def make(event: Event) -> None:
        if isinstance(event, CallFinished) and event.operation == operation and not made:
            made.append(notify(sandbox))

    async with client_of(sandbox, make) as client, client.notifications.listen() as stream:
        last = notify(sandbox)
        received = await ids(stream, 1)
        if received != [last]:
            received += await ids(stream, 1)

    # What was made before the list was read for the first time is not new.
    assert received in ([last], [*made, last]) if operation == "users.me" else received == [*made, last]


@pytest.mark.usefixtures("no_routine")
async def test_a_notification_whose_event_is_late_comes_once(sandbox: Sandbox):
    events: list[Event] = []
    async with client_of(sandbox, events.append) as client, client.notifications.listen() as stream:
        sandbox.sockets.mute()
        late = notify(sandbox)
        sandbox.sockets.garble()  # the catch-up after it finds the notification
        received = await ids(stream, 1)
        frame = {"id": late, "actionType": "Update"}
        sandbox.sockets.say(_event(topic(sandbox), frame))
        sandbox.sockets.say(_event(topic(sandbox), {**frame, "id": "the next one"}))
        received += await ids(stream, 1)
        report = stream.report

    assert received == [late, "the next one"]
    assert (report.filled, report.duplicates) == (1, 1)


@pytest.mark.usefixtures("no_routine")
@pytest.mark.parametrize(
    ("anyio_backend", "end"),
    combinations(BACKENDS, ["drop", "close", "freeze", "evict", "too large"]),
    indirect=["anyio_backend"],
)
async def test_what_is_made_while_no_socket_is_open_comes_when_one_is_open_again(
    sandbox: Sandbox, end: str, monkeypatch: pytest.MonkeyPatch
):
    if end == "freeze":
        monkeypatch.setattr(slots, "PING_AFTER", 5.0)
        monkeypatch.setattr(slots, "DEAD_AFTER", 1.0)
    events: list[Event] = []
    async with client_of(sandbox, events.append) as client, client.notifications.listen() as stream:
        sandbox.sockets.refuse_handshakes(503)
        if end == "too large":
            sandbox.sockets.say("x" * 2_000_000)
        else:
            getattr(sandbox.sockets, end)()
        made = [notify(sandbox)] if end == "freeze" else []
        lost = await happened(ChannelLost, events)
        made += [notify(sandbox), notify(sandbox)]
        received = await ids(stream, len(made))

        assert received == made
        reasons = {"freeze": "silent", "drop": "lost", "close": "closed", "evict": "channel taken"}
        assert lost.reason == reasons.get(end, end)
        assert [filled.reason for filled in of(GapFilled, events) if filled.found] == ["opened"]
        assert stream.report.gaps == 1 or end == "freeze"
        assert len(sandbox.sockets) == 1


@pytest.mark.usefixtures("no_routine")
@pytest.mark.parametrize(
    ("anyio_backend", "reason"), combinations(BACKENDS, ["closing", "rotation", "token"]), indirect=["anyio_backend"]
)
async def test_a_planned_change_of_the_socket_loses_nothing_and_repeats_nothing(
    sandbox: Sandbox, reason: str, monkeypatch: pytest.MonkeyPatch
):
    events: list[Event] = []
    made: list[str] = []
    monkeypatch.setattr(sockets, "CLOSING_SPREAD", 1.0)
    monkeypatch.setattr(state_machine, "TOKEN_INTERVAL", 1.0)
    if reason == "rotation":
        monkeypatch.setattr(slots, "ROTATION", (1e-6, 1e-6))  # of ten days
    tokens = Tokens(sandbox)
    async with client_of(sandbox, events.append, tokens) as client, client.topics.subscribe(topic(sandbox)) as stream:

        async def make() -> None:
            while not of(ChannelMoved, events):
                made.append(notify(sandbox))
                await anyio.sleep(0.01)
            for _ in range(20):
                made.append(notify(sandbox))
                await anyio.sleep(0.005)

        if reason == "closing":
            sandbox.sockets.say_closing(60.0)
        if reason == "token":
            tokens.change()
        received: list[str] = []
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(make)
                while not of(ChannelMoved, events):
                    received += await ids(stream, 1)
        received += await ids(stream, len(made) - len(received))

    assert received == made
    assert of(ChannelMoved, events)[0].reason == reason


async def test_a_socket_that_brings_no_events_is_found_and_replaced(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_machine, "AUDIT_INTERVAL", 5.0)
    monkeypatch.setattr(catch_ups, "DEAF_AFTER", 1.0)
    events: list[Event] = []
    async with client_of(sandbox, events.append) as client, client.notifications.listen() as stream:
        (deaf,) = sandbox.sockets
        deaf.mute()
        made = notify(sandbox)

        assert await ids(stream, 1) == [made]
        assert (await happened(ChannelMoved, events)).reason == "deaf"
        assert sandbox.sockets[-1] != deaf
        made = notify(sandbox)
        assert await ids(stream, 1) == [made]


@pytest.mark.usefixtures("no_routine")
async def test_a_reader_that_stands_still_gets_everything_and_the_buffer_stays_bounded(sandbox: Sandbox):
    events: list[Event] = []
    async with client_of(sandbox, events.append) as client, client.notifications.listen(buffer=50) as stream:
        made = [notify(sandbox) for _ in range(200)]
        with anyio.fail_after(PATIENCE):
            while stream.report.frames < 200:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.002)
        assert len(stream._buffer) == 50
        received: list[str] = []
        while len(received) < 200:
            received += await ids(stream, 1)
            assert len(stream._buffer) <= 50
        last = notify(sandbox)
        assert await ids(stream, 1) == [last]

    assert sorted(received) == sorted(made)
    assert of(FramesDropped, events)[0].count == 150


async def test_a_revoked_token_is_replaced(sandbox: Sandbox):
    events: list[Event] = []
    auth = RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)
    async with client_of(sandbox, events.append, auth) as client, client.notifications.listen() as stream:
        for times in range(1, 4):
            sandbox.oauth.revoke_all()
            lost = await happened(ChannelLost, events, times)
            made = notify(sandbox)
            assert await ids(stream, 1) == [made]
            assert lost.reason == "token revoked"


async def test_a_revoked_token_that_cannot_be_replaced_is_the_readers_error(sandbox: Sandbox):
    async with client_of(sandbox) as client, client.notifications.listen() as stream:
        sandbox.oauth.revoke_all()
        with pytest.raises((Unauthorized, AuthError)):
            await ids(stream, 1)
        assert stream.state == "ended"
        assert len(sandbox.sockets) == 0


async def test_a_service_that_is_down_for_long_is_polled_and_found_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(state_machine, "POLL_INTERVAL", 2.0)
    events: list[Event] = []
    async with client_of(sandbox, events.append) as client, client.notifications.listen() as stream:
        sandbox.faults.add(Fault("status", path="/api/v2/notifications/channels", status=503, times=30))
        sandbox.sockets.drop()
        made = notify(sandbox)

        assert await ids(stream, 1) == [made]
        assert [filled.reason for filled in of(GapFilled, events) if filled.found] == ["poll"]
        sandbox.faults.clear()
        with anyio.fail_after(PATIENCE):
            while stream.state != "live":  # noqa: ASYNC110 - as above
                await anyio.sleep(0.002)


@pytest.mark.parametrize("broken", ["/api/v2/notifications/channels", "/coaching/notifications"])
async def test_a_block_that_was_entered_while_the_buffer_was_full_waits_failures_out(sandbox: Sandbox, broken: str):
    """The reader cannot take anything before the block is entered, so the first catch-up has not ended then."""
    made = {notify(sandbox) for _ in range(120)}
    events: list[Event] = []
    async with (
        client_of(sandbox, events.append) as client,
        client.notifications.listen(start="all", buffer=5) as stream,
    ):
        sandbox.faults.add(Fault("drop_before", path=broken, times=30))
        sandbox.sockets.drop()
        await happened(ChannelLost, events)
        received: list[str] = []
        while len(of(RequestFailed, events)) < 5:
            received += await ids(stream, 1) if len(received) < 100 else []
            await anyio.sleep(0.005)
        sandbox.faults.clear()
        made.add(notify(sandbox))
        while not made <= set(received):
            received += await ids(stream, 1)

    assert len(set(received)) == len(received)


async def test_the_gap_in_a_stream_of_topics_stands_where_it_was(sandbox: Sandbox):
    async with client_of(sandbox) as client, client.topics.subscribe(topic(sandbox)) as stream:
        before = notify(sandbox)
        assert await ids(stream, 1) == [before]
        sandbox.sockets.drop()
        notify(sandbox)
        with anyio.fail_after(PATIENCE):
            gap = await anext(stream)
        after = notify(sandbox)

        assert isinstance(gap, Gap)
        assert (gap.reason, gap.is_filled) == ("lost", False)
        assert await ids(stream, 1) == [after]


def _event(name: str, body: dict[str, Any]) -> str:
    import json

    return json.dumps({"topicName": name, "version": "2", "eventBody": body, "metadata": {"CorrelationId": "c"}})
