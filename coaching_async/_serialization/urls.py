"""URLs: ids, paths and query parameters, quoted so that no id can direct a request to another resource."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias
from urllib.parse import quote, unquote
from uuid import UUID

from coaching_async._refusals.arguments import kind_of
from coaching_async.models.coercion import IdLike, to_id
from coaching_async.models.types import Interval, format_interval

from .names import to_camel

__all__ = ["DOT_SEGMENTS", "QueryArgument", "QueryValue", "encode_path", "encode_query", "request_target"]


QueryValue: TypeAlias = str | int | Interval | Iterable[str] | None

QueryArgument: TypeAlias = IdLike | int | Interval | Iterable[IdLike] | None
"""What a caller gives as the value of a parameter."""


def encode_query(**filters: QueryValue) -> str:
    """Return a query string: names in camelCase, None left out, sequences as repeated parameters."""
    return _encode_query(filters, convert_name=to_camel)


def _encode_query(parameters: Mapping[str, QueryValue], convert_name: Callable[[str], str] = str) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        match value:
            case None:
                continue
            case Interval():
                texts = [format_interval(value)]
            case bool():
                texts = [str(value).lower()]
            case str() | int():
                texts = [str(value)]
            case _:
                texts = [_checked_item(name, item) for item in value]
        pairs += [(convert_name(name), text) for text in texts]
    return "&".join(f"{_quoted(name)}={_quoted(text)}" for name, text in pairs)


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def request_target(path: str, parameters: Mapping[str, QueryArgument]) -> str:
    """Return a caller's path with its parameters.

    Raises `ValueError` for a path that an HTTP client would rewrite, and for what `to_id` refuses in the path or in a value,
    because either may be an id.
    """
    if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"path is a str, not {kind_of(path)}")
    if not isinstance(parameters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] # as above
        raise TypeError(f"query is a mapping of parameters, not {kind_of(parameters)}")
    if not ABSOLUTE_PATH.fullmatch(path):
        raise ValueError(
            "path starts with one slash, as in /api/v2/users/me, and has only quoted ids in it: urllib.parse.quote(id, "
            "safe=''); parameters go into query"
        )
    if not DOT_SEGMENTS.isdisjoint(segment.partition(";")[0] for segment in unquote(path.lower()).split("/")[1:]):
        raise ValueError("path has a segment that is empty, '.' or '..': another resource would be asked")
    for segment in path.split("/")[1:]:
        to_id(unquote(segment))
    return f"{path}?{_encode_query(_checked_ids(parameters))}" if parameters else path


def _checked_ids(parameters: Mapping[str, QueryArgument]) -> dict[str, QueryValue]:
    checked: dict[str, QueryValue] = {}
    for name, value in parameters.items():
        match value:
            case str() | UUID():
                checked[name] = to_id(value) if value else ""
            case None | int() | Interval():
                checked[name] = value
            case _:
                checked[name] = tuple(map(to_id, value))
    return checked


ABSOLUTE_PATH: Final = re.compile(r"(?:/(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+", re.ASCII)
"""The path-absolute of RFC 3986, without empty segments."""


def encode_path(*segments: str) -> str:
    """Return a path with one segment for each id or name, whatever characters it has. Raises `ValueError` and `TypeError`."""
    return "".join(f"/{_segment(segment)}" for segment in segments)


def _segment(text: str) -> str:
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"an id is a str, not {kind_of(text)}")
    if text in DOT_SEGMENTS:
        raise ValueError(f"{text!r} is no id")
    return _quoted(text)


def _checked_item(name: str, item: str) -> str:
    if not isinstance(item, str) or not item:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name}: every item has to be a non-empty str")
    if "," in item:
        raise ValueError(f"{name}: an item must not have a comma, the service would read two")
    return item


DOT_SEGMENTS: Final = frozenset({"", ".", ".."})
"""Segments that are refused as ids. HTTP clients remove them from a path, so the request would go to another resource."""
