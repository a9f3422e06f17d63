"""Coaching appointments: the operations below `/api/v2/coaching/appointments`."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Unpack

import anyio

from coaching_async._api.accepted import poll_intervals
from coaching_async._api.client import API_ROOT
from coaching_async._bulk.results import BulkResult
from coaching_async._bulk.runner import Items, OnProgress, bulk
from coaching_async._exceptions import NotFound
from coaching_async._pagination.listing import Consistency, Listing
from coaching_async._serialization.urls import encode_path
from coaching_async.models.aggregates import (
    AggregateDimension,
    AggregateFilter,
    AggregateFilterType,
    AggregateGroupBy,
    AggregateQuery,
    AppointmentAggregates,
    AppointmentMetric,
)
from coaching_async.models.appointments import (
    Appointment,
    AppointmentCreate,
    AppointmentStatus,
    AppointmentUpdate,
    ConversationLink,
    StatusChange,
    to_settable_status,
)
from coaching_async.models.coercion import IntervalLike, OneOrMany, to_id, to_ids, to_members
from coaching_async.models.common import AppointmentReference, Page

from .base import Resource, build_listing
from .filters import AppointmentFilters, any_of, split_queries
from .find_created import MINUTE, CreatedMatcher

__all__ = ["Appointments"]


async def _read_until_found(read: Callable[[str], Awaitable[Appointment]], appointment_id: str) -> Appointment:
    """Read a new appointment until it is there; the deadline of the call ends the loop."""
    wait = poll_intervals()
    while True:
        try:
            return await read(appointment_id)
        except NotFound:
            await anyio.sleep(next(wait))


class Appointments(Resource):
    """Coaching appointments.

    Besides what is named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`; those that write, `OutcomeUnknown`.
    """

    __slots__ = ()

    def list(
        self,
        user_ids: str | Iterable[str],
        *,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
        **filters: Unpack[AppointmentFilters],
    ) -> Listing[Appointment]:
        """The appointments of users, in whatever role they have in them.

        The filters are `interval`, `statuses`, `facilitator_ids`, `sort_order`, `relationships`, `completion_interval`,
        `overdue` and `interval_condition`: see `AppointmentFilters`. `page_size` counts appointments; the service may cap
        it. `cursor` is that of an earlier walk with the same arguments: it goes on there. `consistency="verify"` walks the
        list until two walks agree. More ids than one request can carry are split over several: an appointment that two of
        them have comes once, and `sort_order` holds over all.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `ValueError` now for bad arguments, or a cursor of others; `BadRequest`, `Forbidden` when walked.
        """
        wanted = to_ids(user_ids)
        if not wanted:
            raise ValueError("user_ids is empty: name at least one user")
        return build_listing(
            self._api,
            Page[Appointment],
            "appointments.list",
            "appointments",
            page_size=page_size,
            chunks=split_queries(filters, user_ids=wanted),
            cursor=cursor,
            consistency=consistency,
        )

    def list_mine(
        self,
        *,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
        **filters: Unpack[AppointmentFilters],
    ) -> Listing[Appointment]:
        """The appointments of the user whose token this is. Arguments as in `list`.

        HTTP: GET /api/v2/coaching/appointments/me
        Permission: none, but a user's token
        Raises: `ValueError` now for bad arguments; `BadRequest` with code `not.a.user` when walked with a client's own
        token.
        """
        return build_listing(
            self._api,
            Page[Appointment],
            "appointments.list_mine",
            "appointments",
            "me",
            page_size=page_size,
            chunks=split_queries(filters),
            cursor=cursor,
            consistency=consistency,
        )

    async def get(self, appointment_id: str) -> Appointment:
        """One appointment.

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:view, or being its attendee, creator or facilitator
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(Appointment, "appointments.get", "appointments", appointment_id)

    async def get_many(
        self,
        ids: Items[str],
        *,
        concurrency: int | None = None,
        on_progress: OnProgress[str, Appointment] | None = None,
    ) -> BulkResult[str, Appointment]:
        """Many appointments, with one request each: `CoachingClient.bulk` of `get`, whose errors are in the result.

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:view, or being their attendee, creator or facilitator
        Raises: what `CoachingClient.bulk` raises.
        """
        return await bulk(self.get, ids, concurrency, on_progress, default_concurrency=self._api.concurrency)

    async def create(self, appointment: AppointmentCreate) -> Appointment:
        """Create an appointment.

        The service may accept it for later (202); then the new appointment is read until it is there.

        HTTP: POST /api/v2/coaching/appointments
        Permission: coaching:appointment:add
        Raises: `BadRequest`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been created, with `reference`
        where it was accepted and does not appear in time. Then `find_created` looks for it.
        """
        return await self._api.write(
            Appointment,
            "appointments.create",
            "POST",
            "appointments",
            body=appointment,
            resolve_accepted=_read_until_found,
        )

    async def find_created(self, appointment: AppointmentCreate, *, since: datetime) -> tuple[Appointment, ...]:
        """What `create` may have created, after an error whose `processed` is not "no": the oldest first.

        That there is none does not say that there will be none: the service may still be at it.

        `since` is when `create` was called, on this machine's clock; appointments count that were created at most a minute
        before, because the service has a clock of its own. One that matches has the same name, start, length and
        attendees, and the same facilitator where one was named.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `BadRequest`, `Forbidden`.
        """
        sought = CreatedMatcher(appointment, since)
        when = (sought.start, sought.start + MINUTE)
        at_that_time = self.list(sought.anybody, interval=when, interval_condition="StartsIn")
        return sought.among([each async for each in at_that_time])

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
            resolve_accepted=lambda read, _: read(appointment_id),
        )

    async def delete(self, appointment_id: str) -> AppointmentReference:
        """Delete an appointment, now or soon: the service may accept it for later. Answers what was deleted.

        HTTP: DELETE /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:delete, or being its creator
        Raises: `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been deleted.
        """
        await self._api.delete("appointments.delete", "appointments", appointment_id)
        return AppointmentReference(
            id=appointment_id, self_uri=f"{API_ROOT}{encode_path('appointments', appointment_id)}"
        )

    def list_statuses(self, appointment_id: str, *, page_size: int = 100) -> Listing[StatusChange]:
        """The history of an appointment's status. Its entries have no id.

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}/statuses
        Permission: coaching:appointmentStatus:view, or being its attendee, creator or facilitator
        Raises: `ValueError` now for bad arguments; `NotFound`, `Forbidden` when walked.
        """
        return build_listing(
            self._api,
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
            body={"status": to_settable_status(status)},
        )

    async def add_conversation(self, appointment_id: str, conversation_id: str) -> ConversationLink:
        """Link a conversation to an appointment.

        HTTP: POST /api/v2/coaching/appointments/{appointmentId}/conversations
        Permission: coaching:appointment:edit or coaching:appointmentConversation:add, or being its creator or facilitator
        Raises: `BadRequest`, `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been linked.
        """
        return await self._api.write(
            ConversationLink,
            "appointments.add_conversation",
            "POST",
            "appointments",
            appointment_id,
            "conversations",
            body={"conversation_id": to_id(conversation_id)},
        )

    async def aggregate(
        self,
        *,
        interval: IntervalLike,
        metrics: OneOrMany[AppointmentMetric] = (),
        group_by: OneOrMany[AggregateGroupBy] = (),
        attendee_ids: Iterable[str] | str | None = None,
        facilitator_ids: Iterable[str] | str | None = None,
        statuses: OneOrMany[AppointmentStatus] | None = None,
        filter: AggregateFilter | None = None,  # noqa: A002 # its name in the field
    ) -> AppointmentAggregates:
        """Count the appointments of `interval`, its end excluded: by every metric, unless some are named.

        Counted are those that have one of the attendees, one of the facilitators and one of the statuses, as far as these
        are given; `filter` stands instead of the three where something else is wanted.

        HTTP: POST /api/v2/coaching/appointments/aggregates/query
        Permission: coaching:appointment:view
        Raises: `BadRequest`, `Forbidden`.
        """
        simple = {
            AggregateDimension.ATTENDEE_ID: attendee_ids,
            AggregateDimension.FACILITATOR_ID: facilitator_ids,
            AggregateDimension.STATUS: None if statuses is None else to_members(AppointmentStatus, statuses),
        }
        clauses = [any_of(dimension, values) for dimension, values in simple.items() if values is not None]
        if filter is not None and clauses:
            raise ValueError(
                "filter stands instead of attendee_ids, facilitator_ids and statuses: give it, or some of them"
            )
        query = AggregateQuery(
            interval=interval,
            metrics=metrics,
            group_by=group_by,
            filter=filter or AggregateFilter(type=AggregateFilterType.AND, clauses=clauses),
        )
        return await self._api.get(
            AppointmentAggregates, "appointments.aggregate", "appointments", "aggregates", "query", body=query
        )
