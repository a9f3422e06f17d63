"""An open WebSocket connection: reads and writes bytes, and turns frames into text messages."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast

import anyio

if TYPE_CHECKING:
    from websockets.client import ClientProtocol
    from websockets.frames import Frame

__all__ = ["NORMAL_CLOSURE", "CloseReason", "Connection", "NetworkStream", "WebSocketClosed"]


READ_SIZE: Final = 65536
"""Bytes that are read at once."""


WRITE_TIMEOUT: Final = 5.0
"""Seconds for writing a message, or the response to a ping."""


CLOSE_TIMEOUT: Final = 0.5
"""Seconds for writing that the WebSocket is closed. The peer's answer is not waited for."""


NORMAL_CLOSURE: Final = 1000
INVALID_DATA: Final = 1007


CloseReason: TypeAlias = Literal["closed", "lost", "too large", "invalid"]
"""Why a WebSocket ended: closed by either side, connection lost, message too large, or not the WebSocket protocol."""


PROBLEMS: Final[Mapping[int, CloseReason]] = {1002: "invalid", 1007: "invalid", 1009: "too large", 1011: "invalid"}
"""Close codes that the protocol sends when it gives a connection up."""


class WebSocketClosed(Exception):
    """A WebSocket has ended. `code` is the close code that the peer sent, or else this side; None if the connection was lost."""

    def __init__(self, reason: CloseReason, code: int | None = None) -> None:
        super().__init__(reason if code is None else f"{reason} ({code})")
        self.reason: CloseReason = reason
        self.code = code


class NetworkStream(Protocol):
    """What is used of a connection of httpcore."""

    async def read(self, max_bytes: int) -> bytes: ...
    async def write(self, buffer: bytes) -> None: ...
    async def aclose(self) -> None: ...


class Connection:
    """A connection on which the handshake was done, and its protocol."""

    def __init__(self, stream: NetworkStream, protocol: "ClientProtocol") -> None:
        self._stream = stream
        self._protocol = protocol
        self._writing = anyio.Lock()
        self._messages = deque[str]()
        self._fragments = bytearray()
        """The message that is being received."""
        self._is_text = False
        """Whether that message is text."""

    async def receive(self, on_heard: Callable[[], object]) -> str:
        """Return the next text message."""
        while not self._messages:
            self._raise_if_closed()
            await self._read(on_heard)
        return self._messages.popleft()

    async def send(self, text: str) -> None:
        """Send a text message."""
        self._raise_if_closed()
        self._protocol.send_text(text.encode())
        await self._flush(WRITE_TIMEOUT)
        self._raise_if_closed()

    async def close(self, code: int) -> None:
        """Tell the peer, if that is possible in `CLOSE_TIMEOUT` seconds, and close the connection."""
        if self._is_open:
            self._protocol.send_close(code)
        await self._flush(CLOSE_TIMEOUT)
        await self._break()

    @property
    def _is_open(self) -> bool:
        return self._protocol.state.name == "OPEN"

    def _raise_if_closed(self) -> None:
        if not self._is_open:
            raise self._error()

    def _error(self) -> WebSocketClosed:
        """Return why it is not open any more."""
        self._protocol.receive_eof()  # the protocol tells only after the end of the stream
        closed = self._protocol.close_exc
        if closed.rcvd is not None:
            return WebSocketClosed("closed", closed.rcvd.code)
        if closed.sent is not None:
            return WebSocketClosed(PROBLEMS.get(closed.sent.code, "closed"), closed.sent.code)
        return WebSocketClosed("lost")

    async def _read(self, on_heard: Callable[[], object]) -> None:
        try:
            data = await self._stream.read(READ_SIZE)
        except Exception:  # noqa: BLE001 # whatever the HTTP library raises, the connection is gone
            data = b""
        if not data:
            self._protocol.receive_eof()
        elif self._is_open:  # it may have been closed meanwhile
            on_heard()
            self._protocol.receive_data(data)
        self._take(cast("list[Frame]", self._protocol.events_received()))
        await self._flush(WRITE_TIMEOUT if self._is_open else CLOSE_TIMEOUT)

    def _take(self, frames: "Iterable[Frame]") -> None:
        for frame in frames:
            if frame.opcode.name in {"TEXT", "BINARY"}:
                self._is_text = frame.opcode.name == "TEXT"
            elif frame.opcode.name != "CONT":  # the protocol answers pings, and closes
                continue
            if self._is_text:
                self._fragments += frame.data
            if not frame.fin or not self._is_text:
                continue
            try:
                self._messages.append(self._fragments.decode())
            except UnicodeDecodeError:
                self._protocol.fail(INVALID_DATA)
                return
            self._fragments.clear()

    async def _flush(self, seconds: float) -> None:
        """Write what the protocol has to send."""
        with anyio.move_on_after(seconds) as scope:
            async with self._writing:
                if data := b"".join(self._protocol.data_to_send()):
                    await self._write(data)
        if scope.cancelled_caught:
            await self._break()

    async def _write(self, data: bytes) -> None:
        try:
            await self._stream.write(data)
        except BaseException as error:
            await self._break()  # a part of a frame may have been written
            if not isinstance(error, Exception):
                raise

    async def _break(self) -> None:
        """End the connection, on which nothing can be written any more. This wakes the task that reads."""
        self._protocol.receive_eof()
        with anyio.CancelScope(shield=True), suppress(Exception):
            await self._stream.aclose()
