"""What is kept, as it travels: rows made of request bodies, and of what was done."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from coaching_async.sandbox._wire.formats import (
    NOTIFICATIONS,
    JsonObject,
    appointment_pointer,
    conversation_pointer,
    document_pointer,
    moment,
    pointer,
    schedule_pointer,
    timestamp,
    user_pointer,
)


def status_line(appointment: JsonObject, status: str, at: datetime, by: str | None) -> JsonObject:
    return {
        "appointment": appointment_pointer(appointment["id"]),
        **if_user("createdBy", by),
        "dateCreated": timestamp(at),
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
        "user": user_pointer(user_id),
        "appointment": appointment_pointer(appointment["id"]),
        "selfUri": pointer(NOTIFICATIONS, notification_id)["selfUri"],
    }


def if_user(field: str, user_id: str | None) -> JsonObject:
    return {} if user_id is None else {field: user_pointer(user_id)}


_SHOWN_AS: Mapping[str, tuple[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "dateStart": ("dateStart", lambda text: timestamp(moment(text).replace(second=0, microsecond=0))),
        "facilitatorId": ("facilitator", user_pointer),
        "attendeeIds": ("attendees", lambda ids: [user_pointer(each) for each in ids]),
        "conversationIds": ("conversations", lambda ids: [conversation_pointer(each) for each in ids]),
        "documentIds": ("documents", lambda ids: [document_pointer(each) for each in ids]),
        "wfmSchedule": (
            "wfmSchedule",
            lambda given: given and schedule_pointer(given["id"], given["businessUnit"]["id"], given["weekDate"]),
        ),
    }
)


def fields(body: JsonObject) -> JsonObject:
    """Turn what is sent into what is shown."""
    shown: JsonObject = {}
    for name, value in body.items():
        if name != "addToSchedule":
            field, convert = _SHOWN_AS.get(name, (name, lambda same: same))
            shown[field] = convert(value)
    return shown
