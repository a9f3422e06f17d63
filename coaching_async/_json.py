"""JSON by the letter of RFC 8259; a long text is read piece by piece, so that others have their turn meanwhile."""

import json
import re
from collections.abc import Generator
from typing import Any, Final, NoReturn, TypeAlias, cast

from anyio.lowlevel import checkpoint

try:
    import orjson
except ImportError:  # the extra `fast` brings it
    orjson = None  # type: ignore[assignment]

__all__ = ["LONG", "Json", "dumps", "parse", "parse_json", "parse_object"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can say."""

PIECE: Final = 2**16
"""Characters that are read at a stretch: a millisecond's worth, ten of the worst."""

LONG: Final = 4 * PIECE
"""Bytes of a text that is worth reading in pieces."""

MOST: Final = 2**18
"""Objects and lists in one text. The largest page of the smallest entities has fewer; of millions each look of the garbage
collector takes the loop a quarter of a second."""

DEEPEST: Final = 50
"""Values longer than a piece that may be inside one another."""


def parse_json(content: bytes) -> Any:
    """The JSON value of a body; anything else is a `ValueError`."""
    if (value := _at_once(content)) is not None:
        return value
    try:
        return DECODER.decode(content.decode("utf-8-sig"))
    except (RecursionError, ValueError) as error:
        problem = _problem(error)
    raise ValueError(f"no JSON: {problem}")


def _at_once(content: bytes) -> Any:
    """The value, where orjson would write it with the very same bytes; None where it takes a closer look, or without orjson.

    orjson keeps the last of two members of one name without a word, and numbers beyond 64 bits as floats: then what it
    writes differs. So it does where a text has spaces or escapes that it could do without: those need no trial.
    """
    if orjson is None or b'": ' in content[:64] or (b"\\" in content and b"\\u" in content):  # one byte is found faster
        return None
    try:
        value = orjson.loads(content)
        return value if orjson.dumps(value) == content else None
    except (TypeError, ValueError):
        return None


async def parse(content: bytes) -> Any:
    """The same, with checkpoints in a long one. Raises `ValueError`."""
    if len(content) <= LONG:
        return parse_json(content)
    if content.count(b"{") + content.count(b"[") > MOST:
        raise ValueError(f"no JSON that can be read: it has more than {MOST:,} objects and lists")
    try:
        reading = Reading(content.decode("utf-8-sig")).whole()
        while True:
            next(reading)
            await checkpoint()
    except StopIteration as end:
        return end.value
    except (RecursionError, ValueError) as error:
        problem = _problem(error)
    raise ValueError(f"no JSON: {problem}")


def parse_object(content: bytes) -> dict[str, object]:
    """The JSON object of a body, empty where there is none or a very long one: for answers whose status says enough."""
    try:
        value = parse_json(content) if len(content) <= LONG else None
    except ValueError:
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def dumps(value: object) -> bytes:
    """JSON of a value. Raises `ValueError` or `TypeError` where there is none."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


class Reading:
    """A text, and how far it has been read.

    The standard library reads values that lie within a piece. What does not, a list or an object, is taken apart here.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at: int = 0
        self._piece: str = ""
        self._piece_at: int = 0
        self._is_fresh = False
        """Whether the piece was just begun."""

    def whole(self) -> Generator[None, None, Any]:
        """The value of the text. Stops now and then. Raises `ValueError` or `RecursionError`."""
        value = yield from self._value(0)
        if self._next():
            raise ValueError("something follows its end")
        return value

    def _value(self, depth: int) -> Generator[None, None, Any]:
        opening = self._next()
        is_read, value = self._short()
        if self._is_fresh:
            self._is_fresh = False
            yield
        if is_read:
            return value
        if opening not in ("[", "{"):  # a long text or number, or nothing at all
            value, self._at = DECODER.raw_decode(self._text, self._at)
            return value
        if depth == DEEPEST:
            raise RecursionError
        return (yield from (self._list if opening == "[" else self._object)(depth + 1))

    def _list(self, depth: int) -> Generator[None, None, list[Any]]:
        items: list[Any] = []
        is_last = self._is_closed_at_once("]")
        while not is_last:
            items.append((yield from self._value(depth)))
            is_last = self._is_closed("]")
        return items

    def _object(self, depth: int) -> Generator[None, None, dict[str, Any]]:
        members: dict[str, Any] = {}
        is_last = self._is_closed_at_once("}")
        while not is_last:
            if self._next() != '"':
                raise ValueError("the name of a member has to be text")
            name = yield from self._value(depth)
            if name in members:
                _refuse_twice()
            if self._next() != ":":
                raise ValueError("a colon is missing")
            self._at += 1
            members[name] = yield from self._value(depth)
            is_last = self._is_closed("}")
        return members

    def _is_closed_at_once(self, closing: str) -> bool:
        self._at += 1
        is_empty = self._next() == closing
        self._at += is_empty
        return is_empty

    def _is_closed(self, closing: str) -> bool:
        found = self._next()
        if found not in (closing, ","):
            raise ValueError("a comma is missing")
        self._at += 1
        return found == closing

    def _next(self) -> str:
        """What comes next that is no space; nothing at the end."""
        if (space := SPACE.match(self._text, self._at)) is not None:
            self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _short(self) -> tuple[bool, Any]:
        """The value that comes next, where it ends within a piece."""
        value: Any
        end: int
        while True:
            try:
                value, end = DECODER.raw_decode(self._piece, self._at - self._piece_at)
            except ValueError:  # it is longer, or broken
                pass
            else:
                end += self._piece_at
                if end + 3 <= self._piece_at + len(self._piece) or end == len(self._text):  # "1" may go on: "e+5"
                    self._at = end
                    return True, value
            if self._piece_at == self._at and self._piece:
                return False, None
            self._piece_at, self._piece, self._is_fresh = self._at, self._text[self._at : self._at + PIECE], True
            if not self._piece:
                return False, None


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(getattr(error, "msg", error))  # JSONDecodeError's str() goes on to quote the place


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _refuse_twice() -> NoReturn:
    raise ValueError("an object has two members of one name")


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 leaves open which of two members of one name counts: then nobody knows what was meant."""
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse_twice()
    return members


SPACE: Final = re.compile(r"[ \t\n\r]+")
DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_each_name_once)
