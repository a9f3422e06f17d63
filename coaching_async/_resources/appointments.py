"""Coaching appointments: the operations below `/api/v2/coaching/appointments`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from coaching_async._api.client import API_ROOT
from coaching_async._bulk.results import BulkResult
from coaching_async._bulk.runner import Items, OnProgress, bulk
from coaching_async._pagination.listing import Consistency, Listing
from coaching_async._refusals.arguments import checked_instance
from coaching_async._serialization.urls import encode_path
from coaching_async.models.aggregates import (
    AggregateFilter,
    AggregateGroupByLike,
    AggregateQuery,
    AppointmentAggregates,
    AppointmentMetricLike,
)
from coaching_async.models.appointments import (
    Appointment,
    AppointmentStatusLike,
    AppointmentUpdate,
    ConversationLink,
    IntervalConditionLike,
    RelationshipLike,
    SettableStatusLike,
    SortOrderLike,
    StatusChange,
    to_settable_status,
)
from coaching_async.models.coercion import IdLike, IdsLike, IntervalLike, OneOrMany, to_id, to_user_ids
from coaching_async.models.common import AppointmentReference, Page
from coaching_async.models.types import UNSET

from .base import build_listing, explain_keywords
from .creation.operations import AppointmentCreation
from .filters import AppointmentFilters, aggregate_filter, split_queries

__all__ = ["Appointments"]

IdT = TypeVar("IdT", bound=IdLike)


def _check_listed_ids(ids: Items[IdLike]) -> None:
    """Raise `ValueError` for an invalid id, unless the ids can be read once only. Otherwise a request would be sent first."""
    if isinstance(ids, Collection) and not isinstance(ids, str | bytes):  # `bulk` refuses these
        for id_ in ids:
            to_id(id_)


class Appointments(AppointmentCreation):
    """Coaching appointments.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`. Methods that write may raise `OutcomeUnknown`.
    """

    __slots__ = ()

    @explain_keywords
    def list(
        self,
        user_ids: IdsLike,
        *,
        interval: IntervalLike | None = None,
        statuses: OneOrMany[AppointmentStatusLike] | None = None,
        facilitator_ids: IdsLike | None = None,
        sort_order: SortOrderLike | None = None,
        relationships: OneOrMany[RelationshipLike] | None = None,
        completion_interval: IntervalLike | None = None,
        overdue: bool | None = None,
        interval_condition: IntervalConditionLike | None = None,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
    ) -> Listing[Appointment]:
        """Return the appointments of users, in any role. Each filter selects among them; None selects all.

            async for appointment in client.appointments.list(
                user_ids, interval=Interval.month(2026, 11)
            ):
                print(appointment.date_start, appointment.name)

        - `interval` is the time in which they take place, and `completion_interval` that in which they became Completed. The
          end is excluded. `interval_condition` is "StartsIn" for those that start in `interval`, or "Overlaps".
        - `statuses` are "Scheduled", "InProgress", "Completed" or "InvalidSchedule".
        - `facilitator_ids` are their facilitators, and `relationships` the roles of the users in them: "Attendee", "Creator" or "Facilitator".
        - `overdue` is True for overdue ones, and False for all others.
        - `sort_order` is the order by due date: "Asc" or "Desc".
        - `page_size` is the number of appointments per page; the service may use a smaller one.
        - `cursor` resumes an earlier iteration that had the same arguments.
        - `consistency="verify"` reads the list until two passes agree.
        - If there are more ids than fit into one request, the list is split over several requests. Each appointment is
          still returned once, and `sort_order` applies to all of them.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `ValueError` now for invalid arguments, or a cursor of other arguments; `BadRequest`, `Forbidden` when
        iterated.
        """
        user_id_list = to_user_ids(user_ids)
        if not user_id_list:
            raise ValueError("user_ids is empty: name at least one user")
        filters = AppointmentFilters(
            interval=interval,
            statuses=statuses,
            facilitator_ids=facilitator_ids,
            sort_order=sort_order,
            relationships=relationships,
            completion_interval=completion_interval,
            overdue=overdue,
            interval_condition=interval_condition,
        )
        return build_listing(
            self._api,
            Page[Appointment],
            "appointments.list",
            "appointments",
            page_size=page_size,
            chunks=split_queries(filters, user_ids=user_id_list),
            cursor=cursor,
            consistency=consistency,
        )

    @explain_keywords
    def list_mine(
        self,
        *,
        interval: IntervalLike | None = None,
        statuses: OneOrMany[AppointmentStatusLike] | None = None,
        facilitator_ids: IdsLike | None = None,
        sort_order: SortOrderLike | None = None,
        relationships: OneOrMany[RelationshipLike] | None = None,
        completion_interval: IntervalLike | None = None,
        overdue: bool | None = None,
        interval_condition: IntervalConditionLike | None = None,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
    ) -> Listing[Appointment]:
        """Return the appointments of the user of the token. Arguments as in `list`.

            mine = client.appointments.list_mine(statuses="Completed")
            async for appointment in mine:
                print(appointment.date_start, appointment.name)

        HTTP: GET /api/v2/coaching/appointments/me
        Permission: none, but a user's token
        Raises: `ValueError` now for invalid arguments; `BadRequest` with code `not.a.user` when iterated with a token
        of client credentials.
        """
        filters = AppointmentFilters(
            interval=interval,
            statuses=statuses,
            facilitator_ids=facilitator_ids,
            sort_order=sort_order,
            relationships=relationships,
            completion_interval=completion_interval,
            overdue=overdue,
            interval_condition=interval_condition,
        )
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

    async def get(self, appointment_id: IdLike) -> Appointment:
        """Return one appointment.

            appointment = await client.appointments.get(appointment_id)
            print(appointment.name, appointment.status)

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:view, or being its attendee, creator or facilitator
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(Appointment, "appointments.get", "appointments", appointment_id)

    async def get_many(
        self,
        ids: Items[IdT],
        *,
        concurrency: int | None = None,
        on_progress: OnProgress[IdT, Appointment] | None = None,
    ) -> BulkResult[IdT, Appointment]:
        """Return many appointments, with one request each: `CoachingClient.bulk` of `get`. The result includes the errors.

            result = await client.appointments.get_many(appointment_ids)
            print(len(result.succeeded), "found,", result.failed)

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:view, or being their attendee, creator or facilitator
        Raises: what `CoachingClient.bulk` raises.
        """
        _check_listed_ids(ids)
        return await bulk(self.get, ids, concurrency, on_progress, default_concurrency=self._api.concurrency)

    async def update(self, appointment_id: IdLike, changes: AppointmentUpdate) -> Appointment:
        """Change the fields that `changes` sets. A completed appointment cannot be changed.

            changes = AppointmentUpdate(location="Room 3")
            await client.appointments.update(appointment_id, changes)

        If the service accepts it for later (202), the appointment is read once, and may still have its old state.

        HTTP: PATCH /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:edit, or being its creator or facilitator
        Raises: `BadRequest`, `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been changed.
        """
        # An update with a status is not repeated: the service keeps a history of it, and notifies of its changes.
        return await self._api.write(
            Appointment,
            "appointments.update",
            "PATCH",
            "appointments",
            appointment_id,
            body=checked_instance("changes", changes, AppointmentUpdate),
            sets_values=changes.status is UNSET,
            resolve_accepted=lambda read, _: read(to_id(appointment_id)),
        )

    async def delete(self, appointment_id: IdLike) -> AppointmentReference:
        """Delete an appointment, and return a reference to it. The service may accept it for later (202).

            await client.appointments.delete(appointment_id)

        HTTP: DELETE /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:delete, or being its creator
        Raises: `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been deleted.
        """
        await self._api.delete("appointments.delete", "appointments", appointment_id)
        deleted_id = to_id(appointment_id)
        return AppointmentReference(id=deleted_id, self_uri=f"{API_ROOT}{encode_path('appointments', deleted_id)}")

    def list_statuses(self, appointment_id: IdLike, *, page_size: int = 100) -> Listing[StatusChange]:
        """Return the status history of an appointment. Its entries have no id.

            history = client.appointments.list_statuses(appointment_id)
            async for change in history:
                print(change.date_created, change.status)

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}/statuses
        Permission: coaching:appointmentStatus:view, or being its attendee, creator or facilitator
        Raises: `ValueError` now for invalid arguments; `NotFound`, `Forbidden` when iterated.
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

    async def set_status(self, appointment_id: IdLike, status: SettableStatusLike) -> StatusChange:
        """Set the status: Scheduled, InProgress or Completed. Only the service sets `InvalidSchedule`.

            await client.appointments.set_status(
                appointment_id, "Completed"
            )

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

    async def add_conversation(self, appointment_id: IdLike, conversation_id: IdLike) -> ConversationLink:
        """Link a conversation to an appointment.

            await client.appointments.add_conversation(
                appointment_id, conversation_id
            )

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
        metrics: OneOrMany[AppointmentMetricLike] = (),
        group_by: OneOrMany[AggregateGroupByLike] = (),
        attendee_ids: IdsLike | None = None,
        facilitator_ids: IdsLike | None = None,
        statuses: OneOrMany[AppointmentStatusLike] | None = None,
        filter: AggregateFilter | None = None,  # noqa: A002 # its name in the field
    ) -> AppointmentAggregates:
        """Count the appointments of `interval`, its end excluded, by the given `metrics` (default: all).

            counts = await client.appointments.aggregate(
                interval=Interval.month(2026, 11),
                attendee_ids=user_ids,
                group_by="attendeeId",
            )
            for group in counts.results:
                print(group.group, group.data)

        `attendee_ids`, `facilitator_ids` and `statuses` select the appointments that have one of each. `filter` replaces
        these three for any other selection.

        HTTP: POST /api/v2/coaching/appointments/aggregates/query
        Permission: coaching:appointment:view
        Raises: `BadRequest`, `Forbidden`.
        """
        selected = aggregate_filter(attendee_ids, facilitator_ids, statuses, filter)
        query = AggregateQuery(interval=interval, metrics=metrics, group_by=group_by, filter=selected)
        return await self._api.get(
            AppointmentAggregates, "appointments.aggregate", "appointments", "aggregates", "query", body=query
        )
