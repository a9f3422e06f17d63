"""Pacing: how many requests one token sends in a window, and in which order."""

import math
from collections import deque
from typing import Final

import anyio.lowlevel
import attrs

from coaching_async._concurrency.deadlines import raise_if_too_late
from coaching_async._concurrency.synchronization import Signal
from coaching_async._value import Value

from .messages import Request, Response, Send
from .priority import Priority

__all__ = ["Permit", "RateLimit", "RateLimitMiddleware", "RateLimiter", "bulk_seconds"]


@attrs.frozen(eq=False, repr=False)
class RateLimit(Value):
    """At most `requests` in any window of `per` seconds, for one token."""

    requests: int = attrs.field(default=300, validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)])
    per: float = attrs.field(default=60.0, kw_only=True, validator=attrs.validators.gt(0))


BULK_BURST: Final = 5
"""Bulk goes at once as long as less than one part in so many of the window is in use."""


RECOVERY_STEPS: Final = 20
"""A lower limit that 429s showed is forgotten in so many windows without one, or fewer."""


INTERACTIVE_RESERVE: Final = 3
"""One part in so many of the window is left to direct calls, as long as it is not known when more comes free."""


MAX_LOOKAHEAD: Final = 100
"""Bulk looks ahead at so many of the permits that come free."""


LATENCY_WINDOW: Final = 10
"""How long an answer takes is averaged over about so many."""


LATENCY_SLACK: Final = 2
"""So many answer times more than even may be between the permits that come free, before bulk leaves some for a gap."""


def bulk_seconds(limit: RateLimit, requests: int) -> float:
    """How long so many requests of a walk or a bulk take, as far as the limit holds them up: a burst, and then even shares."""
    return requests * limit.per / limit.requests if requests > limit.requests / BULK_BURST else 0.0


@attrs.frozen(eq=False, repr=False)
class Permit:
    """To send one request."""

    granted_at: float


class RateLimiter:
    """A sliding window over one token's requests, as the service sees it.

    A permit is free again `per` seconds after its *answer* came: the service may have counted the request at any moment
    between sending and answer.

    Direct calls take whatever is free, and go first. Bulk takes a fifth of the window at once, and then an even share at a
    time: so a direct call beside it finds a permit, or waits for one such share and not for a window.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._learned_limit = limit.requests
        """By what 429s have shown."""
        self._last_decrease_at = self._last_granted_at = -math.inf
        self._next_increase_at = math.inf
        self._expiry_times: deque[float] = deque()
        """When each permit that was used is free again, soonest first."""
        self._throttled_expiry_times: list[float] = []
        """The same of those whose requests the service refused."""
        self._in_flight = 0
        self._mean_latency = 0.0
        self._interactive_waiting = 0
        self._locks = {priority: anyio.Lock() for priority in Priority}  # first come, first served
        self._changed = Signal()

    def acquire_nowait(self, priority: Priority) -> Permit | None:
        """One that is free now, for who has nobody before them."""
        now = anyio.current_time()
        return (
            self._grant(now)
            if not self._locks[priority].locked() and self._next_permit_at(priority, now) <= now
            else None
        )

    async def acquire(self, priority: Priority = Priority.INTERACTIVE) -> Permit:
        """Wait for a permit. Raises `RateLimited` at once where a direct one would come after the deadline."""
        if priority is Priority.BULK:
            async with self._locks[priority]:
                return await self._wait_for_permit(priority)
        self._raise_if_too_late()
        self._interactive_waiting += 1
        try:
            async with self._locks[priority]:
                return await self._wait_for_permit(priority)
        finally:
            self._interactive_waiting -= 1
            self._changed.notify_all()

    def release(self, permit: Permit, sent: int, *, throttled: bool = False) -> None:
        """Give a permit back after `sent` requests: none where it came to nothing, two where a 401 was replayed.

        `throttled` says that the service said 429.
        """
        now, per = anyio.current_time(), self._limit.per
        self._in_flight -= 1
        self._expiry_times.extend([now + per] * sent)
        if sent:
            # Bounded, so that the answers to what hung in an outage do not make bulk take more than there is.
            latency = min(now - permit.granted_at, 2 * self._mean_latency + per / RECOVERY_STEPS)
            self._mean_latency += (latency - self._mean_latency) / LATENCY_WINDOW
        if throttled:
            self._throttled_expiry_times.append(now + per)
            self._lower_limit(permit, now)
        self._changed.notify_all()

    def _lower_limit(self, permit: Permit, now: float) -> None:
        """The service allows less than was thought: as much, perhaps, as it took in this window.

        One 429 does not more than halve what is allowed, and one to a request from before the last lesson, or from less than
        half a window after it, teaches nothing: a service that is out of order must not make this one crawl.
        """
        allowed = self._current_limit(now)
        if permit.granted_at > self._last_decrease_at + self._limit.per / 2:
            accepted = self._used_in_window(now) - len(self._throttled_expiry_times)
            self._learned_limit = max(1, allowed // 2, min(allowed, accepted))
            self._last_decrease_at = now
        self._next_increase_at = now + 2 * self._limit.per  # after a whole window without one

    async def _wait_for_permit(self, priority: Priority) -> Permit:
        while (opens_at := self._next_permit_at(priority, now := anyio.current_time())) > now:
            with anyio.CancelScope(deadline=min(opens_at, self._next_increase_at)):
                await self._changed.wait()
        return self._grant(now)

    def _grant(self, now: float) -> Permit:
        self._in_flight += 1
        self._last_granted_at = now
        return Permit(now)

    def _next_permit_at(self, priority: Priority, now: float) -> float:
        """When a priority may take the next permit, as far as that is known."""
        per = self._limit.per
        free = self._current_limit(now) - self._in_flight - self._used_in_window(now)
        if free <= 0:
            return self._expiry_times[-free] if -free < len(self._expiry_times) else math.inf
        if priority is Priority.INTERACTIVE:
            return now
        if self._interactive_waiting:
            return math.inf
        if free * BULK_BURST > self._learned_limit * (BULK_BURST - 1):
            return now
        # What is free has to do, an even share after the other, until it comes free again; and where much comes free
        # together, as that of a burst does, also for the gap behind that.
        share, stride = per / self._learned_limit, (per + LATENCY_SLACK * self._mean_latency) / self._learned_limit
        looks = range(0, len(self._expiry_times), len(self._expiry_times) // MAX_LOOKAHEAD + 1)
        until = max((self._expiry_times[nth] - nth * stride for nth in looks), default=self._last_granted_at + per)
        turn = until - free * share - self._mean_latency
        # After a burst that would be a long stop. What is more than the reserve is spread over the time until more comes free;
        # and then is another look.
        spare = max(0, free - self._learned_limit // INTERACTIVE_RESERVE)
        last = max(self._last_granted_at, now - per)
        next_free = self._expiry_times[0] if self._expiry_times else self._last_granted_at + per
        return min(turn, last + max(share, (next_free - last) / (spare + 1)))

    def _used_in_window(self, now: float) -> int:
        """How many requests are in the window, those in flight left out."""
        while self._expiry_times and self._expiry_times[0] <= now:
            self._expiry_times.popleft()
        while self._throttled_expiry_times and self._throttled_expiry_times[0] <= now:
            del self._throttled_expiry_times[0]
        return len(self._expiry_times)

    def _current_limit(self, now: float) -> int:
        """What is allowed now: a step more for each window without a 429."""
        limit = self._limit
        while now >= self._next_increase_at:
            self._learned_limit = min(limit.requests, self._learned_limit + math.ceil(limit.requests / RECOVERY_STEPS))
            self._next_increase_at = (
                math.inf if self._learned_limit == limit.requests else self._next_increase_at + limit.per
            )
        return self._learned_limit

    def _raise_if_too_late(self) -> None:
        now = anyio.current_time()
        allowed = self._current_limit(now)
        excess = self._in_flight + self._used_in_window(now) - allowed
        if self._interactive_waiting + excess < 0:
            return
        # Permits come free in the order of the answers, those in flight a window from now at best, and so on in rounds;
        # what is more than is allowed by now comes before the first round.
        before = max(0, excess)
        rounds, nth = divmod(self._interactive_waiting + excess - before, allowed)
        nth += before
        soonest = self._expiry_times[nth] if nth < len(self._expiry_times) else now + self._limit.per
        raise_if_too_late(soonest + rounds * self._limit.per)


@attrs.define(eq=False, repr=False)
class RateLimitMiddleware:
    """Keeps one token's requests under its rate limit."""

    send: Send
    limiter: RateLimiter

    async def __call__(self, request: Request) -> Response:
        """Wait for a permit, then send."""
        call = request.call
        permit = self.limiter.acquire_nowait(call.priority)
        if permit is None:
            with call.waiting():
                permit = await self.limiter.acquire(call.priority)
        before, throttled = call.attempts, False
        try:
            response = await self.send(request)
            throttled = response.status == 429
            return response
        finally:
            self.limiter.release(permit, call.attempts - before, throttled=throttled)
