"""What appointments may be narrowed by, and how that travels."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final, TypedDict, cast

from coaching_async._serialization.urls import QueryValue, encode_query
from coaching_async.models.aggregates import (
    AggregateClause,
    AggregateDimension,
    AggregateFilterType,
    AggregatePredicate,
)
from coaching_async.models.appointments import AppointmentStatus, IntervalCondition, Relationship, SortOrder
from coaching_async.models.coercion import IntervalLike, OneOrMany, to_ids, to_interval, to_members
from coaching_async.models.types import OpenEnum

__all__ = ["AppointmentFilters", "any_of", "non_empty", "split_ids", "split_queries", "to_query"]


class AppointmentFilters(TypedDict, total=False):
    """What a list of appointments may be narrowed by; None is as good as leaving out."""

    interval: IntervalLike | None
    """When they take place; the end is excluded."""
    statuses: OneOrMany[AppointmentStatus] | None
    facilitator_ids: Iterable[str] | str | None
    sort_order: SortOrder | str | None
    """By due date."""
    relationships: OneOrMany[Relationship] | None
    """The roles that the users have in them."""
    completion_interval: IntervalLike | None
    """When they became Completed; the end is excluded."""
    overdue: bool | None
    """True gives only overdue ones, False only others."""
    interval_condition: IntervalCondition | str | None
    """Whether `interval` wants them to start in it, or to overlap it."""


def split_queries(filters: AppointmentFilters, **several: Sequence[str]) -> tuple[Mapping[str, QueryValue], ...]:
    """The filters as parameters, in as many parts as their facilitators, and `several` other kinds of ids, need."""
    same = to_query(filters)
    split = {**several, **{name: ids for name, ids in same.items() if name == "facilitator_ids"}}
    return tuple({**several, **same, **each} for each in split_ids(**cast("dict[str, Sequence[str]]", split)))


def to_query(filters: AppointmentFilters) -> dict[str, QueryValue]:
    """What the filters are as parameters; unknown names are a `TypeError`, bad values a `ValueError` or `TypeError`."""
    if unknown := filters.keys() - _CONVERTERS.keys():
        raise TypeError(f"no such filter: {', '.join(sorted(unknown))}; there are {', '.join(_CONVERTERS)}")
    return {name: _CONVERTERS[name](value) for name, value in filters.items() if value is not None}


def _boolean(wanted: object) -> str:
    """`True` or `False`, as the API spells them."""
    if not isinstance(wanted, bool):
        raise TypeError(f"overdue is True, False or None, not {type(wanted).__name__}")
    return str(wanted)


def non_empty(values: Iterable[str] | str) -> tuple[str, ...]:
    """The values, a lone one too; none at all are refused."""
    several = to_ids(values)
    if not several:  # sent as nothing, it would select everything
        raise ValueError("a filter is an empty list: leave it out to get everything")
    return several


def any_of(dimension: AggregateDimension, values: Iterable[str] | str) -> AggregateClause:
    """`dimension` has to be one of `values`."""
    predicates = [AggregatePredicate(dimension=dimension, value=value) for value in non_empty(values)]
    return AggregateClause(type=AggregateFilterType.OR, predicates=predicates)


def _enum_values(enum: type[OpenEnum]) -> Callable[[Any], QueryValue]:
    return lambda values: to_members(enum, non_empty(values))


_CONVERTERS: Final[Mapping[str, Callable[[Any], QueryValue]]] = {
    "interval": to_interval,
    "statuses": _enum_values(AppointmentStatus),
    "facilitator_ids": non_empty,
    "sort_order": SortOrder.known,
    "relationships": _enum_values(Relationship),
    "completion_interval": to_interval,
    "overdue": _boolean,
    "interval_condition": IntervalCondition.known,
}


MAX_IDS: Final = 100
"""Of one kind in one request. The service publishes no bound; that it takes so many is what its other lists do."""


MAX_ID_BYTES: Final = 7_000
"""Of ids in one URL. Servers and proxies take 8,000 and more, and the rest of ours is short."""


def split_ids(**several: Sequence[str]) -> tuple[Mapping[str, Sequence[str]], ...]:
    """The ids of each name in parts, and every part of one name with every part of the others. Ids given twice are asked once.

    An id that is too long by itself stays whole: whether it fits is for others to say.
    """
    room = MAX_ID_BYTES // max(1, len(several))
    parts = [list(_split(name, dict.fromkeys(ids), room)) for name, ids in several.items()]
    return tuple(dict(zip(several, each, strict=True)) for each in product(*parts))


def _split(name: str, ids: Iterable[str], room: int) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    used = 0
    for each in ids:
        size = len(encode_query(**{name: [each]})) + 1
        if part and (len(part) == MAX_IDS or used + size > room):
            yield tuple(part)
            part, used = [], 0
        part.append(each)
        used += size
    yield tuple(part)
