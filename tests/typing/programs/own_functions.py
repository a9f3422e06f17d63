"""Functions of a program, annotated with the types of arguments; values that are known at run time only."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import assert_type
from uuid import UUID

from coaching_async import (
    UNSET,
    Appointment,
    AppointmentCreate,
    AppointmentFilters,
    AppointmentStatus,
    AppointmentUpdate,
    BulkResult,
    CoachingClient,
    CoachingError,
    Interval,
    Listing,
    Relationship,
    RetryPolicy,
)
from coaching_async.types import (
    AppointmentStatusLike,
    Consistency,
    IdLike,
    IdsLike,
    IntervalLike,
    OneOrMany,
    SettableStatusLike,
)


def appointments_of(
    client: CoachingClient,
    users: IdsLike,
    interval: IntervalLike | None = None,
    statuses: OneOrMany[AppointmentStatusLike] = ("Scheduled", AppointmentStatus.COMPLETED),
    consistency: Consistency = "default",
) -> Listing[Appointment]:
    return client.appointments.list(users, interval=interval, statuses=statuses, consistency=consistency)


async def complete(client: CoachingClient, id_: IdLike, status: SettableStatusLike = "Completed") -> None:
    await client.appointments.set_status(id_, status)


def read_statuses(texts: Sequence[str]) -> list[AppointmentStatus]:
    return [AppointmentStatus(text) for text in texts]


async def main(client: CoachingClient) -> AsyncIterator[str]:
    users = {UUID(user.id) async for user in client.users.list()}
    period = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    found = await appointments_of(client, users, period, read_statuses(["Completed", "Scheduled"])).collect()
    assert_type(found, list[Appointment])
    filters: AppointmentFilters = {"relationships": {Relationship.ATTENDEE, Relationship.CREATOR}, "overdue": False}
    filters["interval"] = Interval(*period)
    yield str(await client.appointments.list(users, **filters).total())
    wanted: list[AppointmentStatusLike] = ["Completed", AppointmentStatus.SCHEDULED]
    yield str(await client.appointments.list(users, statuses=wanted, relationships=["Attendee", "Creator"]).total())

    quick = client.with_options(timeout=30.0, retry=RetryPolicy(attempts=2))
    result = await quick.appointments.get_many([each.id for each in found[:3]])
    assert_type(result, BulkResult[str, Appointment])
    yield ", ".join(each.name or "" for each in result.succeeded.values())

    copy = AppointmentCreate.of(found[0], name="Copy", location=UNSET, date_start=datetime(2027, 2, 1, 9, tzinfo=UTC))
    created = await client.appointments.create(copy)
    changed = await client.appointments.update(created.id, AppointmentUpdate(status="InProgress", location=None))
    if changed.status is AppointmentStatus.IN_PROGRESS:
        yield "in progress"
    await complete(client, created.id)
    note = await client.annotations.create(created.id, "Slow down.", access_type="Public")
    await client.annotations.delete(created.id, note.id)
    try:
        await client.appointments.delete(created.id)
    except CoachingError as error:
        if error.processed == "no":
            raise
