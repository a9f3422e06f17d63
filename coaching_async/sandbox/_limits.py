"""So many requests per token in any stretch of time."""

from collections import defaultdict, deque
from collections.abc import Callable

import attrs

from . import _errors as errors


@attrs.define
class SlidingWindow:
    """Counts what was let through; what was refused costs nothing."""

    limit: int
    seconds: float
    now: Callable[[], float]
    _admitted: defaultdict[str, deque[float]] = attrs.field(factory=lambda: defaultdict(deque), init=False)

    def admit(self, token: str) -> None:
        admitted, now = self._admitted[token], self.now()
        while admitted and admitted[0] <= now - self.seconds:
            admitted.popleft()
        if len(admitted) >= self.limit:
            raise errors.too_many_requests(admitted[0] + self.seconds - now, self.limit)
        admitted.append(now)
