"""One call that is in more of a hurry than the others."""

from coaching_async import Appointment, CoachingClient, CoachingError, RetryPolicy


async def one_call(client: CoachingClient, appointment_id: str) -> Appointment | None:
    """The appointment, with one attempt and within half a second, or nothing."""
    hasty = client.with_options(timeout=0.5, retry=RetryPolicy(attempts=1, throttle_waits=0))
    try:
        return await hasty.appointments.get(appointment_id)
    except CoachingError:
        return None
