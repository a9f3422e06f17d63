"""Some hundred appointments by their ids."""

from collections.abc import Sequence

from coaching_async import Appointment, BulkResult, CoachingClient


async def fetch_many(client: CoachingClient, ids: Sequence[str]) -> BulkResult[str, Appointment]:
    """Those that are there are in `succeeded`, the errors of the others in `failed`."""
    return await client.appointments.get_many(ids)
