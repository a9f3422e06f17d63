"""So many requests in any stretch of time."""

from collections import defaultdict, deque
from collections.abc import Callable

import attrs


@attrs.define
class SlidingWindow:
    """Counts what was let through; what was refused costs nothing."""

    limit: int
    seconds: float
    now: Callable[[], float]
    _admitted: defaultdict[str, deque[float]] = attrs.field(factory=lambda: defaultdict(deque), init=False)

    def wait(self, whose: str = "") -> float:
        """Let one more through and answer 0, or answer in how many seconds the next is let through."""
        admitted, now = self._admitted[whose], self.now()
        while admitted and admitted[0] <= now - self.seconds:
            admitted.popleft()
        if len(admitted) >= self.limit:
            return admitted[0] + self.seconds - now
        admitted.append(now)
        return 0
