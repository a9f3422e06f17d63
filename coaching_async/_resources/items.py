"""`build_items_listing`: any list of the platform, as JSON objects."""

import re
from collections.abc import Mapping
from typing import Any, Final

from coaching_async._api.client import ApiClient
from coaching_async._pagination.cursor_pager import DetectingPager
from coaching_async._pagination.listing import Listing
from coaching_async._pagination.pages import ServiceCursor, next_cursor_in, next_cursor_of, set_next_cursor
from coaching_async._serialization.rows import rows_of
from coaching_async._serialization.urls import QueryArgument, encode_query, request_target
from coaching_async.models.common import Page

__all__ = ["build_items_listing"]


PAGING_PARAMETERS: Final = frozenset({"after", "before", "cursor", "pageNumber", "pageSize"})


OF_AN_ID: Final = re.compile(r"(?<=/)(?!v\d+/)[^/]*[^/A-Za-z][^/]*")
"""A segment of a path that is no word, and so may be an id or an address."""


def build_items_listing(
    api: ApiClient, path: str, query: Mapping[str, QueryArgument], page_size: int
) -> Listing[dict[str, Any]]:
    """Return the list at a path as a lazy list. See `CoachingClient.items`."""
    target = request_target(path, query)
    if reserved := sorted(PAGING_PARAMETERS.intersection(query)):
        raise ValueError(f"query has {reserved[0]}, which is set for each page; page_size is an argument")
    start = f"{target}{'&' if '?' in target else '?'}"
    api.url_of(target)

    async def fetch(number: int, size: int, cursor: ServiceCursor | None = None) -> Page[dict[str, Any]]:
        # The first page has no number, because only its response shows whether the list has page numbers.
        place = dict([cursor]) if cursor else {"page_number": number} if number > 1 else {}
        url = api.url_of(start + encode_query(page_size=size, **place))
        page = await api.get_page(Page[dict[str, Any]], "items", url, number)
        following = next_cursor_in(page, "after", "cursor") or next_cursor_of(page)
        return set_next_cursor(page, following if rows_of(page) else None)

    return Listing(
        (fetch,),
        page_size,
        description=f"items, {OF_AN_ID.sub('…', path)}",
        new_pager=DetectingPager,
        rate_limit=api.identity.rate_limit,
    )
