"""Programs with mistakes. Every type checker refuses the lines that are marked, and no other."""

from datetime import UTC, datetime

from coaching_async import (
    AggregateFilter,
    AggregatePredicate,
    Appointment,
    AppointmentCreate,
    AppointmentUpdate,
    CoachingClient,
    ScheduleSlotsJob,
)
from coaching_async.export import export
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import fails

START = datetime(2027, 1, 11, tzinfo=UTC)


async def filters(client: CoachingClient, text: str) -> None:
    client.appointments.list("u", statuses="Complete")  # refused
    client.appointments.list("u", statuses=["Completed", "Sheduled"])  # refused
    client.appointments.list("u", statuses=text)  # refused
    client.appointments.list("u", sort_order="desc")  # refused
    client.appointments.list("u", relationships="attendee")  # refused
    client.appointments.list("u", interval_condition="Contains")  # refused
    client.appointments.list("u", interval="2026-W48")  # refused
    client.appointments.list("u", overdue="True")  # refused
    client.appointments.list("u", status="Completed")  # refused
    client.appointments.list("u", consistency="strict")  # refused
    client.appointments.list_mine(statuses="Complete")  # refused
    client.appointments.list_mine("u")  # refused
    client.users.list(state="Active")  # refused
    client.users.search(name="Ada", states="any")  # refused
    await export(client, "u", "x.csv", statuses="Complete")  # refused
    await export(client, "u", "x.csv", form="excel")  # refused
    client.notifications.watch(start="old")  # refused


async def writes(client: CoachingClient, appointment: Appointment) -> None:
    await client.appointments.set_status("1", "Done")  # refused
    await client.appointments.set_status("1", "InvalidSchedule")  # refused
    await client.annotations.create("1", "text", access_type="public")  # refused
    AppointmentUpdate(status="Complete")  # refused
    AppointmentUpdate(facilitator_id="u")  # refused
    AppointmentCreate(name="n", description="", date_start=START, length_in_minutes=30)  # refused
    AppointmentCreate.of(appointment, facilitator="u")  # refused
    AppointmentCreate.of(appointment, length_in_minutes="30")  # refused


async def counts_and_slots(client: CoachingClient) -> ScheduleSlotsJob:
    period = START, START.replace(day=12)
    await client.appointments.aggregate(interval=period, metrics="activities")  # refused
    await client.appointments.aggregate(interval=period, metrics=["nActivities", "activities"])  # refused
    await client.appointments.aggregate(interval=period, group_by="facilitatorId")  # refused
    await client.appointments.aggregate(interval=period, statuses="Complete")  # refused
    AggregateFilter(type="and", clauses=[])  # refused
    AggregatePredicate(dimension="attendee", value="u")  # refused
    return await client.schedule_slots.find(
        attendee_ids="u",
        length_in_minutes=30,
        activity_code_id="5",
        intervals=period,
        slots_type="AnyTime",  # refused
    )


async def results(client: CoachingClient) -> None:
    appointment = await client.appointments.get("1")
    str(appointment.date_start.isoformat())  # refused
    str(appointment.facilitator.id)  # refused
    str(appointment.start_at)  # refused
    appointment.name = "changed"  # refused
    for _ in client.appointments.list("u"):  # refused
        pass
    await client.appointments.list("u")  # refused
    len(client.appointments.list("u"))  # refused
    str(client.appointments.list("u")[0])  # refused
    with client:  # refused
        pass
    listing = await client.bulk(client.appointments.get, [1])  # refused
    listing.raise_for_failures()


def sandbox_faults(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("drops"))  # refused
    sandbox.faults.add(Fault("stall", operation="appointments.creates"))  # refused
    fails(sandbox, "appointments.creates")  # refused
    sandbox.notify("u", "Creates")  # refused
