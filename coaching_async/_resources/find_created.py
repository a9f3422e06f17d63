"""What an appointment looks like that was created, though nobody was told."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

import attrs

from coaching_async.models.appointments import Appointment, AppointmentCreate
from coaching_async.models.types import Unset, require_aware

__all__ = ["MINUTE", "CreatedMatcher"]


MINUTE: Final = timedelta(minutes=1)


CLOCK_SKEW: Final = MINUTE


@attrs.frozen(eq=False, repr=False)
class CreatedMatcher:
    """What was to be created."""

    wanted: AppointmentCreate
    since: datetime = attrs.field(converter=require_aware)
    """When that was asked for, on this machine's clock."""

    @property
    def start(self) -> datetime:
        """When it takes place, as the service cuts it."""
        return self.wanted.date_start.replace(second=0, microsecond=0)

    @property
    def anybody(self) -> tuple[str, ...]:
        """Somebody who takes part, where anybody is named."""
        facilitator = self._facilitator
        return (*self.wanted.attendee_ids, *([facilitator] if facilitator else []))[:1]

    @property
    def _facilitator(self) -> str | None:
        named = self.wanted.facilitator_id
        return None if isinstance(named, Unset) else named

    def among(self, found: Iterable[Appointment]) -> tuple[Appointment, ...]:
        """Those that may be it, the oldest first."""
        dated = [(each.date_created, each) for each in found if each.date_created and self.may_be(each)]
        earliest = self.since - CLOCK_SKEW
        return tuple(each for created, each in sorted(dated, key=itemgetter(0)) if created >= earliest)

    def may_be(self, found: Appointment) -> bool:
        """Whether it may be that."""
        wanted, facilitator = self.wanted, self._facilitator
        return (
            found.name == wanted.name
            and found.date_start is not None
            and self.start <= found.date_start < self.start + MINUTE
            and found.length_in_minutes == wanted.length_in_minutes
            and {attendee.id for attendee in found.attendees} == set(wanted.attendee_ids)
            and (facilitator is None or (found.facilitator is not None and found.facilitator.id == facilitator))
        )
