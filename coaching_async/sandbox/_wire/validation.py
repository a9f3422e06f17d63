"""Request bodies: parsing, and checks from which the operations compose theirs."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias, cast

from . import errors
from .formats import JsonObject, has_offset, parse_interval, parse_timestamp

Check: TypeAlias = Callable[[Any], bool]
Fields: TypeAlias = Mapping[str, Check]


def parse_body(raw: bytes) -> JsonObject:
    body = _parse(raw)
    if not isinstance(body, dict):
        raise errors.bad_request("The body is not a JSON object.")
    return cast("JsonObject", body)


def parse_list(raw: bytes) -> Sequence[JsonObject]:
    body = _parse(raw)
    if not list_of(lambda item: isinstance(item, dict))(body):
        raise errors.bad_request("The body is not a list of JSON objects.")
    return cast("list[JsonObject]", body)


def _parse(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise errors.bad_request("The body is not JSON.") from error


def read_fields(body: JsonObject, fields: Fields, required: Sequence[str] = ()) -> JsonObject:
    """Return the known fields, checked. Unknown fields are ignored, as by the API."""
    for name in required:
        if name not in body:
            raise errors.missing_field(name)
    known = {name: value for name, value in body.items() if name in fields}
    for name, value in known.items():
        if not fields[name](value):
            raise errors.invalid_value(name, value)
    return known


def read_field(body: JsonObject, name: str, check: Check) -> Any:
    """Return the only field of a body; it is required."""
    return read_fields(body, {name: check}, required=(name,))[name]


def is_string(value: Any) -> bool:
    return isinstance(value, str)


def is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def one_of(*allowed: str) -> Check:
    return lambda value: isinstance(value, str) and value in allowed


def list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, cast("list[object]", value)))


is_string_list = list_of(is_string)


def is_non_empty_string_list(value: Any) -> bool:
    return is_string_list(value) and bool(value)


def is_positive_int32(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def is_timestamp(value: Any) -> bool:
    try:
        return isinstance(value, str) and has_offset(value) and bool(parse_timestamp(value))
    except ValueError:
        return False


def is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def is_interval(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(parse_interval(value))
    except ValueError:
        return False
