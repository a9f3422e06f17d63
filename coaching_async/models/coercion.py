"""Coercion of arguments: what a caller may pass into what a model holds."""

import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from reprlib import Repr
from typing import Any, Final, TypeAlias, TypeVar, cast
from uuid import UUID

from coaching_async._refusals.arguments import kind_of, require_several, several_ids

from .types import PARSE_TEXT, Interval, OpenEnum

__all__ = [
    "EMPTY_MAPPING",
    "FrozenDict",
    "IdLike",
    "IdsLike",
    "IntervalLike",
    "OneOrMany",
    "has_blank_end",
    "strip_blanks",
    "to_id",
    "to_id_container",
    "to_ids",
    "to_interval",
    "to_intervals",
    "to_members",
    "to_texts",
]

E = TypeVar("E", bound=OpenEnum)
T = TypeVar("T")

IdLike: TypeAlias = str | UUID

IdsLike: TypeAlias = Iterable[IdLike] | IdLike
"""One or more ids."""

IntervalLike: TypeAlias = Interval | tuple[datetime, datetime]


OneOrMany: TypeAlias = Iterable[T] | T
"""One or more values."""


INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that Python counts as printable, and that show nothing."""


is_plain: Final = re.compile("[!-~](?:[ -~]*[!-~])?").fullmatch
"""Whether a text has characters of ASCII only, and a visible one at each end. Ids do, and this takes one call of C code."""


def to_id(value: IdLike) -> str:
    """Return an id as text.

    Raises `ValueError` for anything else, and for a text with a blank, a line end or an invisible character at one of its
    ends. It was read from a file or copied with more than the id, and the service would find nothing.
    """
    if isinstance(value, str) and is_plain(value):
        return value
    if isinstance(value, UUID):
        return str(value)
    if not value or not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        shown = f"a value of type {type(value).__name__}" if value else ascii(value)
        hint = ", such as the `id` of this object" if hasattr(value, "id") else ""
        raise ValueError(f"{shown} is no id: every id has to be a non-empty str or a UUID{hint}")
    if has_blank_end(value):
        raise ValueError(
            f"{_shown(value)} is no id: it begins or ends with a blank, a line end or an invisible character"
        )
    return value


def has_blank_end(text: str) -> bool:
    """Return whether a non-empty text begins or ends with a blank, a line end or an invisible character."""
    return _is_blank(text[0]) or _is_blank(text[-1])


def strip_blanks(text: str) -> str:
    """Return a text without blanks, line ends and invisible characters at its ends."""
    visible = [position for position, character in enumerate(text) if not _is_blank(character)]
    return text[visible[0] : visible[-1] + 1] if visible else ""


def _is_blank(character: str) -> bool:
    return character == " " or not character.isprintable() or character in INVISIBLE


def _shown(text: str) -> str:
    """Return a text in quotes, each of its characters visible, and the middle of a long one left out."""
    shortened = Repr()
    shortened.maxstring = 100
    return shortened.repr(str(text)).encode("ascii", "backslashreplace").decode()


def to_ids(value: IdsLike) -> tuple[str, ...]:
    """Return ids as a tuple: a single one, or several. A set is sorted, because its order differs between processes.

    Raises what `to_id` raises, and `TypeError` if there is nothing to iterate over.
    """
    ids = tuple(map(to_id, several_ids(value)))
    return tuple(sorted(ids)) if isinstance(value, AbstractSet) else ids


def to_user_ids(value: IdsLike) -> tuple[str, ...]:
    """Return the ids of users as `to_ids` does. Raise `ValueError` for an e-mail address: the service would find nothing."""
    ids = to_ids(value)
    if any("@" in id_ for id_ in ids):
        raise ValueError(
            "an e-mail address is no id: client.users.search(email=...) finds its user, whose `id` is wanted"
        )
    return ids


def to_id_container(values: Container[IdLike]) -> Container[str]:
    """Return a container of ids as text. One that cannot be iterated over is returned unchanged."""
    if isinstance(values, Collection):
        ids = cast("Collection[IdLike]", values)
        if any(isinstance(id_, UUID) for id_ in ids):
            return {str(id_) for id_ in ids}
    return cast("Container[str]", values)


def to_texts(values: Iterable[str] | str) -> tuple[str, ...]:
    """Return texts as a tuple: a single one, or several. A set is sorted. Raises `ValueError` for an empty one."""
    if not isinstance(values, str):
        require_several(values, "a value is a str")
    texts = (values,) if isinstance(values, str) else tuple(values)
    if not all(isinstance(text, str) and text for text in texts):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("every item has to be a non-empty str")
    return tuple(sorted(texts)) if isinstance(values, AbstractSet) else texts


def to_members(enum: type[E], values: Iterable[str] | str) -> tuple[E, ...]:
    """Return the members with these values. Raises `ValueError`, which lists the choices, for an unknown value."""
    return tuple(enum.known(value) for value in to_texts(values))


def to_interval(value: IntervalLike) -> Interval:
    """Return an interval, from an `Interval` or its two ends."""
    match value:
        case Interval():
            return value
        case (start, end):
            return Interval(start, end)
        case _:  # pyright: ignore[reportUnnecessaryComparison] # callers without a type checker
            raise TypeError(f"an interval is an Interval or two datetimes, not {kind_of(value)}: {PARSE_TEXT}")


def to_intervals(value: IntervalLike | Iterable[IntervalLike]) -> tuple[Interval, ...]:
    """Return intervals. A pair of datetimes is one interval."""
    intervals: Any = value if isinstance(value, Iterable) and not _is_interval_like(value) else (value,)
    return tuple(to_interval(interval) for interval in intervals)


def _is_interval_like(value: object) -> bool:
    match value:
        case Interval() | (datetime(), datetime()):
            return True
        case _:
            return False


class FrozenDict(Mapping[str, Any]):
    """An immutable mapping. It can be hashed, and so can the model that holds it."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


EMPTY_MAPPING: Final = FrozenDict({})
"""The default of mappings, for responses without one."""
