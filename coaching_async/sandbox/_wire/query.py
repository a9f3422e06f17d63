"""Query parameters: read, or rejected with an error of the API."""

import re
from collections.abc import Collection

from starlette.datastructures import QueryParams

from . import errors
from .formats import Interval, parse_interval

_NUMBER = re.compile(r"0*[1-9][0-9]{0,9}")
_INT32 = range(1, 2**31)


def strings(query: QueryParams, name: str) -> tuple[str, ...]:
    """Read an array: repeated parameters, comma-separated values, or both."""
    return tuple(text for joined in query.getlist(name) for text in joined.split(",") if text)


def choices(query: QueryParams, name: str, allowed: Collection[str]) -> frozenset[str]:
    chosen = strings(query, name)
    for text in chosen:
        if text not in allowed:
            raise errors.invalid_parameter(name, text)
    return frozenset(chosen)


def choice(query: QueryParams, name: str, allowed: Collection[str], default: str) -> str:
    chosen = query.get(name)
    if chosen is None:
        return default
    if chosen not in allowed:
        raise errors.invalid_parameter(name, chosen)
    return chosen


def boolean(query: QueryParams, name: str, default: bool) -> bool:
    return choice(query, name, ("true", "false"), str(default).lower()) == "true"


def interval(query: QueryParams, name: str) -> Interval | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_interval(text)
    except ValueError as error:
        raise errors.invalid_parameter(name, text) from error


def positive_integer(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not _NUMBER.fullmatch(text) or int(text) not in _INT32:
        raise errors.invalid_parameter(name, text)
    return int(text)
