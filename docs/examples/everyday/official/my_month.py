"""List the user's appointments of this month."""

from datetime import date, timedelta

from careful import iterate
from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse


def my_month(api: CoachingApi, today: date) -> list[CoachingAppointmentResponse]:
    """Return each appointment once, even if the list changes while it is read."""
    following = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
    interval = f"{today.replace(day=1)}T00:00:00.000Z/{following}T00:00:00.000Z"
    return list(iterate(api.get_coaching_appointments_me, interval=interval))
