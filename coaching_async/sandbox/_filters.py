"""Which appointments a list asks for: small predicates and how the query combines them."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import TypeAlias

from starlette.datastructures import QueryParams

from . import _query as read
from ._appointment import PEOPLE, STATUSES, is_overdue, lasts, starts
from ._query import Interval
from ._wire import JsonObject, moment

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


INTERVAL_CONDITIONS = {"StartsIn": starts_in, "Overlaps": overlaps}


def asked_for(query: QueryParams, user_ids: Iterable[str], now: datetime) -> list[Predicate]:
    """Everything a list of appointments can be narrowed by."""
    condition = INTERVAL_CONDITIONS[read.choice(query, "intervalCondition", INTERVAL_CONDITIONS, "StartsIn")]
    predicates = [belongs_to(user_ids, read.choices(query, "relationships", PEOPLE))]
    if within := read.interval(query, "interval"):
        predicates.append(condition(within))
    if completed := read.interval(query, "completionInterval"):
        predicates.append(completed_in(completed))
    if statuses := read.choices(query, "statuses", STATUSES):
        predicates.append(has_status(statuses))
    if facilitators := read.texts(query, "facilitatorIds"):
        predicates.append(facilitated_by(facilitators))
    if (wanted := read.choice(query, "overdue", ("True", "False", "Any"), "Any")) != "Any":
        predicates.append(overdue(wanted == "True", now))
    return predicates


def newest_first(query: QueryParams) -> bool:
    return read.choice(query, "sortOrder", ("Asc", "Desc"), "Asc") == "Desc"
