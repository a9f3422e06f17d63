"""`Resource`, the base of all resources, and `build_listing` for their list methods."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, Unpack

import attrs

from coaching_async._api.client import NO_FILTERS, ApiClient, Filters
from coaching_async._pagination.cursor import list_fingerprint
from coaching_async._pagination.listing import Listing, WalkOptions
from coaching_async._value import NotCopyable, Value
from coaching_async.models.appointments import SortOrder
from coaching_async.models.coercion import IdLike
from coaching_async.models.common import Page

__all__ = ["Resource", "build_listing"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Resource(NotCopyable, Value):
    """A group of operations, each of them a method."""

    _instead = "it is a part of its client"

    _api: ApiClient = attrs.field(repr=False)


def _sorted_values(filters: Filters) -> Filters:
    """Return filters in which several values are sorted, because their order, and duplicates, do not change the list."""
    return {name: sorted(set(value)) if isinstance(value, tuple) else value for name, value in filters.items()}


def build_listing(
    api: ApiClient,
    cls: type[Page[T]],
    operation: str,
    *segments: IdLike,
    page_size: int,
    chunks: Sequence[Filters] = (NO_FILTERS,),
    **how: Unpack[WalkOptions],
) -> Listing[T]:
    """Return a lazy list. It combines the list of each of the `chunks`, and has cursors only if it has walk options.

    Raises `ValueError` for invalid arguments.
    """
    urls = [api.url(*segments, filters=_sorted_values(filters)).removeprefix(api.base_url) for filters in chunks]
    order = chunks[0].get("sort_order")

    def page_fetcher(filters: Filters) -> Callable[[int, int], Awaitable[Page[T]]]:
        async def fetch(number: int, size: int) -> Page[T]:
            return await api.get_page(cls, operation, *segments, filters=filters, number=number, size=size)

        return fetch

    return Listing(
        tuple(map(page_fetcher, chunks)),
        page_size,
        key=list_fingerprint(operation, str(page_size), *urls) if how else None,
        order=order if isinstance(order, SortOrder) else None,
        rate_limit=api.identity.rate_limit,
        **how,
    )
