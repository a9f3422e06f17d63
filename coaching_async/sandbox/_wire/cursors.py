"""Pages of lists that are read by cursors: opaque positions, behind which a page begins."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar, cast
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from . import errors
from . import query as read
from .formats import JsonObject
from .validation import is_string_list

T = TypeVar("T")


def cursor_page(
    path: str, query: QueryParams, rows: Sequence[T], key: Callable[[T], list[str]], max_size: int
) -> tuple[Sequence[T], JsonObject]:
    """Return the rows of the requested page, and its links. The rows are in the order of their keys.

    A full page has a link to the next one even if that is empty, because the service may do so, too.
    """
    size = min(read.positive_integer(query, "pageSize", 25), max_size)
    given = [(name, value) for name, value in query.multi_items() if name not in {"after", "before", "pageSize"}]
    after, before = _read(query, "after"), _read(query, "before")

    def uri(name: str = "", position: list[str] | None = None) -> str:
        cursor = [] if position is None else [(name, _encode(position))]
        return f"{path}?{urlencode([*given, ('pageSize', size), *cursor])}"

    if after is None and before is not None:
        page = [row for row in rows if key(row) < before][-size:]
        links = {"selfUri": uri("before", before)}
    else:
        page = [row for row in rows if after is None or key(row) > after][:size]
        links = {"selfUri": uri("after", after)}
    if page and key(page[0]) != key(rows[0]):
        links["previousUri"] = uri("before", key(page[0]))
    if len(page) == size:
        links["nextUri"] = uri("after", key(page[-1]))
    return page, links


def _encode(position: list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read(query: QueryParams, name: str) -> list[str] | None:
    if not (text := query.get(name)):
        return None
    try:
        position: object = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise errors.invalid_parameter(name, text) from error
    if not is_string_list(position):
        raise errors.invalid_parameter(name, text)
    return cast("list[str]", position)
