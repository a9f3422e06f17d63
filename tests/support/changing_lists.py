"""Lists that change while they are read (drift), and functions that read them in each way the library offers.

A change happens between two reads. Which changes a walk can detect is defined here by the changes alone, independent of what
the pager does: all kinds of change below show in the totals of the reads around them, except for `all_changes`.
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
    """One row is inserted, deleted or moved. Places are fractions of the list's length."""

    kind: str
    where: float
    to: float = 0.0


SelectChanges = Callable[[Sequence[Change]], list[Change]]


def only(kind: str) -> SelectChanges:
    return lambda changes: [change for change in changes if change.kind == kind]


def shrinking(changes: Sequence[Change]) -> list[Change]:
    """Select more deletes than inserts, so that reads at different times never have the same total."""
    inserts, deletes = only(INSERT)(changes), only(DELETE)(changes)
    return deletes + inserts[: max(0, len(deletes) - 1)]


def growing(changes: Sequence[Change]) -> list[Change]:
    """Select more inserts than deletes, so that reads at different times never have the same total."""
    inserts, deletes = only(INSERT)(changes), only(DELETE)(changes)
    return inserts + deletes[: max(0, len(inserts) - 1)]


def changing_the_total(changes: Sequence[Change]) -> list[Change]:
    """Select inserts and deletes of different number, so that two reads in a row have different totals."""
    found = [change for change in changes if change.kind != MOVE]
    counts = Counter(change.kind for change in found)
    return found[1:] if counts[INSERT] == counts[DELETE] else found


def all_changes(changes: Sequence[Change]) -> list[Change]:
    return list(changes)


class ChangingList:
    """A service with one list. `script` has the changes before each read, from the second read on.

    With a `latency_seed`, responses of concurrent requests overtake each other.
    """

    def __init__(
        self,
        name: str,
        length: int,
        script: Iterable[Sequence[Change]],
        *,
        has_page_count: bool = True,
        latency_seed: int = 0,
    ) -> None:
        self.ids = [f"{name}{number}" for number in range(length)]
        self.lasting = set(self.ids)
        """Ids that were in the list from the beginning and have not been deleted."""
        self.reads = 0
        self.created = length
        """Rows that were ever in the list."""
        self._name = name
        self._script = iter(script)
        self._has_page_count = has_page_count
        self._random = random.Random(latency_seed)

    async def __call__(self, number: int, size: int) -> Page[Any]:
        await self._delay()
        page = self._read(number, size)
        await self._delay()
        return page

    async def _delay(self) -> None:
        for _ in range(self._random.randrange(4)):
            await anyio.lowlevel.checkpoint()

    def _read(self, number: int, size: int) -> Page[Any]:
        if self.reads:
            self.change(next(self._script, ()))
        self.reads += 1
        total = len(self.ids)
        return Page(
            entities=tuple(UserReference(id=id_) for id_ in self.ids[(number - 1) * size : number * size]),
            page_number=number,
            page_size=size,
            page_count=-(-total // size) if self._has_page_count else None,
            total=total,
        )

    def change(self, changes: Iterable[Change]) -> None:
        for change in changes:
            row = round(change.where * len(self.ids))
            if change.kind == INSERT:
                self.ids.insert(row, f"{self._name}{self.created}")
                self.created += 1
            elif self.ids:
                removed = self.ids.pop(min(row, len(self.ids) - 1))
                if change.kind == MOVE:
                    self.ids.insert(round(change.to * len(self.ids)), removed)
                else:
                    self.lasting.discard(removed)


ReadIds = Callable[[Listing[Any]], Awaitable[list[str]]]


async def read_items(listing: Listing[Any]) -> list[str]:
    return [item.id async for item in listing]


async def read_pages(listing: Listing[Any]) -> list[str]:
    return [item.id async for page in listing.pages() for item in page.entities]


async def read_collected(listing: Listing[Any]) -> list[str]:
    return [item.id for item in await listing.collect()]


def read_stream(concurrency: int) -> ReadIds:
    async def read(listing: Listing[Any]) -> list[str]:
        async with listing.stream(concurrency) as items:
            return [item.id async for item in items]

    return read


def read_and_resume(
    after: int, meanwhile: Callable[[list[str]], None] = lambda _: None, *, is_seen_known: bool = False
) -> ReadIds:
    """Stop after `after` items, call `meanwhile` with their ids, and resume from the cursor.

    With `is_seen_known` the resumed walk is given all these ids, else it knows what the cursor knows.
    """

    async def read(listing: Listing[Any]) -> list[str]:
        walk: Walk[Any] = aiter(listing)
        found: list[str] = []
        async for item in walk:
            found.append(item.id)
            if len(found) == after:
                break
        meanwhile(found)
        resumed = attrs.evolve(listing, cursor=walk.cursor)
        return found + [item.id async for item in resumed.walk(seen=set(found) if is_seen_known else ())]

    return read


def listing_of(
    services: Sequence[ChangingList], size: int, *, verify: bool = False, order: SortOrder | None = None
) -> Any:
    return Listing(tuple(services), size, key="a-key", order=order, consistency="verify" if verify else "default")
