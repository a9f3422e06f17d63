"""What to tell somebody whose token lacks a permission."""

from coaching_async import AppointmentCreate, CoachingClient, Forbidden


async def missing_permission(client: CoachingClient, appointment: AppointmentCreate) -> str:
    """The id of the new appointment, or which permission is missing and what to quote to Genesys support."""
    try:
        return (await client.appointments.create(appointment)).id
    except Forbidden as error:
        return str(error)
