"""The figures of a report: appointments counted by outcome, week, facilitator and person. They are computed without I/O."""

import enum
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median
from typing import Final, Self

import attrs

from coaching_async import Appointment, AppointmentStatus, Interval, UserReference

__all__ = [
    "MAX_WEEKS",
    "NEXT_DAYS",
    "Counts",
    "FacilitatorFigures",
    "Figures",
    "PersonFigures",
    "Week",
    "figures_of",
    "weeks_of",
]

MAX_WEEKS: Final = 106
"""The longest interval of a report: two years."""

NEXT_DAYS: Final = 90
"""How far ahead the next appointments of people are searched."""

DAY: Final = timedelta(days=1)

MAX_MINUTES: Final = 366 * 24 * 60
"""The longest length of an appointment that counts, because `timedelta` has a limit and the service documents none."""


class Outcome(enum.Enum):
    """What became of an appointment."""

    COMPLETED = "completed"
    OVERDUE = "overdue"
    PLANNED = "planned"
    OTHER = "other"


@attrs.frozen
class Counts:
    """Numbers of appointments by outcome. An appointment has one outcome."""

    completed: int = 0
    """Those with the status Completed."""
    overdue: int = 0
    """Those that the service reports as overdue: past due, and not completed."""
    planned: int = 0
    """Those that are scheduled or in progress, and not overdue."""
    other: int = 0
    """All others: those without a place in the schedule, and those with a status that this release does not know."""

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Self:
        """Count outcomes."""
        found = Counter(outcomes)
        return cls(**{outcome.value: found[outcome] for outcome in Outcome})

    @property
    def total(self) -> int:
        """All appointments."""
        return self.completed + self.overdue + self.planned + self.other

    @property
    def due(self) -> int:
        """Those that are completed, or should be. The completion rate is `completed / due`."""
        return self.completed + self.overdue


@attrs.frozen
class Week:
    """The days of an ISO week that are in the interval of a report."""

    first: date
    """First of the days."""
    last: date
    """Last of the days."""

    @property
    def number(self) -> int:
        """Number of the week in its ISO year."""
        return self.first.isocalendar().week

    @property
    def year(self) -> int:
        """The ISO year, which at the turn of a year may be another than that of the days."""
        return self.first.isocalendar().year


@attrs.frozen
class FacilitatorFigures:
    """The appointments of one facilitator."""

    user_id: str | None
    """None for appointments without a facilitator."""
    counts: Counts
    """Numbers of the appointments in the interval."""
    weeks: tuple[Counts, ...]
    """The same by week, in the order of `Figures.weeks`."""


@attrs.frozen
class PersonFigures:
    """The appointments of one person of the report."""

    user_id: str
    """Id of the person."""
    attended: Counts
    """Appointments that the person attends."""
    facilitated: int
    """Appointments that the person facilitates."""
    next_start: datetime | None
    """The start of the next appointment that the person attends; None if none is planned."""


@attrs.frozen
class Figures:
    """The figures of a report. Each appointment counts once, except in `people`: there it counts for each attendee."""

    interval: Interval
    """Time that the report covers, its end excluded."""
    tz: tzinfo
    """Time zone of its days and weeks."""
    made_at: datetime
    """When it was made. What is overdue, and next, is so at this time."""
    counts: Counts
    """Numbers of all appointments in the interval."""
    statuses: Mapping[str, int]
    """Number of appointments by status, as the service names it."""
    weeks: tuple[Week, ...] = attrs.field(repr=False)
    """The weeks of the interval, those without appointments included."""
    by_week: tuple[Counts, ...] = attrs.field(repr=False)
    """In the order of `weeks`."""
    facilitators: tuple[FacilitatorFigures, ...] = attrs.field(repr=False)
    """Figures of each facilitator."""
    people: tuple[PersonFigures, ...] = attrs.field(repr=False)
    """In the order in which the people were given."""
    delays: tuple[timedelta, ...] = attrs.field(repr=False)
    """Times from the planned end of completed appointments until they were marked as completed, the shortest first.

    Zero for those that were completed earlier. Appointments without one of the two times are missing.
    """
    overdue: tuple[Appointment, ...] = attrs.field(repr=False)
    """The overdue appointments, the oldest first."""
    without_start: int
    """Appointments without a start. They belong to no week."""

    @property
    def median_delay(self) -> timedelta | None:
        """The median of `delays`."""
        return timedelta(seconds=median(delay.total_seconds() for delay in self.delays)) if self.delays else None


def weeks_of(interval: Interval, tz: tzinfo) -> tuple[Week, ...]:
    """Return the ISO weeks of an interval in a time zone.

    Raises `ValueError` for an interval that is longer than `MAX_WEEKS`, or at the end of the calendar.
    """
    try:
        first = interval.start.astimezone(tz).date()
        last = (interval.end.astimezone(UTC) - timedelta.resolution).astimezone(tz).date()
        if (last - first).days > MAX_WEEKS * 7:
            raise ValueError(f"a report covers up to {MAX_WEEKS} weeks: choose a shorter interval")
        weeks: list[Week] = []
        while first <= last:
            sunday = first + timedelta(days=6 - first.weekday())
            weeks.append(Week(first, min(sunday, last)))
            first = sunday + DAY
    except OverflowError:
        raise ValueError("the interval is at an end of the calendar, where a week is not complete") from None
    return tuple(weeks)


def figures_of(
    appointments: Iterable[Appointment],
    *,
    user_ids: Sequence[str],
    interval: Interval,
    tz: tzinfo,
    made_at: datetime,
    planned: Iterable[Appointment] = (),
) -> Figures:
    """Return the figures of appointments. Those that start outside of the interval do not count.

    `planned` are future appointments, in any order. The next appointment of each person is one of them.
    """
    weeks = weeks_of(interval, tz)
    counted = [(each, outcome_of(each, made_at)) for each in appointments if _is_in(each, interval)]
    by_week = defaultdict[date, list[Outcome]](list)
    by_facilitator = defaultdict[str | None, list[tuple[date | None, Outcome]]](list)
    by_attendee = defaultdict[str, list[Outcome]](list)
    for appointment, outcome in counted:
        monday = None if appointment.date_start is None else _monday(appointment.date_start.astimezone(tz).date())
        if monday is not None:
            by_week[monday].append(outcome)
        by_facilitator[_id_of(appointment.facilitator)].append((monday, outcome))
        for user_id in {attendee.id for attendee in appointment.attendees}:
            by_attendee[user_id].append(outcome)
    mondays = [_monday(week.first) for week in weeks]
    next_starts = _next_starts(planned, made_at)
    return Figures(
        interval=interval,
        tz=tz,
        made_at=made_at,
        counts=Counts.of(outcome for _, outcome in counted),
        statuses=Counter("none" if each.status is None else str(each.status) for each, _ in counted),
        weeks=weeks,
        by_week=tuple(Counts.of(by_week[monday]) for monday in mondays),
        facilitators=tuple(
            FacilitatorFigures(user_id, Counts.of(outcome for _, outcome in found), _counts_by_week(found, mondays))
            for user_id, found in by_facilitator.items()
        ),
        people=tuple(
            PersonFigures(
                user_id, Counts.of(by_attendee[user_id]), len(by_facilitator.get(user_id, ())), next_starts.get(user_id)
            )
            for user_id in dict.fromkeys(user_ids)
        ),
        delays=tuple(sorted(delay for each, _ in counted if (delay := _delay(each)) is not None)),
        overdue=tuple(
            sorted(
                (each for each, outcome in counted if outcome is Outcome.OVERDUE),
                key=lambda each: (each.date_start or made_at, each.id),
            )
        ),
        without_start=sum(each.date_start is None for each, _ in counted),
    )


def outcome_of(appointment: Appointment, now: datetime) -> Outcome:
    """Return the outcome of an appointment. If the service does not report whether it is overdue, its end and `now` decide."""
    if appointment.status == AppointmentStatus.COMPLETED:
        return Outcome.COMPLETED
    is_overdue = appointment.is_overdue
    if is_overdue is None and appointment.date_start is not None:
        is_overdue = now.astimezone(UTC) - appointment.date_start.astimezone(UTC) > _length(appointment)
    if is_overdue:
        return Outcome.OVERDUE
    is_planned = appointment.status in {AppointmentStatus.SCHEDULED, AppointmentStatus.IN_PROGRESS}
    return Outcome.PLANNED if is_planned else Outcome.OTHER


def _counts_by_week(found: Iterable[tuple[date | None, Outcome]], mondays: Iterable[date]) -> tuple[Counts, ...]:
    by_week = defaultdict[date | None, list[Outcome]](list)
    for monday, outcome in found:
        by_week[monday].append(outcome)
    return tuple(Counts.of(by_week[monday]) for monday in mondays)


def _next_starts(planned: Iterable[Appointment], now: datetime) -> dict[str, datetime]:
    """Return the earliest start after `now` of the appointments of each attendee."""
    starts: dict[str, datetime] = {}
    for appointment in planned:
        start = appointment.date_start and appointment.date_start.astimezone(UTC)
        if start is not None and start >= now.astimezone(UTC):
            for attendee in appointment.attendees:
                starts[attendee.id] = min(start, starts.get(attendee.id, start))
    return starts


def _is_in(appointment: Appointment, interval: Interval) -> bool:
    # Compared in UTC, because times of one zone compare by wall time.
    start = appointment.date_start and appointment.date_start.astimezone(UTC)
    return start is None or interval.start.astimezone(UTC) <= start < interval.end.astimezone(UTC)


def _delay(appointment: Appointment) -> timedelta | None:
    start, completed = appointment.date_start, appointment.date_completed
    if appointment.status != AppointmentStatus.COMPLETED or start is None or completed is None:
        return None
    return max(completed.astimezone(UTC) - start.astimezone(UTC) - _length(appointment), timedelta())


def _length(appointment: Appointment) -> timedelta:
    return timedelta(minutes=max(0, min(appointment.length_in_minutes or 0, MAX_MINUTES)))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _id_of(user: UserReference | None) -> str | None:
    return None if user is None else user.id
