"""Rows by id, with what spares lists the look at every row.

A table is a dictionary to everybody else. A row in it is replaced and never changed in place, so that the indexes hold.
"""

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self, TypeAlias

from coaching_async.sandbox._wire.formats import JsonObject

from .appointment import PEOPLE, due, lasts

Keys: TypeAlias = Callable[[JsonObject], Iterable[Hashable]]


class Table(dict[str, JsonObject]):
    """Rows by id, and in order of arrival the ids that stand under each of the `keys` that a row has."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self.lock = threading.RLock()  # rows and indexes are read and written from any thread
        self._keys = keys
        self._keys_of: dict[str, tuple[Hashable, ...]] = {}
        self._under: dict[Hashable, dict[str, None]] = {}

    def __setitem__(self, row_id: str, row: JsonObject) -> None:
        with self.lock:
            keys = tuple(dict.fromkeys(self._keys(row)))
            if keys != self._keys_of.get(row_id):
                self._forget(row_id)
                self._keys_of[row_id] = keys
                for key in keys:
                    self._under.setdefault(key, {})[row_id] = None
            super().__setitem__(row_id, row)

    def __delitem__(self, row_id: str) -> None:
        with self.lock:
            super().__delitem__(row_id)
            self._forget(row_id)

    def _forget(self, row_id: str) -> None:
        for key in self._keys_of.pop(row_id, ()):
            ids = self._under[key]
            del ids[row_id]
            if not ids:
                self._under.pop(key)

    def under(self, keys: Iterable[Hashable]) -> set[str]:
        with self.lock:
            return set[str]().union(*(self._under.get(key, ()) for key in keys))

    def rows_under(self, key: Hashable) -> Sequence[JsonObject]:
        with self.lock:
            return [self[row_id] for row_id in self._under.get(key, ())]

    # All the other ways to change a dictionary come down to the two above.

    def pop(self, row_id: str, *default: Any) -> Any:
        with self.lock:
            if row_id not in self and default:
                return default[0]
            row = self[row_id]
            del self[row_id]
            return row

    def popitem(self) -> tuple[str, JsonObject]:
        with self.lock:
            row_id = next(reversed(self), None)
            if row_id is None:
                raise KeyError("the table is empty")
            return row_id, self.pop(row_id)

    def clear(self) -> None:
        with self.lock:
            for row_id in list(self):
                del self[row_id]

    def setdefault(self, row_id: str, row: Any = None) -> JsonObject:
        with self.lock:
            if row_id not in self:
                self[row_id] = row
            return self[row_id]

    def update(self, *others: Any, **more: Any) -> None:
        for row_id, row in dict(*others, **more).items():
            self[row_id] = row

    def __ior__(self, other: Mapping[str, JsonObject] | Iterable[tuple[str, JsonObject]]) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self


def _people_and_status(appointment: JsonObject) -> Iterable[Hashable]:
    for relationship, ids in PEOPLE.items():
        for user_id in ids(appointment):
            yield relationship, user_id
    yield appointment["status"]


class Appointments(Table):
    """Appointments by the people concerned and by status, and in order of date."""

    def __init__(self) -> None:
        super().__init__(_people_and_status)
        self.longest = timedelta()  # of all that ever were here
        self._due: dict[str, tuple[datetime, str]] = {}
        self._order: list[str] = []

    def __setitem__(self, row_id: str, row: JsonObject) -> None:
        with self.lock:
            date, length = due(row), lasts(row)
            super().__setitem__(row_id, row)
            self.longest = max(self.longest, length)
            if date != self._due.get(row_id):
                self._unorder(row_id)
                self._due[row_id] = date
                insort(self._order, row_id, key=self._due.__getitem__)

    def __delitem__(self, row_id: str) -> None:
        with self.lock:
            super().__delitem__(row_id)
            self._unorder(row_id)

    def _unorder(self, row_id: str) -> None:
        if row_id in self._due:
            del self._order[self._place(self._order, self._due[row_id])]
            del self._due[row_id]

    def _place(self, ids: Sequence[str], date: tuple[datetime, str]) -> int:
        return bisect_left(ids, date, key=self._due.__getitem__)

    def of(self, user_ids: Iterable[str], relationships: Collection[str] = ()) -> set[str]:
        """The ids of those which concern one of the users, by one of the relationships or any."""
        users = list(user_ids)
        return self.under((relationship, user) for relationship in relationships or PEOPLE for user in users)

    def in_order(self, wanted: set[str], within: tuple[datetime, datetime] | None) -> Sequence[str]:
        """Those of the wanted ones which start within the interval, by date."""
        with self.lock:
            # To sort a few is quicker than to look for them in the order of all.
            few = len(wanted) * 16 < len(self._order)
            ids = sorted(wanted, key=self._due.__getitem__) if few else self._order
            if within is not None:
                start, end = within
                ids = ids[self._place(ids, (start, "")) : self._place(ids, (end, ""))]
            return ids if few else [row_id for row_id in ids if row_id in wanted]
