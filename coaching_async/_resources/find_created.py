"""Which appointments a `create` with an unknown outcome may have created."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

import attrs

from coaching_async._api.service_clock import ServiceClock
from coaching_async.models.appointments import Appointment, AppointmentCreate
from coaching_async.models.types import Unset, require_aware

__all__ = ["MINUTE", "CreatedMatcher"]


MINUTE: Final = timedelta(minutes=1)


CLOCK_SKEW: Final = MINUTE
"""The service has more than one machine, and does not send the `Date` with every response."""


@attrs.frozen(eq=False, repr=False)
class CreatedMatcher:
    """Matches appointments with the one that `create` was called with."""

    wanted: AppointmentCreate
    since: datetime = attrs.field(converter=require_aware)
    """When `create` was called, by this machine's clock."""

    @property
    def start(self) -> datetime:
        """The start of the appointment. The service truncates it to the minute."""
        return self.wanted.date_start.replace(second=0, microsecond=0)

    @property
    def participant(self) -> tuple[str, ...]:
        """The id of one participant; empty if none is named."""
        facilitator = self._facilitator
        return (*self.wanted.attendee_ids, *([facilitator] if facilitator else []))[:1]

    @property
    def _facilitator(self) -> str | None:
        facilitator_id = self.wanted.facilitator_id
        return None if isinstance(facilitator_id, Unset) else facilitator_id

    def select(self, appointments: Iterable[Appointment], clock: ServiceClock) -> tuple[Appointment, ...]:
        """Return the appointments that match and were created since then by the service's clock, the oldest first."""
        dated = [
            (appointment.date_created, appointment)
            for appointment in appointments
            if appointment.date_created and self.matches(appointment)
        ]
        earliest = clock.to_service_time(self.since) - CLOCK_SKEW
        return tuple(appointment for created, appointment in sorted(dated, key=itemgetter(0)) if created >= earliest)

    def matches(self, found: Appointment) -> bool:
        """Return whether `found` has the name, start, length, attendees and facilitator that were wanted."""
        wanted, facilitator = self.wanted, self._facilitator
        return (
            found.name == wanted.name
            and found.date_start is not None
            and self.start <= found.date_start < self.start + MINUTE
            and found.length_in_minutes == wanted.length_in_minutes
            and {attendee.id for attendee in found.attendees} == set(wanted.attendee_ids)
            and (facilitator is None or (found.facilitator is not None and found.facilitator.id == facilitator))
        )
