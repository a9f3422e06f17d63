"""Channels and their WebSockets, for tests of the sandbox: with another library's client, and no code of ours."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.fault_server import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.api import Api

Json = Any

CHANNELS = "/api/v2/notifications/channels"
HEARTBEAT = {"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}}


def coaching(user_id: str) -> str:
    return f"v2.users.{user_id}.wem.coaching.notification"


def subscriptions(channel: Json) -> str:
    return f"{CHANNELS}/{channel['id']}/subscriptions"


def channel_of(api: Api, *topics: str) -> Json:
    """Create a channel with these topics."""
    channel = api.post(CHANNELS).json()
    if topics:
        assert api.put(subscriptions(channel), json=[{"id": topic} for topic in topics]).status_code == 200
    return channel


@contextmanager
def opened(channel: Json, patience: float = HANG) -> Iterator[ClientConnection]:
    """Open the WebSocket of a channel. At the end its close frame is not answered by a sandbox that has stopped or froze it."""
    uri = channel["connectUri"]
    with connect(uri, open_timeout=patience, close_timeout=1, compression=None) as socket:
        yield socket


def received(socket: ClientConnection) -> Json:
    """Return the next frame."""
    return json.loads(socket.recv(HANG))


def told(socket: ClientConnection) -> str:
    """Return the id of the notification in the next frame."""
    return received(socket)["eventBody"]["id"]


def close_code(socket: ClientConnection) -> int:
    """Read until the WebSocket ends, and return the code of the close frame; 1006 if there was none."""
    try:
        while True:
            socket.recv(HANG)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
