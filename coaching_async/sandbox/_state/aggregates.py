"""Counts of appointments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from coaching_async.sandbox._wire.formats import JsonObject, interval, span

from .appointment import PEOPLE
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
    "attendeeId": PEOPLE["Attendee"],
    "facilitatorId": PEOPLE["Facilitator"],
    "status": lambda appointment: (appointment["status"],),
}
COMBINE: Mapping[str, Callable[[Iterable[bool]], bool]] = {"And": all, "Or": any}


def aggregates(state: State, query: JsonObject) -> JsonObject:
    within, now = interval(query["interval"]), state.clock()
    counted = state.appointments_where(starts_in(within), _holds(query["filter"]))
    metrics = {name: METRICS[name](now) for name in query.get("metrics", METRICS)}

    def result(group: JsonObject, appointments: Sequence[JsonObject]) -> JsonObject:
        counts = {name: sum(map(is_one, appointments)) for name, is_one in metrics.items()}
        told = [{"metric": name, "stats": {"count": count}} for name, count in counts.items()]
        return {"group": group, "data": [{"interval": span(within), "metrics": told}]}

    if not query.get("groupBy"):
        return {"results": [result({}, counted)]}
    groups = _by_attendee(counted)
    return {"results": [result({"attendeeId": user_id}, groups[user_id]) for user_id in sorted(groups)]}


def _by_attendee(appointments: Iterable[JsonObject]) -> dict[str, list[JsonObject]]:
    """Each appointment under each of its attendees."""
    groups: dict[str, list[JsonObject]] = {}
    for appointment in appointments:
        for user_id in set(PEOPLE["Attendee"](appointment)):
            groups.setdefault(user_id, []).append(appointment)
    return groups


def _holds(given: JsonObject) -> Predicate:
    """Whether the clauses hold: of none "And" does, and "Or" does not."""
    clauses = [
        (COMBINE[clause["type"]], [(each["dimension"], each["value"]) for each in clause["predicates"]])
        for clause in given["clauses"]
    ]
    combine = COMBINE[given["type"]]

    def holds(appointment: JsonObject) -> bool:
        facts = {(name, value) for name, values in DIMENSIONS.items() for value in values(appointment)}
        return combine(of(predicate in facts for predicate in predicates) for of, predicates in clauses)

    return holds
