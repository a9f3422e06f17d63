"""A WebSocket server that frames by hand, so that it can break every rule: behaviors for a `FaultServer`."""

import base64
import hashlib
import http
import struct
from collections.abc import Callable

import attrs

from tests.support.fault_server import Behaviour, Conversation, Received

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Peer",
    "close_frame",
    "frame",
    "handshake_response",
    "upgrading",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(
    opcode: int, payload: bytes | str = b"", *, fin: bool = True, reserved: int = 0, mask: bytes = b"", size: int = -1
) -> bytes:
    """Return a frame. `size` is the length that it claims, unless that is the true one."""
    content = payload.encode() if isinstance(payload, str) else payload
    size = len(content) if size < 0 else size
    first, masked = fin << 7 | reserved << 4 | opcode, 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    return head + mask + (unmasked(content, mask) if mask else content)


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def unmasked(content: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))


def handshake_response(request: Received, **changes: str | None) -> bytes:
    """Return a response to a handshake, with headers changed, or left out if they are None."""
    digest = hashlib.sha1((request.headers["sec-websocket-key"] + GUID).encode()).digest()
    headers: dict[str, str | None] = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_accept": base64.b64encode(digest).decode(),
        **changes,
    }
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 101 {http.HTTPStatus(101).phrase}", *lines, "", ""]).encode()


@attrs.frozen
class Frame:
    """A frame that the client has sent."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """The code of a close frame."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2])


@attrs.frozen
class Peer:
    """The server's side of an open WebSocket."""

    conversation: Conversation

    def send(self, *frames: bytes) -> None:
        """Send frames in one piece."""
        self.conversation.send(b"".join(frames))

    def receive(self) -> Frame | None:
        """Return the next frame of the client, or None if it closed the connection."""
        head = self.conversation.read(2)
        if len(head) < 2:
            return None
        assert head[1] & 0x80, "a client masks its frames"
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self.conversation.read(2 if size == 126 else 8))
        mask = self.conversation.read(4)
        return Frame(head[0] & 0x0F, unmasked(self.conversation.read(size), mask))


def upgrading(behave: Callable[[Peer], None], *, glued: bytes = b"", **changes: str | None) -> Behaviour:
    """Return a behavior that does the handshake first. `glued` arrives with the response."""

    def converse(conversation: Conversation) -> None:
        if (request := conversation.request()) is not None:
            conversation.send(handshake_response(request, **changes) + glued)
            behave(Peer(conversation))

    return converse
