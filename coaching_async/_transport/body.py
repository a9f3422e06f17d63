"""Reading the body of an answer: in full, and never more of it than a client can bear."""

import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Protocol, TypeVar

import anyio

from coaching_async._concurrency.tasks import run_in_thread
from coaching_async._serialization.json import LARGE_BODY, check_size, parse_json

from .messages import BodyError

__all__ = ["MAX_BODY_SIZE", "ResponseBody", "parse_body", "read_body"]

T = TypeVar("T")


MAX_BODY_SIZE: Final = 10 * 2**20
"""Bytes of a body, unpacked. A page of a hundred appointments has about 150,000."""


TOO_LARGE: Final = BodyError(f"it is larger than {MAX_BODY_SIZE // 2**20} MiB")


GZIP_TRUNCATED: Final = BodyError("it ends in the middle of its gzip", is_transient=True)


GZIP_TRAILING_DATA: Final = BodyError("something follows the end of its gzip")


GZIP_CORRUPT: Final = BodyError("its gzip is broken", is_transient=True)


JSON_TRUNCATED: Final = BodyError("it ends with its connection, in the middle of its JSON", is_transient=True)


DELIMITERS: Final = ("content-length", "transfer-encoding")


class ResponseBody(Protocol):
    """As much of an HTTP library's answer as it takes to read it."""

    @property
    def http_version(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def is_stream_consumed(self) -> bool: ...
    @property
    def content(self) -> bytes: ...
    def aiter_raw(self) -> AsyncIterator[bytes]: ...


async def read_body(answer: ResponseBody) -> bytes | BodyError:
    """The unpacked body, or why there is none. What the HTTP library raises when the connection breaks is passed on.

    The library's own decoding is not used: it unpacks a chunk whole, and 64 KiB may hold 64 MiB.
    """
    if answer.is_stream_consumed:  # a transport that had it all at once
        return answer.content if len(answer.content) <= MAX_BODY_SIZE else TOO_LARGE
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        return BodyError("it is in an encoding that was not asked for")
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BODY_SIZE:
        return TOO_LARGE
    unpacking = BodyDecoder(is_packed=encoding == "gzip")
    chunks = answer.aiter_raw()
    async for chunk in chunks:
        unpacking.feed(chunk)
        if unpacking.error is not None:
            # Leaving the loop would leave the library's generators to the garbage collector, one inside the other.
            # Cancelled from within, each of them ends.
            with anyio.CancelScope() as rest:
                rest.cancel()
                async for _ in chunks:
                    pass
            break
    whole = unpacking.finish()
    if isinstance(whole, BodyError) or _is_delimited(answer) or not whole or await _is_json(whole):
        return whole
    return JSON_TRUNCATED


async def drain(answer: ResponseBody) -> bytes:
    """The end of an answer that has no body, whatever it says of one: else its connection would be closed."""
    if not answer.is_stream_consumed:
        async for _ in answer.aiter_raw():
            pass
    return b""


class BodyDecoder:
    """A body that grows chunk by chunk, until it is whole or has a flaw."""

    def __init__(self, *, is_packed: bool) -> None:
        self.error: BodyError | None = None
        self._gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if is_packed else None
        self._body = bytearray()
        self._began = False

    def feed(self, chunk: bytes) -> None:
        """Unpack what came, and no more of it than there is room for."""
        if self.error is not None:
            return
        self._began = True
        try:
            self._body += (
                chunk if self._gzip is None else self._gzip.decompress(chunk, MAX_BODY_SIZE + 1 - len(self._body))
            )
        except zlib.error:
            self.error = GZIP_CORRUPT
        if self._gzip is not None and self._gzip.unused_data:
            self.error = GZIP_TRAILING_DATA
        if len(self._body) > MAX_BODY_SIZE:
            self.error = TOO_LARGE

    def finish(self) -> bytes | BodyError:
        """All of it, or why there is none."""
        if self.error is None and self._gzip is not None and self._began and not self._gzip.eof:
            return GZIP_TRUNCATED
        return self.error or bytes(self._body)


def _is_delimited(answer: ResponseBody) -> bool:
    """Whether the end of the answer is more than the end of its connection, which may come at any time."""
    return not answer.http_version.startswith("HTTP/1") or any(name in answer.headers for name in DELIMITERS)


async def _is_json(body: bytes) -> bool:
    try:
        await parse_body(parse_json, body)
    except ValueError:
        return False
    return True


async def parse_body(parse: Callable[[bytes], T], body: bytes) -> T:
    """Return what `parse` makes of a body. A large body is parsed in a worker thread.

    A caller that is cancelled, or whose deadline passes, does not wait for the thread. Raises what `parse` raises.
    """
    if len(body) <= LARGE_BODY:
        return parse(body)

    def parse_large() -> T:
        check_size(body)
        return parse(body)

    return await run_in_thread(parse_large, abandon_on_cancel=True)
