"""What appointments may be narrowed by, and how that travels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict, cast

from ._chunks import chunks
from ._convert import Several, Span, ids, members, span
from ._types import OpenEnum
from ._urls import QueryValue
from .models import AppointmentStatus, IntervalCondition, Relationship, SortOrder
from .models_aggregates import AggregateClause, AggregateDimension, AggregateFilterType, AggregatePredicate

__all__ = ["AppointmentFilters", "as_query", "at_least_one", "in_chunks", "one_of"]


class AppointmentFilters(TypedDict, total=False):
    """What a list of appointments may be narrowed by; None is as good as leaving out."""

    interval: Span | None
    """When they take place; the end is excluded."""
    statuses: Several[AppointmentStatus] | None
    facilitator_ids: Iterable[str] | str | None
    sort_order: SortOrder | str | None
    """By due date."""
    relationships: Several[Relationship] | None
    """The roles that the users have in them."""
    completion_interval: Span | None
    """When they became Completed; the end is excluded."""
    overdue: bool | None
    """True gives only overdue ones, False only others."""
    interval_condition: IntervalCondition | str | None
    """Whether `interval` wants them to start in it, or to overlap it."""


def in_chunks(filters: AppointmentFilters, **several: Sequence[str]) -> tuple[Mapping[str, QueryValue], ...]:
    """The filters as parameters, in as many parts as their facilitators, and `several` other kinds of ids, need."""
    same = as_query(filters)
    split = {**several, **{name: ids for name, ids in same.items() if name == "facilitator_ids"}}
    return tuple({**several, **same, **each} for each in chunks(**cast("dict[str, Sequence[str]]", split)))


def as_query(filters: AppointmentFilters) -> dict[str, QueryValue]:
    """What the filters are as parameters; unknown names are a `TypeError`, bad values a `ValueError` or `TypeError`."""
    if unknown := filters.keys() - _CONVERT.keys():
        raise TypeError(f"no such filter: {', '.join(sorted(unknown))}; there are {', '.join(_CONVERT)}")
    return {name: _CONVERT[name](value) for name, value in filters.items() if value is not None}


def _word(wanted: object) -> str:
    """`True` or `False`, as the API spells them."""
    if not isinstance(wanted, bool):
        raise TypeError(f"overdue is True, False or None, not {type(wanted).__name__}")
    return str(wanted)


def at_least_one(values: Iterable[str] | str) -> tuple[str, ...]:
    """The values, a lone one too; none at all are refused."""
    several = ids(values)
    if not several:  # sent as nothing, it would select everything
        raise ValueError("a filter is an empty list: leave it out to get everything")
    return several


def one_of(dimension: AggregateDimension, values: Iterable[str] | str) -> AggregateClause:
    """`dimension` has to be one of `values`."""
    predicates = [AggregatePredicate(dimension=dimension, value=value) for value in at_least_one(values)]
    return AggregateClause(type=AggregateFilterType.OR, predicates=predicates)


def _known(enum: type[OpenEnum]) -> Callable[[Any], QueryValue]:
    return lambda values: members(enum, at_least_one(values))


_CONVERT: Final[Mapping[str, Callable[[Any], QueryValue]]] = {
    "interval": span,
    "statuses": _known(AppointmentStatus),
    "facilitator_ids": at_least_one,
    "sort_order": SortOrder.known,
    "relationships": _known(Relationship),
    "completion_interval": span,
    "overdue": _word,
    "interval_condition": IntervalCondition.known,
}
