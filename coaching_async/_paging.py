"""Lists that the operations give: what each of their pages asks for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, Unpack

from ._api import NONE, Api, Filters
from ._cursor import key_of
from ._listing import How, Listing
from .models import Page, SortOrder

__all__ = ["listing"]

T = TypeVar("T")


def listing(
    api: Api,
    cls: type[Page[T]],
    operation: str,
    *segments: str,
    page_size: int,
    chunks: Sequence[Filters] = (NONE,),
    **how: Unpack[How],
) -> Listing[T]:
    """A list that is made of one for each of the `chunks`, whose pages are read when they are needed.

    Bad arguments are refused now. Only where it is said how to walk it, it has cursors.
    """
    urls = [api.url(*segments, filters=each).removeprefix(api.base_url) for each in chunks]
    order = chunks[0].get("sort_order")

    def reading(filters: Filters) -> Callable[[int, int], Awaitable[Page[T]]]:
        async def fetch(number: int, size: int) -> Page[T]:
            return await api.page(cls, operation, *segments, filters=filters, number=number, size=size)

        return fetch

    return Listing(
        tuple(map(reading, chunks)),
        page_size,
        key=key_of(operation, str(page_size), *urls) if how else None,
        order=order if isinstance(order, SortOrder) else None,
        rate_limit=api.identity.rate_limit,
        **how,
    )
