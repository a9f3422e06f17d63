"""Cursors: the position of a walk as short, opaque text, from which another process can resume (a continuation token).

A cursor contains no ids. It has digests of the filters and of the items that were returned last.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

__all__ = ["LATER_PASS", "START", "Position", "decode_cursor", "encode_cursor", "id_digest", "list_fingerprint"]


VERSION: Final = 2
"""Version 1 had digests by BLAKE2, which a Python that is limited to approved algorithms (FIPS) lacks."""


DIGEST_SIZE: Final = 6
"""Bytes. The chance that any of a million ids has the digest of one of the last hundred is 1 in 3 million."""


DIGEST_LENGTH: Final = DIGEST_SIZE * 4 // 3
"""Characters."""


@attrs.frozen(repr=False)
class Position:
    """Position of a walk in one list of the service."""

    row: int = 0
    """The first row that was not returned."""
    size: int = 0
    """Rows per page, as the service made them; 0 if no page was read."""
    total: int | None = None
    digests: tuple[str, ...] = ()
    """Digests of the last ids before `row`."""
    is_later_pass: bool = False
    """Whether the first pass has ended, and another one was looking for missed items."""
    gaps: int = 0
    """Changes seen so far after which items may be missing."""

    @property
    def pages_before(self) -> int:
        """Pages before the one where a walk resumes: that of the last row that was returned, which shows whether rows have moved."""
        return (self.row - 1) // self.size if self.row else 0


START: Final = Position()


LATER_PASS: Final = Position(is_later_pass=True)


def id_digest(id_: str, size: int = DIGEST_SIZE) -> str:
    """Return a short digest of an id. The size is a multiple of 3 bytes, so that the text needs no padding."""
    digest = hashlib.sha256(id_.encode(errors="surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest[:size]).decode()


def list_fingerprint(*texts: str) -> str:
    """Return a digest of the operation and the filters of a list. A cursor is accepted only by a list with its fingerprint."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:24]


def encode_cursor(fingerprint: str, chunk: int, positions: Sequence[Position | None]) -> str:
    """Return a cursor of the current chunk's index and the positions in it and in chunks after it.

    None is the position at the end of a chunk. Chunks that are left out are at their start.
    """
    encoded = [None if position is None else _encode_position(position) for position in positions]
    data = [VERSION, fingerprint, chunk, encoded]
    return base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: object, fingerprint: str, chunks: int) -> tuple[Position | None, ...]:
    """Return the position in each of the chunks.

    Raises `ValueError` if the text is not a cursor, or is one of a list with another fingerprint.
    """
    if not isinstance(cursor, str):
        raise ValueError("cursor is not one: give the text that a walk's `.cursor` was")  # noqa: TRY004 # one for all
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, found, chunk, encoded = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        positions = [None if fields is None else _decode_position(*fields) for fields in encoded]
        is_current = version == VERSION and _is_count(chunk)
    except (ValueError, TypeError, RecursionError):
        is_current, found, chunk, positions = False, fingerprint, 0, []
    if is_current and found != fingerprint:
        raise ValueError("cursor belongs to another list, or other filters: go on with the same arguments as before")
    if not is_current or chunk + len(positions) > chunks:
        raise ValueError("cursor is not one of this version's: give the text that a walk's `.cursor` was")
    return (*[None] * chunk, *positions, *[START] * (chunks - chunk - len(positions)))


def _encode_position(position: Position) -> list[Any]:
    return [
        position.row,
        position.size,
        position.total,
        "".join(position.digests),
        int(position.is_later_pass),
        position.gaps,
    ]


def _decode_position(row: Any, size: Any, total: Any, digests: Any, is_later_pass: Any, gaps: Any) -> Position:
    counts: Iterable[Any] = (row, size, gaps, *(() if total is None else (total,)))
    if (
        not all(map(_is_count, counts))
        or not isinstance(digests, str)
        or len(digests) % DIGEST_LENGTH
        or (row and not size)
    ):
        raise ValueError
    separate = tuple(digests[start : start + DIGEST_LENGTH] for start in range(0, len(digests), DIGEST_LENGTH))
    return Position(row, size, total, separate, is_later_pass=bool(is_later_pass), gaps=gaps)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**18
