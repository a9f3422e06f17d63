"""Pages and the envelope they come in."""

from collections.abc import Sequence
from typing import TypeVar

import attrs
from starlette.datastructures import QueryParams

from . import query as read
from .formats import JsonObject

T = TypeVar("T")


@attrs.frozen
class PageRequest:
    """The part of a list that is wanted."""

    number: int
    size: int

    def cut(self, entities: Sequence[T]) -> Sequence[T]:
        return entities[(self.number - 1) * self.size : self.number * self.size]


def page_request(query: QueryParams, cap: int) -> PageRequest:
    size = read.positive(query, "pageSize", 25)
    return PageRequest(read.positive(query, "pageNumber", 1), min(size, cap))


def envelope(entities: Sequence[JsonObject], wanted: PageRequest, total: int) -> JsonObject:
    return {
        "entities": entities,
        "pageSize": wanted.size,
        "pageNumber": wanted.number,
        "total": total,
        "pageCount": -(-total // wanted.size),
    }


def links(path: str, wanted: PageRequest, page_count: int) -> JsonObject:
    """Relative addresses of the neighbours; beyond the end there are none."""
    last = max(1, page_count)
    if wanted.number > last:
        return {}

    def uri(number: int) -> str:
        return f"{path}?pageSize={wanted.size}&pageNumber={number}"

    found = {"firstUri": uri(1), "selfUri": uri(wanted.number), "lastUri": uri(last)}
    if wanted.number < last:
        found["nextUri"] = uri(wanted.number + 1)
    if wanted.number > 1:
        found["previousUri"] = uri(wanted.number - 1)
    return found
