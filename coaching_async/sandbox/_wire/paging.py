"""Pages of lists, and the envelope around them."""

from collections.abc import Sequence
from typing import TypeVar

import attrs
from starlette.datastructures import QueryParams

from . import query as read
from .formats import JsonObject

T = TypeVar("T")


@attrs.frozen
class PageRequest:
    """The page that a request asks for."""

    number: int
    size: int

    def slice_of(self, entities: Sequence[T]) -> Sequence[T]:
        return entities[(self.number - 1) * self.size : self.number * self.size]


def read_page_request(query: QueryParams, max_size: int) -> PageRequest:
    size = read.positive_integer(query, "pageSize", 25)
    return PageRequest(read.positive_integer(query, "pageNumber", 1), min(size, max_size))


def envelope(entities: Sequence[JsonObject], page: PageRequest, total: int) -> JsonObject:
    return {
        "entities": entities,
        "pageSize": page.size,
        "pageNumber": page.number,
        "total": total,
        "pageCount": -(-total // page.size),
    }


def links(path: str, page: PageRequest, page_count: int) -> JsonObject:
    """Return the relative URLs of the page and its neighbors; beyond the last page there are none."""
    last = max(1, page_count)
    if page.number > last:
        return {}

    def uri(number: int) -> str:
        return f"{path}?pageSize={page.size}&pageNumber={number}"

    uris = {"firstUri": uri(1), "selfUri": uri(page.number), "lastUri": uri(last)}
    if page.number < last:
        uris["nextUri"] = uri(page.number + 1)
    if page.number > 1:
        uris["previousUri"] = uri(page.number - 1)
    return uris
