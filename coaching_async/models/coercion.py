"""Coercing what a caller may give into what a model holds."""

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
"""Members of an enum or their values; a lone one too."""


def to_ids(value: str | Iterable[str]) -> tuple[str, ...]:
    """A lone string is one id, not a sequence of letters. A set has no order: it is given one, which every process gives it."""
    several = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(each, str) and each for each in several):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("every id has to be a non-empty str")
    return tuple(sorted(several)) if isinstance(value, AbstractSet) else several


def to_id(value: str) -> str:
    """One id, and nothing else."""
    return to_ids((value,))[0]


def to_members(enum: type[E], values: Iterable[str] | str) -> tuple[E, ...]:
    """The members of these values; a `ValueError` lists the choices where there is none."""
    return tuple(enum.known(value) for value in to_ids(values))


def to_interval(value: IntervalLike) -> Interval:
    """An interval, also from its two ends."""
    match value:
        case Interval():
            return value
        case (start, end):
            return Interval(start, end)
        case _:  # pyright: ignore[reportUnnecessaryComparison] # callers without a type checker
            raise TypeError(f"an interval is an Interval or two datetimes, not {type(value).__name__}")


def to_intervals(value: IntervalLike | Iterable[IntervalLike]) -> tuple[Interval, ...]:
    """Intervals; a lone one is one, not a sequence of its two ends."""
    several: Any = (value,) if _is_interval_like(value) else value
    return tuple(to_interval(each) for each in several)


def _is_interval_like(value: object) -> bool:
    match value:
        case Interval() | (datetime(), datetime()):
            return True
        case _:
            return False


class FrozenDict(Mapping[str, Any]):
    """A mapping that nobody can change, and so part of a key like the model that holds it."""

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
"""What a model holds where the service sent no mapping."""
