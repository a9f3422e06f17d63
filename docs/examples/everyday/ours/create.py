"""Create an appointment about a conversation.

A create is not idempotent, so after a lost response it looks for the appointment, and never sends a second create.
"""

from contextlib import suppress
from datetime import UTC, datetime

from coaching_async import Appointment, AppointmentCreate, CoachingClient, CoachingError


async def create(client: CoachingClient, appointment: AppointmentCreate) -> Appointment:
    """Create it once, or raise an error if that is unknown; wait after a 202."""
    started = datetime.now(UTC)
    try:
        return await client.appointments.create(appointment)
    except CoachingError as error:
        if error.processed != "no":
            with suppress(CoachingError):  # a failed search says nothing about the create
                for found in await client.appointments.find_created(appointment, since=started):
                    return found
        raise
