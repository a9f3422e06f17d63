"""Lists to read in order to find the appointments that were created from bodies. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import attrs

from coaching_async._api.service_clock import ServiceClock
from coaching_async.models.appointments import AppointmentCreate
from coaching_async.models.types import Interval, Unset

__all__ = ["Lookup", "created_from", "facilitator_of", "minute_of", "plan_lookups"]


MINUTE: Final = timedelta(minutes=1)


CLOCK_SKEW: Final = MINUTE
"""The service has more than one machine, and does not send the `Date` with every response."""


@attrs.frozen(eq=False, repr=False)
class Lookup:
    """A list that has every appointment that was created from some bodies."""

    indexes: tuple[int, ...]
    """The bodies, by index."""
    user_ids: tuple[str, ...]
    """One participant of each body."""
    interval: Interval


def plan_lookups(bodies: Mapping[int, AppointmentCreate]) -> Sequence[Lookup]:
    """Return one lookup for each day (in UTC) on which bodies start, by their index.

    A day is read from its first start to its last one, so a lookup of one body reads one minute.

    Raises `ValueError` for a body that cannot be searched for: it names no participant, or starts at an end of the calendar.
    """
    indexes_by_day: dict[date, list[int]] = {}
    try:
        for index, body in bodies.items():
            indexes_by_day.setdefault(minute_of(body.date_start).date(), []).append(index)
        return [_lookup({index: bodies[index] for index in indexes}) for indexes in indexes_by_day.values()]
    except OverflowError:
        raise ValueError("an appointment in the last minute of the calendar cannot be searched for") from None


def _lookup(bodies: Mapping[int, AppointmentCreate]) -> Lookup:
    starts = [minute_of(body.date_start) for body in bodies.values()]
    user_ids = dict.fromkeys(_participant(body) for body in bodies.values())
    return Lookup(tuple(bodies), tuple(user_ids), Interval(min(starts), max(starts) + MINUTE))


def minute_of(moment: datetime) -> datetime:
    """Return the minute in UTC. The service truncates the start of an appointment to it."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def facilitator_of(body: AppointmentCreate) -> str | None:
    """Return the id of the facilitator that a body names."""
    return None if isinstance(body.facilitator_id, Unset) else body.facilitator_id


def _participant(body: AppointmentCreate) -> str:
    """Return the id of one participant. Raises `ValueError` if none is named, because a list is that of users."""
    participant = next(iter(body.attendee_ids), None) or facilitator_of(body)
    if participant is None:
        raise ValueError("an appointment without attendees and facilitator cannot be searched for: name one of them")
    return participant


def created_from(since: datetime, clock: ServiceClock) -> datetime:
    """Return the time by the service's clock from which an appointment counts as created since `since`."""
    try:
        return clock.to_service_time(since) - CLOCK_SKEW
    except OverflowError:  # it stands for a time before or after all others
        return since
