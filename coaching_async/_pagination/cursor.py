"""Cursors: where a walk is, as a short text with which another process goes on.

It holds no ids: of the filters and of the items that were handed out last it has digests.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

__all__ = ["LATER_PASS", "START", "Position", "decode_cursor", "encode_cursor", "id_digest", "list_fingerprint"]


VERSION: Final = 1


DIGEST: Final = 6
"""Bytes. Of a million items, one is taken for one of the last hundred with a chance of 1 in 3 million."""


DIGEST_LENGTH: Final = DIGEST * 4 // 3


@attrs.frozen(repr=False)
class Position:
    """Where a walk is in one list of the service."""

    row: int = 0
    """The first one that was not handed out."""
    size: int = 0
    """Rows a page, as the service has it; 0 where nothing was read."""
    total: int | None = None
    digests: tuple[str, ...] = ()
    """Of the ids that stood before that row."""
    is_later_pass: bool = False
    """Whether the list was walked once, and is being walked again for what was missed."""
    gaps: int = 0
    """Changes that were seen, and after which something may still be missing."""


START: Final = Position()


LATER_PASS: Final = Position(is_later_pass=True)


def id_digest(id_: str) -> str:
    """A short digest of an id."""
    return base64.urlsafe_b64encode(
        hashlib.blake2s(id_.encode(errors="surrogatepass"), digest_size=DIGEST).digest()
    ).decode()


def list_fingerprint(*texts: str) -> str:
    """What tells the cursors of one question from those of another."""
    return hashlib.blake2s("\n".join(texts).encode(), digest_size=12).hexdigest()


def encode_cursor(key: str, chunk: int, positions: Sequence[Position | None]) -> str:
    """A cursor: the chunk that a walk is in, and its positions in that and the ones after it; None where one is done."""
    data = [VERSION, key, chunk, [None if each is None else _encode_position(each) for each in positions]]
    return base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: object, key: str, chunks: int) -> tuple[Position | None, ...]:
    """The positions in all the chunks. Raises `ValueError` where it is no cursor, or one of another list."""
    if not isinstance(cursor, str):
        raise ValueError("cursor is not one: give the text that a walk's `.cursor` was")  # noqa: TRY004 # one for all
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, its_key, chunk, positions = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        found = [None if each is None else _decode_position(*each) for each in positions]
        is_sound = version == VERSION and _is_count(chunk) and chunk + len(found) <= chunks
    except (ValueError, TypeError, RecursionError):
        is_sound, its_key, chunk, found = False, key, 0, []
    if its_key != key:
        raise ValueError("cursor belongs to another list, or other filters: go on with the same arguments as before")
    if not is_sound:
        raise ValueError("cursor is not one of this version's: give the text that a walk's `.cursor` was")
    return (*[None] * chunk, *found, *[START] * (chunks - chunk - len(found)))


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
    several = tuple(digests[start : start + DIGEST_LENGTH] for start in range(0, len(digests), DIGEST_LENGTH))
    return Position(row, size, total, several, is_later_pass=bool(is_later_pass), gaps=gaps)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**18
