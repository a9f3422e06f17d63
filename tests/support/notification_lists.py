"""Lists of notifications in each order that the service may have, which change between any two reads."""

import random
from collections.abc import Callable, Collection
from typing import Any, Final

from coaching_async import Notification, Page, ServerError
from coaching_async._channels.catch_up import CatchUpPager

OLDEST_FIRST: Final = "oldest first"
NEWEST_FIRST: Final = "newest first"
ANYWHERE: Final = "by another field"
ENDS: Final = (OLDEST_FIRST, NEWEST_FIRST)
ORDERS: Final = (*ENDS, ANYWHERE)
"""By its date or its id, for example, a new notification may stand anywhere."""


class NotificationList:
    """The service's list of one user's notifications. `before_read` may change it before each read."""

    def __init__(self, order: str, size: int, length: int = 0, *, seed: int = 0) -> None:
        self.order, self.size = order, size
        self.ids: list[str] = []
        self.read_ids: set[str] = set()
        """Those that are marked as read."""
        self.created: list[str] = []
        self.deleted: set[str] = set()
        self.reads: list[int] = []
        """The pages that were asked for."""
        self.failing: Collection[int] = ()
        """Pages that cannot be read."""
        self.before_read: Callable[[], object] = lambda: None
        self.make: Callable[[str], Any] = lambda id_: Notification(id=id_, marked_as_read=id_ in self.read_ids)
        self._random = random.Random(seed)
        for _ in range(length):
            self.create()

    def create(self) -> str:
        id_ = f"n{len(self.created)}"
        places = {OLDEST_FIRST: len(self.ids), NEWEST_FIRST: 0, ANYWHERE: self._random.randint(0, len(self.ids))}
        self.ids.insert(places[self.order], id_)
        self.created.append(id_)
        return id_

    def delete(self, where: float) -> None:
        if self.ids:
            self.deleted.add(self.ids.pop(min(int(where * len(self.ids)), len(self.ids) - 1)))

    @property
    def lasting(self) -> set[str]:
        return set(self.ids)

    async def __call__(self, number: int) -> Page[Notification]:
        return self.page(number)

    def page(self, number: int) -> Page[Notification]:
        self.before_read()
        self.reads.append(number)
        if number in self.failing:
            raise ServerError("503")
        total = len(self.ids)
        rows = self.ids[(number - 1) * self.size : number * self.size]
        return Page(
            entities=tuple(self.make(id_) for id_ in rows),
            page_number=number,
            page_size=self.size,
            page_count=-(-total // self.size),
            total=total,
        )

    def take_reads(self) -> list[int]:
        """Return the pages that were asked for since the last time."""
        reads, self.reads = self.reads, []
        return reads


def catch_up_with(
    pager: CatchUpPager, service: NotificationList, handed_out: list[str], now: float = 0.0, *, is_whole: bool = False
) -> None:
    """Run one catch-up, without an event loop. An error of a page ends it."""
    pager.begin(now, is_whole=is_whole)
    while (step := pager.step) is not None:
        if isinstance(step, int):
            pager.receive(service.page(step))
        else:
            handed_out += [row.id for row in step if pager.take(row)]
            pager.receive()
