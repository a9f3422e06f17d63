"""Facts about one appointment: its times, and the users that it concerns."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from coaching_async.sandbox._wire.formats import JsonObject, parse_timestamp

STATUSES = frozenset({"Scheduled", "InProgress", "Completed", "InvalidSchedule"})
SETTABLE_STATUSES = STATUSES - {"InvalidSchedule"}


def start_of(appointment: JsonObject) -> datetime:
    return parse_timestamp(appointment["dateStart"])


def length_of(appointment: JsonObject) -> timedelta:
    return _minutes(appointment["lengthInMinutes"])


@lru_cache  # creating a timedelta takes three times as long
def _minutes(length: int) -> timedelta:
    return timedelta(minutes=length)


def date_and_id(appointment: JsonObject) -> tuple[datetime, str]:
    """Return the key by which lists are sorted; the id makes the order of equal dates definite."""
    return start_of(appointment), appointment["id"]


def is_overdue(appointment: JsonObject, now: datetime) -> bool:
    # Subtracted, not added, because the end of an appointment late in the year 9999 is not a datetime.
    return appointment["status"] != "Completed" and now - start_of(appointment) > length_of(appointment)


def _attendees(appointment: JsonObject) -> Sequence[str]:
    return [user["id"] for user in appointment["attendees"]]


def _single_user(field: str) -> Callable[[JsonObject], Sequence[str]]:
    def user_ids(appointment: JsonObject) -> Sequence[str]:
        user = appointment.get(field)
        return (user["id"],) if user else ()

    return user_ids


USER_IDS: dict[str, Callable[[JsonObject], Sequence[str]]] = {
    "Facilitator": _single_user("facilitator"),
    "Attendee": _attendees,
    "Creator": _single_user("createdBy"),
}
"""The users of an appointment, by relationship; the first relationship that applies is named in notifications."""


def related_users(appointment: JsonObject) -> dict[str, str]:
    """Return each user of an appointment with the first relationship that applies."""
    users: dict[str, str] = {}
    for relationship, user_ids in USER_IDS.items():
        for user_id in user_ids(appointment):
            users.setdefault(user_id, relationship)
    return users


def relationships_of(user_id: str | None, appointment: JsonObject) -> frozenset[str]:
    return frozenset(relationship for relationship, user_ids in USER_IDS.items() if user_id in user_ids(appointment))
