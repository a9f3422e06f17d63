"""Records as they are kept and sent: built from request bodies, and from changes."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp, parse_timestamp
from coaching_async.sandbox._wire.references import (
    NOTIFICATIONS,
    appointment_reference,
    conversation_reference,
    document_reference,
    reference,
    schedule_reference,
    user_reference,
)


def status_change(appointment: JsonObject, status: str, at: datetime, user_id: str | None) -> JsonObject:
    return {
        "appointment": appointment_reference(appointment["id"]),
        **user_field("createdBy", user_id),
        "dateCreated": format_timestamp(at),
        "status": status,
    }


def notification(
    notification_id: str, appointment: JsonObject, action: str, user_id: str, relationship: str
) -> JsonObject:
    return {
        "id": notification_id,
        "name": appointment["name"],
        "markedAsRead": False,
        "actionType": action,
        "relationship": relationship,
        "dateStart": appointment["dateStart"],
        "lengthInMinutes": appointment["lengthInMinutes"],
        "status": appointment["status"],
        "user": user_reference(user_id),
        "appointment": appointment_reference(appointment["id"]),
        "selfUri": reference(NOTIFICATIONS, notification_id)["selfUri"],
    }


def user_field(field: str, user_id: str | None) -> JsonObject:
    return {} if user_id is None else {field: user_reference(user_id)}


_CONVERTERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "dateStart": (
            "dateStart",
            lambda text: format_timestamp(parse_timestamp(text).replace(second=0, microsecond=0)),
        ),
        "facilitatorId": ("facilitator", user_reference),
        "attendeeIds": ("attendees", lambda ids: [user_reference(user_id) for user_id in ids]),
        "conversationIds": ("conversations", lambda ids: [conversation_reference(id_) for id_ in ids]),
        "documentIds": ("documents", lambda ids: [document_reference(id_) for id_ in ids]),
        "wfmSchedule": (
            "wfmSchedule",
            lambda given: given and schedule_reference(given["id"], given["businessUnit"]["id"], given["weekDate"]),
        ),
    }
)


def appointment_fields(body: JsonObject) -> JsonObject:
    """Convert the fields of a request body to those of an appointment."""
    converted: JsonObject = {}
    for name, value in body.items():
        if name != "addToSchedule":
            field, convert = _CONVERTERS.get(name, (name, lambda same: same))
            converted[field] = convert(value)
    return converted
