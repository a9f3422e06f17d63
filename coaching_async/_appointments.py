"""Coaching appointments: the operations below `/api/v2/coaching/appointments`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, TypedDict, Unpack

import anyio
import attrs

from ._api import ROOT, Api
from ._errors import NotFound
from ._listing import Listing
from ._types import Interval, OpenEnum
from ._wire import QueryValue, path
from .models import (
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    AppointmentStatus,
    AppointmentUpdate,
    IntervalCondition,
    Page,
    Relationship,
    SortOrder,
    StatusChange,
    ids,
    settable_status,
)

__all__ = ["AppointmentFilters", "Appointments"]

Span: TypeAlias = Interval | tuple[datetime, datetime]


async def _appeared(read: Callable[[str], Awaitable[Appointment]], appointment_id: str) -> Appointment:
    """Read a new appointment until it is there; the deadline of the call ends the loop."""
    wait = 0.25
    while True:
        try:
            return await read(appointment_id)
        except NotFound:
            await anyio.sleep(wait)
            wait = min(2 * wait, 4.0)


class AppointmentFilters(TypedDict, total=False):
    """What a list of appointments may be narrowed by; None is as good as leaving out."""

    interval: Span | None
    """When they take place; the end is excluded."""
    statuses: Iterable[AppointmentStatus | str] | AppointmentStatus | str | None
    facilitator_ids: Iterable[str] | str | None
    sort_order: SortOrder | str | None
    """By due date."""
    relationships: Iterable[Relationship | str] | Relationship | str | None
    """The roles that the users have in them."""
    completion_interval: Span | None
    """When they became Completed; the end is excluded."""
    overdue: bool | None
    """True gives only overdue ones, False only others."""
    interval_condition: IntervalCondition | str | None
    """Whether `interval` wants them to start in it, or to overlap it."""


@attrs.frozen
class Appointments:
    """Coaching appointments.

    Besides what is named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`; those that write, `OutcomeUnknown`.
    """

    _api: Api = attrs.field(repr=False)

    def list(
        self, user_ids: str | Iterable[str], *, page_size: int = 100, **filters: Unpack[AppointmentFilters]
    ) -> Listing[Appointment]:
        """The appointments of users, in whatever role they have in them.

        The filters are `interval`, `statuses`, `facilitator_ids`, `sort_order`, `relationships`, `completion_interval`,
        `overdue` and `interval_condition`: see `AppointmentFilters`. `page_size` counts appointments; the service may cap
        it.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `ValueError` now for bad arguments; `BadRequest`, `Forbidden` when walked.
        """
        wanted = ids(user_ids)
        if not wanted:
            raise ValueError("user_ids is empty: name at least one user")
        return self._api.listing(
            Page[Appointment],
            "appointments.list",
            "appointments",
            page_size=page_size,
            filters={"user_ids": wanted, **_converted(filters)},
        )

    def list_mine(self, *, page_size: int = 100, **filters: Unpack[AppointmentFilters]) -> Listing[Appointment]:
        """The appointments of the user whose token this is. Filters as in `list`.

        HTTP: GET /api/v2/coaching/appointments/me
        Permission: none, but a user's token
        Raises: `ValueError` now for bad arguments; `BadRequest` with code `not.a.user` when walked with a client's own
        token.
        """
        return self._api.listing(
            Page[Appointment],
            "appointments.list_mine",
            "appointments",
            "me",
            page_size=page_size,
            filters=_converted(filters),
        )

    async def get(self, appointment_id: str) -> Appointment:
        """One appointment.

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:view, or being its attendee, creator or facilitator
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.read(Appointment, "appointments.get", "appointments", appointment_id)

    async def create(self, appointment: AppointmentCreate) -> Appointment:
        """Create an appointment.

        The service may accept it for later (202); then the new appointment is read until it is there.

        HTTP: POST /api/v2/coaching/appointments
        Permission: coaching:appointment:add
        Raises: `BadRequest`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been created, with `reference`
        where it was accepted and does not appear in time.
        """
        return await self._api.write(
            Appointment, "appointments.create", "POST", "appointments", body=appointment, accepted=_appeared
        )

    async def update(self, appointment_id: str, changes: AppointmentUpdate) -> Appointment:
        """Change what `changes` sets; leave the rest. A completed appointment cannot be changed.

        The service may accept it for later (202); then the appointment is read once, and may show the old state.

        HTTP: PATCH /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:edit, or being its creator or facilitator
        Raises: `BadRequest`, `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been changed.
        """
        return await self._api.write(
            Appointment,
            "appointments.update",
            "PATCH",
            "appointments",
            appointment_id,
            body=changes,
            accepted=lambda read, _: read(appointment_id),
        )

    async def delete(self, appointment_id: str) -> AppointmentReference:
        """Delete an appointment, now or soon: the service may accept it for later. Answers what was deleted.

        HTTP: DELETE /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:delete, or being its creator
        Raises: `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been deleted.
        """
        await self._api.delete("appointments.delete", "appointments", appointment_id)
        return AppointmentReference(id=appointment_id, self_uri=f"{ROOT}{path('appointments', appointment_id)}")

    def list_statuses(self, appointment_id: str, *, page_size: int = 100) -> Listing[StatusChange]:
        """The history of an appointment's status. Its entries have no id.

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}/statuses
        Permission: coaching:appointmentStatus:view, or being its attendee, creator or facilitator
        Raises: `ValueError` now for bad arguments; `NotFound`, `Forbidden` when walked.
        """
        return self._api.listing(
            Page[StatusChange],
            "appointments.list_statuses",
            "appointments",
            appointment_id,
            "statuses",
            page_size=page_size,
        )

    async def set_status(self, appointment_id: str, status: AppointmentStatus | str) -> StatusChange:
        """Set the status: Scheduled, InProgress or Completed. `InvalidSchedule` is the service's own.

        HTTP: PATCH /api/v2/coaching/appointments/{appointmentId}/status
        Permission: coaching:appointmentStatus:edit, or being its attendee, creator or facilitator
        Raises: `BadRequest`, `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been set.
        """
        return await self._api.write(
            StatusChange,
            "appointments.set_status",
            "PATCH",
            "appointments",
            appointment_id,
            "status",
            body={"status": settable_status(status)},
        )


def _converted(filters: AppointmentFilters) -> dict[str, QueryValue]:
    if unknown := filters.keys() - _CONVERT.keys():
        raise TypeError(f"no such filter: {', '.join(sorted(unknown))}; there are {', '.join(_CONVERT)}")
    return {name: _CONVERT[name](value) for name, value in filters.items() if value is not None}


def _interval(span: Any) -> Interval:
    match span:
        case Interval():
            return span
        case (start, end):
            return Interval(start, end)
        case _:
            raise TypeError(f"an interval is an Interval or two datetimes, not {type(span).__name__}")


def _word(wanted: object) -> str:
    """`True` or `False`, as the API spells them."""
    if not isinstance(wanted, bool):
        raise TypeError(f"overdue is True, False or None, not {type(wanted).__name__}")
    return str(wanted)


def _several(values: Iterable[str] | str) -> tuple[str, ...]:
    several = ids(values)
    if not several:  # sent as nothing, it would select everything
        raise ValueError("a filter is an empty list: leave it out to get everything")
    return several


def _known(enum: type[OpenEnum]) -> Callable[[Any], QueryValue]:
    return lambda values: [enum.known(value) for value in _several(values)]


_CONVERT: Final[Mapping[str, Callable[[Any], QueryValue]]] = {
    "interval": _interval,
    "statuses": _known(AppointmentStatus),
    "facilitator_ids": _several,
    "sort_order": SortOrder.known,
    "relationships": _known(Relationship),
    "completion_interval": _interval,
    "overdue": _word,
    "interval_condition": IntervalCondition.known,
}
