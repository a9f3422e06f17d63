"""Workarounds for httpx and httpcore."""

import logging
from contextvars import ContextVar
from typing import Any, Final, Self

import anyio
import attrs
import httpx

from .messages import Request
from .retry_policy import Safety

__all__ = ["BytesBody", "HttpcoreTrace", "mark_sent", "silence_hpack"]


_in_an_exchange: Final = ContextVar("in_an_exchange", default=False)


def silence_hpack() -> None:
    """From here to the end of the task: hpack, at DEBUG, writes out each header that it packs, the token among them.

    What others do with HTTP/2 is logged as before.
    """
    for name in ("hpack.hpack", "hpack.table"):
        logging.getLogger(name).addFilter(_is_foreign)  # once, however often it is said
    _in_an_exchange.set(True)


def _is_foreign(_: logging.LogRecord) -> bool:
    return not _in_an_exchange.get()


def mark_sent(request: Request) -> None:
    """From here on it may have been carried out, until the answer tells."""
    if request.safety is not Safety.SAFE:
        request.call.processed = "maybe"


@attrs.define(eq=False, repr=False)
class HttpcoreTrace:
    """Told by httpcore of each of its steps, for what it does not do itself; `async with` it, it goes through the door.

    `info` is what it writes to its log afterwards, at DEBUG: what is taken out here does not get there.
    """

    request: Request
    _admission: anyio.Semaphore | None = None
    _holds_admission: bool = False
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
        """One step."""
        self._release_admission()
        match event.partition(".")[2]:
            case "send_request_headers.started":
                mark_sent(self.request)  # whatever ended before has surely done nothing
            case "receive_response_headers.complete":
                *start, headers = info["return_value"]
                info["return_value"] = (*start, [header for header in headers if header[0].lower() != b"set-cookie"])
            case "connect_tcp.complete":
                self._stream = info["return_value"]
            case "start_tls.failed" if self._stream is not None:
                # A handshake that is cancelled leaves its socket to the collector of garbage.
                with anyio.CancelScope(shield=True):
                    await self._stream.aclose()
            case _:
                pass
        if "exception" in info:  # h11 quotes what it cannot read
            info["exception"] = type(info["exception"]).__name__
        elif info.get("auth") is not None:  # of a SOCKS proxy, and used afterwards
            info["auth"] = RedactedCredentials(info["auth"])


class RedactedCredentials(tuple[bytes, ...]):
    """A user's name and password, as a log shows them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "**********"


class BytesBody(httpx.AsyncByteStream):
    """A request's body. httpx's own is a generator, and one that is cancelled in the middle is left to the collector."""

    def __init__(self, content: bytes) -> None:
        self._chunks = [content]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._chunks:
            raise StopAsyncIteration
        return self._chunks.pop()
