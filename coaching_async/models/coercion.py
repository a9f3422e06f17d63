"""Coercion of arguments: what a caller may pass into what a model holds."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from .types import Interval, OpenEnum

__all__ = [
    "EMPTY_MAPPING",
    "FrozenDict",
    "IntervalLike",
    "OneOrMany",
    "to_id",
    "to_ids",
    "to_interval",
    "to_intervals",
    "to_members",
]

E = TypeVar("E", bound=OpenEnum)
T = TypeVar("T")

IntervalLike: TypeAlias = Interval | tuple[datetime, datetime]


OneOrMany: TypeAlias = Iterable[T | str] | T | str
"""One or more members of an enum, or their values."""


def to_ids(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return ids as a tuple. A string is one id. A set is sorted, because its order differs between processes.

    Raises `ValueError` for an id that is empty or not a str.
    """
    ids = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(id_, str) and id_ for id_ in ids):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("every id has to be a non-empty str")
    return tuple(sorted(ids)) if isinstance(value, AbstractSet) else ids


def to_id(value: str) -> str:
    """Return one id. Raises `ValueError` for anything else."""
    return to_ids((value,))[0]


def to_members(enum: type[E], values: Iterable[str] | str) -> tuple[E, ...]:
    """Return the members with these values. Raises `ValueError`, which lists the choices, for an unknown value."""
    return tuple(enum.known(value) for value in to_ids(values))


def to_interval(value: IntervalLike) -> Interval:
    """Return an interval, from an `Interval` or its two ends."""
    match value:
        case Interval():
            return value
        case (start, end):
            return Interval(start, end)
        case _:  # pyright: ignore[reportUnnecessaryComparison] # callers without a type checker
            raise TypeError(f"an interval is an Interval or two datetimes, not {type(value).__name__}")


def to_intervals(value: IntervalLike | Iterable[IntervalLike]) -> tuple[Interval, ...]:
    """Return intervals. A pair of datetimes is one interval."""
    intervals: Any = (value,) if _is_interval_like(value) else value
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
