"""Tables with indexes, so that a list does not have to look at every row.

To its users a table is a dictionary. A row is replaced and never changed in place, because the indexes would not notice.
"""

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self, TypeAlias

from coaching_async.sandbox._wire.formats import Interval, JsonObject

from .appointment import USER_IDS, date_and_id, length_of

Keys: TypeAlias = Callable[[JsonObject], Iterable[Hashable]]


class Table(dict[str, JsonObject]):
    """Rows by id, and for each key that `keys` returns for a row, the ids of its rows in order of insertion."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self.lock: threading.RLock = threading.RLock()  # rows and indexes are read and written from any thread
        self._keys = keys
        self._keys_of: dict[str, tuple[Hashable, ...]] = {}
        self._ids_by_key: dict[Hashable, dict[str, None]] = {}

    def __setitem__(self, row_id: str, row: JsonObject) -> None:
        with self.lock:
            keys = tuple(dict.fromkeys(self._keys(row)))
            if keys != self._keys_of.get(row_id):
                self._remove_from_index(row_id)
                self._keys_of[row_id] = keys
                for key in keys:
                    self._ids_by_key.setdefault(key, {})[row_id] = None
            super().__setitem__(row_id, row)

    def __delitem__(self, row_id: str) -> None:
        with self.lock:
            super().__delitem__(row_id)
            self._remove_from_index(row_id)

    def _remove_from_index(self, row_id: str) -> None:
        for key in self._keys_of.pop(row_id, ()):
            ids = self._ids_by_key[key]
            del ids[row_id]
            if not ids:
                self._ids_by_key.pop(key)

    def ids_with(self, keys: Iterable[Hashable]) -> set[str]:
        with self.lock:
            return set[str]().union(*(self._ids_by_key.get(key, ()) for key in keys))

    def rows_with(self, key: Hashable) -> Sequence[JsonObject]:
        with self.lock:
            return [self[row_id] for row_id in self._ids_by_key.get(key, ())]

    # All other methods that change a dictionary use the two above.

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


def _users_and_status(appointment: JsonObject) -> Iterable[Hashable]:
    for relationship, user_ids in USER_IDS.items():
        for user_id in user_ids(appointment):
            yield relationship, user_id
    yield appointment["status"]


class AppointmentTable(Table):
    """Appointments, indexed by the users that they concern, by status, and by date."""

    def __init__(self) -> None:
        super().__init__(_users_and_status)
        self.max_length: timedelta = timedelta()  # of all appointments that were ever added
        self._sort_keys: dict[str, tuple[datetime, str]] = {}
        self._ids_by_date: list[str] = []

    def __setitem__(self, row_id: str, row: JsonObject) -> None:
        with self.lock:
            sort_key, length = date_and_id(row), length_of(row)
            super().__setitem__(row_id, row)
            self.max_length = max(self.max_length, length)
            if sort_key != self._sort_keys.get(row_id):
                self._remove_from_order(row_id)
                self._sort_keys[row_id] = sort_key
                insort(self._ids_by_date, row_id, key=self._sort_keys.__getitem__)

    def __delitem__(self, row_id: str) -> None:
        with self.lock:
            super().__delitem__(row_id)
            self._remove_from_order(row_id)

    def _remove_from_order(self, row_id: str) -> None:
        if row_id in self._sort_keys:
            del self._ids_by_date[self._position(self._ids_by_date, self._sort_keys[row_id])]
            del self._sort_keys[row_id]

    def _position(self, ids: Sequence[str], sort_key: tuple[datetime, str]) -> int:
        return bisect_left(ids, sort_key, key=self._sort_keys.__getitem__)

    def ids_concerning(self, user_ids: Iterable[str], relationships: Collection[str] = ()) -> set[str]:
        """Return the ids of the appointments of one of these users, by one of these relationships or by any."""
        users = list(user_ids)
        return self.ids_with((relationship, user) for relationship in relationships or USER_IDS for user in users)

    def sorted_by_date(self, wanted: set[str], within: Interval | None) -> Sequence[str]:
        """Return the wanted ids in order of date, without those that start outside the interval."""
        with self.lock:
            # Sorting a few ids is faster than looking for them among all.
            few = len(wanted) * 16 < len(self._ids_by_date)
            ids = sorted(wanted, key=self._sort_keys.__getitem__) if few else self._ids_by_date
            if within is not None:
                start, end = within
                ids = ids[self._position(ids, (start, "")) : self._position(ids, (end, ""))]
            return ids if few else [row_id for row_id in ids if row_id in wanted]
