"""Searches of users and teams: the request body, the criteria, and the pages of results.

Where the behavior of the service is unknown, the sandbox follows the less convenient possibility: what is too large is
refused, and EXACT distinguishes case.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from . import errors
from .formats import JsonObject
from .validation import (
    Fields,
    is_boolean,
    is_positive_int32,
    is_string,
    is_string_list,
    list_of,
    one_of,
    read_fields,
)

MAX_RESULTS = 10_000
MAX_SIZE = 100

PRESENCE_SOURCES = ("MicrosoftTeams", "ZoomPhone", "EightByEight", "RingCentral")

_SORT_ORDERS = ("ASC", "DESC", "SCORE")

Match = Callable[[str, str], bool]
"""Whether a value of a record matches a value of a criterion."""


def _is_exact(held: str, wanted: str) -> bool:
    return wanted in {held, held.lower()}


def _is_term(held: str, wanted: str) -> bool:
    return wanted.lower() in re.findall(r"\w+", held.lower())


def _has_words(held: str, wanted: str) -> bool:
    return all(_is_term(held, word) for word in re.findall(r"\w+", wanted))


_BY_VALUE: Mapping[str, Match] = {
    "EXACT": _is_exact,
    "STARTS_WITH": lambda held, wanted: held.lower().startswith(wanted.lower()),
    "CONTAINS": lambda held, wanted: wanted.lower() in held.lower(),
    "REGEX": lambda held, wanted: bool(re.fullmatch(wanted, held)),
    "TERM": _is_term,
    "TERMS": _is_term,
    "QUERY_STRING": _has_words,
    "LESS_THAN": lambda held, wanted: held < wanted,
    "LESS_THAN_EQUAL_TO": lambda held, wanted: held <= wanted,
    "GREATER_THAN": lambda held, wanted: held > wanted,
    "GREATER_THAN_EQUAL_TO": lambda held, wanted: held >= wanted,
}
USER_TYPES = (*_BY_VALUE, "RANGE", "REQUIRED_FIELDS", "MATCH_ALL")
TEAM_TYPES = ("EXACT", "STARTS_WITH")


@attrs.frozen
class Search:
    """A checked request of a search."""

    query: Sequence[JsonObject]
    size: int
    number: int
    sort: Sequence[JsonObject]
    body: JsonObject

    def select(self, rows: Sequence[JsonObject]) -> Sequence[JsonObject]:
        """Return the matching rows, sorted."""
        found = sorted((row for row in rows if _matches(row, self.query)), key=name_and_id)
        for sort in reversed(self.sort):
            field, is_descending = sort.get("sortBy", "name"), sort.get("sortOrder") == "DESC"
            found.sort(key=_sort_key(field), reverse=is_descending)
        return found

    def page_of(self, found: Sequence[JsonObject]) -> Sequence[JsonObject]:
        return found[(self.number - 1) * self.size : self.number * self.size]

    def envelope(self, kind: str, total: int) -> JsonObject:
        page_count = -(-total // self.size)
        return {
            "total": total,
            "pageCount": page_count,
            "pageSize": self.size,
            "pageNumber": self.number,
            "types": [kind],
        }

    def mentions(self, field: str) -> bool:
        return any(field in criterion.get("fields", ()) for criterion in _flat(self.query))


def name_and_id(row: JsonObject) -> list[str]:
    """Return the key by which lists are sorted. A name may be gone, because a person may have it removed."""
    return [row.get("name", ""), row["id"]]


def read_search(body: JsonObject, types: Sequence[str], max_size: int, required: Sequence[str] = ()) -> Search:
    """Check the body of a search, with criteria of these types."""
    fields: Fields = {
        "pageSize": lambda size: is_positive_int32(size) and size <= MAX_SIZE,
        "pageNumber": is_positive_int32,
        "sortBy": is_string,
        "sortOrder": one_of(*_SORT_ORDERS),
        "sort": list_of(_is_sort),
        "expand": is_string_list,
        "integrationPresenceSource": one_of(*PRESENCE_SOURCES),
        "enforcePermissions": is_boolean,
        "query": lambda query: isinstance(query, list) and len(cast("list[object]", query)) <= 10,
    }
    known = read_fields(body, fields, required)
    query = [_read_criterion(criterion, types) for criterion in known.get("query", ())]
    size, number = min(known.get("pageSize", 25), max_size), known.get("pageNumber", 1)
    if size * number > MAX_RESULTS:
        raise errors.bad_request(f"At most {MAX_RESULTS} results can be read.")
    return Search(query, size, number, known.get("sort") or [known], known)


def encode_search(search: Search, number: int) -> str:
    """Return a search for another page as text for a link."""
    return base64.urlsafe_b64encode(json.dumps(search.body | {"pageNumber": number}).encode()).decode()


def decode_search(text: str) -> JsonObject:
    try:
        body = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise errors.invalid_parameter("q64", text) from error
    if not isinstance(body, dict):
        raise errors.invalid_parameter("q64", text)
    return cast("JsonObject", body)


def _sort_key(field: str) -> Callable[[JsonObject], list[str]]:
    return lambda row: list(_values(row, field.split(".")))


def _is_sort(value: Any) -> bool:
    checks: Fields = {"sortBy": is_string, "sortOrder": one_of(*_SORT_ORDERS)}
    return isinstance(value, dict) and all(checks[name](value[name]) for name in checks if name in value)


def _is_value(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 300


def _read_criterion(criterion: object, types: Sequence[str]) -> JsonObject:
    if not isinstance(criterion, dict):
        raise errors.invalid_value("query", criterion)
    fields: Fields = {
        "type": one_of(*types),
        "fields": is_string_list,
        "value": _is_value,
        "values": lambda values: list_of(_is_value)(values) and len(values) <= 50,
        "startValue": is_string,
        "endValue": is_string,
        "dateFormat": is_string,
        "operator": one_of("AND", "OR", "NOT"),
        "group": lambda group: isinstance(group, list),
    }
    known = read_fields(cast("JsonObject", criterion), fields, ("type",))
    kind, wanted = known["type"], _wanted(known)
    if kind not in {"MATCH_ALL", "QUERY_STRING"} and not known.get("fields") and not known.get("group"):
        raise errors.missing_field("fields")
    if kind in _BY_VALUE and not wanted and not known.get("group"):
        raise errors.missing_field("value")
    if kind == "REGEX":
        for pattern in wanted:
            _require_pattern(pattern)
    return known | {"group": [_read_criterion(each, types) for each in known.get("group", ())]}


def _require_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise errors.invalid_value("value", pattern) from error


def _wanted(criterion: JsonObject) -> Sequence[str]:
    return [*criterion.get("values", ()), *([criterion["value"]] if "value" in criterion else ())]


def _flat(query: Sequence[JsonObject]) -> Iterator[JsonObject]:
    for criterion in query:
        yield criterion
        yield from _flat(criterion["group"])


def _matches(row: JsonObject, query: Sequence[JsonObject]) -> bool:
    """Return whether all AND criteria match, no NOT criterion, and one of the OR criteria, if there are any."""
    found: dict[str, list[bool]] = {"AND": [], "OR": [], "NOT": []}
    for criterion in query:
        found[criterion.get("operator", "AND")].append(_matches_one(row, criterion))
    return all(found["AND"]) and not any(found["NOT"]) and (any(found["OR"]) or not found["OR"])


def _matches_one(row: JsonObject, criterion: JsonObject) -> bool:
    if criterion["group"]:
        return _matches(row, criterion["group"])
    kind, fields = criterion["type"], criterion.get("fields") or ["name", "email", "title", "department"]
    if kind == "MATCH_ALL":
        return True
    held = [[*_values(row, field.split("."))] for field in fields]
    if kind == "REQUIRED_FIELDS":
        return all(held)
    texts = [text for values in held for text in values]
    if kind == "RANGE":
        start, end = criterion.get("startValue", ""), criterion.get("endValue", "\U0010ffff")
        return any(start <= text <= end for text in texts)
    return any(_BY_VALUE[kind](text, wanted) for text in texts for wanted in _wanted(criterion))


def _values(value: Any, path: Sequence[str]) -> Iterator[str]:
    """Yield the texts at a path of a record; a list stands for each of its elements."""
    if isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _values(each, path)
    elif path:
        if isinstance(value, dict) and path[0] in value:
            yield from _values(value[path[0]], path[1:])
    elif not isinstance(value, dict):
        yield str(value)
