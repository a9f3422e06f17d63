"""Fetch hundreds of appointments by their ids.

One failure stops no other call, and all of them keep the rate limit.
"""

from collections.abc import Sequence

from coaching_async import Appointment, BulkResult, CoachingClient


async def fetch_many(client: CoachingClient, ids: Sequence[str]) -> BulkResult[str, Appointment]:
    """Return the appointments in `succeeded`, and the errors of the other ids in `failed`."""
    return await client.appointments.get_many(ids)
