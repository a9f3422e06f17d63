"""Report the permission that a token lacks.

An error's text contains no ids, and may be shown to a user.
"""

from coaching_async import AppointmentCreate, CoachingClient, Forbidden


async def missing_permission(client: CoachingClient, appointment: AppointmentCreate) -> str:
    """Return the id of the new appointment, or the missing permission and the correlation id for Genesys support."""
    try:
        return (await client.appointments.create(appointment)).id
    except Forbidden as error:
        return str(error)
