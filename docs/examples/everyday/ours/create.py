"""A new appointment that is about a conversation."""

from contextlib import suppress
from datetime import UTC, datetime

from coaching_async import Appointment, AppointmentCreate, CoachingClient, CoachingError


async def create(client: CoachingClient, appointment: AppointmentCreate) -> Appointment:
    """It is created once, or an error says that it is not known to be; a 202 is waited for."""
    started = datetime.now(UTC)
    try:
        return await client.appointments.create(appointment)
    except CoachingError as error:
        if error.processed != "no":
            with suppress(CoachingError):  # looking may fail as well, which tells nothing of the create
                for found in await client.appointments.find_created(appointment, since=started):
                    return found
        raise
