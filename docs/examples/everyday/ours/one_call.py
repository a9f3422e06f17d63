"""Make one call with a shorter timeout and without retries.

The other calls of the client keep its timeout and its retry policy.
"""

from coaching_async import Appointment, CoachingClient, CoachingError, RetryPolicy


async def one_call(client: CoachingClient, appointment_id: str, seconds: float = 0.5) -> Appointment | None:
    """Return the appointment, with one attempt and within so many seconds, or None."""
    quick = client.with_options(timeout=seconds, retry=RetryPolicy(attempts=1, throttle_waits=0))
    try:
        return await quick.appointments.get(appointment_id)
    except CoachingError:
        return None
