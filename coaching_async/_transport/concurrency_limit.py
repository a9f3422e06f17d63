"""The concurrency limit: how many exchanges run at the same time."""

from contextlib import nullcontext
from typing import Self

import anyio

from coaching_async._concurrency.deadlines import is_past_deadline

from .cooldown import Cooldown
from .priority import Priority

__all__ = ["ConcurrencyLimiter", "Slot"]


class ConcurrencyLimiter:
    """Limits concurrent exchanges to `limit`, and starts none during the token's cooldown.

    The cooldown is checked after the slot was acquired, because it may begin while a request waits for its slot; in that
    case the slot is released. Only one bulk request at a time waits for a slot, so an interactive one has at most that one
    before it.
    """

    def __init__(self, limit: int) -> None:
        self._slots = anyio.Semaphore(limit)
        self._bulk_lock = anyio.Lock()

    def acquire_nowait(self, cooldown: Cooldown) -> "Slot | None":
        """Return a slot if one is free; None also for a caller that is cancelled or past its deadline."""
        if is_past_deadline() or not cooldown.allows_request():
            return None
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return None
        return Slot(self._slots, cooldown)

    async def acquire(self, cooldown: Cooldown, priority: Priority = Priority.INTERACTIVE) -> "Slot":
        """Wait for a slot, which a `with` block holds. Raises `RateLimited` if the cooldown ends after the deadline."""
        while True:
            await cooldown.wait()
            async with self._bulk_lock if priority is Priority.BULK else nullcontext():
                await self._slots.acquire()
            if cooldown.allows_request():
                return Slot(self._slots, cooldown)
            self._slots.release()


class Slot:
    """The right to run one exchange. Its holder sets `succeeded` if there was a response other than 429."""

    __slots__ = ("_cooldown", "_generation", "_slots", "succeeded")

    def __init__(self, slots: anyio.Semaphore, cooldown: Cooldown) -> None:
        self.succeeded = False
        self._slots, self._cooldown, self._generation = slots, cooldown, cooldown.request_started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cooldown.request_finished(self._generation, succeeded=self.succeeded)
        self._slots.release()
