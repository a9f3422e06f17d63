"""When nobody may send, and how many may at once."""

import math
from contextlib import nullcontext
from typing import Final, Self

import anyio

from coaching_async._concurrency.deadlines import is_past_deadline, raise_if_too_late
from coaching_async._concurrency.synchronization import Signal

from .priority import Priority

__all__ = ["ConcurrencyLimiter", "Cooldown", "Slot"]


class Cooldown:
    """While it lasts, nobody sends with the token that was told to wait.

    Then one probes, and each that goes well makes room for one more at a time, so that they double with every round.
    """

    def __init__(self) -> None:
        self._ends_at = float("-inf")
        self._generation = 0
        self._ramp_limit = math.inf
        self._in_flight = 0  # of those that began after the last pause
        self._changed = Signal()

    def start(self, seconds: float) -> None:
        """Begin one, or let it go on for that long; a longer one already told stays."""
        self._ends_at = max(self._ends_at, anyio.current_time() + seconds)
        self._generation += 1
        self._ramp_limit, self._in_flight = 1, 0

    def allows_request(self) -> bool:
        """Whether one may send now."""
        return anyio.current_time() >= self._ends_at and self._in_flight < self._ramp_limit

    async def wait(self) -> None:
        """Wait until one may. Raises `RateLimited` at once where the pause outlasts the deadline."""
        while not self.allows_request():
            raise_if_too_late(self._ends_at)
            if anyio.current_time() < self._ends_at:
                await anyio.sleep_until(self._ends_at)
            else:
                await self._changed.wait()

    def request_started(self) -> int:
        """One is under way. Gives what `end` is told."""
        self._in_flight += 1
        return self._generation

    def request_finished(self, generation: int, *, succeeded: bool) -> None:
        """It has ended."""
        if generation == self._generation:
            self._in_flight -= 1
            if succeeded:
                self._ramp_limit = self._ramp_limit + 1 if self._ramp_limit < RAMP_UP_LIMIT else math.inf
        self._changed.notify_all()


RAMP_UP_LIMIT: Final = 32
"""More are not under way at once, so there is nothing left to ramp up to."""


class ConcurrencyLimiter:
    """Lets at most `limit` exchanges through at once, and none in a pause of their token.

    Whether there is a pause is asked last, with the slot in hand, so that nobody who waited for a slot slips out into it;
    while it lasts no slot is held. Of bulk one at a time waits for a slot, so that a direct call has no more before it.
    """

    def __init__(self, limit: int) -> None:
        self._slots = anyio.Semaphore(limit)
        self._bulk_lock = anyio.Lock()

    def acquire_nowait(self, cooldown: Cooldown) -> "Slot | None":
        """A place among those under way, if there is one at once; not for who is cancelled, or past the deadline."""
        if is_past_deadline() or not cooldown.allows_request():
            return None
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return None
        return Slot(self._slots, cooldown)

    async def acquire(self, cooldown: Cooldown, priority: Priority = Priority.INTERACTIVE) -> "Slot":
        """A place among those under way, until the block of what it gives ends: `with await limiter.acquire(cooldown):`."""
        while True:
            await cooldown.wait()
            async with self._bulk_lock if priority is Priority.BULK else nullcontext():
                await self._slots.acquire()
            if cooldown.allows_request():
                return Slot(self._slots, cooldown)
            self._slots.release()


class Slot:
    """One request under way: whether the service took it, which a 429 and a broken connection do not tell."""

    __slots__ = ("_cooldown", "_generation", "_slots", "succeeded")

    def __init__(self, slots: anyio.Semaphore, cooldown: Cooldown) -> None:
        self.succeeded = False
        self._slots, self._cooldown, self._generation = slots, cooldown, cooldown.request_started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cooldown.request_finished(self._generation, succeeded=self.succeeded)
        self._slots.release()
