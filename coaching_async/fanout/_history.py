"""The newest notifications, for subscribers that come back."""

from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from ._queue import Item, Missed

__all__ = ["History"]

Entry: TypeAlias = tuple[int, str | None, Item]
"""Position, user id, item. Without a user id it is for every subscriber."""


class History:
    """The last `size` items, of all users. It does no I/O."""

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._entries: deque[Entry] = deque()
        self._forgotten: dict[str | None, int] = {}
        """Position of the newest item of each user that is no longer kept."""

    def add(self, position: int, user_id: str | None, item: Item) -> None:
        """Keep an item, and forget the oldest one if there are more than `size`."""
        self._entries.append((position, user_id, item))
        if len(self._entries) > self._size:
            forgotten, of_user, _ = self._entries.popleft()
            self._forgotten[of_user] = forgotten

    def since(self, position: int, user_ids: AbstractSet[str]) -> Iterable[tuple[int, Item]]:
        """Return what came after a position for some users. It begins with `Missed` if not all of that is kept."""
        forgotten = max(self._forgotten.get(user_id, 0) for user_id in (None, *user_ids))
        if forgotten > position:
            yield forgotten, Missed()
        for each, user_id, item in self._entries:
            if each > position and (user_id is None or user_id in user_ids):
                yield each, item
