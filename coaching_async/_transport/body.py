"""Response bodies: reading, gzip decompression, size limit, and parsing in a thread."""

import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Protocol, TypeVar

from coaching_async._concurrency.tasks import run_in_thread
from coaching_async._serialization.json import LARGE_BODY, check_size, parse_json

from .httpcore_hooks import close_iterators
from .messages import BodyError

__all__ = ["MAX_BODY_SIZE", "ResponseBody", "parse_body", "read_body"]

T = TypeVar("T")


MAX_BODY_SIZE: Final = 10 * 2**20
"""Bytes of a body after decompression. A page of 100 appointments has about 150,000."""


TOO_LARGE: Final = BodyError(f"it is larger than {MAX_BODY_SIZE // 2**20} MiB")


GZIP_TRUNCATED: Final = BodyError("it ends in the middle of its gzip", is_transient=True)


GZIP_TRAILING_DATA: Final = BodyError("something follows the end of its gzip")


GZIP_CORRUPT: Final = BodyError("its gzip is broken", is_transient=True)


JSON_TRUNCATED: Final = BodyError("it ends with its connection, in the middle of its JSON", is_transient=True)


DELIMITERS: Final = ("content-length", "transfer-encoding")
"""Headers that mark the end of an HTTP/1 body."""


class ResponseBody(Protocol):
    """What reading a body needs of an HTTP library's response."""

    @property
    def http_version(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def is_stream_consumed(self) -> bool: ...
    @property
    def content(self) -> bytes: ...
    def aiter_raw(self) -> AsyncIterator[bytes]: ...


async def read_body(response: ResponseBody) -> bytes | BodyError:
    """Return the decompressed body, or why there is none. Raises what the HTTP library raises when the connection breaks.

    The library's own decompression is not used, because it has no size limit: a chunk of 64 KiB may hold 64 MiB.
    """
    if response.is_stream_consumed:  # by a borrowed client's transport or hook
        return response.content if len(response.content) <= MAX_BODY_SIZE else TOO_LARGE
    codings = _content_codings(response)
    if codings not in ([], ["gzip"]):
        return BodyError("it is in an encoding that was not asked for")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BODY_SIZE:
        return TOO_LARGE
    decoder = BodyDecoder(is_gzipped=bool(codings))
    chunks = response.aiter_raw()
    async for chunk in chunks:
        decoder.feed(chunk)
        if decoder.error is not None:
            await close_iterators(chunks)
            break
    body = decoder.finish()
    if isinstance(body, BodyError) or _is_delimited(response) or not body or await _is_json(body):
        return body
    return JSON_TRUNCATED


def _content_codings(response: ResponseBody) -> list[str]:
    """Return the codings of a body, without those that change nothing. `x-gzip` is the old name of gzip (RFC 9110)."""
    codings = (coding.strip(" \t").lower() for coding in response.headers.get("content-encoding", "").split(","))
    return ["gzip" if coding == "x-gzip" else coding for coding in codings if coding not in {"", "identity"}]


async def drain(response: ResponseBody) -> bytes:
    """Read the response to a HEAD request to its end, because its connection would otherwise be closed."""
    if not response.is_stream_consumed:
        async for _ in response.aiter_raw():
            pass
    return b""


class BodyDecoder:
    """Collects the chunks of a body, up to the size limit. `error` is set as soon as the body is unusable."""

    def __init__(self, *, is_gzipped: bool) -> None:
        self.error: BodyError | None = None
        self._is_gzipped = is_gzipped
        self._gzip = zlib.decompressobj(GZIP_WINDOW) if is_gzipped else None
        """Decompressor of the current member of a gzip; None behind its end."""
        self._body = bytearray()
        self._received = 0
        """Bytes before decompression. They are limited, too, because members of a gzip may be empty."""

    def feed(self, chunk: bytes) -> None:
        """Add a chunk, decompressed up to the size limit."""
        if self.error is not None:
            return
        self._received += len(chunk)
        if self._is_gzipped:
            self._decompress(chunk)
        else:
            self._body += chunk
        if max(self._received, len(self._body)) > MAX_BODY_SIZE:
            self.error = TOO_LARGE

    def _decompress(self, data: bytes) -> None:
        """Decompress the members of a gzip, one after the other. Zeros behind a member are padding."""
        while data and len(self._body) <= MAX_BODY_SIZE:
            if self._gzip is None:
                if not (data := data.lstrip(b"\0")):
                    return
                if not data.startswith(GZIP_MAGIC[: len(data)]):
                    self.error = GZIP_TRAILING_DATA
                    return
                self._gzip = zlib.decompressobj(GZIP_WINDOW)
            try:
                self._body += self._gzip.decompress(data, MAX_BODY_SIZE + 1 - len(self._body))
            except zlib.error:
                self.error = GZIP_CORRUPT
                return
            data = self._gzip.unused_data
            if self._gzip.eof:
                self._gzip = None

    def finish(self) -> bytes | BodyError:
        """Return the whole body, or why there is none."""
        if self.error is None and self._gzip is not None and self._received:
            return GZIP_TRUNCATED
        return self.error or bytes(self._body)


GZIP_MAGIC: Final = b"\x1f\x8b"
"""The first bytes of each member."""


GZIP_WINDOW: Final = zlib.MAX_WBITS | 16
"""Parameter of zlib for a gzip."""


def _is_delimited(response: ResponseBody) -> bool:
    """Whether the protocol marks the end of the body, so that a lost connection cannot be taken for it."""
    return not response.http_version.startswith("HTTP/1") or any(name in response.headers for name in DELIMITERS)


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
