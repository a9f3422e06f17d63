"""Aggregates: counts of appointments, and how to ask for them."""

from collections.abc import Iterable, Mapping

import attrs

from ._convert import EMPTY, FrozenDict, Several, an_id, members, span
from ._types import Interval, OpenEnum
from ._value import Value

__all__ = [
    "AggregateClause",
    "AggregateData",
    "AggregateDimension",
    "AggregateFilter",
    "AggregateFilterType",
    "AggregateGroup",
    "AggregateGroupBy",
    "AggregateMetric",
    "AggregatePredicate",
    "AggregateQuery",
    "AggregateStats",
    "AppointmentAggregates",
    "AppointmentMetric",
]


class AppointmentMetric(OpenEnum):
    """What is counted: appointments, all of them or those in one state."""

    N_ACTIVITIES = "nActivities"
    N_PLANNED_ACTIVITIES = "nPlannedActivities"
    N_IN_PROGRESS_ACTIVITIES = "nInProgressActivities"
    N_COMPLETE_ACTIVITIES = "nCompleteActivities"
    N_OVERDUE_ACTIVITIES = "nOverdueActivities"
    N_INVALID_SCHEDULE_ACTIVITIES = "nInvalidScheduleActivities"


class AggregateGroupBy(OpenEnum):
    """For what an aggregate counts apart."""

    ATTENDEE_ID = "attendeeId"


class AggregateDimension(OpenEnum):
    """What a predicate looks at."""

    ATTENDEE_ID = "attendeeId"
    FACILITATOR_ID = "facilitatorId"
    STATUS = "status"


class AggregateFilterType(OpenEnum):
    """Whether all parts of a filter or clause have to hold, or one of them."""

    AND = "And"
    OR = "Or"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateStats(Value):
    """The value of a metric."""

    count: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateMetric(Value):
    """A metric and its value."""

    metric: AppointmentMetric | None = None
    stats: AggregateStats | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateData(Value):
    """The metrics of one interval."""

    interval: Interval | None = None
    metrics: tuple[AggregateMetric, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateGroup(Value):
    """The data of one group. `group` names it, `{"attendeeId": "…"}` say, and is empty where nothing was grouped."""

    group: Mapping[str, str] = attrs.field(default=EMPTY, converter=FrozenDict)
    data: tuple[AggregateData, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentAggregates(Value):
    """The answer to an aggregate query."""

    results: tuple[AggregateGroup, ...] = ()


def _dimension(value: AggregateDimension | str) -> AggregateDimension:
    return AggregateDimension.known(value)


def _type(value: AggregateFilterType | str) -> AggregateFilterType:
    return AggregateFilterType.known(value)


def _metrics(values: Several[AppointmentMetric]) -> tuple[AppointmentMetric, ...]:
    return members(AppointmentMetric, values)


def _group_by(values: Several[AggregateGroupBy]) -> tuple[AggregateGroupBy, ...]:
    return members(AggregateGroupBy, values)


def _predicates(values: "Iterable[AggregatePredicate]") -> "tuple[AggregatePredicate, ...]":
    return tuple(values)


def _clauses(values: "Iterable[AggregateClause]") -> "tuple[AggregateClause, ...]":
    return tuple(values)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregatePredicate(Value):
    """`dimension` has to be `value`."""

    dimension: AggregateDimension = attrs.field(converter=_dimension)
    value: str = attrs.field(converter=an_id)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateClause(Value):
    """Predicates, all or one of which have to hold."""

    type: AggregateFilterType = attrs.field(converter=_type)
    predicates: tuple[AggregatePredicate, ...] = attrs.field(converter=_predicates)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateFilter(Value):
    """Clauses, all or one of which have to hold."""

    type: AggregateFilterType = attrs.field(converter=_type)
    clauses: tuple[AggregateClause, ...] = attrs.field(converter=_clauses)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AggregateQuery(Value):
    """What to count: every metric unless some are named."""

    interval: Interval = attrs.field(converter=span)
    metrics: tuple[AppointmentMetric, ...] = attrs.field(default=(), converter=_metrics)
    group_by: tuple[AggregateGroupBy, ...] = attrs.field(default=(), converter=_group_by)
    filter: AggregateFilter
