"""The faults that are ordered and not used up."""

import itertools
import threading
from collections.abc import Sequence

import attrs

from .fault import Fault


@attrs.define(eq=False)
class OrderedFault:
    """A fault that is ordered: its number, how many requests it skips yet, and to how many it then applies."""

    number: int
    fault: Fault
    to_skip: int
    remaining: float


@attrs.define(eq=False)
class Faults:
    """The ordered faults; of those that match a request, the first that is due applies. Thread-safe."""

    _entries: list[OrderedFault] = attrs.field(factory=list, init=False, repr=False)
    _numbers: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def add(self, *faults: Fault) -> None:
        """Order faults. Raises `TypeError` for what is none."""
        for fault in faults:
            if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance] # not all programs are type-checked
                raise TypeError(f"add() takes Fault objects, not {fault!r}")
        with self._lock:
            self._entries.extend(OrderedFault(next(self._numbers), fault, fault.after, fault.times) for fault in faults)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def cancel(self, number: int) -> None:
        """Remove the fault of this number, if it is still there."""
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.number != number]

    def ordered(self) -> Sequence[OrderedFault]:
        """Return copies of the entries, oldest first."""
        with self._lock:
            return [attrs.evolve(entry) for entry in self._entries]

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that have not been applied as often as ordered."""
        with self._lock:
            return tuple(entry.fault for entry in self._entries)

    def take(self, method: str, path: str, query: str) -> Fault | None:
        """Return the fault that applies to a request, and count its use."""
        with self._lock:
            for entry in self._entries:
                if not entry.fault.matches(method, path, query):
                    continue
                if entry.to_skip:
                    entry.to_skip -= 1
                    continue
                entry.remaining -= 1
                if entry.remaining < 1:
                    self._entries.remove(entry)
                return entry.fault
        return None
