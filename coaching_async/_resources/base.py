"""`Resource`, the base of all resources, and `build_listing` and `build_cursor_listing` for their list methods."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, ParamSpec, TypeAlias, TypeVar, Unpack

import attrs

from coaching_async._api.client import NO_FILTERS, ApiClient, Filters
from coaching_async._exceptions import BadRequest
from coaching_async._pagination.cursor import list_fingerprint
from coaching_async._pagination.cursor_pager import CursorPager
from coaching_async._pagination.listing import Listing, WalkOptions
from coaching_async._pagination.pages import ServiceCursor, next_cursor_in, set_next_cursor
from coaching_async._refusals.suggestions import choices
from coaching_async._value import NotCopyable, Value
from coaching_async.models.appointments import SortOrder
from coaching_async.models.coercion import IdLike
from coaching_async.models.common import Page
from coaching_async.models.types import Interval, OpenEnum, format_interval

__all__ = ["Resource", "build_cursor_listing", "build_listing", "description_of", "explain_keywords"]

P = ParamSpec("P")
T = TypeVar("T")

ExplainRefusal: TypeAlias = Callable[[BadRequest, int, int], BadRequest]
"""Returns the error of page `number`, with `size` entities per page, with what is known of the reason."""


@attrs.frozen(eq=False, repr=False)
class Resource(NotCopyable, Value):
    """A group of operations, each of them a method."""

    _instead = "it is a part of its client"

    _api: ApiClient = attrs.field(repr=False)


def explain_keywords(method: Callable[P, T]) -> Callable[P, T]:
    """Make a method that is called with an unknown argument raise a `TypeError` that lists those that it has, and suggests one.

    Python itself lists none, and suggests one since 3.13.
    """
    parameters = [name for name in inspect.signature(method).parameters if name != "self"]

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if unknown := sorted(kwargs.keys() - parameters):
            raise TypeError(f"{method.__name__}() has no argument {unknown[0]!r}: {choices(unknown[0], parameters)}")
        return method(*args, **kwargs)

    return call


def _sorted_values(filters: Filters) -> Filters:
    """Return filters in which several values are sorted, because their order, and duplicates, do not change the list."""
    return {name: sorted(set(value)) if isinstance(value, tuple) else value for name, value in filters.items()}


BOOLEANS: Final = ("True", "False")
"""How the API spells them."""


def description_of(operation: str, *queries: Filters) -> str:
    """Return an operation with its filters. Of ids and other texts, which may be personal data, only the number is told."""
    values: dict[str, dict[object, None]] = {}
    for query in queries:
        for name, value in query.items():
            several: Iterable[object] = value if isinstance(value, tuple | list) else (value,)
            values.setdefault(name, {}).update(dict.fromkeys(several))
    return ", ".join([operation, *(f"{name}={_shown(list(found))}" for name, found in values.items())])


def _shown(values: Sequence[object]) -> str:
    if all(isinstance(value, OpenEnum | Interval | int) or value in BOOLEANS for value in values):
        return "|".join(format_interval(each) if isinstance(each, Interval) else str(each) for each in values)
    return f"<{len(values)}>"


def build_listing(
    api: ApiClient,
    cls: type[Page[T]],
    operation: str,
    *segments: IdLike,
    page_size: int,
    chunks: Sequence[Filters] = (NO_FILTERS,),
    explain: ExplainRefusal | None = None,
    **how: Unpack[WalkOptions],
) -> Listing[T]:
    """Return a lazy list. It combines the list of each of the `chunks`, and has cursors only if it has walk options.

    Raises `ValueError` for invalid arguments.
    """
    urls = [api.url(*segments, filters=_sorted_values(filters)).removeprefix(api.base_url) for filters in chunks]
    order = chunks[0].get("sort_order")

    def page_fetcher(filters: Filters) -> Callable[[int, int], Awaitable[Page[T]]]:
        async def fetch(number: int, size: int) -> Page[T]:
            url = api.url(*segments, filters={**filters, "page_size": size, "page_number": number})
            try:
                return await api.get_page(cls, operation, url, number)
            except BadRequest as error:
                if explain is None:
                    raise
                raise explain(error, number, size) from None

        return fetch

    return Listing(
        tuple(map(page_fetcher, chunks)),
        page_size,
        description=description_of(operation, *chunks),
        key=list_fingerprint(operation, str(page_size), *urls) if how else None,
        order=order if isinstance(order, SortOrder) else None,
        rate_limit=api.identity.rate_limit,
        **how,
    )


def build_cursor_listing(
    api: ApiClient, cls: type[Page[T]], operation: str, *segments: IdLike, page_size: int, filters: Filters
) -> Listing[T]:
    """Return a lazy list whose pages follow each other by the service's cursors. It has no cursors of ours.

    Raises `ValueError` for invalid arguments.
    """
    api.url(*segments, filters=filters)

    async def fetch(number: int, size: int, cursor: ServiceCursor | None = None) -> Page[T]:
        url = api.url(*segments, filters={**filters, "page_size": size, **dict([cursor] if cursor else [])})
        page = await api.get_page(cls, operation, url, number)
        return set_next_cursor(page, next_cursor_in(page, "after"))

    return Listing(
        (fetch,),
        page_size,
        description=description_of(operation, filters),
        new_pager=CursorPager,
        rate_limit=api.identity.rate_limit,
    )
