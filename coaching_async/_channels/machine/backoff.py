"""Pauses between attempts."""

from collections.abc import Callable

from .timings import MAX_PAUSE, MAX_RETRY_AFTER

__all__ = ["Backoff"]


class Backoff:
    """Exponential backoff with full jitter. Counts failures since `reset`."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0

    def reset(self) -> None:
        """Forget earlier failures."""
        self._failures = 0

    def pause(self, retry_after: float | None = None) -> float:
        """Count a failure, and return the pause after it, which is at least `retry_after`."""
        longest = min(MAX_PAUSE, 2.0 ** min(self._failures, 10))
        self._failures += 1
        return max(self._random() * longest, min(retry_after or 0.0, MAX_RETRY_AFTER))
