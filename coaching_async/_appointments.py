"""Coaching appointments: the operations below `/api/v2/coaching/appointments`."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

import anyio
import attrs

from ._api import ROOT, Api
from ._errors import NotFound
from ._listing import Listing
from ._types import Interval
from ._wire import path, query
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

__all__ = ["Appointments"]

Span: TypeAlias = Interval | tuple[datetime, datetime]


@attrs.frozen
class Appointments:
    """Coaching appointments.

    Besides what is named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`; those that write, `OutcomeUnknown`.
    """

    _api: Api = attrs.field(repr=False)

    def list(
        self,
        user_ids: str | Iterable[str],
        *,
        interval: Span | None = None,
        statuses: Iterable[AppointmentStatus | str] | AppointmentStatus | str | None = None,
        facilitator_ids: str | Iterable[str] | None = None,
        sort_order: SortOrder | str | None = None,
        relationships: Iterable[Relationship | str] | Relationship | str | None = None,
        completion_interval: Span | None = None,
        overdue: bool | None = None,
        interval_condition: IntervalCondition | str | None = None,
        page_size: int = 100,
    ) -> Listing[Appointment]:
        """The appointments of users, in whatever role they have in them.

        `interval` and `completion_interval` exclude their end; `sort_order` is by due date; `overdue` True gives only
        overdue ones, False only others, None both. `page_size` counts appointments; the service may cap it.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `ValueError` now for bad arguments; `BadRequest`, `Forbidden` when walked.
        """
        wanted = ids(user_ids)
        if not wanted:
            raise ValueError("user_ids is empty: name at least one user")
        filters = _filters(
            user_ids=wanted,
            interval=interval,
            statuses=statuses,
            facilitator_ids=facilitator_ids,
            sort_order=sort_order,
            relationships=relationships,
            completion_interval=completion_interval,
            overdue=overdue,
            interval_condition=interval_condition,
        )
        return self._api.listing(
            Page[Appointment], "appointments.list", "appointments", page_size=page_size, filters=filters
        )

    def list_mine(
        self,
        *,
        interval: Span | None = None,
        statuses: Iterable[AppointmentStatus | str] | AppointmentStatus | str | None = None,
        facilitator_ids: str | Iterable[str] | None = None,
        sort_order: SortOrder | str | None = None,
        relationships: Iterable[Relationship | str] | Relationship | str | None = None,
        completion_interval: Span | None = None,
        overdue: bool | None = None,
        interval_condition: IntervalCondition | str | None = None,
        page_size: int = 100,
    ) -> Listing[Appointment]:
        """The appointments of the user whose token this is. Filters as in `list`.

        HTTP: GET /api/v2/coaching/appointments/me
        Permission: none, but a user's token
        Raises: `ValueError` now for bad arguments; `BadRequest` with code `not.a.user` when walked with a client's own
        token.
        """
        filters = _filters(
            interval=interval,
            statuses=statuses,
            facilitator_ids=facilitator_ids,
            sort_order=sort_order,
            relationships=relationships,
            completion_interval=completion_interval,
            overdue=overdue,
            interval_condition=interval_condition,
        )
        return self._api.listing(
            Page[Appointment], "appointments.list_mine", "appointments", "me", page_size=page_size, filters=filters
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
            Appointment, "appointments.create", "POST", "appointments", body=appointment, accepted=self._appeared
        )

    async def _appeared(self, reference: AppointmentReference) -> Appointment:
        """The deadline of the call around it ends the loop."""
        wait = 0.25
        while True:
            try:
                return await self.get(reference.id)
            except NotFound:
                await anyio.sleep(wait)
                wait = min(2 * wait, 4.0)

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
            accepted=lambda _: self.get(appointment_id),
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


def _filters(
    *,
    user_ids: tuple[str, ...] | None = None,
    interval: Span | None,
    statuses: Iterable[AppointmentStatus | str] | str | None,
    facilitator_ids: str | Iterable[str] | None,
    sort_order: str | None,
    relationships: Iterable[Relationship | str] | str | None,
    completion_interval: Span | None,
    overdue: bool | None,
    interval_condition: str | None,
) -> str:
    return query(
        user_ids=user_ids,
        interval=_interval(interval),
        statuses=None if statuses is None else [AppointmentStatus.known(value) for value in ids(statuses)],
        facilitator_ids=None if facilitator_ids is None else ids(facilitator_ids),
        sort_order=None if sort_order is None else SortOrder.known(sort_order),
        relationships=None if relationships is None else [Relationship.known(value) for value in ids(relationships)],
        completion_interval=_interval(completion_interval),
        overdue=None if overdue is None else str(bool(overdue)),
        interval_condition=None if interval_condition is None else IntervalCondition.known(interval_condition),
    )


def _interval(span: Span | None) -> Interval | None:
    return span if span is None or isinstance(span, Interval) else Interval(*span)
