"""Coaching appointments: the operations below `/api/v2/coaching/appointments`."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import TypeVar, Unpack

import attrs

from coaching_async._api.accepted import read_until_found
from coaching_async._api.client import API_ROOT
from coaching_async._bulk.results import BulkResult
from coaching_async._bulk.runner import Items, OnProgress, bulk
from coaching_async._pagination.listing import Consistency, Listing
from coaching_async._serialization.urls import encode_path
from coaching_async.models.aggregates import (
    AggregateFilter,
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
from coaching_async.models.coercion import IdLike, IdsLike, IntervalLike, OneOrMany, to_id, to_ids
from coaching_async.models.common import AppointmentReference, Page
from coaching_async.models.types import UNSET, require_aware

from .base import Resource, build_listing
from .creation.create_many import CreateRun, OnCreate
from .creation.lookups import Lookup, created_from, plan_lookups
from .creation.matching import is_match
from .creation.results import CreateResult
from .filters import AppointmentFilters, aggregate_filter, split_queries

__all__ = ["Appointments"]

IdT = TypeVar("IdT", bound=IdLike)


def _check_listed_ids(ids: Items[IdLike]) -> None:
    """Raise `ValueError` for an invalid id, unless the ids can be read once only. Otherwise a request would be sent first."""
    if isinstance(ids, Collection) and not isinstance(ids, str | bytes):  # `bulk` refuses these
        for id_ in ids:
            to_id(id_)


class Appointments(Resource):
    """Coaching appointments.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`. Methods that write may raise `OutcomeUnknown`.
    """

    __slots__ = ()

    def list(
        self,
        user_ids: IdsLike,
        *,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
        **filters: Unpack[AppointmentFilters],
    ) -> Listing[Appointment]:
        """Return the appointments of users, in any role.

        - The filters are `interval`, `statuses`, `facilitator_ids`, `sort_order`, `relationships`, `completion_interval`,
          `overdue` and `interval_condition`: see `AppointmentFilters`.
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
        user_id_list = to_ids(user_ids)
        if not user_id_list:
            raise ValueError("user_ids is empty: name at least one user")
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

    def list_mine(
        self,
        *,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
        **filters: Unpack[AppointmentFilters],
    ) -> Listing[Appointment]:
        """Return the appointments of the user of the token. Arguments as in `list`.

        HTTP: GET /api/v2/coaching/appointments/me
        Permission: none, but a user's token
        Raises: `ValueError` now for invalid arguments; `BadRequest` with code `not.a.user` when iterated with a token
        of client credentials.
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

    async def get(self, appointment_id: IdLike) -> Appointment:
        """Return one appointment.

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

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:view, or being their attendee, creator or facilitator
        Raises: what `CoachingClient.bulk` raises.
        """
        _check_listed_ids(ids)
        return await bulk(self.get, ids, concurrency, on_progress, default_concurrency=self._api.concurrency)

    async def create(self, appointment: AppointmentCreate) -> Appointment:
        """Create an appointment.

        If the service accepts it for later (202), the new appointment is polled until it can be read.

        HTTP: POST /api/v2/coaching/appointments
        Permission: coaching:appointment:add
        Raises: `BadRequest`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been created, with `reference`
        where it was accepted and cannot be read before the deadline. Then `find_created` searches it.
        """
        return await self._api.write(
            Appointment,
            "appointments.create",
            "POST",
            "appointments",
            body=appointment,
            resolve_accepted=read_until_found,
        )

    async def find_created(self, appointment: AppointmentCreate, *, since: datetime) -> tuple[Appointment, ...]:
        """Return what `create` may have created, the oldest first, after an error whose `processed` is not "no".

        An empty result is not final, because the service may still be creating the appointment.

        `since` is when `create` was called, by this machine's clock. It is converted into a time by the service's clock,
        which the `Date` of the responses shows, so this machine's clock may be wrong. Appointments created up to one minute
        before are included. A match has the same name, start, length and attendees, and the same facilitator if one was
        given. A row that cannot be read is an error here, because it may be a match.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `BadRequest`, `Forbidden`.
        """
        (lookup,) = plan_lookups({0: appointment})
        return tuple(each for each in await self._find(lookup, require_aware(since)) if is_match(appointment, each))

    async def _find(self, lookup: Lookup, since: datetime) -> Sequence[Appointment]:
        """Return the appointments of a lookup that were created since then, the oldest first."""
        listing = Appointments(attrs.evolve(self._api, strict=True)).list(
            lookup.user_ids, interval=lookup.interval, interval_condition="StartsIn"
        )
        found = [(each.date_created, each) async for each in listing if each.date_created]
        earliest = created_from(since, self._api.clock)  # now that the responses have shown the service's clock
        return [each for created, each in sorted(found, key=itemgetter(0)) if created >= earliest]

    async def create_many(
        self,
        appointments: Iterable[AppointmentCreate],
        *,
        since: datetime | None = None,
        exclude_ids: IdsLike = (),
        concurrency: int | None = None,
        on_progress: OnCreate | None = None,
    ) -> CreateResult:
        """Create many appointments, each of them once, and return the outcome of each. The result includes the errors.

        If it is not known whether a `create` was carried out, `create_many` looks for its appointment, up to three times in
        three seconds, and never sends it again. What is not found then is a failure, because the service may still be
        creating it.

        `since` is when the first run over these bodies began, by this machine's clock: the `since` of its result, or a time
        that was noted before it. A run with `since` looks first, and creates only what is missing. So it finishes a run that
        failed, was cancelled or killed. Without `since` this is the first run, and nothing is looked for before.

        - A body has an appointment if `find_created` finds one. Equal bodies are wanted as often as they are given, and each
          appointment counts for one of them. Similar bodies are told apart by their other fields.
        - What cannot be told apart, and more appointments than bodies, are reported (`CreateResult.ambiguous`).
        - `exclude_ids` are appointments that count for no body: those of earlier runs over other bodies, for example.
        - `concurrency` and `on_progress` are those of `CoachingClient.bulk`. If the call is cancelled, `on_progress` has
          received the outcomes up to then (`progress.newest`).

        An appointment that was deleted, renamed or rescheduled after it was created is not recognized, and is created again.
        Two runs at the same time can each create the same. A run that begins a moment after another was killed may not see
        what the service is still creating: wait a minute.

        HTTP: POST /api/v2/coaching/appointments, GET /api/v2/coaching/appointments
        Permission: coaching:appointment:add, and coaching:appointment:view to look
        Raises: `ValueError` and `TypeError` for invalid arguments, before anything is sent; what `on_progress` raises.
        """
        begun = datetime.now(UTC) if since is None else since
        run = self._creation("appointments.create_many", appointments, begun, exclude_ids, concurrency, on_progress)
        return await run.create(self.create, looks_first=since is not None)

    async def find_created_many(
        self,
        appointments: Iterable[AppointmentCreate],
        *,
        since: datetime,
        exclude_ids: IdsLike = (),
        concurrency: int | None = None,
    ) -> CreateResult:
        """Return which of many appointments were created since then, and create nothing. Arguments as in `create_many`.

        One list for each day is read, instead of one for each appointment. The outcome of a body that was not found is
        `missing`.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `ValueError` and `TypeError` for invalid arguments, before anything is sent.
        """
        run = self._creation("appointments.find_created_many", appointments, since, exclude_ids, concurrency)
        return await run.look()

    def _creation(
        self,
        operation: str,
        appointments: Iterable[AppointmentCreate],
        since: datetime,
        exclude_ids: IdsLike,
        concurrency: int | None,
        on_progress: OnCreate | None = None,
    ) -> CreateRun:
        return CreateRun(
            appointments,
            operation,
            self._find,
            since,
            concurrency,
            self._api.concurrency,
            on_progress,
            known_ids=set(to_ids(exclude_ids)),
        )

    async def update(self, appointment_id: IdLike, changes: AppointmentUpdate) -> Appointment:
        """Change the fields that `changes` sets. A completed appointment cannot be changed.

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
            body=changes,
            sets_values=changes.status is UNSET,
            resolve_accepted=lambda read, _: read(to_id(appointment_id)),
        )

    async def delete(self, appointment_id: IdLike) -> AppointmentReference:
        """Delete an appointment, and return a reference to it. The service may accept it for later (202).

        HTTP: DELETE /api/v2/coaching/appointments/{appointmentId}
        Permission: coaching:appointment:delete, or being its creator
        Raises: `NotFound`, `Forbidden`, `Conflict`; `OutcomeUnknown` when it may have been deleted.
        """
        await self._api.delete("appointments.delete", "appointments", appointment_id)
        deleted_id = to_id(appointment_id)
        return AppointmentReference(id=deleted_id, self_uri=f"{API_ROOT}{encode_path('appointments', deleted_id)}")

    def list_statuses(self, appointment_id: IdLike, *, page_size: int = 100) -> Listing[StatusChange]:
        """Return the status history of an appointment. Its entries have no id.

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

    async def set_status(self, appointment_id: IdLike, status: AppointmentStatus | str) -> StatusChange:
        """Set the status: Scheduled, InProgress or Completed. Only the service sets `InvalidSchedule`.

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
        attendee_ids: IdsLike | None = None,
        facilitator_ids: IdsLike | None = None,
        statuses: OneOrMany[AppointmentStatus] | None = None,
        filter: AggregateFilter | None = None,  # noqa: A002 # its name in the field
    ) -> AppointmentAggregates:
        """Count the appointments of `interval`, its end excluded, by the given `metrics` (default: all).

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
