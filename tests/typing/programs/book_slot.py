"""Find a time at which three people are free, and book it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from coaching_async import UNSET, AppointmentCreate, CoachingClient, Interval


async def main(client: CoachingClient) -> AsyncIterator[str]:
    facilitator, *attendees = [user.id for user in await client.users.list(state="any").collect(limit=3)]
    start = datetime(2027, 1, 11, 8, tzinfo=UTC)
    slots = await client.schedule_slots.query(
        interval=Interval(start, start + timedelta(hours=10)),
        length_in_minutes=30,
        attendee_ids=attendees,
        facilitator_ids=facilitator,
    )
    slot = min(slots.suggested_slots, key=lambda slot: slot.starts_at, default=None)
    if slot is None:
        return
    booked = await client.appointments.create(
        AppointmentCreate(
            name="Call opening",
            description="",
            date_start=slot.starts_at,
            length_in_minutes=30,
            attendee_ids=attendees,
            facilitator_id=facilitator,
            wfm_schedule=slot.wfm_schedule or UNSET,
        )
    )
    yield f"{booked.starts_at:%H:%M} to {booked.ends_at:%H:%M}"
    await client.appointments.delete(booked.id)

    job = await client.schedule_slots.find(
        attendee_ids=attendees,
        length_in_minutes=30,
        activity_code_id="5",
        intervals=(start, start + timedelta(hours=10)),
        slots_type="BestTime",
    )
    for result in job.results:
        if result.slot is not None:
            yield f"{result.slot.starts_at:%H:%M}"
