"""The rate limiter of a client alone: its tasks wait for the permits of a window."""

from typing import Protocol

import anyio
import attrs

from coaching_async._concurrency.deadlines import raise_if_too_late
from coaching_async._concurrency.synchronization import Signal
from coaching_async._transport.priority import Priority

from .limit import RateLimit
from .window import Window

__all__ = ["Limiter", "Permit", "RateLimiter"]


@attrs.frozen(eq=False, repr=False)
class Permit:
    """The right to send one request."""

    granted_at: float
    epoch: int
    """The event loop that it was granted in."""


class Limiter(Protocol):
    """Grants permits to send requests."""

    def acquire_nowait(self, priority: Priority) -> Permit | None:
        """Return a permit if one is free now and no other task of this priority waits."""
        ...

    async def acquire(self, priority: Priority = ...) -> Permit:
        """Wait for a permit. Raises `RateLimited` at once if an interactive request would get it after its deadline."""
        ...

    def release(self, permit: Permit, sent: int, *, throttled: bool = False, retry_after: float | None = None) -> None:
        """Give a permit back after `sent` requests: 0 if none was sent, 2 after a retry with a new token.

        `throttled` means that the service responded with 429, and `retry_after` what it said then.
        """
        ...


class RateLimiter:
    """Grants the permits of a window to the tasks of a client, first come, first served."""

    def __init__(self, limit: RateLimit) -> None:
        self.window: Window = Window(limit)
        self._enter_event_loop()

    def _enter_event_loop(self) -> None:
        self._locks = {priority: anyio.Lock() for priority in Priority}
        self._changed = Signal()

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead.

        The tasks of the old loop have ended with it, some without any cleanup.
        """
        self.window.rebase(shift, anyio.current_time())
        self._enter_event_loop()

    def acquire_nowait(self, priority: Priority) -> Permit | None:
        """Return a permit if one is free now and no other task of this priority waits."""
        now = anyio.current_time()
        if self._locks[priority].locked() or self.window.next_permit_at(priority, now) > now:
            return None
        return self._grant(now)

    async def acquire(self, priority: Priority = Priority.INTERACTIVE) -> Permit:
        """Wait for a permit. Raises `RateLimited` at once if an interactive request would get it after its deadline."""
        if priority is Priority.BULK:
            async with self._locks[priority]:
                return await self._wait_for_permit(priority)
        raise_if_too_late(self.window.end_of_queue_at(anyio.current_time()))
        epoch = self.window.epoch
        self.window.interactive_waiting += 1
        try:
            async with self._locks[priority]:
                return await self._wait_for_permit(priority)
        finally:
            if epoch == self.window.epoch:
                self.window.interactive_waiting -= 1
                self._changed.notify_all()

    def release(self, permit: Permit, sent: int, *, throttled: bool = False, retry_after: float | None = None) -> None:  # noqa: ARG002 # the cooldown of the token takes it
        """Give a permit back after `sent` requests: 0 if none was sent, 2 after a retry with a new token.

        `throttled` means that the service responded with 429.
        """
        if permit.epoch != self.window.epoch:  # of a task that is finalized after its event loop has ended
            return
        now = anyio.current_time()
        self.window.release(permit.granted_at, now, sent, throttled=throttled)
        if throttled:
            self.window.lower_limit(permit.granted_at, now)
        self._changed.notify_all()

    async def _wait_for_permit(self, priority: Priority) -> Permit:
        while (permit_at := self.window.next_permit_at(priority, now := anyio.current_time())) > now:
            with anyio.CancelScope(deadline=min(permit_at, self.window.next_increase_at)):
                await self._changed.wait()
        return self._grant(now)

    def _grant(self, now: float) -> Permit:
        self.window.grant(now)
        return Permit(now, self.window.epoch)
