"""Walks: the items of a list, or its pages, step by step."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, Generic, TypeVar

import attrs

from ._cursor import packed
from ._errors import CoachingError
from ._route import Route, Strand
from ._turns import Turns
from ._value import Value
from .models import Page

__all__ = ["Items", "PageWalk", "Walk", "WalkReport"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class WalkReport(Value):
    """What a walk has met so far."""

    pages: int = 0
    """Pages read."""
    duplicates: int = 0
    """Items that came again, and were dropped."""
    re_reads: int = 0
    """Of `pages`, those that were read because the list had changed, or for another pass. A calm walk has none."""
    suspected_gaps: int = 0
    """Changes of the list that were seen, and after which something may still be missing."""
    passes: int = 0
    """How often the list was walked, the present time included."""


class Stepping(Generic[T]):
    """What all ways of walking have."""

    def __init__(self, route: Route[T], key: str | None) -> None:
        self._route: Route[T] = route
        self._key: Final = key
        self._turns: Final = Turns("walk")

    @property
    def page(self) -> Page[T]:
        """The page that was read last: its `total` tells how far the walk has to go."""
        return self._route.page

    @property
    def report(self) -> WalkReport:
        """What it has met so far."""
        courses = [strand.course for strand in self._route.strands]
        return WalkReport(
            pages=sum(each.pages for each in courses),
            duplicates=sum(each.duplicates for each in courses),
            re_reads=sum(each.re_reads for each in courses),
            suspected_gaps=sum(each.suspected_gaps for each in courses),
            passes=max((each.passes for each in courses), default=0),
        )

    @property
    def cursor(self) -> str | None:
        """With what `list(..., cursor=...)` goes on after the last item, in another process, say; None where it takes none.

        It is short (of a list that is split and sorted, so much for each part), safe in a URL, and has no ids in it, only
        digests of the last page's. So a walk that goes on from it drops what came last, but cannot know what came long
        ago: where more rows than a page were inserted in the meantime, or all of the last page was deleted, or two parts
        of a list that is split have an item, it may hand out an item again. Where the list was walked to its end, and is
        being walked again for what was missed, a cursor is at the end.
        """
        return None if self._key is None else packed(self._key, *self._route.positions())

    async def _strand(self) -> Strand[T]:
        """A step: the one that has what comes next."""
        self._turns.begin()
        try:
            return await self._route.strand()
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._turns.end()

    def _failed(self, error: Exception) -> None:
        """A step has ended with that."""
        if isinstance(error, CoachingError):
            error.cursor = self.cursor


class Items(Stepping[T], AsyncIterator[T]):
    """Steps over items."""

    _in_hand: Strand[T] | None = None
    """The one that comes next for as long as it has an item in hand; most steps are taken by it alone."""

    async def __anext__(self) -> T:
        strand = self._in_hand
        if strand is not None and strand.has_item():
            self._turns.step()
        else:
            strand = await self._strand()
            self._in_hand = strand if self._route.is_by_page else None
        return strand.take()

    async def some(self, most: int | None) -> Sequence[T]:
        """As many items as one step gives, and not more than `most`; nothing at the end."""
        try:
            strand = await self._strand()
        except StopAsyncIteration:
            return ()
        return strand.take_some(most if self._route.is_by_page else 1)


class Walk(Items[T]):
    """A walk over the items of a list, each once. After an error the next step goes on at the same item."""


class PageWalk(Stepping[T], AsyncIterator[Page[T]]):
    """A walk over the pages of a list, with what is new on each. After an error the next step goes on at the same page.

    Where the list was split, it goes through one part after the other, whatever the order.
    """

    async def __anext__(self) -> Page[T]:
        return (await self._strand()).take_page()
