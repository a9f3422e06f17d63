"""Throttling by the service: the cooldown of a token after a 429."""

import math
from typing import Final

import anyio

from coaching_async._concurrency.deadlines import raise_if_too_late
from coaching_async._concurrency.synchronization import Signal

__all__ = ["RAMP_UP_LIMIT", "Cooldown"]


class Cooldown:
    """Cooldown after a 429, shared by all requests of a token.

    While it is active no request starts. Then one probe request is allowed, and each success raises the limit by one
    (slow start), so that it doubles with every round trip.
    """

    def __init__(self) -> None:
        self._ends_at = -math.inf
        self._generation = 0
        self._ramp_limit = math.inf
        self._in_flight = 0
        """Requests that started after the last cooldown."""
        self._changed = Signal()

    def start(self, seconds: float) -> None:
        """Start a cooldown, or extend the current one; one that ends later stays as it is."""
        self._ends_at = max(self._ends_at, anyio.current_time() + seconds)
        self._generation += 1
        self._ramp_limit, self._in_flight = 1, 0

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead. The old loop's requests have ended."""
        self._ends_at += shift
        self._generation += 1
        self._in_flight = 0
        self._changed = Signal()

    def allows_request(self) -> bool:
        """Whether a request may start now."""
        return anyio.current_time() >= self._ends_at and self._in_flight < self._ramp_limit

    async def wait(self) -> None:
        """Wait until a request may start. Raises `RateLimited` at once if the cooldown ends after the deadline."""
        while True:
            # The clock is read once. A cooldown that ended between two readings would look like a probe in flight, and a
            # request would wait for the end of a request that does not exist.
            if anyio.current_time() < self._ends_at:
                raise_if_too_late(self._ends_at)
                await anyio.sleep_until(self._ends_at)
            elif self._in_flight < self._ramp_limit:
                return
            else:
                await self._changed.wait()

    def request_started(self) -> int:
        """Count a request as in flight. Return the generation, which `request_finished` takes."""
        self._in_flight += 1
        return self._generation

    def request_finished(self, generation: int, *, succeeded: bool) -> None:
        """Count a request as finished. One that started before the last cooldown does not change the limit."""
        if generation == self._generation:
            self._in_flight -= 1
            if succeeded:
                self._ramp_limit = self._ramp_limit + 1 if self._ramp_limit < RAMP_UP_LIMIT else math.inf
        self._changed.notify_all()


RAMP_UP_LIMIT: Final = 32
"""Requests in flight from which on a cooldown no longer limits them."""
