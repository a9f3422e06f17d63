"""What a walk and its course say to each other: pages that are wanted, and what is new on them."""

from collections.abc import Generator, Sequence
from typing import Generic, TypeAlias, TypeVar

import attrs

from coaching_async.models.common import Page

from .cursor import Position, id_digest

__all__ = [
    "NewItems",
    "PageRequest",
    "PageResult",
    "PagerRead",
    "PagerSearch",
    "PagerSteps",
    "ids_of",
    "last_page_of",
    "page_count_of",
    "total_of",
]

T = TypeVar("T")


@attrs.define(repr=False)
class PageRequest:
    """A page is wanted. One that `is_current` is read now: what was read ahead will not do."""

    number: int
    is_current: bool = False


@attrs.define(eq=False, repr=False)
class PageResult(Generic[T]):
    """The page that was wanted; not `is_current` where it was read ahead."""

    page: Page[T]
    is_current: bool = True


@attrs.define(eq=False, repr=False)
class NewItems(Generic[T]):
    """What is new on a page, and where it stood."""

    page: Page[T]
    items: Sequence[T]
    rows: Sequence[int]
    """Of each of `items`, counted in the whole list."""
    end: int
    """The row after the page."""
    size: int
    previous_ids: Sequence[str | None]
    """Ids that stood before the page."""
    digests: Sequence[str]
    """The same, where no more is known of them."""
    digest_count: int
    """As many of them a cursor has."""
    passes: int
    """In which pass over the list."""
    gaps: int
    """Changes so far that this pass has no explanation for."""

    def position(self, handed_out: int) -> Position:
        """Where the walk is after so many of the items."""
        row = self.rows[handed_out] if handed_out < len(self.items) else self.end
        ids = [*self.previous_ids, *ids_of(self.page)[: row - self.end + self.size]]
        digests = dict.fromkeys([*self.digests, *(id_digest(each) for each in ids if each is not None)])
        return Position(row, self.size, total_of(self.page), tuple(digests)[-self.digest_count :], gaps=self.gaps)


PagerSteps: TypeAlias = Generator[PageRequest | NewItems[T], PageResult[T] | None, None]


PagerRead: TypeAlias = Generator[PageRequest | NewItems[T], PageResult[T] | None, PageResult[T]]


PagerSearch: TypeAlias = Generator[PageRequest | NewItems[T], PageResult[T] | None, tuple[int, Page[T]]]


def ids_of(page: Page[T]) -> list[str | None]:
    """The ids of its items, which those of some lists have not."""
    return [getattr(each, "id", None) for each in page.entities]


def total_of(page: Page[T]) -> int | None:
    """How many items it says there are, where that can be."""
    return None if page.total is None or page.total < len(page.entities) else page.total


def page_count_of(page: Page[T]) -> int | None:
    """How many pages it says there are, where that can be."""
    return None if page.page_count is None or page.page_count < bool(page.entities) else page.page_count


def last_page_of(page: Page[T], size: int) -> int | None:
    """The number of the last page, as far as it tells."""
    count, total = page_count_of(page), total_of(page)
    return -(-total // size) if count is None and total is not None else count
