"""Lists that change while they are read, and every way of reading them.

A change happens between two reads. Which changes a walk can see is said here, by the changes alone, and not by what the
walk does: each kind of change below is one that shows in the totals of the reads around it, except for `ANYTHING`.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs

from coaching_async import Listing, Page, SortOrder, Walk
from coaching_async.models import UserReference

INSERT: Final = "insert"
DELETE: Final = "delete"
MOVE: Final = "move"


@attrs.frozen
class Change:
    """One row comes, goes or moves; places are parts of the list's length."""

    kind: str
    where: float
    to: float = 0.0


def only(kind: str) -> Callable[[Sequence[Change]], list[Change]]:
    return lambda changes: [each for each in changes if each.kind == kind]


def shrinking(changes: Sequence[Change]) -> list[Change]:
    """More deletes than inserts: so two reads of different times never show the same total."""
    inserts, deletes = only(INSERT)(changes), only(DELETE)(changes)
    return deletes + inserts[: max(0, len(deletes) - 1)]


def growing(changes: Sequence[Change]) -> list[Change]:
    inserts, deletes = only(INSERT)(changes), only(DELETE)(changes)
    return inserts + deletes[: max(0, len(inserts) - 1)]


def counted(changes: Sequence[Change]) -> list[Change]:
    """Any inserts and deletes that do not cancel out: two reads in a row show it, if something happened between them."""
    found = [each for each in changes if each.kind != MOVE]
    kinds = Counter(each.kind for each in found)
    return found[1:] if kinds[INSERT] == kinds[DELETE] else found


def anything(changes: Sequence[Change]) -> list[Change]:
    return list(changes)


class MovingList:
    """A service with one list. `script` has the changes before each read but the first."""

    def __init__(
        self, name: str, length: int, script: Iterable[Sequence[Change]], *, counts_pages: bool = True, jitter: int = 0
    ) -> None:
        self.ids = [f"{name}{number}" for number in range(length)]
        self.lasting = set(self.ids)
        self.reads = 0
        self._name = name
        self._script = iter(script)
        self._counts_pages = counts_pages
        self._made = length
        self._luck = random.Random(jitter)

    async def __call__(self, number: int, size: int) -> Page[Any]:
        await self._pause()
        page = self._read(number, size)
        await self._pause()
        return page

    async def _pause(self) -> None:
        """Answers overtake each other where several are under way."""
        for _ in range(self._luck.randrange(4)):
            await anyio.lowlevel.checkpoint()

    def _read(self, number: int, size: int) -> Page[Any]:
        if self.reads:
            self.change(next(self._script, ()))
        self.reads += 1
        total = len(self.ids)
        return Page(
            entities=tuple(UserReference(id=each) for each in self.ids[(number - 1) * size : number * size]),
            page_number=number,
            page_size=size,
            page_count=-(-total // size) if self._counts_pages else None,
            total=total,
        )

    def change(self, changes: Iterable[Change]) -> None:
        for each in changes:
            at = round(each.where * len(self.ids))
            if each.kind == INSERT:
                self.ids.insert(at, f"{self._name}{self._made}")
                self._made += 1
            elif self.ids:
                gone = self.ids.pop(min(at, len(self.ids) - 1))
                if each.kind == MOVE:
                    self.ids.insert(round(each.to * len(self.ids)), gone)
                else:
                    self.lasting.discard(gone)


Way = Callable[[Listing[Any]], Awaitable[list[str]]]


async def by_items(listing: Listing[Any]) -> list[str]:
    return [item.id async for item in listing]


async def by_pages(listing: Listing[Any]) -> list[str]:
    return [item.id async for page in listing.pages() for item in page.entities]


async def by_collect(listing: Listing[Any]) -> list[str]:
    return [item.id for item in await listing.collect()]


def by_stream(concurrency: int) -> Way:
    async def read(listing: Listing[Any]) -> list[str]:
        async with listing.stream(concurrency) as items:
            return [item.id async for item in items]

    return read


def in_two_lives(after: int, rest: Callable[[list[str]], None] = lambda _: None, *, remembering: bool = False) -> Way:
    """Stop after so many items, and go on from the cursor: knowing all that was handed out, or what the cursor knows.

    In between comes a rest, which is told what was handed out so far.
    """

    async def read(listing: Listing[Any]) -> list[str]:
        walk: Walk[Any] = aiter(listing)
        found: list[str] = []
        async for item in walk:
            found.append(item.id)
            if len(found) == after:
                break
        rest(found)
        later = attrs.evolve(listing, cursor=walk.cursor)
        return found + [item.id async for item in later.walk(seen=set(found) if remembering else ())]

    return read


def listing_of(
    services: Sequence[MovingList], size: int, *, verify: bool = False, order: SortOrder | None = None
) -> Any:
    return Listing(tuple(services), size, key="a-key", order=order, consistency="verify" if verify else "default")
