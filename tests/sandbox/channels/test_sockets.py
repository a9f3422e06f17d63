"""The WebSocket of a channel: frames, heartbeats, its end, and orders to it."""

from __future__ import annotations

import contextlib
import json
import math
import socket as socket_module
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from coaching_async.sandbox import Fault, Sandbox
from tests.sandbox.api import APPOINTMENTS, MINIMAL, NOTIFICATIONS, Api, token_of
from tests.sandbox.channels.listening import (
    CHANNELS,
    HEARTBEAT,
    channel_of,
    close_code,
    coaching,
    opened,
    received,
    subscriptions,
    told,
)
from tests.support.fault_server import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection


# frames


def test_whatever_makes_a_notification_sends_its_frame(sandbox: Sandbox, api: Api, me: str):
    with opened(channel_of(api, coaching(me))) as socket:
        created = api.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [me]}).json()
        one = f"{APPOINTMENTS}/{created['id']}"
        api.patch(one, json={"name": "x", "status": "InProgress"})
        api.post(f"{one}/annotations", json={"text": "t", "accessType": "Public"})
        api.delete(one)
        sandbox.notify(me, "Update")
        frames = [received(socket) for _ in range(6)]
    actions = ["Create", "Update", "StatusChange", "AnnotationAdded", "Delete", "Update"]
    assert [frame["eventBody"]["actionType"] for frame in frames] == actions
    rows = list(sandbox.state.notifications.values())[-6:]
    for frame, row in zip(frames, [each for each in rows if each["user"]["id"] == me], strict=False):
        assert frame.keys() == {"topicName", "version", "eventBody", "metadata"}
        assert frame["topicName"] == coaching(me)
        kept = {name: value for name, value in row.items() if name not in {"user", "selfUri"}}
        assert frame["eventBody"] == kept | {"appointment": {"id": row["appointment"]["id"]}}


def test_marking_sends_a_frame_with_the_same_id(sandbox: Sandbox, mine: Api, me: str):
    with opened(channel_of(mine, coaching(me))) as socket:
        row = sandbox.notify(me)
        mine.patch(f"{NOTIFICATIONS}/{row['id']}", json={"markedAsRead": True})
        first, second = received(socket)["eventBody"], received(socket)["eventBody"]
    assert (first["id"], first["markedAsRead"]) == (row["id"], False)
    assert (second["id"], second["markedAsRead"]) == (row["id"], True)


def test_a_job_is_told_when_it_has_changed(api: Api):
    body = {"attendeeIds": ["u"], "lengthInMinutes": 30, "activityCodeId": "5", "slotsType": "BestTime"}
    body["intervals"] = ["2026-12-01T00:00:00.000Z/2026-12-02T00:00:00.000Z"]
    job = api.post("/api/v2/coaching/scheduleslots/jobs", json=body).json()
    with opened(channel_of(api, f"v2.coaching.scheduleslots.jobs.{job['id']}")) as socket:
        seen = [api.get(job["selfUri"]).json() for _ in range(3)]
        frame = received(socket)
        assert frame["eventBody"] == {name: value for name, value in seen[1].items() if name != "selfUri"}
        socket.send('{"message":"ping"}')
        assert received(socket)["eventBody"] == {"message": "pong"}  # and no second event


def test_a_channel_hears_its_topics_only(sandbox: Sandbox, api: Api, me: str):
    other = sandbox.state.user_ids[1]
    channel = channel_of(api, coaching(me))
    with opened(channel) as socket:
        sandbox.notify(other)
        first = sandbox.notify(me)
        api.put(subscriptions(channel), json=[{"id": coaching(other)}])
        sandbox.notify(me)
        second = sandbox.notify(other)
        api.delete(subscriptions(channel))
        sandbox.notify(other)
        api.post(subscriptions(channel), json=[{"id": coaching(me)}])
        third = sandbox.notify(me)
        assert [told(socket) for _ in range(3)] == [first["id"], second["id"], third["id"]]


def test_frames_come_in_the_order_of_the_list_whatever_thread_makes_them(
    sandbox: Sandbox, mine: Api, api: Api, me: str
):
    known = len(sandbox.state.notifications_of(me))

    def make() -> None:
        for _ in range(50):
            sandbox.notify(me)

    with opened(channel_of(mine, coaching(me))) as socket:
        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            api.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [me]})
        for thread in threads:
            thread.join()
        heard = [told(socket) for _ in range(220)]
    assert heard == [row["id"] for row in sandbox.state.notifications_of(me)[known:]]


def test_what_happens_after_the_handshake_is_sent(sandbox: Sandbox, api: Api, me: str):
    channel = channel_of(api, coaching(me))
    for _ in range(50):
        with opened(channel) as socket:
            assert sandbox.notify(me)["id"] == told(socket)


def test_what_happens_without_a_socket_is_lost_and_counted(sandbox: Sandbox, api: Api, me: str):
    sandbox.notify(me)
    assert sandbox.sockets.lost == 0  # nobody has subscribed
    channel = channel_of(api, coaching(me))
    sandbox.notify(me)
    assert sandbox.sockets.lost == 1
    with opened(channel) as socket:
        row = sandbox.notify(me)
        assert told(socket) == row["id"]
    wait_until(lambda: len(sandbox.sockets) == 0)
    sandbox.notify(me)
    assert sandbox.sockets.lost == 2


def test_two_channels_of_a_user_both_hear(sandbox: Sandbox, mine: Api, me: str):
    channels = [channel_of(mine, coaching(me)) for _ in range(2)]
    with opened(channels[0]) as first, opened(channels[1]) as second:
        row = sandbox.notify(me)
        assert told(first) == told(second) == row["id"]


def test_a_ping_is_answered_and_anything_else_is_ignored(api: Api):
    with opened(channel_of(api)) as socket:
        for text in ("nonsense", "[" * 100_000, '{"message":"pong"}', "5", '["message","ping"]', b"\x00", ""):
            socket.send(text)
        socket.send('{"message":"ping"}')
        assert received(socket) == {"topicName": "channel.metadata", "eventBody": {"message": "pong"}}
        assert socket.ping().wait(HANG)


def test_heartbeats_come_unasked(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, users=1, heartbeat=0.01)
    with Api(sandbox, token_of(sandbox)) as api, opened(channel_of(api)) as socket:
        assert [received(socket) for _ in range(5)] == [HEARTBEAT] * 5


@pytest.mark.parametrize("newest_first", [False, True])
def test_notifications_are_listed_in_the_chosen_order(start_sandbox: Callable[..., Sandbox], newest_first: bool):
    sandbox = start_sandbox(users=2, newest_first=newest_first)
    me = sandbox.state.user_ids[0]
    rows = [row["id"] for row in sandbox.state.notifications_of(me)]
    with Api(sandbox, sandbox.user_token(me)) as mine:
        assert mine.ids(NOTIFICATIONS) == (rows[::-1] if newest_first else rows)


# the handshake


def refused(channel: Any) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as caught, opened(channel):
        pass
    return caught.value.response.status_code, caught.value.response.headers.get("Retry-After")


def test_handshakes_are_recorded_without_a_token(sandbox: Sandbox, api: Api):
    channel = channel_of(api)
    with opened(channel):
        pass
    assert refused({"connectUri": channel["connectUri"] + "x"}) == (404, None)
    assert refused({"connectUri": channel["connectUri"].partition("/channels")[0] + APPOINTMENTS}) == (404, None)
    wait_until(lambda: len(sandbox.requests) >= 5)
    assert [(each.method, each.status) for each in sandbox.requests][-3:] == [("GET", 101), ("GET", 404), ("GET", 404)]
    assert httpx.get(f"{sandbox.base_url}/channels/{channel['id']}").status_code == 404


def test_a_second_socket_of_a_channel_closes_the_first(sandbox: Sandbox, api: Api, me: str):
    channel = channel_of(api, coaching(me))
    with opened(channel) as first, opened(channel) as second:
        row = sandbox.notify(me)
        assert told(second) == row["id"]
        with pytest.raises(ConnectionClosed) as closed:
            first.recv(HANG)
        assert closed.value.rcvd is not None
        assert [socket.number for socket in sandbox.sockets] == [2]


def test_handshakes_are_refused_one_with_each_status(sandbox: Sandbox, api: Api):
    channel = channel_of(api)
    sandbox.sockets.refuse_handshakes(503, 429, retry_after=7)
    sandbox.sockets.refuse_handshakes(404)
    assert [refused(channel) for _ in range(3)] == [(503, "7"), (429, "7"), (404, None)]
    with opened(channel):
        pass
    with pytest.raises(ValueError, match="101"):
        sandbox.sockets.refuse_handshakes(101)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "garbage", "stall"])
def test_a_fault_applies_to_the_handshake_too(sandbox: Sandbox, api: Api, kind: str):
    channel = channel_of(api)
    sandbox.faults.add(Fault(kind, "GET", "^/channels/"))
    patience = 0.05 if kind == "stall" else HANG
    with pytest.raises((InvalidHandshake, OSError, EOFError, ValueError)), opened(channel, patience):
        pass
    assert sandbox.faults.pending == ()
    wait_until(lambda: len(sandbox.sockets) == 0)
    with opened(channel):
        pass


def test_faults_that_answer_are_answers_to_the_handshake(sandbox: Sandbox, api: Api):
    channel = channel_of(api)
    sandbox.faults.add(Fault("status", path="^/channels/", status=502), Fault("html", path="^/channels/"))
    assert [refused(channel)[0] for _ in range(2)] == [502, 200]
    sandbox.faults.add(Fault("half_body", path="^/channels/"))
    with opened(channel) as socket:
        assert close_code(socket) == 1006
    wait_until(lambda: len(sandbox.sockets) == 0)
    sandbox.faults.add(Fault("revoke", path="^/channels/"))
    assert refused(channel)[0] == 401
    assert refused(channel)[0] == 404


def test_a_channel_that_ends_during_its_handshake_is_closed(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, users=1, latency=0.2)
    channels = sandbox._service.connections.channels
    caller = sandbox.oauth.caller(f"Bearer {sandbox.user_token(sandbox.state.user_ids[0])}")
    channel = channels.create(caller)

    def evict() -> None:
        wait_until(lambda: bool(sandbox.requests))
        channels.evict(channel)

    evicting = threading.Thread(target=evict)
    evicting.start()
    with opened({"connectUri": f"ws{sandbox.base_url[4:]}/channels/{channel.id}"}) as socket:
        assert close_code(socket) == 1000
    evicting.join()
    assert list(sandbox.sockets) == []


# the end


LIVES = (1, 10, 100)
"""The lives of a channel or token, in their order: on a busy machine one can be over before the socket is open."""


@contextlib.contextmanager
def opened_in_time(
    start: Callable[..., Sandbox], option: str, life: float, **options: float
) -> Iterator[tuple[Any, ClientConnection, float]]:
    """Open a socket that the sandbox closes after `life`, or after a longer one if this is too late.

    Yield its channel, itself, and the earliest moment at which it may be closed.
    """
    with contextlib.ExitStack() as stack:
        for times in LIVES:
            sandbox = start(appointments=1, users=1, **{option: life * times}, **options)
            try:
                api = stack.enter_context(Api(sandbox, token_of(sandbox)))
                earliest_end = time.monotonic() + life * times
                channel = channel_of(api)
                socket = stack.enter_context(opened(channel))
            except (KeyError, InvalidStatus):
                continue
            yield channel, socket, earliest_end
            return
    raise AssertionError("the machine is too busy")


def test_the_end_of_a_channel_is_announced_and_carried_out(start_sandbox: Callable[..., Sandbox]):
    with opened_in_time(start_sandbox, "channel_life", 0.4, closing_notice=0.3) as (channel, socket, earliest_end):
        assert received(socket)["topicName"] == "v2.system.socket_closing"
        assert close_code(socket) == 1001
        assert time.monotonic() > earliest_end - 0.001
        assert refused(channel)[0] == 404


def test_without_a_notice_the_end_comes_unannounced(start_sandbox: Callable[..., Sandbox]):
    with (
        opened_in_time(start_sandbox, "channel_life", 0.1, closing_notice=0) as (_, socket, _),
        pytest.raises(ConnectionClosed),
    ):
        socket.recv(HANG)


def test_a_channel_ends_with_its_token(start_sandbox: Callable[..., Sandbox]):
    with opened_in_time(start_sandbox, "token_life", 1) as (channel, socket, _):
        assert close_code(socket) == 1001
        assert refused(channel)[0] == 404


def test_revoked_tokens_are_told_and_closed(sandbox: Sandbox, api: Api):
    channel = channel_of(api)
    with opened(channel) as socket:
        sandbox.oauth.revoke_all()
        frame = received(socket)
        assert frame["topicName"] == f"v2.system.token_revoked.{channel['id']}"
        assert frame["eventBody"]["reason"] == "user_tokens_revoked"
        assert close_code(socket) == 1000
    assert refused(channel)[0] == 404


# orders


def test_a_socket_can_be_dropped_and_closed(sandbox: Sandbox, api: Api, me: str):
    channel = channel_of(api, coaching(me))
    with opened(channel) as socket:
        sandbox.sockets[0].drop()
        assert len(sandbox.sockets) == 0  # at once
        sandbox.notify(me)
        assert close_code(socket) == 1006
    with opened(channel) as socket:
        (known,) = sandbox.sockets
        row = sandbox.notify(me)
        known.close(4000, "enough")
        sandbox.notify(me)
        assert not known.is_open
        assert told(socket) == row["id"]  # what was sent before
        assert close_code(socket) == 4000
        known.garble()  # does nothing
    assert sandbox.sockets.lost == 2
    assert api.head(f"{CHANNELS}/{channel['id']}").status_code == 200


@pytest.mark.parametrize("code", [1005, 1006, 1015, 999, 2999, 5000])
def test_a_code_that_no_server_sends_is_refused(sandbox: Sandbox, code: int):
    with pytest.raises(ValueError, match=str(code)):
        sandbox.sockets.close(code)


def test_a_frozen_socket_says_nothing_and_hears_only_that_the_peer_has_left(
    start_sandbox: Callable[..., Sandbox], me: str
):
    sandbox = start_sandbox(appointments=1, users=1, heartbeat=0.01)
    with Api(sandbox, token_of(sandbox)) as api, opened(channel_of(api, coaching(me))) as socket:
        sandbox.sockets.freeze()
        with contextlib.suppress(TimeoutError):
            while True:  # the heartbeats that were on their way
                socket.recv(0.2)
        sandbox.notify(me)
        socket.send('{"message":"ping"}')
        assert not socket.ping().wait(0.1)
        with pytest.raises(TimeoutError):
            socket.recv(0)
        assert sandbox.sockets.lost == 1
        assert [known.is_frozen for known in sandbox.sockets] == [True]
        socket.socket.shutdown(2)
        wait_until(lambda: len(sandbox.sockets) == 0)


def test_a_muted_socket_loses_events_and_answers_pings(sandbox: Sandbox, api: Api, me: str):
    with opened(channel_of(api, coaching(me))) as socket:
        sandbox.sockets.mute()
        sandbox.notify(me)
        socket.send('{"message":"ping"}')
        assert received(socket)["eventBody"] == {"message": "pong"}
        assert sandbox.sockets.lost == 1
        assert sandbox.sockets[0].is_muted


def test_a_socket_that_will_close_is_sent_events_until_then(sandbox: Sandbox, api: Api, me: str):
    channels = [channel_of(api, coaching(me)) for _ in range(2)]
    with opened(channels[0]) as old:
        sandbox.sockets.say_closing(0.2)
        assert received(old)["topicName"] == "v2.system.socket_closing"
        with opened(channels[1]) as new:
            row = sandbox.notify(me)
            assert told(old) == told(new) == row["id"]
            assert close_code(old) == 1001
            assert [socket.number for socket in sandbox.sockets] == [2]
    assert api.head(f"{CHANNELS}/{channels[0]['id']}").status_code == 200


def test_an_evicted_channel_is_gone(sandbox: Sandbox, api: Api):
    channel = channel_of(api)
    with opened(channel) as socket:
        sandbox.sockets.evict()
        assert received(socket)["topicName"].startswith("v2.system.no_longer_subscribed.")
        assert close_code(socket) == 1000
    assert refused(channel)[0] == 404


def test_frames_can_be_doubled_garbled_and_made_up(sandbox: Sandbox, api: Api, me: str):
    with opened(channel_of(api, coaching(me))) as socket:
        sandbox.sockets.double()  # there is none yet
        sandbox.notify(me)
        sandbox.sockets.double()
        sandbox.sockets.say('{"result":"404"}')
        sandbox.sockets.garble()
        first = socket.recv(HANG)
        assert socket.recv(HANG) == first
        assert received(socket) == {"result": "404"}
        with pytest.raises(ValueError, match="Unterminated"):
            json.loads(socket.recv(HANG))


def test_an_order_may_go_to_one_of_several(sandbox: Sandbox, api: Api, me: str):
    channels = [channel_of(api, coaching(me)) for _ in range(3)]
    with opened(channels[0]), opened(channels[1]) as second, opened(channels[2]):
        sandbox.sockets[1].close(4001)
        assert close_code(second) == 4001
        assert [known.number for known in sandbox.sockets] == [1, 3]
        assert [known.topics for known in sandbox.sockets[:]] == [(coaching(me),)] * 2
        assert repr(sandbox.sockets[0]) == "<Socket 1: open>"
        assert repr(sandbox.sockets) == "<Sockets: 2 open>"
        assert sandbox.sockets[0] in sandbox.sockets
        assert {*sandbox.sockets} == {*sandbox.sockets[:2]} != {sandbox.sockets[0]}


def test_notify_chooses_an_appointment_of_the_user_or_takes_the_given_one(sandbox: Sandbox, me: str):
    row = sandbox.notify(sandbox.state.users[me]["email"])
    assert me in json.dumps(sandbox.state.appointments[row["appointment"]["id"]])
    given = list(sandbox.state.appointments)[-1]
    assert sandbox.notify(me, "Delete", appointment_id=given)["appointment"]["id"] == given
    with pytest.raises(LookupError):
        sandbox.notify("nobody")
    with pytest.raises(LookupError):
        sandbox.notify(me, appointment_id="none")


# over HTTP


def test_orders_can_be_given_over_http(sandbox: Sandbox, api: Api, me: str):
    channel = channel_of(api, coaching(me))
    with opened(channel) as socket, httpx.Client(base_url=sandbox.base_url, timeout=HANG) as http:
        (shown,) = http.get("/_sandbox/sockets").json()
        assert shown == {"number": 1, "topics": [coaching(me)], "is_frozen": False, "is_muted": False}
        row = http.post("/_sandbox/notifications", json={"user_id": me, "action": "Delete"}).json()
        assert told(socket) == row["id"]
        assert http.post("/_sandbox/sockets", json={"order": "double", "number": 1}).status_code == 200
        assert told(socket) == row["id"]
        http.post("/_sandbox/sockets", json={"order": "publish", "topic": coaching(me), "body": {"id": "x"}})
        assert told(socket) == "x"
        http.post("/_sandbox/sockets", json={"order": "refuse_handshakes", "statuses": [503], "retry_after": 2})
        assert refused(channel) == (503, "2")
        assert http.post("/_sandbox/sockets", json={"order": "close", "code": 4002}).json() == []
        assert close_code(socket) == 4002


def test_a_wrong_order_is_a_bad_request(sandbox: Sandbox):
    with httpx.Client(base_url=sandbox.base_url, timeout=HANG) as http:
        for body in (
            {},
            {"order": "nonsense"},
            {"order": "drop", "code": 1000},
            {"order": "close", "code": 1006},
            {"order": "close", "code": "1000"},
            {"order": "say"},
            {"order": "say_closing", "after": -1},
            {"order": "say_closing", "after": math.nan},
            {"order": "refuse_handshakes", "statuses": [101]},
            {"order": "publish", "topic": "t"},
            [],
        ):
            assert http.post("/_sandbox/sockets", content=json.dumps(body)).status_code == 400, body
        assert http.post("/_sandbox/sockets", json={"order": "drop", "number": 9}).status_code == 404
        assert http.post("/_sandbox/notifications", json={"user_id": "nobody"}).status_code == 404


# the server


def test_leaving_does_not_wait_for_sockets_whatever_their_state(caplog: pytest.LogCaptureFixture):
    with contextlib.ExitStack() as opening:
        with Sandbox(appointments=1, users=1, heartbeat=0.01) as sandbox, Api(sandbox, token_of(sandbox)) as api:
            channels = [channel_of(api) for _ in range(6)]
            sockets = [opening.enter_context(opened(channel)) for channel in channels]
            sandbox.sockets[0].freeze()
            sandbox.sockets[1].mute()
            sandbox.sockets[2].say_closing()
            sandbox.sockets[3].freeze()
            sockets[3].socket.shutdown(2)
            sandbox.sockets[4].close()
            started = time.monotonic()
        assert time.monotonic() - started < HANG
        assert len(sandbox.sockets) == 0
        for socket in sockets:
            assert close_code(socket) in {1001, 1006}
    assert caplog.records == []
    assert not any(thread.name == "coaching-sandbox" for thread in threading.enumerate())


@pytest.mark.parametrize("fault", [Fault("half_body"), Fault("stall"), None])
def test_leaving_in_the_middle_of_a_handshake_leaves_no_socket(fault: Fault | None, caplog: pytest.LogCaptureFixture):
    with Sandbox(appointments=1, users=1) as sandbox, contextlib.ExitStack() as opening:
        with Api(sandbox, token_of(sandbox)) as api:
            channel = channel_of(api)
        peer = opening.enter_context(handshake(sandbox, channel, fault))
        wait_until(lambda: len(sandbox.requests) == 3)
    assert list(sandbox.sockets) == []
    assert caplog.records == []
    assert peer.fileno() == -1


@contextlib.contextmanager
def handshake(sandbox: Sandbox, channel: Any, fault: Fault | None = None) -> Iterator[socket_module.socket]:
    """Send the request for a WebSocket, and read nothing."""
    if fault is not None:
        sandbox.faults.add(fault)
    _, _, host = sandbox.base_url.partition("//")
    name, _, port = host.partition(":")
    with socket_module.create_connection((name, int(port))) as peer:
        key = f"Sec-WebSocket-Key: {'A' * 22}=="
        head = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key)
        lines = [f"GET /channels/{channel['id']} HTTP/1.1", f"Host: {host}", *head, "", ""]
        peer.sendall("\r\n".join(lines).encode())
        yield peer


def test_a_peer_that_does_not_read_is_dropped_in_the_end(sandbox: Sandbox, api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coaching_async.sandbox._channels.connections.MAX_WAITING", 10)
    with handshake(sandbox, channel_of(api)):
        wait_until(lambda: len(sandbox.sockets) == 1)
        while len(sandbox.sockets):
            sandbox.sockets.say("x" * 1_000_000)
            time.sleep(0.001)


def test_no_log_record_tells_the_id_of_a_channel(sandbox: Sandbox, api: Api, caplog: pytest.LogCaptureFixture):
    channel = channel_of(api)
    caplog.set_level(1)
    with opened(channel):
        pass
    refused({"connectUri": channel["connectUri"] + "x"})
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert channel["id"] not in "".join(record.getMessage() for record in ours)
