"""What the resources of the API have in common."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, Unpack

import attrs

from coaching_async._api.client import NO_FILTERS, ApiClient, Filters
from coaching_async._pagination.cursor import list_fingerprint
from coaching_async._pagination.listing import Listing, WalkOptions
from coaching_async._value import Value
from coaching_async.models.appointments import SortOrder
from coaching_async.models.common import Page

__all__ = ["Resource", "build_listing"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Resource(Value):
    """Methods that are operations of the API."""

    _api: ApiClient = attrs.field(repr=False)


def build_listing(
    api: ApiClient,
    cls: type[Page[T]],
    operation: str,
    *segments: str,
    page_size: int,
    chunks: Sequence[Filters] = (NO_FILTERS,),
    **how: Unpack[WalkOptions],
) -> Listing[T]:
    """A list that is made of one for each of the `chunks`, whose pages are read when they are needed.

    Bad arguments are refused now. Only where it is said how to walk it, it has cursors.
    """
    urls = [api.url(*segments, filters=each).removeprefix(api.base_url) for each in chunks]
    order = chunks[0].get("sort_order")

    def reading(filters: Filters) -> Callable[[int, int], Awaitable[Page[T]]]:
        async def fetch(number: int, size: int) -> Page[T]:
            return await api.get_page(cls, operation, *segments, filters=filters, number=number, size=size)

        return fetch

    return Listing(
        tuple(map(reading, chunks)),
        page_size,
        key=list_fingerprint(operation, str(page_size), *urls) if how else None,
        order=order if isinstance(order, SortOrder) else None,
        rate_limit=api.identity.rate_limit,
        **how,
    )
