"""Request bodies: what each field may hold, and nothing that the API would refuse."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias, cast

from . import _errors as errors
from ._appointment import SETTABLE_STATUSES
from ._wire import JsonObject, has_offset, moment

Check: TypeAlias = Callable[[Any], bool]


def parse(raw: bytes) -> JsonObject:
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise errors.bad_request("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise errors.bad_request("The body is not a JSON object.")
    return cast("JsonObject", body)


def _is(kind: type) -> Check:
    return lambda value: isinstance(value, kind)


def _one_of(*allowed: str) -> Check:
    return lambda value: isinstance(value, str) and value in allowed


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value))


def _is_minutes(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and has_offset(value) and bool(moment(value))
    except ValueError:
        return False


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_schedule(value: Any) -> bool:
    match value:
        case {"id": str(), "businessUnit": {"id": str()}, "weekDate": week}:
            return _is_day(week)
        case _:
            return False


_APPOINTMENT: Mapping[str, Check] = {
    "name": _is(str),
    "description": _is(str),
    "dateStart": _is_moment,
    "lengthInMinutes": _is_minutes,
    "conversationIds": _is_texts,
    "documentIds": _is_texts,
    "wfmSchedule": _is_schedule,
    "externalLinks": _is_texts,
    "location": _is(str),
    "shareInsightsData": _is(bool),
    "addToSchedule": _is(bool),
}
_CREATED = {**_APPOINTMENT, "facilitatorId": _is(str), "attendeeIds": _is_texts}
_UPDATED = {**_APPOINTMENT, "status": _one_of(*SETTABLE_STATUSES)}
_CLEARABLE = frozenset({"description", "location", "wfmSchedule"})


def created_appointment(body: JsonObject) -> JsonObject:
    return _read(body, _CREATED, required=("name", "description", "dateStart", "lengthInMinutes", "attendeeIds"))


def updated_appointment(body: JsonObject) -> JsonObject:
    cleared = {name: None for name in _CLEARABLE if name in body and body[name] is None}
    return _read({name: value for name, value in body.items() if name not in cleared}, _UPDATED) | cleared


def set_status(body: JsonObject) -> str:
    read: str = _read(body, {"status": _UPDATED["status"]}, required=("status",))["status"]
    return read


def created_annotation(body: JsonObject) -> JsonObject:
    fields = {"text": _is(str), "accessType": _one_of("Public", "Private")}
    return _read(body, fields, required=("text", "accessType"))


def updated_annotation(body: JsonObject) -> str:
    read: str = _read(body, {"text": _is(str)}, required=("text",))["text"]
    return read


def updated_notification(body: JsonObject) -> bool:
    read: bool = _read(body, {"markedAsRead": _is(bool)}, required=("markedAsRead",))["markedAsRead"]
    return read


def _read(body: JsonObject, fields: Mapping[str, Check], required: Sequence[str] = ()) -> JsonObject:
    """Take the known fields; what the API does not know it ignores."""
    for name in required:
        if name not in body:
            raise errors.missing_field(name)
    known = {name: value for name, value in body.items() if name in fields}
    for name, value in known.items():
        if not fields[name](value):
            raise errors.invalid_value(name, value)
    return known
