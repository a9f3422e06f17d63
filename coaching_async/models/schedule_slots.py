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
    """A possible time."""

    date_start: datetime | None = None
    """When the slot begins (UTC)."""
    length_in_minutes: int | None = None
    """Length in minutes."""
    staffing_difference: float | None = None
    """Scheduled minus forecast head count, if the slot is taken."""
    difference_rating: DifferenceRating | None = None
    """How the service rates that difference."""
    wfm_schedule: WfmScheduleReference | None = None
    """Week schedule that the slot is in. An `AppointmentCreate` takes it as it is."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AvailableTime(HasEnd, Value):
    """A time at which a user is free for coaching."""

    date_start: datetime | None = None
    """When the user is free from (UTC)."""
    length_in_minutes: int | None = None
    """Length in minutes."""
    is_paid: bool | None = None
    """Whether the time is paid."""
    activity_category: ActivityCategory | None = None
    """Category of what the user is scheduled for at that time."""
    wfm_schedule: WfmScheduleReference | None = None
    """Week schedule that the time is in."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UserAvailableTimes(Value):
    """The times at which a user is free for coaching."""

    user: UserReference | None = None
    """Whose times they are."""
    available_times: tuple[AvailableTime, ...] = ()
    """Times at which the user is free for coaching."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleActivity(HasStart, Value):
    """An activity in a user's schedule."""

    date_start: datetime | None = None
    """When the activity begins (UTC)."""
    length_minutes: int | None = None
    """Length in minutes."""
    description: str | None = None
    """Text of the schedule for it."""
    activity_code_id: str | None = None
    """Activity code of workforce management. It may be short text, not only a UUID."""
    paid: bool | None = None
    """Whether the time is paid."""
    time_off_request_id: str | None = None
    """Request for time off that it results from. None for other activities."""
    external_activity_id: str | None = None
    """Id of what it stands for outside of the schedule, an appointment for example. None if it stands for nothing."""
    external_activity_type: ExternalActivityType | None = None
    """Kind of what it stands for."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FullDayTimeOffMarker(Value):
    """A full day off."""

    business_unit_date: date | None = None
    """The day, in the time zone of the business unit."""
    length_minutes: int | None = None
    """Minutes of the day that count as time off."""
    description: str | None = None
    """Text of the schedule for it."""
    activity_code_id: str | None = None
    """Activity code of workforce management. It may be short text, not only a UUID."""
    paid: bool | None = None
    """Whether the time is paid."""
    time_off_request_id: str | None = None
    """Request for time off that it results from."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WfmScheduleActivity(Value):
    """The schedule of a user."""

    user_reference: UserReference | None = None
    """Whose schedule it is."""
    activities: tuple[ScheduleActivity, ...] = ()
    """Activities in the interval of the query."""
    full_day_time_off_markers: tuple[FullDayTimeOffMarker, ...] = ()
    """Days off in the interval of the query."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CoachingSlots(Value):
    """The response to a slots query: possible times, and the schedules that they result from."""

    suggested_slots: tuple[CoachingSlot, ...] = ()
    """Times that the service proposes."""
    attendee_schedules: tuple[UserAvailableTimes, ...] = ()
    """When each attendee is free."""
    facilitator_schedules: tuple[UserAvailableTimes, ...] = ()
    """When each facilitator is free."""
    wfm_schedule_activities: tuple[WfmScheduleActivity, ...] = ()
    """What each of them is scheduled for."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobSchedule(Reference):
    """The schedule of a slot."""

    week_date: date | None = None
    """First day of the schedule."""
    week_count: int | None = None
    """Number of weeks that it covers."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobSlot(HasStart, Value):
    """A slot that a job found."""

    date_start: datetime | None = None
    """When the slot begins (UTC)."""
    schedule: ScheduleSlotsJobSchedule | None = None
    """Schedule of workforce management that it is in."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobResult(Value):
    """The result of a job for one interval."""

    interval: Interval | None = None
    """Interval that was searched, its end excluded."""
    status: ScheduleSlotsJobStatus | None = None
    """How far the search of this interval is."""
    slot: ScheduleSlotsJobSlot | None = None
    """Slot that was found. None before the search is complete, and if there is none."""
    has_conflict: bool | None = None
    """Whether the slot overlaps another appointment."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJob(Value):
    """An asynchronous search of the service."""

    id: str
    """Id that the service assigned, a UUID in practice."""
    attendee_ids: tuple[str, ...] = ()
    """Ids of the users who are to attend."""
    facilitator_ids: tuple[str, ...] = ()
    """Ids of the users who are to lead."""
    length_in_minutes: int | None = None
    """Length of the slots, in minutes."""
    business_unit_id: str | None = None
    """Business unit of the users. The service sets it."""
    activity_code_id: str | None = None
    """Activity code of workforce management. It may be short text, not only a UUID."""
    results: tuple[ScheduleSlotsJobResult, ...] = ()
    """Result of each interval. Empty at first."""
    slots_type: SlotsType | None = None
    """What is searched."""
    self_uri: str | None = None
    """Path of this resource at the API host."""


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
    """A query for slots."""

    interval: Interval = attrs.field(converter=to_interval)
    """Time to search, its end excluded. Its times have a time zone."""
    length_in_minutes: int = attrs.field(validator=[_validate_quarter_hours, _validate_at_most_one_hour])
    """Length of the slots in minutes: 15, 30, 45 or 60."""
    attendee_ids: tuple[str, ...] = attrs.field(converter=_to_attendee_ids)
    """Ids of the users who are to attend."""
    facilitator_ids: tuple[str, ...] = attrs.field(default=(), converter=to_ids)
    """Ids of the users who are to lead."""
    interruptible_appointment_ids: tuple[str, ...] = attrs.field(default=(), converter=to_ids)
    """Ids of appointments that count as free time."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleSlotsJobCreate(Value):
    """A new job: the slots that it searches for, one in each interval."""

    attendee_ids: tuple[str, ...] = attrs.field(converter=_to_attendee_ids)
    """Ids of the users who are to attend."""
    facilitator_ids: tuple[str, ...] = attrs.field(default=(), converter=to_ids)
    """Ids of the users who are to lead."""
    length_in_minutes: int = attrs.field(validator=_validate_quarter_hours)
    """Length of the slots in minutes, a multiple of 15."""
    activity_code_id: str = attrs.field(converter=to_id)
    """Activity code that the slot would have in workforce management."""
    intervals: tuple[Interval, ...] = attrs.field(converter=_to_intervals)
    """Intervals to search, their ends excluded. Each has a result of its own."""
    slots_type: SlotsType = attrs.field(converter=_to_slots_type)
    """What to search."""
