"""What can be read off an appointment."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from coaching_async.sandbox._wire.formats import JsonObject, moment

STATUSES = frozenset({"Scheduled", "InProgress", "Completed", "InvalidSchedule"})
SETTABLE_STATUSES = STATUSES - {"InvalidSchedule"}


def starts(appointment: JsonObject) -> datetime:
    return moment(appointment["dateStart"])


def lasts(appointment: JsonObject) -> timedelta:
    return _minutes(appointment["lengthInMinutes"])


@lru_cache  # to make one takes three times as long
def _minutes(length: int) -> timedelta:
    return timedelta(minutes=length)


def due(appointment: JsonObject) -> tuple[datetime, str]:
    """Order by date, and one order only where dates are equal."""
    return starts(appointment), appointment["id"]


def is_overdue(appointment: JsonObject, now: datetime) -> bool:
    # Subtracted, not added: a start late in the year 9999 has no end.
    return appointment["status"] != "Completed" and now - starts(appointment) > lasts(appointment)


def _attendees(appointment: JsonObject) -> Sequence[str]:
    return [user["id"] for user in appointment["attendees"]]


def _only(field: str) -> Callable[[JsonObject], Sequence[str]]:
    def ids(appointment: JsonObject) -> Sequence[str]:
        user = appointment.get(field)
        return (user["id"],) if user else ()

    return ids


PEOPLE: dict[str, Callable[[JsonObject], Sequence[str]]] = {
    "Facilitator": _only("facilitator"),
    "Attendee": _attendees,
    "Creator": _only("createdBy"),
}


def related(appointment: JsonObject) -> dict[str, str]:
    """Everybody concerned, each once, with what they are first of all."""
    people: dict[str, str] = {}
    for relationship, ids in PEOPLE.items():
        for user_id in ids(appointment):
            people.setdefault(user_id, relationship)
    return people


def relationships(appointment: JsonObject, user_id: str | None) -> frozenset[str]:
    return frozenset(relationship for relationship, ids in PEOPLE.items() if user_id in ids(appointment))
