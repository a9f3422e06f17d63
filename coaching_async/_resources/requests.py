"""`Requests`: raw responses, and any other endpoint of the platform."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from coaching_async._api.client import ApiClient
from coaching_async._api.responses import RawResponse, capture_response, to_raw_response
from coaching_async._pagination.cursor_pager import DetectingPager
from coaching_async._pagination.listing import Listing
from coaching_async._pagination.pages import ServiceCursor, next_cursor_in, next_cursor_of, set_next_cursor
from coaching_async._refusals.arguments import checked_awaitable, checked_flag, checked_instance
from coaching_async._serialization.json import dumps
from coaching_async._serialization.rows import rows_of
from coaching_async._serialization.urls import QueryArgument, encode_query, request_target
from coaching_async._transport.retry_policy import safety_of
from coaching_async.models.common import Page

__all__ = ["Query", "Requests"]

P = ParamSpec("P")
T = TypeVar("T")

Query: TypeAlias = Mapping[str, QueryArgument]
"""Parameters of a request. Lists become repeated parameters, and None is left out."""


class Requests:
    """The base of a client, with the calls that are no operation of the API."""

    _api: ApiClient

    async def raw(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
        """Call a method and return its raw response: status, headers and JSON, besides the value.

            response = await client.raw(
                client.appointments.get, appointment_id
            )
            print(response.status, response.correlation_id)

        After a 202 it does not wait for the result.

        Raises what the method raises, and `TypeError` for `bulk`: use `raw` for its single calls instead.
        """
        if not callable(function):
            raise TypeError(
                "raw() takes a method of this client's, which is given without being called, and its arguments"
            )
        with capture_response() as capture:
            value = await checked_awaitable("function", function(*args, **kwargs))
        if capture.call is None:
            raise TypeError("raw() takes a method of this client's that makes a call, and its arguments")
        return to_raw_response(capture.call, capture.elapsed, value)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
        safe: bool = False,
    ) -> RawResponse[Any]:
        """Call any other endpoint of the platform, with the token, rate limit and retries of this client.

            response = await client.request(
                "GET", "/api/v2/users", query={"id": user_ids}
            )
            print(response.json)

        `path` starts with a slash, and the ids in it are percent-encoded. Parameters belong in `query`: lists become repeated
        parameters, and None is left out. `safe` marks a request that changes nothing, with any method, so that it is
        retried like a GET. Without it a POST, PUT or PATCH is retried only if it was certainly not carried out, and a DELETE
        like `appointments.delete`.

        Raises `ValueError` and `TypeError` for invalid arguments, before anything is sent, and what every method raises.
        """
        verb = checked_instance("method", method, str).upper()
        safety = safety_of(verb, changes_nothing=checked_flag("safe", safe))
        target = request_target(path, query or {})
        return await self._api.request(verb, target, safety, None if json is None else dumps(json))

    def items(
        self,
        path: str,
        *,
        query: Query | None = None,
        page_size: int = 100,
    ) -> Listing[dict[str, Any]]:
        """Return any list of the platform, as JSON objects: `request` for lists.

            async for group in client.items("/api/v2/teams"):
                print(group["name"])

        `path` and `query` as in `request`. The rows are the `entities` or `results` of each page. The first page shows how the
        others are read: by page numbers, or by cursors (`after` in `nextUri`, or `cursor`). By page numbers all that a
        `Listing` promises of changes holds, if rows have an `id`. A row that is no object is left out, and reported.

        HTTP: GET `path`
        Permission: that of the path
        Raises: `ValueError` and `TypeError` now for invalid arguments; what every method raises, when iterated; `DecodeError`
        for a response that is no list.
        """
        return _build_items_listing(self._api, path, query or {}, page_size)


OF_AN_ID: Final = re.compile(r"(?<=/)(?!v\d+/)[^/]*[^/A-Za-z][^/]*")
"""A segment of a path that is no word, and so may be an id or an address."""


PAGING_PARAMETERS: Final = frozenset({"after", "before", "cursor", "pageNumber", "pageSize"})


def _build_items_listing(api: ApiClient, path: str, query: Query, page_size: int) -> Listing[dict[str, Any]]:
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
