"""Schedule slots: possible times for an appointment, and the queries for them. Lengths are in minutes."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

import attrs

from coaching_async._value import Value

from .coercion import IdsLike, IntervalLike, to_id, to_ids, to_interval, to_intervals
from .common import HasEnd, HasStart, Reference, UserReference, WfmScheduleReference
from .types import Interval, OpenEnum

__all__ = [
    "ActivityCategory",
    "AvailableTime",
    "CoachingSlot",
    "CoachingSlots",
    "CoachingSlotsQuery",
    "DifferenceRating",
    "ExternalActivityType",
    "FullDayTimeOffMarker",
    "ScheduleActivity",
    "ScheduleSlotsJob",
    "ScheduleSlotsJobCreate",
    "ScheduleSlotsJobResult",
    "ScheduleSlotsJobSchedule",
    "ScheduleSlotsJobSlot",
    "ScheduleSlotsJobStatus",
    "SlotsType",
    "SlotsTypeLike",
    "UserAvailableTimes",
    "WfmScheduleActivity",
]


class DifferenceRating(OpenEnum):
    """The effect of a slot on staffing."""

    POOR = "Poor"
    NEUTRAL = "Neutral"
    GOOD = "Good"


class ActivityCategory(OpenEnum):
    """The category of a scheduled activity."""

    ON_QUEUE_WORK = "OnQueueWork"
    BREAK = "Break"
    MEAL = "Meal"
    MEETING = "Meeting"
    OFF_QUEUE_WORK = "OffQueueWork"
    TIME_OFF = "TimeOff"
    TRAINING = "Training"
    UNAVAILABLE = "Unavailable"


class ExternalActivityType(OpenEnum):
    """The source of a scheduled activity."""

    ACTIVITY_PLAN = "ActivityPlan"
    COACHING = "Coaching"
    LEARNING = "Learning"
    OPPORTUNITY = "Opportunity"


class SlotsType(OpenEnum):
    """The kind of slots that a job searches for."""

    BEST_TIME = "BestTime"


SlotsTypeLike: TypeAlias = SlotsType | Literal["BestTime"]


class ScheduleSlotsJobStatus(OpenEnum):
    """The progress of a job for one interval."""

    IN_PROGRESS = "InProgress"
    COMPLETE = "Complete"
    ERROR = "Error"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CoachingSlot(HasEnd, Value):
    """A possible time. `staffing_difference` is the scheduled minus the forecast head count if the slot is taken."""

    date_start: datetime | None = None
    length_in_minutes: int | None = None
    staffing_difference: float | None = None
    difference_rating: DifferenceRating | None = None
    wfm_schedule: WfmScheduleReference | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AvailableTime(HasEnd, Value):
    """A time at which a user is free for coaching."""

    date_start: datetime | None = None
    length_in_minutes: int | None = None
    is_paid: bool | None = None
    activity_category: ActivityCategory | None = None
    wfm_schedule: WfmScheduleReference | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UserAvailableTimes(Value):
    """The times at which a user is free for coaching."""

    user: UserReference | None = None
    available_times: tuple[AvailableTime, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleActivity(HasStart, Value):
    """An activity in a user's schedule. `length_minutes` is in minutes."""

    date_start: datetime | None = None
    length_minutes: int | None = None
    description: str | None = None
    activity_code_id: str | None = None
    paid: bool | None = None
    time_off_request_id: str | None = None
    external_activity_id: str | None = None
    external_activity_type: ExternalActivityType | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FullDayTimeOffMarker(Value):
    """A full day off. The date is in the time zone of the business unit."""

    business_unit_date: date | None = None
    length_minutes: int | None = None
    description: str | None = None
    activity_code_id: str | None = None
    paid: bool | None = None
    time_off_request_id: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WfmScheduleActivity(Value):
    """The schedule of a user."""

    user_reference: UserReference | None = None
    activities: tuple[ScheduleActivity, ...] = ()
    full_day_time_off_markers: tuple[FullDayTimeOffMarker, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CoachingSlots(Value):
    """The response to a slots query: possible times, and the schedules that they result from."""

    suggested_slots: tuple[CoachingSlot, ...] = ()
    attendee_schedules: tuple[UserAvailableTimes, ...] = ()
    facilitator_schedules: tuple[UserAvailableTimes, ...] = ()
    wfm_schedule_activities: tuple[WfmScheduleActivity, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobSchedule(Reference):
    """The schedule of a slot: its first day, and its number of weeks."""

    week_date: date | None = None
    week_count: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobSlot(HasStart, Value):
    """A slot that a job found."""

    date_start: datetime | None = None
    schedule: ScheduleSlotsJobSchedule | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobResult(Value):
    """The result of a job for one interval. `has_conflict` says whether the slot overlaps another appointment."""

    interval: Interval | None = None
    status: ScheduleSlotsJobStatus | None = None
    slot: ScheduleSlotsJobSlot | None = None
    has_conflict: bool | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJob(Value):
    """An asynchronous search of the service. `results` has one entry for each interval."""

    id: str
    attendee_ids: tuple[str, ...] = ()
    facilitator_ids: tuple[str, ...] = ()
    length_in_minutes: int | None = None
    business_unit_id: str | None = None
    activity_code_id: str | None = None
    results: tuple[ScheduleSlotsJobResult, ...] = ()
    slots_type: SlotsType | None = None
    self_uri: str | None = None


def _to_attendee_ids(value: IdsLike) -> tuple[str, ...]:
    return _require_any("attendee_ids", to_ids(value))


def _to_intervals(value: IntervalLike | Iterable[IntervalLike]) -> tuple[Interval, ...]:
    return _require_any("intervals", to_intervals(value))


def _require_any(name: str, several: tuple[Any, ...]) -> tuple[Any, ...]:
    if not several:
        raise ValueError(f"{name} is empty: name at least one")
    return several


def _to_slots_type(value: SlotsTypeLike) -> SlotsType:
    return SlotsType.known(value)


def _validate_quarter_hours(_: object, __: object, value: Any) -> None:
    if type(value) is not int or value < 15 or value % 15:
        raise ValueError("length_in_minutes has to be a multiple of 15")


def _validate_at_most_one_hour(_: object, __: object, value: int) -> None:
    if value > 60:
        raise ValueError("length_in_minutes has to be at most 60")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CoachingSlotsQuery(Value):
    """A query for slots. The appointments to interrupt count as free time."""

    interval: Interval = attrs.field(converter=to_interval)
    length_in_minutes: int = attrs.field(validator=[_validate_quarter_hours, _validate_at_most_one_hour])
    attendee_ids: tuple[str, ...] = attrs.field(converter=_to_attendee_ids)
    facilitator_ids: tuple[str, ...] = attrs.field(default=(), converter=to_ids)
    interruptible_appointment_ids: tuple[str, ...] = attrs.field(default=(), converter=to_ids)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobCreate(Value):
    """A new job: the slots that it searches for, one in each interval."""

    attendee_ids: tuple[str, ...] = attrs.field(converter=_to_attendee_ids)
    facilitator_ids: tuple[str, ...] = attrs.field(default=(), converter=to_ids)
    length_in_minutes: int = attrs.field(validator=_validate_quarter_hours)
    activity_code_id: str = attrs.field(converter=to_id)
    intervals: tuple[Interval, ...] = attrs.field(converter=_to_intervals)
    slots_type: SlotsType = attrs.field(converter=_to_slots_type)
