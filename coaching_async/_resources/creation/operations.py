"""`AppointmentCreation`: the operations of `Appointments` that create some, or look for what was created."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import itemgetter

import attrs

from coaching_async._api.accepted import read_until_found
from coaching_async._refusals.arguments import checked_instance, checked_several
from coaching_async._resources.base import Resource, build_listing
from coaching_async._resources.filters import AppointmentFilters, split_queries
from coaching_async.models.appointments import Appointment, AppointmentCreate, IntervalCondition
from coaching_async.models.coercion import IdsLike, to_ids
from coaching_async.models.common import Page
from coaching_async.models.types import require_aware

from .create_many import CreateRun, OnCreate
from .lookups import Lookup, created_from, plan_lookups
from .matching import is_match
from .results import CreateResult

__all__ = ["AppointmentCreation"]


class AppointmentCreation(Resource):
    """The base of `Appointments` with what creates appointments."""

    __slots__ = ()

    async def create(self, appointment: AppointmentCreate) -> Appointment:
        """Create an appointment.

            appointment = await client.appointments.create(
                AppointmentCreate(
                    name="Call opening",
                    description="Listen to the call together",
                    date_start=datetime(2026, 12, 1, 9, tzinfo=UTC),
                    length_in_minutes=30,
                    attendee_ids=[user_id],
                )
            )

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
            body=checked_instance("appointment", appointment, AppointmentCreate),
            resolve_accepted=read_until_found,
        )

    async def find_created(self, appointment: AppointmentCreate, *, since: datetime) -> tuple[Appointment, ...]:
        """Return what `create` may have created, the oldest first, after an error whose `processed` is not "no".

            found = await client.appointments.find_created(
                body, since=began
            )

        An empty result is not final, because the service may still be creating the appointment.

        `since` is when `create` was called, by this machine's clock. It is converted into a time by the service's clock,
        which the `Date` of the responses shows, so this machine's clock may be wrong. Appointments created up to one minute
        before are included. A match has the same name, start, length and attendees, and the same facilitator if one was
        given. A row that cannot be read is an error here, because it may be a match.

        HTTP: GET /api/v2/coaching/appointments
        Permission: coaching:appointment:view
        Raises: `BadRequest`, `Forbidden`.
        """
        (lookup,) = plan_lookups({0: checked_instance("appointment", appointment, AppointmentCreate)})
        return tuple(each for each in await self._find(lookup, require_aware(since)) if is_match(appointment, each))

    async def _find(self, lookup: Lookup, since: datetime) -> Sequence[Appointment]:
        """Return the appointments of a lookup that were created since then, the oldest first."""
        filters = AppointmentFilters(interval=lookup.interval, interval_condition=IntervalCondition.STARTS_IN)
        listing = build_listing(
            attrs.evolve(self._api, strict=True),
            Page[Appointment],
            "appointments.list",
            "appointments",
            page_size=100,
            chunks=split_queries(filters, user_ids=lookup.user_ids),
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

            result = await client.appointments.create_many(bodies)
            print(len(result.created), "created,", result.failed)

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

            result = await client.appointments.find_created_many(
                bodies, since=began
            )
            print(len(result.missing), "are missing")

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
            checked_several("appointments", appointments, AppointmentCreate),
            operation,
            self._find,
            since,
            concurrency,
            self._api.concurrency,
            on_progress,
            known_ids=set(to_ids(exclude_ids)),
        )
