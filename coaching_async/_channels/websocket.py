"""A WebSocket: moves bytes between a connection that an HTTP client has opened and the protocol of `websockets`."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from logging import CRITICAL, Logger
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, TypeAlias, cast
from weakref import WeakSet

import anyio

from coaching_async._auth.secret import Secret
from coaching_async._concurrency.tasks import run_in_child_task
from coaching_async._events import Event
from coaching_async._exceptions import ClientMisuse, ConfigurationError
from coaching_async._transport.failures import classify, response_raised_by
from coaching_async._transport.http_client import DEFAULT_HEADERS, HttpClient, HttpResponse
from coaching_async._transport.httpcore_hooks import HttpcoreTrace, hiding_urls, remove_client_defaults, silence_hpack
from coaching_async._transport.messages import CallContext, Request
from coaching_async._transport.retry_policy import RetryPolicy, Safety, parse_retry_after

if TYPE_CHECKING:
    from websockets.client import ClientProtocol
    from websockets.frames import Frame

__all__ = ["CloseReason", "HandshakeRefused", "WebSocket", "WebSocketClosed", "require_websockets"]


MAX_MESSAGE_SIZE: Final = 2**20
"""Bytes of a message. A notification has about 1,000."""


READ_SIZE: Final = 65536
"""Bytes that are read at once."""


HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for opening the connection and for the response to the handshake."""


WRITE_TIMEOUT: Final = 5.0
"""Seconds for writing a message, or the response to a ping."""


CLOSE_TIMEOUT: Final = 0.5
"""Seconds for writing that the WebSocket is closed. The peer's answer is not waited for."""


NO_TIMEOUT: Final = (None, None, None, None)
"""Timeouts of the HTTP client: none, because `HANDSHAKE_TIMEOUT` includes all its steps."""


HANDSHAKE_HEADERS: Final = (
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
)
"""Headers of the response that the protocol is shown. It refuses long and many headers, which HTTP clients accept."""


SILENT: Final = Logger("coaching_async.websocket", CRITICAL + 1)  # noqa: LOG001 # not one that an application configures
"""The protocol's logger, which is never enabled, because messages contain personal data."""


NOT_FOR_WEBSOCKETS: Final = (
    "this HTTP client opens no WebSockets: give one that speaks HTTP/1.1 by itself, such as httpx.AsyncClient()"
)


NORMAL_CLOSURE: Final = 1000
INVALID_DATA: Final = 1007


CloseReason: TypeAlias = Literal["closed", "lost", "too large", "invalid"]
"""Why a WebSocket ended: closed by either side, connection lost, message too large, or not the WebSocket protocol."""


PROBLEMS: Final[Mapping[int, CloseReason]] = {1002: "invalid", 1007: "invalid", 1009: "too large", 1011: "invalid"}
"""Close codes that the protocol sends when it gives a connection up."""


class HandshakeRefused(Exception):
    """A WebSocket was not opened.

    `status` is that of the response, None if there was none, or if it is not that of a WebSocket server. `retry_after` is in
    seconds. `__cause__` is the error of the HTTP library if there was no response, without its request.
    """

    def __init__(self, problem: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.status = status
        self.retry_after = retry_after


class WebSocketClosed(Exception):
    """A WebSocket has ended. `code` is the close code that the peer sent, or else this side; None if the connection was lost."""

    def __init__(self, reason: CloseReason, code: int | None = None) -> None:
        super().__init__(reason if code is None else f"{reason} ({code})")
        self.reason: CloseReason = reason
        self.code = code


def require_websockets() -> None:
    """Raise `ConfigurationError` unless the package `websockets` is installed. Takes 30 ms the first time."""
    try:
        import websockets.client
        import websockets.uri  # noqa: F401
    except ImportError:
        is_missing = True
    else:
        is_missing = False
    if is_missing:
        raise ConfigurationError("listening needs the package websockets: pip install 'coaching_async[live]'")


class UpgradeResponse(HttpResponse, Protocol):
    """What is used of the response to a handshake."""

    @property
    def extensions(self) -> Mapping[str, Any]: ...


class NetworkStream(Protocol):
    """What is used of a connection of httpcore."""

    async def read(self, max_bytes: int) -> bytes: ...
    async def write(self, buffer: bytes) -> None: ...
    async def aclose(self) -> None: ...


class WebSocket:
    """A WebSocket, open in its `async with` block. One task receives. Any task may send or close.

    `new_http_client` returns the client that opens the connection. The client is closed with the WebSocket, unless it is
    borrowed (`owns_client=False`). `on_heard` is called for all that arrives, pings and pongs included, before it is parsed.

    Entering the block raises `HandshakeRefused`, also after `HANDSHAKE_TIMEOUT` seconds, `WebSocketClosed` if another task
    has closed it meanwhile, `ClientMisuse` for a borrowed client that opens no WebSocket, and what `new_http_client` and
    `require_websockets` raise.
    """

    def __init__(
        self,
        uri: str,
        new_http_client: Callable[[], Awaitable[HttpClient]],
        *,
        owns_client: bool = True,
        on_heard: Callable[[], object] = lambda: None,
    ) -> None:
        self._url = Secret(f"http{uri[2:]}")
        self._new_http_client = new_http_client
        self._owns_client = owns_client
        self._on_heard = on_heard
        self._opening = anyio.CancelScope()
        self._http: HttpClient | None = None
        self._response: HttpResponse | None = None
        self._connection: Connection | None = None
        self._close_code: int | None = None
        """The code with which this side closed it first."""

    async def __aenter__(self) -> Self:
        require_websockets()
        failure: Exception | None = HandshakeRefused("the WebSocket was not opened: no response in time")
        try:
            with self._opening, anyio.move_on_after(HANDSHAKE_TIMEOUT):
                failure = await run_in_child_task(self._open)
        except BaseException:
            await self._release()
            raise
        if self._close_code is not None:
            failure = WebSocketClosed("closed", self._close_code)
        if failure is not None:
            await self._release()
            try:
                raise failure
            finally:
                del failure  # its traceback refers to this frame: without this there would be a reference cycle
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def receive(self) -> str:
        """Return the next text message. Raises `WebSocketClosed` after the last one. Binary messages are dropped."""
        return await self._opened().receive(self._on_heard)

    async def send(self, text: str) -> None:
        """Send a text message within `WRITE_TIMEOUT` seconds. Raises `WebSocketClosed`."""
        await self._opened().send(text)

    async def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Close the WebSocket within `CLOSE_TIMEOUT` seconds, also if the caller is cancelled meanwhile. Idempotent.

        The peer's answer is not waited for. A task that receives gets `WebSocketClosed`, and so does one that is entering
        the block.
        """
        self._close_code = self._close_code or code
        self._opening.cancel()
        await self._release()

    def _opened(self) -> "Connection":
        if self._connection is None:
            raise RuntimeError("the WebSocket is not open yet")
        return self._connection

    async def _open(self) -> HandshakeRefused | None:
        """Open the connection, or return why it was not opened."""
        from websockets.client import ClientProtocol
        from websockets.uri import parse_uri

        # The HTTP client sends the request. So the protocol need not know the URI, which it would show in logs and errors.
        protocol = ClientProtocol(parse_uri("ws://localhost"), max_size=MAX_MESSAGE_SIZE, logger=SILENT)
        headers = {name: value for name, value in protocol.connect().headers.raw_items() if name != "Host"}
        http = self._http = await self._new_http_client()
        with hiding_urls():
            response = await self._exchange(http, headers)
        if isinstance(response, HandshakeRefused):
            return response
        self._response = response
        if response.status_code != 101:
            return _refusal(response)
        stream: NetworkStream | None = response.extensions.get("network_stream")
        if stream is None:
            raise ClientMisuse(NOT_FOR_WEBSOCKETS)
        protocol.receive_data(_head(response.headers))
        protocol.events_received()  # the response
        if protocol.handshake_exc is not None:
            return HandshakeRefused("the WebSocket was not opened: the response is not that of a WebSocket server")
        self._connection = Connection(stream, protocol)
        return None

    async def _exchange(self, http: HttpClient, headers: Mapping[str, str]) -> "UpgradeResponse | HandshakeRefused":
        silence_hpack()
        call = CallContext("handshake", _ignore, RetryPolicy())
        request = Request(call, "GET", self._url.reveal(), Safety.SAFE, {**DEFAULT_HEADERS, **headers})
        trace = HttpcoreTrace(request, WeakSet())
        try:
            response = await http.send(
                self._build_request(http, request, trace), stream=True, auth=None, follow_redirects=False
            )
            return cast("UpgradeResponse", response)
        except Exception as error:
            if (refusal := response_raised_by(error)) is not None:  # by a hook of a borrowed client
                return _refusal(refusal)
            failure = classify(
                error, request.url, borrowed=not self._owns_client, is_unsent=trace.is_unsent, proxy=trace.proxy
            )
            if failure is None:
                raise
        if not self._owns_client and type(failure.cause).__name__ == "LocalProtocolError":  # HTTP/2 upgrades nothing
            raise ClientMisuse(NOT_FOR_WEBSOCKETS)
        refused = HandshakeRefused(f"the WebSocket was not opened: {failure}")
        refused.__cause__ = failure.cause
        return refused

    def _build_request(self, http: HttpClient, request: Request, trace: HttpcoreTrace) -> Any:
        http_request = http.build_request(
            "GET",
            request.url,
            content=None,
            headers=request.headers,
            timeout=NO_TIMEOUT,
            extensions={"trace": trace},
        )
        if not self._owns_client:
            remove_client_defaults(http_request, request.url, http.headers)
        return http_request

    async def _release(self) -> None:
        """Close what is open. A native cancellation of the caller does not reach the task that does it."""
        with anyio.CancelScope(shield=True):
            await run_in_child_task(self._close_all)

    async def _close_all(self) -> None:
        if self._connection is not None:
            await self._connection.close(self._close_code or NORMAL_CLOSURE)
        response, self._response = self._response, None
        if response is not None:
            with suppress(Exception):
                await response.aclose()
        http, self._http = self._http, None
        if http is not None and self._owns_client:
            with suppress(Exception):
                await http.aclose()


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


def _ignore(_: Event) -> None:
    """Emit no event: a handshake is no attempt of a call."""


def _head(headers: Mapping[str, str]) -> bytes:
    """Return the head of a response to a handshake, as it has been on the wire."""
    lines = [f"{name}: {headers[name]}\r\n" for name in HANDSHAKE_HEADERS if name in headers]
    return f"HTTP/1.1 101 Switching Protocols\r\n{''.join(lines)}\r\n".encode()


def _refusal(response: HttpResponse) -> HandshakeRefused:
    status, headers = response.status_code, response.headers
    wait = parse_retry_after(headers.get("retry-after"), headers.get("date"))
    return HandshakeRefused(f"the WebSocket was not opened: status {status}", status, wait)
