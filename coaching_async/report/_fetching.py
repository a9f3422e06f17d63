"""Fetching a report: the appointments of people, the next one of each, and all names."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from importlib.util import find_spec
from typing import Final
from uuid import UUID

from coaching_async import (
    Appointment,
    AppointmentStatus,
    CoachingClient,
    ConfigurationError,
    Interval,
    Listing,
    Relationship,
)
from coaching_async._refusals.arguments import checked_instance, checked_zone, several_ids

from ._figures import NEXT_DAYS, figures_of, weeks_of
from ._report import Report

__all__ = ["check_report", "report"]

LIBRARIES: Final = ("jinja2", "matplotlib")


def check_report(interval: Interval, tz: tzinfo = UTC) -> None:
    """Raise what `report` raises before it sends a request: `ConfigurationError`, `ValueError` or `TypeError`."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"a report needs {' and '.join(missing)}: install them with: pip install 'coaching_async[report]'"
        )
    checked_zone(tz)
    weeks_of(interval, tz)


async def report(
    client: CoachingClient,
    user_ids: Iterable[str | UUID] | str | UUID,
    *,
    interval: Interval | tuple[datetime, datetime],
    tz: tzinfo = UTC,
    title: str | None = None,
) -> Report:
    """Return a report of the coaching of people: completion by week and facilitator, overdue and next appointments.

    It counts the appointments that start in `interval`, and that at least one of the people attends or facilitates. Days and
    weeks (ISO weeks, up to 106) are those of `tz`. `title` is the heading of the page, the name of a team for example.

    A row that cannot be read does not count, and is in `Report.left_out`. With a client that is `strict` it is a
    `DecodeError`.

    HTTP: GET /api/v2/coaching/appointments and GET /api/v2/users. There is one request for each 100 appointments, mostly one
    for the next appointments, and one for each 100 names.
    Permission: coaching:appointment:view
    Raises: what iterating over the list and `users.names` raise; `ValueError` or `TypeError` for invalid arguments, and
    `ConfigurationError` if the extra `report` is missing, before a request is sent.
    """
    given = several_ids(user_ids)
    listing = checked_instance("client", client, CoachingClient).appointments.list(
        given,
        interval=interval,
        interval_condition="StartsIn",
        relationships=(Relationship.ATTENDEE, Relationship.FACILITATOR),
    )
    span = interval if isinstance(interval, Interval) else Interval(*interval)
    check_report(span, tz)
    now = datetime.now(UTC)
    upcoming = client.appointments.list(
        given,
        interval=(now, now + timedelta(days=NEXT_DAYS)),
        interval_condition="StartsIn",
        relationships=Relationship.ATTENDEE,
        statuses=AppointmentStatus.SCHEDULED,
        sort_order="Asc",
    )
    people = tuple(dict.fromkeys(map(str, given)))
    names = dict(await client.users.names(people))  # first, because a report without names is of no use
    walk = aiter(listing)
    figures = figures_of(
        [appointment async for appointment in walk],
        user_ids=people,
        interval=span,
        tz=tz,
        made_at=now,
        planned=await _next_of_each(people, upcoming),
    )
    others = {each.user_id for each in figures.facilitators if each.user_id is not None}
    others |= {attendee.id for appointment in figures.overdue for attendee in appointment.attendees}
    names |= await client.users.names(sorted(others - names.keys()))
    return Report(title, figures, names, walk.report.rows_left_out, walk.report.left_out)


async def _next_of_each(people: Iterable[str], listing: Listing[Appointment]) -> list[Appointment]:
    """Read future appointments, the earliest first, until each person has one."""
    waiting = set(people)
    found: list[Appointment] = []
    async for appointment in listing:
        found.append(appointment)
        waiting -= {attendee.id for attendee in appointment.attendees}
        if not waiting:
            break
    return found
