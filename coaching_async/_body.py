"""Reading the body of an answer: in full, and never more of it than a client can bear."""

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

import anyio

from ._exchange import Flaw
from ._json import parse, parse_json

__all__ = ["LARGEST", "Body", "read"]

LARGEST: Final = 10 * 2**20
"""Bytes of a body, unpacked. A page of a hundred appointments has about 150,000."""

TOO_LARGE: Final = Flaw(f"it is larger than {LARGEST // 2**20} MiB")
CUT: Final = Flaw("it ends in the middle of its gzip", passing=True)
MORE: Final = Flaw("something follows the end of its gzip")
BROKEN: Final = Flaw("its gzip is broken", passing=True)
UNFINISHED: Final = Flaw("it ends with its connection, in the middle of its JSON", passing=True)
DELIMITERS: Final = ("content-length", "transfer-encoding")


class Body(Protocol):
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


async def read(answer: Body) -> bytes | Flaw:
    """The unpacked body, or why there is none. What the HTTP library raises when the connection breaks is passed on.

    The library's own decoding is not used: it unpacks a chunk whole, and 64 KiB may hold 64 MiB.
    """
    if answer.is_stream_consumed:  # a transport that had it all at once
        return answer.content if len(answer.content) <= LARGEST else TOO_LARGE
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        return Flaw("it is in an encoding that was not asked for")
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > LARGEST:
        return TOO_LARGE
    unpacking = Unpacking(is_packed=encoding == "gzip")
    chunks = answer.aiter_raw()
    async for chunk in chunks:
        unpacking.add(chunk)
        if unpacking.flaw is not None:
            # Leaving the loop would leave the library's generators to the garbage collector, one inside the other.
            # Cancelled from within, each of them ends.
            with anyio.CancelScope() as rest:
                rest.cancel()
                async for _ in chunks:
                    pass
            break
    whole = unpacking.whole()
    if isinstance(whole, Flaw) or _is_delimited(answer) or not whole or await _is_json(whole):
        return whole
    return UNFINISHED


async def read_none(answer: Body) -> bytes:
    """The end of an answer that has no body, whatever it says of one: else its connection would be closed."""
    if not answer.is_stream_consumed:
        async for _ in answer.aiter_raw():
            pass
    return b""


class Unpacking:
    """A body that grows chunk by chunk, until it is whole or has a flaw."""

    def __init__(self, *, is_packed: bool) -> None:
        self.flaw: Flaw | None = None
        self._gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if is_packed else None
        self._body = bytearray()
        self._began = False

    def add(self, chunk: bytes) -> None:
        """Unpack what came, and no more of it than there is room for."""
        if self.flaw is not None:
            return
        self._began = True
        try:
            self._body += chunk if self._gzip is None else self._gzip.decompress(chunk, LARGEST + 1 - len(self._body))
        except zlib.error:
            self.flaw = BROKEN
        if self._gzip is not None and self._gzip.unused_data:
            self.flaw = MORE
        if len(self._body) > LARGEST:
            self.flaw = TOO_LARGE

    def whole(self) -> bytes | Flaw:
        """All of it, or why there is none."""
        if self.flaw is None and self._gzip is not None and self._began and not self._gzip.eof:
            return CUT
        return self.flaw or bytes(self._body)


def _is_delimited(answer: Body) -> bool:
    """Whether the end of the answer is more than the end of its connection, which may come at any time."""
    return not answer.http_version.startswith("HTTP/1") or any(name in answer.headers for name in DELIMITERS)


async def _is_json(body: bytes) -> bool:
    try:
        await parse(body, parse_json)
    except ValueError:
        return False
    return True
