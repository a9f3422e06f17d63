"""Catch-ups of a listener: one at a time, when they are due, and what an audit shows."""

import math
from collections.abc import Callable, Collection
from typing import Final

from .backoff import Backoff
from .messages import CatchUp, CatchUpReason
from .timings import CATCH_UP_SPACING, DEAF_AFTER

__all__ = ["Audit", "CatchUps"]

_URGENT: Final = ("opened", "moved")
_SPACED: Final = ("unreadable", "overflow")
_ROUTINE: Final = ("audit", "poll")


class CatchUps:
    """Runs one catch-up at a time. What is requested while one runs is done by another one after it.

    A catch-up that has failed is repeated after a pause of at least 1 s. A socket that was opened ends the pause, because the
    service seems to be there. Catch-ups for unreadable messages or dropped events begin `CATCH_UP_SPACING` seconds apart,
    because there may be any number of those.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._backoff = Backoff(random)
        self.running: CatchUpReason | None = None
        self._due: CatchUpReason | None = None
        self._due_at = 0.0
        self._spaced_at = -math.inf

    @property
    def next_at(self) -> float:
        """When the next catch-up has to begin; infinity if none is due, or one runs."""
        return self._due_at if self._due and not self.running else math.inf

    def request(self, reason: CatchUpReason, now: float) -> None:
        """Make a catch-up due. One that is due already also serves this request, unless that is urgent."""
        if reason in _ROUTINE and (self._due or self.running):
            return
        if self._due is None or reason in _URGENT:
            self._due = reason
            self._due_at = max(now, self._spaced_at + CATCH_UP_SPACING) if reason in _SPACED else now

    def begin(self, now: float) -> CatchUp | None:
        """Return the catch-up that has to begin now."""
        if self._due is None or now < self.next_at:
            return None
        self.running, self._due = self._due, None
        if self.running in _SPACED:
            self._spaced_at = now
        return CatchUp(self.running)

    def succeeded(self) -> None:
        """End the catch-up that runs."""
        self.running = None
        self._backoff.reset()

    def failed(self, now: float, retry_after: float | None) -> None:
        """End the catch-up that runs, and make another one due."""
        pause = max(1.0, self._backoff.pause(retry_after))
        if self._due not in _URGENT:
            self._due, self._due_at = self.running, now + pause
        self.running = None


class Audit:
    """Finds out whether a live socket brings the events: an audit finds nothing that the socket does not bring, too.

    What a socket has brought into a full buffer was dropped. Then the audit shows nothing.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """End the audit, because the socket is another one, or events were dropped."""
        self.deaf_at = math.inf
        self._brought: set[str] | None = None
        self._missing: set[str] = set()

    def begin(self) -> None:
        """Note from now on what the socket brings."""
        self.reset()
        self._brought = set()

    def brought(self, notification_id: str) -> None:
        """Note a notification that the socket has brought."""
        if self._brought is not None:
            self._brought.add(notification_id)
        elif self._missing:
            self._missing.discard(notification_id)
            if not self._missing:
                self.reset()

    def found(self, ids: Collection[str], now: float) -> None:
        """Wait for the socket to bring what the audit has found."""
        if self._brought is None:
            return
        missing = set(ids) - self._brought
        self.reset()
        if missing:
            self._missing, self.deaf_at = missing, now + DEAF_AFTER
