"""Filters of appointments: small predicates, and their combination."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import attrs

from coaching_async.sandbox._wire.formats import Interval, JsonObject, parse_timestamp

from .appointment import USER_IDS, is_overdue, length_of, start_of

EARLIEST = datetime.min.replace(tzinfo=UTC)

Predicate: TypeAlias = Callable[[JsonObject], bool]


def concerns(user_ids: Iterable[str], relationships: Collection[str] = ()) -> Predicate:
    """Match the appointments of one of these users, by one of these relationships or by any."""
    wanted = frozenset(user_ids)
    getters = [USER_IDS[relationship] for relationship in relationships or USER_IDS]

    def matches(appointment: JsonObject) -> bool:
        for get_ids in getters:  # noqa: SIM110 - for thousands of appointments a generator costs more than all the rest
            if not wanted.isdisjoint(get_ids(appointment)):
                return True
        return False

    return matches


def has_status(statuses: Collection[str]) -> Predicate:
    return lambda appointment: appointment["status"] in statuses


def facilitated_by(user_ids: Iterable[str]) -> Predicate:
    return concerns(user_ids, ["Facilitator"])


def starts_in(interval: Interval) -> Predicate:
    start, end = interval
    return lambda appointment: start <= start_of(appointment) < end


def overlaps(interval: Interval) -> Predicate:
    start, end = interval
    return lambda appointment: start_of(appointment) < end and start - start_of(appointment) < length_of(appointment)


def completed_in(interval: Interval) -> Predicate:
    start, end = interval
    return lambda appointment: (
        "dateCompleted" in appointment and start <= parse_timestamp(appointment["dateCompleted"]) < end
    )


def overdue(wanted: bool, now: datetime) -> Predicate:
    return lambda appointment: is_overdue(appointment, now) is wanted


@attrs.frozen
class AppointmentFilter:
    """The filters and the order of a list of appointments. Empty and None do not filter, except for `user_ids`."""

    user_ids: tuple[str, ...]
    relationships: frozenset[str] = frozenset()
    facilitator_ids: tuple[str, ...] = ()
    starting: Interval | None = None
    overlapping: Interval | None = None
    completed: Interval | None = None
    statuses: frozenset[str] = frozenset()
    overdue: bool | None = None
    now: datetime = EARLIEST
    newest_first: bool = False

    def predicates(self) -> list[Predicate]:
        """Return the definition of the filter: an appointment is listed if all of them match."""
        indexed = [concerns(self.user_ids, self.relationships)]
        if self.facilitator_ids:
            indexed.append(facilitated_by(self.facilitator_ids))
        if self.statuses:
            indexed.append(has_status(self.statuses))
        if self.overdue is not None:
            indexed.append(overdue(self.overdue, self.now))
        if self.starting:
            indexed.append(starts_in(self.starting))
        return indexed + self.unindexed_predicates()

    def unindexed_predicates(self) -> list[Predicate]:
        """Return the predicates that no index answers."""
        unindexed: list[Predicate] = []
        if self.overlapping:
            unindexed.append(overlaps(self.overlapping))
        if self.completed:
            unindexed.append(completed_in(self.completed))
        return unindexed

    def start_bounds(self, max_length: timedelta) -> Interval | None:
        """Return the interval outside of which no listed appointment starts, if none is longer than `max_length`."""
        if self.overlapping:
            start, end = self.overlapping
            return (start - max_length if start - EARLIEST > max_length else EARLIEST), end
        return self.starting
