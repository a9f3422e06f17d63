"""Filters of appointments: of lists, whose long lists of ids are split over several requests, and of aggregates."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final, TypedDict, TypeVar, cast

from coaching_async._refusals.arguments import checked_instance, kind_of
from coaching_async._serialization.urls import QueryValue, encode_query
from coaching_async.models.aggregates import (
    AggregateClause,
    AggregateDimension,
    AggregateFilter,
    AggregateFilterType,
    AggregatePredicate,
)
from coaching_async.models.appointments import (
    AppointmentStatus,
    AppointmentStatusLike,
    IntervalCondition,
    IntervalConditionLike,
    Relationship,
    RelationshipLike,
    SortOrder,
    SortOrderLike,
)
from coaching_async.models.coercion import IdsLike, IntervalLike, OneOrMany, to_interval, to_members, to_user_ids
from coaching_async.models.types import OpenEnum

__all__ = ["AppointmentFilters", "aggregate_filter", "split_ids", "split_queries", "to_query"]

V = TypeVar("V")


class AppointmentFilters(TypedDict, total=False):
    """The filters of `appointments.list` as a dictionary: `client.appointments.list(user_ids, **filters)`."""

    interval: IntervalLike | None
    statuses: OneOrMany[AppointmentStatusLike] | None
    facilitator_ids: IdsLike | None
    sort_order: SortOrderLike | None
    relationships: OneOrMany[RelationshipLike] | None
    completion_interval: IntervalLike | None
    overdue: bool | None
    interval_condition: IntervalConditionLike | None


def split_queries(filters: AppointmentFilters, **id_lists: Sequence[str]) -> tuple[Mapping[str, QueryValue], ...]:
    """Return the queries that together cover the filters and the id lists; long lists of ids are split."""
    query = to_query(filters)
    to_split = {**id_lists, **{name: ids for name, ids in query.items() if name == "facilitator_ids"}}
    parts = split_ids(**cast("dict[str, Sequence[str]]", to_split))
    return tuple({**id_lists, **query, **part} for part in parts)


def to_query(filters: AppointmentFilters) -> dict[str, QueryValue]:
    """Return the filters as query parameters. Raises `ValueError` or `TypeError` for invalid values."""
    return {name: _CONVERTERS[name](value) for name, value in filters.items() if value is not None}


def _boolean(value: object) -> str:
    if not isinstance(value, bool):
        raise TypeError(f"overdue is True, False or None, not {kind_of(value)}")
    return str(value)  # the API spells them as Python does


def _non_empty(values: tuple[V, ...]) -> tuple[V, ...]:
    if not values:  # an absent parameter would select everything
        raise ValueError("a filter is an empty list: leave it out to get everything")
    return values


def aggregate_filter(
    attendee_ids: IdsLike | None,
    facilitator_ids: IdsLike | None,
    statuses: OneOrMany[AppointmentStatusLike] | None,
    given: AggregateFilter | None,
) -> AggregateFilter:
    """Return `given`, or the filter of the appointments that have one of each. Raise `ValueError` if there are both."""
    simple = {
        AggregateDimension.ATTENDEE_ID: attendee_ids,
        AggregateDimension.FACILITATOR_ID: facilitator_ids,
        AggregateDimension.STATUS: None if statuses is None else to_members(AppointmentStatus, statuses),
    }
    clauses = [_any_of(dimension, values) for dimension, values in simple.items() if values is not None]
    if given is not None and clauses:
        raise ValueError(
            "filter stands instead of attendee_ids, facilitator_ids and statuses: give it, or some of them"
        )
    if given is not None:
        return checked_instance("filter", given, AggregateFilter)
    return AggregateFilter(type=AggregateFilterType.AND, clauses=clauses)


def _any_of(dimension: AggregateDimension, values: IdsLike) -> AggregateClause:
    """Return the clause that `dimension` is one of `values`. Raise `ValueError` if there are none."""
    predicates = [AggregatePredicate(dimension=dimension, value=value) for value in _non_empty(to_user_ids(values))]
    return AggregateClause(type=AggregateFilterType.OR, predicates=predicates)


def _enum_values(enum: type[OpenEnum]) -> Callable[[Any], QueryValue]:
    return lambda values: _non_empty(to_members(enum, values))


_CONVERTERS: Final[Mapping[str, Callable[[Any], QueryValue]]] = {
    "interval": to_interval,
    "statuses": _enum_values(AppointmentStatus),
    "facilitator_ids": lambda values: _non_empty(to_user_ids(values)),
    "sort_order": SortOrder.known,
    "relationships": _enum_values(Relationship),
    "completion_interval": to_interval,
    "overdue": _boolean,
    "interval_condition": IntervalCondition.known,
}


MAX_IDS: Final = 100
"""Maximum ids of one parameter in one request. The service documents no limit; its other lists accept 100."""


MAX_ID_BYTES: Final = 7_000
"""Maximum length of the ids in one URL. Servers and proxies accept at least 8,000 bytes, and the rest is short."""


def split_ids(**id_lists: Sequence[str]) -> tuple[Mapping[str, Sequence[str]], ...]:
    """Split each list into parts, and return every combination of parts. Duplicate ids are removed.

    An id that is longer than a part stays whole, because the URL as a whole is checked later.
    """
    max_bytes = MAX_ID_BYTES // max(1, len(id_lists))
    parts = [list(_split(name, dict.fromkeys(ids), max_bytes)) for name, ids in id_lists.items()]
    return tuple(dict(zip(id_lists, combination, strict=True)) for combination in product(*parts))


def _split(name: str, ids: Iterable[str], max_bytes: int) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    used_bytes = 0
    for id_ in ids:
        size = len(encode_query(**{name: [id_]})) + 1
        if part and (len(part) == MAX_IDS or used_bytes + size > max_bytes):
            yield tuple(part)
            part, used_bytes = [], 0
        part.append(id_)
        used_bytes += size
    yield tuple(part)
