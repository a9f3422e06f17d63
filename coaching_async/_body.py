"""Reading the body of an answer: in full, and never more of it than a client can bear."""

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

from ._pipeline import Flaw
from ._wire import parse_json

__all__ = ["LARGEST", "Body", "read"]

LARGEST: Final = 10 * 2**20
"""Bytes of a body, unpacked. A page of a hundred appointments has about 150,000."""

TOO_LARGE: Final = Flaw(f"it is larger than {LARGEST // 2**20} MiB")
CUT: Final = Flaw("it ends in the middle of its gzip", passing=True)
BROKEN: Final = Flaw("its gzip is broken", passing=True)
UNFINISHED: Final = Flaw("it ends with its connection, in the middle of its JSON", passing=True)
DELIMITERS: Final = frozenset({"content-length", "transfer-encoding"})


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
    gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if encoding == "gzip" else None
    body = bytearray()
    arrived = False
    async for chunk in answer.aiter_raw():
        arrived = True
        try:
            body += chunk if gzip is None else gzip.decompress(chunk, LARGEST + 1 - len(body))
        except zlib.error:
            return BROKEN
        if len(body) > LARGEST:
            return TOO_LARGE
    if gzip is not None and arrived and not gzip.eof:
        return CUT
    whole = bytes(body)
    return whole if _is_delimited(answer) or not whole or _is_json(whole) else UNFINISHED


def _is_delimited(answer: Body) -> bool:
    """Whether the end of the answer is more than the end of its connection, which may come at any time."""
    return not answer.http_version.startswith("HTTP/1") or not DELIMITERS.isdisjoint(answer.headers.keys())


def _is_json(body: bytes) -> bool:
    try:
        parse_json(body)
    except ValueError:
        return False
    return True
