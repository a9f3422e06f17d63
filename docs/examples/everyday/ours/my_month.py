"""All appointments of this month of the user whose token the client has."""

from datetime import date

from coaching_async import Appointment, CoachingClient, Interval


async def my_month(client: CoachingClient, today: date) -> list[Appointment]:
    """Each once, and none that lasts is missed, also where the list changes meanwhile."""
    return await client.appointments.list_mine(interval=Interval.month(today.year, today.month)).collect()
