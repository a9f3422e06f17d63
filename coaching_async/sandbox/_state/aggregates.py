"""Counts of appointments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from coaching_async.sandbox._wire.formats import JsonObject, format_interval, parse_interval

from .appointment import USER_IDS
from .filters import Predicate, has_status, overdue, starts_in
from .state import State

METRICS: Mapping[str, Callable[[datetime], Predicate]] = {
    "nActivities": lambda _: lambda _: True,
    "nPlannedActivities": lambda _: has_status(["Scheduled"]),
    "nInProgressActivities": lambda _: has_status(["InProgress"]),
    "nCompleteActivities": lambda _: has_status(["Completed"]),
    "nOverdueActivities": lambda now: overdue(True, now),
    "nInvalidScheduleActivities": lambda _: has_status(["InvalidSchedule"]),
}
DIMENSIONS: Mapping[str, Callable[[JsonObject], Iterable[str]]] = {
    "attendeeId": USER_IDS["Attendee"],
    "facilitatorId": USER_IDS["Facilitator"],
    "status": lambda appointment: (appointment["status"],),
}
OPERATORS: Mapping[str, Callable[[Iterable[bool]], bool]] = {"And": all, "Or": any}


def aggregates(state: State, query: JsonObject) -> JsonObject:
    interval, now = parse_interval(query["interval"]), state.clock()
    counted = state.appointments_where(starts_in(interval), _matches(query["filter"]))
    metrics = {name: METRICS[name](now) for name in query.get("metrics", METRICS)}

    def result(group: JsonObject, appointments: Sequence[JsonObject]) -> JsonObject:
        counts = {name: sum(map(counts_for, appointments)) for name, counts_for in metrics.items()}
        values = [{"metric": name, "stats": {"count": count}} for name, count in counts.items()]
        return {"group": group, "data": [{"interval": format_interval(interval), "metrics": values}]}

    if not query.get("groupBy"):
        return {"results": [result({}, counted)]}
    groups = _by_attendee(counted)
    return {"results": [result({"attendeeId": user_id}, groups[user_id]) for user_id in sorted(groups)]}


def _by_attendee(appointments: Iterable[JsonObject]) -> dict[str, list[JsonObject]]:
    """Group appointments by attendee; an appointment is in the group of each of its attendees."""
    groups: dict[str, list[JsonObject]] = {}
    for appointment in appointments:
        for user_id in set(USER_IDS["Attendee"](appointment)):
            groups.setdefault(user_id, []).append(appointment)
    return groups


def _matches(filter_: JsonObject) -> Predicate:
    """Return the filter as a predicate. Without clauses, "And" matches everything and "Or" nothing."""
    clauses = [
        (
            OPERATORS[clause["type"]],
            [(predicate["dimension"], predicate["value"]) for predicate in clause["predicates"]],
        )
        for clause in filter_["clauses"]
    ]
    combine_clauses = OPERATORS[filter_["type"]]

    def matches(appointment: JsonObject) -> bool:
        facts = {(name, value) for name, values in DIMENSIONS.items() for value in values(appointment)}
        return combine_clauses(
            combine(predicate in facts for predicate in predicates) for combine, predicates in clauses
        )

    return matches
