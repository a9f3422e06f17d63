"""List the user's appointments of this month.

The client needs a user's token: see `with_auth`.
"""

from datetime import date

from coaching_async import Appointment, CoachingClient, Interval


async def my_month(client: CoachingClient, today: date) -> list[Appointment]:
    """Return each appointment once, even if the list changes while it is read."""
    return await client.appointments.list_mine(interval=Interval.month(today.year, today.month)).collect()
