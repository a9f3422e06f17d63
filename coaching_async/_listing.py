"""Lists: walking pages so that nobody has to see them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import attrs

from ._errors import ClientMisuse, CoachingError
from ._lanes import in_bulk
from .models import Page

__all__ = ["Listing", "PageWalk", "Walk"]

T = TypeVar("T")


@attrs.frozen
class Listing(Generic[T]):
    """A list on the service. It does nothing until it is used, and may be used again: each walk starts afresh.

    Every way of using it needs the permission, and raises the errors, of the method that made it.
    """

    _fetch: Callable[[int, int], Awaitable[Page[T]]] = attrs.field(repr=False)
    """Reads page `number` with `size` entities a page."""
    _page_size: int

    def __attrs_post_init__(self) -> None:
        if not isinstance(self._page_size, int) or self._page_size < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("page_size has to be a whole number, at least 1")

    def __aiter__(self) -> "Walk[T]":
        """Walk the items, one page at a time. `break` needs no cleanup."""
        return Walk(self.pages())

    def pages(self) -> "PageWalk[T]":
        """Walk the pages instead of the items."""
        return PageWalk(self._fetch, self._page_size)

    async def first(self) -> T | None:
        """The first item, or None where the list is empty. One request, one entity."""
        page = await self._fetch(1, 1)
        return page.entities[0] if page.entities else None

    async def total(self) -> int | None:
        """How many items the service counts, or None where it does not tell. One request, one entity."""
        return (await self._fetch(1, 1)).total

    async def collect(self, limit: int | None = None) -> list[T]:
        """All items, or the first `limit`, as a list.

        When a page cannot be read, the error's `partial` has what came before.
        """
        if limit is not None and limit < 0:
            raise ValueError("limit must not be negative")
        items: list[T] = []
        if limit == 0:
            return items
        try:
            async for item in self:
                items.append(item)
                if len(items) == limit:
                    break
        except CoachingError as error:
            error.partial = tuple(items)
            raise
        return items


class PageWalk(AsyncIterator[Page[T]]):
    """A walk over the pages of a list. After an error the next step asks for the same page again."""

    def __init__(self, fetch: Callable[[int, int], Awaitable[Page[T]]], page_size: int) -> None:
        self._fetch = fetch
        self._page_size = page_size
        self._number = 1
        self._count = 0
        self._read: set[tuple[object, ...]] = set()
        self._ended = False
        self._stepping = False

    async def __anext__(self) -> Page[T]:
        if self._ended:
            raise StopAsyncIteration
        if self._stepping:
            raise ClientMisuse("two tasks share one walk, and each would miss what the other gets: give each its own")
        self._stepping = True
        try:
            with in_bulk():
                page = await self._fetch(self._number, self._page_size)
        finally:
            self._stepping = False
        # Some resources repeat a page for ever instead of ending. Items without ids cannot tell: two alike are two.
        ids = tuple(getattr(entity, "id", None) for entity in page.entities)
        if not ids or (ids in self._read and None not in ids):
            self._ended = True
            raise StopAsyncIteration
        self._read.add(ids)
        self._count += len(ids)
        if page.page_count is not None:
            self._ended = self._number >= page.page_count
        else:
            self._ended = page.total is not None and self._count >= page.total
        self._number += 1
        return page


class Walk(AsyncIterator[T]):
    """A walk over the items of a list, each once. After an error the next step goes on at the same item."""

    def __init__(self, pages: PageWalk[T]) -> None:
        self._pages = pages
        self._next = 0
        self._seen: set[str] = set()
        self.page: Page[T] = Page(entities=())
        """The page that was read last: its `total` tells how far the walk has to go."""

    async def __anext__(self) -> T:
        while True:
            while self._next < len(self.page.entities):
                item = self.page.entities[self._next]
                self._next += 1
                if self._is_new(item):
                    return item
            self.page, self._next = await anext(self._pages), 0

    def _is_new(self, item: T) -> bool:
        """When the list grows under the walk, what was last on one page comes again on the next."""
        key = getattr(item, "id", None)
        if key is None:
            return True
        if key in self._seen:
            return False
        self._seen.add(key)
        return True
