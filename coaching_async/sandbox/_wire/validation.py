"""Request bodies: what each field may hold, and nothing that the API would refuse."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeAlias, cast

from coaching_async.sandbox._state.aggregates import COMBINE, DIMENSIONS, METRICS
from coaching_async.sandbox._state.appointment import SETTABLE_STATUSES

from . import errors
from .formats import JsonObject, has_offset, interval, moment

Check: TypeAlias = Callable[[Any], bool]

LONGEST_SEARCH = timedelta(weeks=6)  # or one request could ask for the slots of ten thousand years


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


def _are(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, cast("list[object]", value)))


_is_texts = _are(_is(str))


def _are_people(value: Any) -> bool:
    return _is_texts(value) and bool(value)


def _is_minutes(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _is_length(value: Any) -> bool:
    return _is_minutes(value) and value % 15 == 0


def _is_short_length(value: Any) -> bool:
    return _is_length(value) and value <= 60


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


def _is_interval(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(interval(value))
    except ValueError:
        return False


def _is_search(value: Any) -> bool:
    return _are_searches([value])


def _are_searches(value: Any) -> bool:
    if not (_are(_is_interval)(value) and value):
        return False
    return sum((end - start for start, end in map(interval, value)), timedelta()) <= LONGEST_SEARCH


def _is_filter(value: Any) -> bool:
    match value:
        case {"type": kind, "clauses": clauses}:
            return _one_of(*COMBINE)(kind) and _are(_is_clause)(clauses)
        case _:
            return False


def _is_clause(value: Any) -> bool:
    match value:
        case {"type": kind, "predicates": predicates}:
            return _one_of(*COMBINE)(kind) and _are(_is_predicate)(predicates)
        case _:
            return False


def _is_predicate(value: Any) -> bool:
    match value:
        case {"dimension": dimension, "value": str()}:
            return _one_of(*DIMENSIONS)(dimension)
        case _:
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


def added_conversation(body: JsonObject) -> str:
    read: str = _read(body, {"conversationId": _is(str)}, required=("conversationId",))["conversationId"]
    return read


def aggregate_query(body: JsonObject) -> JsonObject:
    fields = {
        "interval": _is_interval,
        "metrics": _are(_one_of(*METRICS)),
        "groupBy": _are(_one_of("attendeeId")),
        "filter": _is_filter,
    }
    return _read(body, fields, required=("interval", "filter"))


def slots_query(body: JsonObject) -> JsonObject:
    fields = {
        "interval": _is_search,
        "lengthInMinutes": _is_short_length,
        "attendeeIds": _are_people,
        "facilitatorIds": _is_texts,
        "interruptibleAppointmentIds": _is_texts,
    }
    return _read(body, fields, required=("interval", "lengthInMinutes", "attendeeIds"))


def created_job(body: JsonObject) -> JsonObject:
    fields = {
        "attendeeIds": _are_people,
        "facilitatorIds": _is_texts,
        "lengthInMinutes": _is_length,
        "activityCodeId": _is(str),
        "intervals": _are_searches,
        "slotsType": _one_of("BestTime"),
    }
    required = ("attendeeIds", "lengthInMinutes", "activityCodeId", "intervals", "slotsType")
    return _read(body, fields, required)


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
