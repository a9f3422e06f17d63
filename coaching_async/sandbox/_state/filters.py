"""Which appointments a list asks for: small predicates and how the query combines them."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import attrs
from starlette.datastructures import QueryParams

from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import Interval, JsonObject, moment

from .appointment import PEOPLE, STATUSES, is_overdue, lasts, starts

BEGINNING = datetime.min.replace(tzinfo=UTC)

Predicate: TypeAlias = Callable[[JsonObject], bool]


def belongs_to(user_ids: Iterable[str], relationships: Collection[str] = ()) -> Predicate:
    wanted = frozenset(user_ids)
    ways = [PEOPLE[relationship] for relationship in relationships or PEOPLE]

    def belongs(appointment: JsonObject) -> bool:
        for ids in ways:  # noqa: SIM110 - a generator costs more than all the rest, for thousands of appointments
            if not wanted.isdisjoint(ids(appointment)):
                return True
        return False

    return belongs


def has_status(statuses: Collection[str]) -> Predicate:
    return lambda appointment: appointment["status"] in statuses


def facilitated_by(user_ids: Iterable[str]) -> Predicate:
    return belongs_to(user_ids, ["Facilitator"])


def starts_in(interval: Interval) -> Predicate:
    start, end = interval
    return lambda appointment: start <= starts(appointment) < end


def overlaps(interval: Interval) -> Predicate:
    start, end = interval
    return lambda appointment: starts(appointment) < end and start - starts(appointment) < lasts(appointment)


def completed_in(interval: Interval) -> Predicate:
    start, end = interval
    return lambda appointment: "dateCompleted" in appointment and start <= moment(appointment["dateCompleted"]) < end


def overdue(wanted: bool, now: datetime) -> Predicate:
    return lambda appointment: is_overdue(appointment, now) is wanted


@attrs.frozen
class Wanted:
    """What a list of appointments is narrowed by; empty and None narrow nothing, but for the users."""

    user_ids: tuple[str, ...]
    relationships: frozenset[str] = frozenset()
    facilitator_ids: tuple[str, ...] = ()
    starting: Interval | None = None
    overlapping: Interval | None = None
    completed: Interval | None = None
    statuses: frozenset[str] = frozenset()
    overdue: bool | None = None
    now: datetime = BEGINNING
    newest_first: bool = False

    def predicates(self) -> list[Predicate]:
        """The definition: it is listed if all of these say so."""
        indexed = [belongs_to(self.user_ids, self.relationships)]
        if self.facilitator_ids:
            indexed.append(facilitated_by(self.facilitator_ids))
        if self.statuses:
            indexed.append(has_status(self.statuses))
        if self.overdue is not None:
            indexed.append(overdue(self.overdue, self.now))
        if self.starting:
            indexed.append(starts_in(self.starting))
        return indexed + self.not_indexed()

    def not_indexed(self) -> list[Predicate]:
        """What is left to ask of those which the indexes have found."""
        left: list[Predicate] = []
        if self.overlapping:
            left.append(overlaps(self.overlapping))
        if self.completed:
            left.append(completed_in(self.completed))
        return left

    def starts_within(self, longest: timedelta) -> Interval | None:
        """No other can be listed, if none is longer than this."""
        if self.overlapping:
            start, end = self.overlapping
            return (start - longest if start - BEGINNING > longest else BEGINNING), end
        return self.starting


def asked_for(query: QueryParams, user_ids: Iterable[str], now: datetime) -> Wanted:
    within = read.interval(query, "interval")
    overlapping = read.choice(query, "intervalCondition", ("StartsIn", "Overlaps"), "StartsIn") == "Overlaps"
    return Wanted(
        tuple(user_ids),
        relationships=read.choices(query, "relationships", PEOPLE),
        facilitator_ids=read.texts(query, "facilitatorIds"),
        starting=None if overlapping else within,
        overlapping=within if overlapping else None,
        completed=read.interval(query, "completionInterval"),
        statuses=read.choices(query, "statuses", STATUSES),
        overdue={"True": True, "False": False}.get(read.choice(query, "overdue", ("True", "False", "Any"), "Any")),
        now=now,
        newest_first=read.choice(query, "sortOrder", ("Asc", "Desc"), "Asc") == "Desc",
    )
