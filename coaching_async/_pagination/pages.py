"""Messages between the pager and its readers: page requests, page results, and the new items of a page."""

from collections.abc import Generator, Sequence
from typing import Generic, TypeAlias, TypeVar, cast
from urllib.parse import unquote

import attrs

from coaching_async._serialization.rows import LeftOutRow, PartialPage, UnreadableRow, rows_of
from coaching_async.models.common import Page

from .cursor import Position, id_digest

__all__ = [
    "NewItems",
    "PageRequest",
    "PageResult",
    "PagerRead",
    "PagerSearch",
    "PagerSteps",
    "ServiceCursor",
    "fingerprint_of",
    "furthest_page_of",
    "ids_of",
    "last_page_of",
    "names_next",
    "next_cursor_in",
    "next_cursor_of",
    "page_count_of",
    "set_next_cursor",
    "total_of",
]

T = TypeVar("T")

ServiceCursor: TypeAlias = tuple[str, str]
"""Query parameter, and its value, that select a page of a list without page numbers."""


@attrs.define(repr=False)
class PageRequest:
    """Request of the pager for one page."""

    number: int
    must_be_fresh: bool = False
    """Whether the page has to be read now, because one that was prefetched may be outdated."""
    cursor: ServiceCursor | None = None
    """What selects the page in a list without page numbers; None for its first page."""


@attrs.define(eq=False, repr=False)
class PageResult(Generic[T]):
    """The page that was requested."""

    page: Page[T]
    is_fresh: bool = True
    """Whether it was read on request; False if it was prefetched or kept."""


@attrs.define(eq=False, repr=False)
class NewItems(Generic[T]):
    """The items of a page that were not returned before, and what a cursor needs to know of them."""

    page: Page[T]
    items: Sequence[T]
    left_out: Sequence[LeftOutRow]
    """Rows that were not seen before, and cannot be read."""
    passes: int
    """Number of the pass, from 1."""
    rows: Sequence[int] = ()
    """Row of each of `items` in the whole list. This and what follows is for a cursor, and empty if the list has none."""
    end: int = 0
    """The row after the page."""
    size: int = 0
    """Rows per page."""
    previous_ids: Sequence[str | None] = ()
    """Ids of the rows before the page."""
    digests: Sequence[str] = ()
    """Digests of the rows before the page, where their ids are not known."""
    digest_count: int = 0
    """Maximum number of digests in a cursor."""
    gaps: int = 0
    """Unexplained changes so far in this pass."""

    def position(self, returned: int) -> Position:
        """Return the position of the walk after the first `returned` of the items."""
        next_row = self.rows[returned] if returned < len(self.items) else self.end
        # A row that was left out is not known to a walk that resumes: it may be readable then.
        rows = rows_of(self.page)
        known = [
            None if isinstance(row, UnreadableRow) else id_ for row, id_ in zip(rows, ids_of(self.page), strict=True)
        ]
        ids = [*self.previous_ids, *known[: next_row - self.end + self.size]]
        digests = dict.fromkeys([*self.digests, *(id_digest(id_) for id_ in ids if id_ is not None)])
        return Position(next_row, self.size, total_of(self.page), tuple(digests)[-self.digest_count :], gaps=self.gaps)


PagerSteps: TypeAlias = Generator[PageRequest | NewItems[T], PageResult[T] | None, None]


PagerRead: TypeAlias = Generator[PageRequest | NewItems[T], PageResult[T] | None, PageResult[T]]


PagerSearch: TypeAlias = Generator[PageRequest | NewItems[T], PageResult[T] | None, tuple[int, Page[T]]]


def ids_of(page: Page[T]) -> list[str | None]:
    """Return the ids of the page's rows; the rows of some lists have none."""
    rows = rows_of(page)
    if page.entities and isinstance(page.entities[0], dict):
        return _ids_of_json(rows)
    return [getattr(row, "id", None) for row in rows]


def _ids_of_json(rows: Sequence[object]) -> list[str | None]:
    """Return the ids of JSON objects. If an id repeats on a page, it is one of something else, and the rows have none."""
    found = [
        cast("dict[str, object]", row).get("id") if isinstance(row, dict) else getattr(row, "id", None) for row in rows
    ]
    ids = [str(id_) if isinstance(id_, str | int) else None for id_ in found]
    return ids if len(set(ids)) == len(ids) else [None] * len(ids)


def fingerprint_of(page: Page[T], ids: Sequence[str | None]) -> int:
    """Return a hash of the page's rows, by their ids. Of a row without an id it is that of its content."""
    if not isinstance(page, PartialPage):
        return hash(tuple(ids))
    return hash(tuple(row if isinstance(row, UnreadableRow) else id_ for row, id_ in zip(page.rows, ids, strict=True)))


def total_of(page: Page[T]) -> int | None:
    """Return the number of items in the list, or None if the page has no total or an impossible one."""
    return None if page.total is None or page.total < len(rows_of(page)) else page.total


def page_count_of(page: Page[T]) -> int | None:
    """Return the number of pages in the list, or None if the page has no count or an impossible one."""
    return None if page.page_count is None or page.page_count < bool(rows_of(page)) else page.page_count


def furthest_page_of(page: Page[T], size: int) -> int:
    """Return the furthest page that the page count or the total promises; 0 if the page has neither."""
    return max(page_count_of(page) or 0, -(-(total_of(page) or 0) // size))


def names_next(page: Page[T]) -> bool:
    """Return whether the service named a next page."""
    return bool(getattr(page, "next_uri", None))


def next_cursor_of(page: Page[T]) -> ServiceCursor | None:
    """Return what selects the next page of a list without page numbers; None at its end, and if the list has page numbers."""
    return getattr(page, "next_cursor", None)


def set_next_cursor(page: Page[T], cursor: ServiceCursor | None) -> Page[T]:
    """Set what selects the next page, and return the page."""
    object.__setattr__(page, "next_cursor", cursor)
    return page


def next_cursor_in(page: Page[T], *parameters: str) -> ServiceCursor | None:
    """Return the first of the parameters that has a value in the page's `nextUri`; None if the page is empty, which is the end.

    The URI itself is never requested.
    """
    uri = getattr(page, "next_uri", None)
    query = uri.partition("?")[2].partition("#")[0] if isinstance(uri, str) and rows_of(page) else ""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in parameters and value:
            return name, unquote(value)  # not a form's "+", because a cursor may be Base64
    return None


def last_page_of(page: Page[T], size: int) -> int | None:
    """Return the number of the last page, by the page count or else by the total; None if the page has neither."""
    count, total = page_count_of(page), total_of(page)
    return -(-total // size) if count is None and total is not None else count
