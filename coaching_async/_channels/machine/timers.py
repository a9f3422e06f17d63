"""Times at which something is due."""

import math
from typing import TypeVar

__all__ = ["Timers"]

T = TypeVar("T", bound=str)


class Timers(dict[T, float]):
    """The time of each thing that is due later, by its name."""

    def next_at(self) -> float:
        """Return the earliest time; infinity if nothing is due."""
        return min(self.values(), default=math.inf)

    def pop_due(self, now: float) -> T | None:
        """Remove what has been due for the longest time, and return it; None if nothing is due yet."""
        name = min(self, key=self.__getitem__, default=None)
        if name is None or now < self[name]:
            return None
        del self[name]
        return name
