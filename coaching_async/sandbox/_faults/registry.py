"""The faults that are ordered and not used up."""

import threading

import attrs

from .fault import Fault


@attrs.define(eq=False)
class _Entry:
    fault: Fault
    to_skip: int
    remaining: float


@attrs.define(eq=False)
class Faults:
    """The ordered faults; of those that match a request, the first that is due applies. Thread-safe."""

    _entries: list[_Entry] = attrs.field(factory=list, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._entries.extend(_Entry(fault, fault.after, fault.times) for fault in faults)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

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
