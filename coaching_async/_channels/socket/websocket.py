"""A WebSocket: moves bytes between a connection that an HTTP client has opened and the protocol of `websockets`."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib import import_module
from logging import CRITICAL, Logger
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast
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

from .connection import NORMAL_CLOSURE, Connection, NetworkStream, WebSocketClosed

__all__ = ["HandshakeRefused", "WebSocket", "WebSocketClosed", "require_websockets"]


MAX_MESSAGE_SIZE: Final = 2**20
"""Bytes of a message. A notification has about 1,000."""


HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for opening the connection and for the response to the handshake."""


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


class HandshakeRefused(Exception):
    """A WebSocket was not opened.

    `status` is that of the response, None if there was none, or if it is not that of a WebSocket server. `retry_after` is in
    seconds. `__cause__` is the error of the HTTP library if there was no response, without its request.
    """

    def __init__(self, problem: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.status = status
        self.retry_after = retry_after


def require_websockets() -> None:
    """Raise `ConfigurationError` unless the package `websockets` is installed. Takes 30 ms the first time."""
    try:
        for name in ("websockets.client", "websockets.uri"):
            import_module(name)
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

    def _opened(self) -> Connection:
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
        stream: NetworkStream | None = response.extensions.get("network_stream")
        if response.http_version == "HTTP/2" or (response.status_code == 101 and stream is None):
            raise ClientMisuse(NOT_FOR_WEBSOCKETS)
        if response.status_code != 101 or stream is None:
            return _refusal(response)
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
        """Close what is open, in a child task, because the caller may be cancelled natively."""
        with anyio.CancelScope(shield=True):
            await run_in_child_task(self._close_all)

    async def _close_all(self) -> None:
        response, self._response = self._response, None
        http, self._http = self._http, None
        with anyio.CancelScope(shield=True):  # a native cancellation of the caller cancels its task group
            if self._connection is not None:
                await self._connection.close(self._close_code or NORMAL_CLOSURE)
            if response is not None:
                with suppress(Exception):
                    await response.aclose()
            if http is not None and self._owns_client:
                with suppress(Exception):
                    await http.aclose()


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
