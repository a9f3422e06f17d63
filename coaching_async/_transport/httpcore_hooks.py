"""Workarounds for httpx, httpcore and hpack, each with its reason: logged secrets, cancellation, contention in the pool."""

import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final, Self
from urllib.parse import urlsplit
from weakref import WeakSet

import anyio
import attrs
import httpx

from coaching_async._proxies import DEFAULT_PORTS, address_of

from .messages import Request

__all__ = [
    "BytesBody",
    "HttpcoreTrace",
    "address_of",
    "close_after_event_loop",
    "close_iterators",
    "hiding_urls",
    "is_host_of",
    "new_admission",
    "remove_client_defaults",
    "replace_body_stream",
    "silence_hpack",
]


_in_an_exchange: Final = ContextVar("in_an_exchange", default=False)


def silence_hpack() -> None:
    """Silence hpack's loggers for the rest of the task, because at DEBUG they write each header, the token included.

    HTTP/2 requests of other tasks are logged as before.
    """
    for name in ("hpack.hpack", "hpack.table"):
        logging.getLogger(name).addFilter(_is_foreign)  # a filter that is there already is not added again
    _in_an_exchange.set(True)


def _is_foreign(_: logging.LogRecord) -> bool:
    return not _in_an_exchange.get()


HTTP_LOGGERS: Final = (
    *("httpx", "httpx2"),
    *(
        f"{library}.{part}"
        for library in ("httpcore", "httpcore2")
        for part in ("connection", "http11", "http2", "proxy", "socks")
    ),
)
"""Loggers of the HTTP libraries. httpx writes the URL of every request, and httpcore the headers of every response."""


_has_secret_url: Final = ContextVar("has_secret_url", default=False)


@contextmanager
def hiding_urls() -> Generator[None]:
    """Keep the requests of this block out of logs and out of spans of OpenTelemetry, because their URLs are secrets."""
    for name in HTTP_LOGGERS:
        logging.getLogger(name).addFilter(_has_public_url)
    instrumentation = sys.modules.get(
        "opentelemetry.instrumentation.utils"
    )  # imported by all that instruments a library
    suppressing: Callable[[], AbstractContextManager[object]] = getattr(
        instrumentation, "suppress_http_instrumentation", nullcontext
    )
    token = _has_secret_url.set(True)
    try:
        with suppressing():
            yield
    finally:
        _has_secret_url.reset(token)


def _has_public_url(_: logging.LogRecord) -> bool:
    return not _has_secret_url.get()


def new_admission() -> anyio.Semaphore:
    """Return a semaphore that lets requests into httpcore one at a time: each until its first event, or its end.

    Without it httpcore assigns one idle connection to all requests that arrive together, and all but one of them search
    the whole pool again (encode/httpcore#822). In a walk with eight concurrent requests that took a sixth of the CPU.

    A borrowed client goes without, because its hooks may take long before the first event, and its transport may report
    no event at all.
    """
    return anyio.Semaphore(1, fast_acquire=True)


@attrs.define(eq=False, repr=False)
class HttpcoreTrace:
    """httpcore's trace callback.

    Marks the request as sent, notes which proxy it waits for, removes secrets from `info` before httpcore logs it at DEBUG,
    and closes the socket of a cancelled TLS handshake. As a context manager it holds the admission semaphore until httpcore
    reports its first event.
    """

    request: Request
    _streams: WeakSet[Any]
    _admission: anyio.Semaphore | None = None
    proxy: str | None = None
    """Host and port of the proxy that has not opened the tunnel to the target yet; None if there is none, or if it has."""
    is_unsent: bool = False
    """Whether httpcore has reported that the service cannot have received the whole request."""
    _has_begun: bool = False
    """Whether the request was begun to be sent, on any connection."""
    _holds_admission: bool = False
    _is_tunneling: bool = False
    """Whether the request on the wire is a CONNECT to a proxy."""
    _stream: Any = None

    async def __aenter__(self) -> None:
        if self._admission is not None:
            await self._admission.acquire()
            self._holds_admission = True

    async def __aexit__(self, *_: object) -> None:
        self._release_admission()

    def _release_admission(self) -> None:
        if self._holds_admission and self._admission is not None:
            self._holds_admission = False
            self._admission.release()

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Handle one event of httpcore."""
        self._release_admission()
        match event.partition(".")[2]:
            case "send_request_headers.started":
                self._is_tunneling = getattr(info.get("request"), "method", None) == b"CONNECT"
                if not self._is_tunneling:
                    self.request.mark_sent()  # what fails before was certainly not carried out
                    self._has_begun, self.is_unsent, self.proxy = True, False, None
            case "send_request_headers.failed" | "send_request_body.failed":
                # The connection broke before the last byte was written, so the service has no whole request.
                self.is_unsent = self.is_unsent or type(info["exception"]).__name__ == "WriteError"
            case "receive_response_headers.complete":
                *start, headers = info["return_value"]
                info["return_value"] = (*start, [header for header in headers if header[0].lower() != b"set-cookie"])
                if self._is_tunneling and 200 <= start[1] < 300:
                    self.proxy = None
            case "connect_tcp.started":
                self.is_unsent = not self._has_begun  # a borrowed client may retry by itself
                host, port = info["host"], info["port"]
                if not is_host_of(self.request.url, host, port):
                    self.proxy = address_of(host, port)
            case "setup_socks5_connection.complete":
                self.proxy = None
            case "connect_tcp.complete":
                self._stream = info["return_value"]
                self._streams.add(self._stream)
            case "start_tls.failed" if self._stream is not None:
                with anyio.CancelScope(shield=True):  # httpcore leaves the socket of a cancelled handshake open
                    await self._stream.aclose()
            case _:
                pass
        if "exception" in info:  # h11 quotes what it cannot parse
            info["exception"] = type(info["exception"]).__name__
        elif info.get("auth") is not None:  # of a SOCKS proxy; httpcore uses it after it was logged
            info["auth"] = RedactedCredentials(info["auth"])


def is_host_of(url: str, host: str, port: int) -> bool:
    """Return whether a connection leads to the host of a URL. Any other leads to a proxy."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    return host in {name, name.encode("idna").decode()} and port == (parts.port or DEFAULT_PORTS[parts.scheme])


class RedactedCredentials(tuple[bytes, ...]):
    """User name and password of a proxy, not shown in logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "**********"


def remove_client_defaults(http_request: Any, url: str, client_headers: Mapping[str, str]) -> None:
    """Remove a borrowed client's parameters, which replace those of the request, and its cookies from a request."""
    if str(http_request.url) != url:
        http_request.url = type(http_request.url)(url)
    if "cookie" not in client_headers:
        http_request.headers.pop("cookie", None)


def replace_body_stream(http_request: object, content: bytes) -> None:
    """Replace httpx's stream of a request body.

    httpx's own is an async generator, and one that is cancelled halfway is left to the garbage collector.
    """
    if isinstance(http_request, httpx.Request):
        http_request.stream = BytesBody(content)


class BytesBody(httpx.AsyncByteStream):
    """A request body of one chunk."""

    def __init__(self, content: bytes) -> None:
        self._chunks = [content]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._chunks:
            raise StopAsyncIteration
        return self._chunks.pop()


def close_after_event_loop(stream: Any) -> None:
    """Close the socket of a network stream whose event loop has ended, because nothing else can.

    The transports of asyncio close through their loop, and the sockets of trio need a running one. Without this the garbage
    collector closes the socket at some time, with a ResourceWarning. uvloop has closed its sockets itself.
    """
    layer = getattr(stream, "_stream", None)
    while (below := getattr(layer, "transport_stream", None)) is not None:  # of TLS
        layer = below
    transport = getattr(layer, "_transport", None)  # of anyio's stream on asyncio
    owner = getattr(layer, "socket", None) if transport is None else transport
    if isinstance(raw_socket := getattr(owner, "_sock", None), socket.socket):
        raw_socket.close()
        if transport is not None:
            transport._sock = None  # noqa: SLF001 # its finalizer warns unless there is none


async def close_iterators(chunks: AsyncIterator[bytes]) -> None:
    """End the nested async generators of a response body, which would otherwise be left to the garbage collector.

    A cancellation from within ends each of them.
    """
    with anyio.CancelScope() as scope:
        scope.cancel()
        async for _ in chunks:
            pass
