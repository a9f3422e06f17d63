"""A rate limit over a sliding window."""

from collections import defaultdict, deque
from collections.abc import Callable

import attrs


@attrs.define
class SlidingWindow:
    """Admits up to `limit` requests of each key in any `seconds` seconds. Rejected requests do not count."""

    limit: int
    seconds: float
    now: Callable[[], float]
    _admitted: defaultdict[str, deque[float]] = attrs.field(factory=lambda: defaultdict(deque), init=False)

    def acquire(self, key: str = "") -> float:
        """Admit a request and return 0, or return the number of seconds until the next one is admitted."""
        admitted, now = self._admitted[key], self.now()
        while admitted and admitted[0] <= now - self.seconds:
            admitted.popleft()
        if len(admitted) >= self.limit:
            return admitted[0] + self.seconds - now
        admitted.append(now)
        return 0
