"""Made-up appointments, and the figures of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from coaching_async import Appointment, Interval, UserReference
from coaching_async.report import Figures
from coaching_async.report._figures import figures_of

NOVEMBER = Interval.month(2026, 11)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def appointment(
    number: int,
    start: datetime | None,
    status: str | None = "Completed",
    *,
    facilitator: str | None = "f1",
    attendees: Iterable[str] = ("p1",),
    after: timedelta | None = timedelta(0),
    **fields: Any,
) -> Appointment:
    """Return an appointment of half an hour. A completed one was marked as such `after` its end."""
    end = start and start + timedelta(minutes=30)
    is_completed = status == "Completed" and end is not None and after is not None
    return Appointment(
        id=f"a{number}",
        date_start=start,
        length_in_minutes=30,
        status=status,  # type: ignore[arg-type]
        facilitator=None if facilitator is None else UserReference(id=facilitator),
        attendees=tuple(UserReference(id=attendee) for attendee in attendees),
        date_completed=end + after if is_completed and end and after is not None else None,
        **fields,
    )


def figures(
    *appointments: Appointment,
    people: Sequence[str] = ("p1",),
    interval: Interval = NOVEMBER,
    tz: tzinfo = UTC,
    planned: Iterable[Appointment] = (),
) -> Figures:
    return figures_of(appointments, user_ids=people, interval=interval, tz=tz, made_at=NOW, planned=planned)
