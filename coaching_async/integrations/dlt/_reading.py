"""One run: reads what is to be read, with one client, and hands over a batch of rows for each page."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime, timedelta
from inspect import iscoroutine
from itertools import chain
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs

from coaching_async import (
    Appointment,
    CoachingClient,
    Interval,
    Listing,
    NotFound,
    User,
    UserReference,
    Walk,
)
from coaching_async._refusals.arguments import kind_of
from coaching_async.tables import to_rows, user_ids

from ._tables import Row, appointment_rows, left_out_row, left_out_rows
from ._tasks import Put
from ._window import Part, coverage_from_state, coverage_to_state, next_reads

__all__ = ["Batch", "Reading", "UserIds", "UserIdsFunction"]

UserIdsFunction: TypeAlias = Callable[[CoachingClient], AsyncIterable[str | UUID | User | UserReference]]

UserIds: TypeAlias = Sequence[str] | UserIdsFunction

MAX_USERS: Final = 100
"""Users that one request takes."""

GAP: Final = "the list changed while it was read, so rows may be missing; the next run reads the same time again"


@attrs.frozen
class Batch:
    """Rows of each table."""

    appointments: Sequence[Row] = ()
    users: Sequence[Row] = ()
    left_out: Sequence[Row] = ()


@attrs.frozen
class Reading:
    """What each run reads, and with which client."""

    client: Callable[[], CoachingClient]
    user_ids: UserIds
    filters: Mapping[str, Any]
    """Those of the list, without the interval."""
    interval: Interval | None
    lookback: timedelta
    details: Sequence[str]
    """What is read of each appointment: annotations, statuses."""
    with_users: bool
    arguments: str
    """Digest of the filters, and of what is read with the appointments."""

    async def run(self, state: MutableMapping[str, Any], put: Put[Batch]) -> None:
        """Read, and hand over at least one batch. Update the state at the end, unless rows may be missing."""
        client = self.client()
        if not isinstance(client, CoachingClient):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
            raise TypeError(f"client returns a CoachingClient, not {kind_of(client)}")
        async with client:
            run = Run(client, self.details, self.with_users)
            now = _now()
            users = await run.find_users(self.user_ids) if callable(self.user_ids) else self.user_ids
            parts, coverage = next_reads(
                coverage_from_state(state),
                arguments=self.arguments,
                users=users,
                interval=self.interval,
                lookback=self.lookback,
                now=now,
            )
            run.want_users(users)
            for part in parts:
                await run.read(self._listing(client, part), put)
            await put(await run.rest())
        if not run.gaps:
            state.update(coverage_to_state(coverage))

    def _listing(self, client: CoachingClient, part: Part) -> Listing[Appointment]:
        filters = self.filters
        if part.interval is not None:
            filters = {"interval_condition": "StartsIn", **filters, "interval": part.interval}
        return client.appointments.list(part.users, **filters)


@attrs.define(eq=False)
class Run:
    """A run, and what it has read so far."""

    client: CoachingClient
    details: Sequence[str]
    with_users: bool
    gaps: int = 0
    _seen: set[str] = attrs.field(factory=set)
    _seen_users: set[str] = attrs.field(factory=set)
    _wanted_users: list[str] = attrs.field(factory=list)
    """Users to look up."""
    _left_out: list[Row] = attrs.field(factory=list)

    async def find_users(self, function: UserIdsFunction) -> Sequence[str]:
        """Return the ids of the users that the function finds. Raises `TypeError` and `ValueError` if it finds none."""
        found = function(self.client)
        if not isinstance(found, AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
            if iscoroutine(found):
                found.close()
            raise TypeError(
                "user_ids, if it is a function, returns an async iterable: a listing of users, or an async generator, "
                f"not a {type(found).__name__}"
            )
        walk = aiter(found)
        ids = [_id_of(each) async for each in walk]
        if isinstance(walk, Walk):
            self._left_out += left_out_rows("users", None, walk.report.rows_left_out, walk.report.left_out)
        if not ids:
            raise ValueError("user_ids has found no user: nothing would be loaded")
        return list(dict.fromkeys(ids))

    def want_users(self, ids: Iterable[str]) -> None:
        """Look up these users, too, if the run has a table of users."""
        if self.with_users:
            new = [id_ for id_ in dict.fromkeys(ids) if id_ not in self._seen_users]
            self._seen_users.update(new)
            self._wanted_users += new

    async def read(self, listing: Listing[Appointment], put: Put[Batch]) -> None:
        """Hand over a batch for each page of a list, without the appointments that were handed over before."""
        walk = listing.pages()
        async for page in walk:
            new = [appointment for appointment in page.entities if appointment.id not in self._seen]
            self._seen.update(appointment.id for appointment in new)
            details = await self._details_of(new)
            self.want_users(sorted(user_ids(chain(new, *(chain(*lists.values()) for lists in details.values())))))
            await put(Batch(appointment_rows(new, details), await self._look_up(at_least=MAX_USERS)))
        report = walk.report
        self._left_out += left_out_rows("appointments", None, report.rows_left_out, report.left_out)
        if report.suspected_gaps:
            self.gaps += report.suspected_gaps
            self._left_out.append(left_out_row("appointments", GAP, count=report.suspected_gaps))

    async def rest(self) -> Batch:
        """Return what belongs to no page: the last users, and what was left out."""
        return Batch(users=await self._look_up(at_least=1), left_out=self._left_out)

    async def _details_of(self, appointments: Sequence[Appointment]) -> Mapping[str, Mapping[str, Sequence[Any]]]:
        found: dict[str, dict[str, Sequence[Any]]] = {name: {} for name in self.details}
        if not self.details:
            return found
        async with self.client.bulk_stream(self._read_details, [each.id for each in appointments]) as outcomes:
            async for outcome in outcomes:
                for name, items in outcome.result().items():
                    found[name][outcome.item] = items
        return found

    async def _read_details(self, appointment_id: str) -> Mapping[str, Sequence[Any]]:
        lists: Mapping[str, Callable[[str], Listing[Any]]] = {
            "annotations": self.client.annotations.list,
            "statuses": self.client.appointments.list_statuses,
        }
        found: dict[str, Sequence[Any]] = {}
        for name in self.details:
            walk = aiter(lists[name](appointment_id))
            try:
                found[name] = [item async for item in walk]
            except NotFound:  # the appointment was deleted after it was listed
                return {}
            report = walk.report
            self._left_out += left_out_rows(name, appointment_id, report.rows_left_out, report.left_out)
        return found

    async def _look_up(self, *, at_least: int) -> list[Row]:
        """Return the rows of the users to look up, if there are enough of them for a request."""
        if len(self._wanted_users) < at_least:
            return []
        found = await self.client.users.get_many(self._wanted_users)
        self._wanted_users.clear()
        self._left_out += left_out_rows("users", None, len(found.left_out), found.left_out)
        return [{**row} for row in to_rows(found.values(), User)]


def _now() -> datetime:
    return datetime.now(UTC)


def _id_of(found: Any) -> str:
    id_ = found if isinstance(found, str | UUID) else getattr(found, "id", None)
    if not isinstance(id_, str | UUID):
        raise TypeError(f"user_ids, if it is a function, finds users or their ids, not {kind_of(found)}")
    return str(id_)
