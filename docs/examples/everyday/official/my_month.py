"""All appointments of this month of the user whose token the client has."""

from datetime import date, timedelta

from careful import walk
from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse


def my_month(api: CoachingApi, today: date) -> list[CoachingAppointmentResponse]:
    """Each once, and none that lasts is missed, also where the list changes meanwhile."""
    following = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
    interval = f"{today.replace(day=1)}T00:00:00.000Z/{following}T00:00:00.000Z"
    return list(walk(api.get_coaching_appointments_me, interval=interval))
