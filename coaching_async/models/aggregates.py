"""Aggregates: counts of appointments, and the queries for them."""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import attrs

from coaching_async._refusals.arguments import checked_several
from coaching_async._value import MissingField, Value

from .coercion import EMPTY_MAPPING, FrozenDict, OneOrMany, to_id, to_interval, to_members
from .types import Interval, OpenEnum

__all__ = [
    "AggregateClause",
    "AggregateData",
    "AggregateDimension",
    "AggregateDimensionLike",
    "AggregateFilter",
    "AggregateFilterType",
    "AggregateFilterTypeLike",
    "AggregateGroup",
    "AggregateGroupBy",
    "AggregateGroupByLike",
    "AggregateMetric",
    "AggregatePredicate",
    "AggregateQuery",
    "AggregateStats",
    "AppointmentAggregates",
    "AppointmentMetric",
    "AppointmentMetricLike",
]


class AppointmentMetric(OpenEnum):
    """A metric: the number of all appointments, or of those with one status."""

    N_ACTIVITIES = "nActivities"
    N_PLANNED_ACTIVITIES = "nPlannedActivities"
    N_IN_PROGRESS_ACTIVITIES = "nInProgressActivities"
    N_COMPLETE_ACTIVITIES = "nCompleteActivities"
    N_OVERDUE_ACTIVITIES = "nOverdueActivities"
    N_INVALID_SCHEDULE_ACTIVITIES = "nInvalidScheduleActivities"


AppointmentMetricLike: TypeAlias = (
    AppointmentMetric
    | Literal[
        "nActivities",
        "nPlannedActivities",
        "nInProgressActivities",
        "nCompleteActivities",
        "nOverdueActivities",
        "nInvalidScheduleActivities",
    ]
)


class AggregateGroupBy(OpenEnum):
    """The dimension by which counts are grouped."""

    ATTENDEE_ID = "attendeeId"


AggregateGroupByLike: TypeAlias = AggregateGroupBy | Literal["attendeeId"]


class AggregateDimension(OpenEnum):
    """The dimension that a predicate compares."""

    ATTENDEE_ID = "attendeeId"
    FACILITATOR_ID = "facilitatorId"
    STATUS = "status"


AggregateDimensionLike: TypeAlias = AggregateDimension | Literal["attendeeId", "facilitatorId", "status"]


class AggregateFilterType(OpenEnum):
    """Whether all parts of a filter or clause must match (and), or at least one (or)."""

    AND = "And"
    OR = "Or"


AggregateFilterTypeLike: TypeAlias = AggregateFilterType | Literal["And", "Or"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateStats(Value):
    """The value of a metric."""

    count: int | None = None
    """Number of appointments."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateMetric(Value):
    """A metric and its value."""

    metric: AppointmentMetric | None = None
    """What is counted."""
    stats: AggregateStats | None = None
    """Its value."""

    @property
    def count(self) -> int:
        """`stats.count`, which the service may leave out: then this raises `MissingField`."""
        if self.stats is None or self.stats.count is None:
            raise MissingField("the service sent no count for this AggregateMetric")
        return self.stats.count


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateData(Value):
    """The metrics of one interval."""

    interval: Interval | None = None
    """Time that the counts are for, its end excluded."""
    metrics: tuple[AggregateMetric, ...] = ()
    """One entry for each metric of the query."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateGroup(Value):
    """The data of one group."""

    group: Mapping[str, str] = attrs.field(default=EMPTY_MAPPING, converter=FrozenDict)
    """Dimension and id that identify the group, for example `{"attendeeId": "…"}`. Empty without grouping."""
    data: tuple[AggregateData, ...] = ()
    """Counts of the group, by interval."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentAggregates(Value):
    """The response to an aggregate query."""

    results: tuple[AggregateGroup, ...] = ()
    """One entry for each group, or a single one without grouping."""


def _to_dimension(value: AggregateDimensionLike) -> AggregateDimension:
    return AggregateDimension.known(value)


def _to_filter_type(value: AggregateFilterTypeLike) -> AggregateFilterType:
    return AggregateFilterType.known(value)


def _to_metrics(values: OneOrMany[AppointmentMetricLike]) -> tuple[AppointmentMetric, ...]:
    return to_members(AppointmentMetric, values)


def _to_group_by(values: OneOrMany[AggregateGroupByLike]) -> tuple[AggregateGroupBy, ...]:
    return to_members(AggregateGroupBy, values)


def _to_tuple_of_predicates(values: "Iterable[AggregatePredicate]") -> "tuple[AggregatePredicate, ...]":
    return checked_several("predicates", values, AggregatePredicate)


def _to_tuple_of_clauses(values: "Iterable[AggregateClause]") -> "tuple[AggregateClause, ...]":
    return checked_several("clauses", values, AggregateClause)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregatePredicate(Value):
    """A condition: `dimension` equals `value`."""

    dimension: AggregateDimension = attrs.field(converter=_to_dimension)
    """What is compared."""
    value: str = attrs.field(converter=to_id)
    """Value that it has to equal: the id of a user, or a status."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateClause(Value):
    """Predicates, of which all or at least one must match."""

    type: AggregateFilterType = attrs.field(converter=_to_filter_type)
    """Whether all predicates have to match (And), or at least one (Or)."""
    predicates: tuple[AggregatePredicate, ...] = attrs.field(converter=_to_tuple_of_predicates)
    """Conditions of the clause."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateFilter(Value):
    """Clauses, of which all or at least one must match."""

    type: AggregateFilterType = attrs.field(converter=_to_filter_type)
    """Whether all clauses have to match (And), or at least one (Or)."""
    clauses: tuple[AggregateClause, ...] = attrs.field(converter=_to_tuple_of_clauses)
    """Clauses of the filter."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateQuery(Value):
    """A query for counts."""

    interval: Interval = attrs.field(converter=to_interval)
    """Time that is counted, its end excluded. Its times have a time zone."""
    metrics: tuple[AppointmentMetric, ...] = attrs.field(default=(), converter=_to_metrics)
    """What to count. Empty for all metrics."""
    group_by: tuple[AggregateGroupBy, ...] = attrs.field(default=(), converter=_to_group_by)
    """What to group the counts by. Empty for one group."""
    filter: AggregateFilter
    """Which appointments count."""
