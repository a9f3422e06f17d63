"""Rate limiting: how many requests one token sends in a sliding window, and in which order; client-side throttling."""

import math
from collections import deque
from typing import Final

import anyio
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
"""Bulk requests start at once while less than a fifth of the limit is in use."""


INTERACTIVE_RESERVE: Final = 3
"""A third of the limit is left to interactive requests while bulk spreads the rest over time."""


RECOVERY_STEPS: Final = 20
"""A limit that 429s have lowered grows by a twentieth of the full limit in each window without a 429."""


MAX_LOOKAHEAD: Final = 100
"""Up to about 100 of the expiry times are examined, evenly chosen, to pace bulk."""


LATENCY_WINDOW: Final = 10
"""The weight of a new response in the mean latency is a tenth."""


LATENCY_SLACK: Final = 2
"""Permits that come free later than evenly, by up to twice the mean latency in a window, are not a gap to bulk."""


def bulk_seconds(limit: RateLimit, requests: int) -> float:
    """Return the seconds that a number of bulk requests takes under a limit: none for a burst, else an even share each."""
    return requests * limit.per / limit.requests if requests > limit.requests / BULK_BURST else 0.0


@attrs.define(eq=False, repr=False)
class _LoopTasks:
    """The tasks of one event loop that wait for a permit or hold one. They end with the loop, some without any cleanup."""

    locks: dict[Priority, anyio.Lock] = attrs.field(factory=lambda: {priority: anyio.Lock() for priority in Priority})
    """First come, first served."""
    interactive_waiting: int = 0
    in_flight: int = 0
    changed: Signal = attrs.field(factory=Signal)


@attrs.frozen(eq=False, repr=False)
class Permit:
    """The right to send one request."""

    granted_at: float
    tasks: _LoopTasks


class RateLimiter:
    """A sliding window over one token's requests, as the service sees it.

    A permit comes free `per` seconds after its *response*, because the service may have counted the request at any moment
    between sending and response.

    Interactive requests take any free permit and go first. Bulk requests take a fifth of the window at once, and then
    keep an even pace. So an interactive request beside a bulk finds a free permit, or waits for one share of the window
    and not for a whole window.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._learned_limit = limit.requests
        """Lower than the limit after 429s."""
        self._last_decrease_at = self._last_granted_at = -math.inf
        self._next_increase_at = math.inf
        self._expiry_times: deque[float] = deque()
        """When each used permit comes free, soonest first."""
        self._throttled_expiry_times: list[float] = []
        """Those of permits whose requests got a 429."""
        self._mean_latency = 0.0
        self._tasks = _LoopTasks()

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead.

        The requests that were in flight in the old loop count as sent now.
        """
        now = anyio.current_time()
        lost, self._tasks = self._tasks.in_flight, _LoopTasks()
        self._expiry_times = deque([*(time + shift for time in self._expiry_times), *[now + self._limit.per] * lost])
        self._throttled_expiry_times = [time + shift for time in self._throttled_expiry_times]
        self._last_decrease_at += shift
        self._last_granted_at += shift
        self._next_increase_at += shift

    def acquire_nowait(self, priority: Priority) -> Permit | None:
        """Return a permit if one is free now and no other task of this priority waits."""
        now = anyio.current_time()
        if self._tasks.locks[priority].locked() or self._next_permit_at(priority, now) > now:
            return None
        return self._grant(now)

    async def acquire(self, priority: Priority = Priority.INTERACTIVE) -> Permit:
        """Wait for a permit. Raises `RateLimited` at once if an interactive request would get it after its deadline."""
        tasks = self._tasks
        if priority is Priority.BULK:
            async with tasks.locks[priority]:
                return await self._wait_for_permit(priority)
        self._raise_if_too_late()
        tasks.interactive_waiting += 1
        try:
            async with tasks.locks[priority]:
                return await self._wait_for_permit(priority)
        finally:
            tasks.interactive_waiting -= 1
            tasks.changed.notify_all()

    def release(self, permit: Permit, sent: int, *, throttled: bool = False) -> None:
        """Give a permit back after `sent` requests: 0 if none was sent, 2 after a retry with a new token.

        `throttled` means that the service responded with 429.
        """
        if permit.tasks is not self._tasks:  # of a task that is finalized after its event loop has ended
            return
        now, per = anyio.current_time(), self._limit.per
        self._tasks.in_flight -= 1
        self._expiry_times.extend([now + per] * sent)
        if sent:
            # Capped, because late responses after an outage would make bulk exceed its pace.
            latency = min(now - permit.granted_at, 2 * self._mean_latency + per / RECOVERY_STEPS)
            self._mean_latency += (latency - self._mean_latency) / LATENCY_WINDOW
        if throttled:
            self._throttled_expiry_times.append(now + per)
            self._lower_limit(permit, now)
        self._tasks.changed.notify_all()

    def _lower_limit(self, permit: Permit, now: float) -> None:
        """Lower the limit after a 429 to the number of requests accepted in this window, but by no more than half.

        429s of requests that were sent before the last decrease, or less than half a window after it, are ignored, because
        an outage would otherwise reduce the limit to one.
        """
        limit = self._current_limit(now)
        if permit.granted_at > self._last_decrease_at + self._limit.per / 2:
            accepted = self._used_in_window(now) - len(self._throttled_expiry_times)
            self._learned_limit = max(1, limit // 2, min(limit, accepted))
            self._last_decrease_at = now
        self._next_increase_at = now + 2 * self._limit.per  # after a whole window without a 429

    async def _wait_for_permit(self, priority: Priority) -> Permit:
        while (permit_at := self._next_permit_at(priority, now := anyio.current_time())) > now:
            with anyio.CancelScope(deadline=min(permit_at, self._next_increase_at)):
                await self._tasks.changed.wait()
        return self._grant(now)

    def _grant(self, now: float) -> Permit:
        self._tasks.in_flight += 1
        self._last_granted_at = now
        return Permit(now, self._tasks)

    def _next_permit_at(self, priority: Priority, now: float) -> float:
        """Return when a request may take the next permit; infinity if that depends on a response or on another request."""
        free = self._current_limit(now) - self._tasks.in_flight - self._used_in_window(now)
        if free <= 0:
            return self._expiry_times[-free] if -free < len(self._expiry_times) else math.inf
        if priority is Priority.INTERACTIVE:
            return now
        if self._tasks.interactive_waiting:
            return math.inf
        if free * BULK_BURST > self._learned_limit * (BULK_BURST - 1):
            return now
        return self._paced_at(free, now)

    def _paced_at(self, free: int, now: float) -> float:
        """Return when bulk may take the next of the free permits, once more than a burst is in use.

        Example: at 60 requests a minute, 20 interactive requests were sent at 0 s. 40 permits are free, and 20 more come
        free at 60 s.

        * Even pace: at one a second the 40 permits last 40 s. So as not to run out before 60 s bulk starts at 20 s.
        * Spread: 20 of the 40 permits exceed the interactive reserve. Spread over the 60 s until more come free, the first
          of them may be used after 60 s / 21 = 2.9 s.

        The sooner of the two is 2.9 s: bulk never stops for long. The same question is asked again for the next permit.
        """
        return min(self._even_pace_at(free), self._spread_at(free, now))

    def _even_pace_at(self, free: int) -> float:
        """Return from when on bulk may take one permit per even share of the window without ever running out.

        Each permit in use has to come free before the free ones, and those that come free before it, are used up. Those of
        a burst come free together and leave a gap behind them.
        """
        seconds_per_permit = self._limit.per / self._learned_limit
        tolerated_spacing = (self._limit.per + LATENCY_SLACK * self._mean_latency) / self._learned_limit
        examined = range(0, len(self._expiry_times), len(self._expiry_times) // MAX_LOOKAHEAD + 1)
        free_must_last_until = max(
            (self._expiry_times[index] - index * tolerated_spacing for index in examined),
            default=self._last_granted_at + self._limit.per,
        )
        # A permit that bulk takes is away for the latency longer than a window, so it is taken that much sooner.
        return free_must_last_until - free * seconds_per_permit - self._mean_latency

    def _spread_at(self, free: int, now: float) -> float:
        """Return when bulk may take a permit if those above the reserve are spread over the time until more come free."""
        per = self._limit.per
        seconds_per_permit = per / self._learned_limit
        above_reserve = max(0, free - self._learned_limit // INTERACTIVE_RESERVE)
        last_granted_at = max(self._last_granted_at, now - per)
        next_expiry_at = self._expiry_times[0] if self._expiry_times else self._last_granted_at + per
        return last_granted_at + max(seconds_per_permit, (next_expiry_at - last_granted_at) / (above_reserve + 1))

    def _used_in_window(self, now: float) -> int:
        """Return how many requests are in the window, without those in flight."""
        while self._expiry_times and self._expiry_times[0] <= now:
            self._expiry_times.popleft()
        while self._throttled_expiry_times and self._throttled_expiry_times[0] <= now:
            del self._throttled_expiry_times[0]
        return len(self._expiry_times)

    def _current_limit(self, now: float) -> int:
        """Return the limit now. A lowered one grows by a step for each window without a 429."""
        limit = self._limit
        while now >= self._next_increase_at:
            self._learned_limit = min(limit.requests, self._learned_limit + math.ceil(limit.requests / RECOVERY_STEPS))
            is_full = self._learned_limit == limit.requests
            self._next_increase_at = math.inf if is_full else self._next_increase_at + limit.per
        return self._learned_limit

    def _raise_if_too_late(self) -> None:
        now, per = anyio.current_time(), self._limit.per
        limit = self._current_limit(now)
        excess = self._tasks.in_flight + self._used_in_window(now) - limit
        if self._tasks.interactive_waiting + excess < 0:
            return
        # After a decrease more permits may be in use than the limit allows. The first ones to expire free none then. After
        # them permits come free in rounds of `limit`, in the order of the responses, those in flight in a window at best.
        above_limit = max(0, excess)
        rounds, index = divmod(self._tasks.interactive_waiting + excess - above_limit, limit)
        index += above_limit
        free_at = self._expiry_times[index] if index < len(self._expiry_times) else now + per
        raise_if_too_late(free_at + rounds * per)


@attrs.define(eq=False, repr=False)
class RateLimitMiddleware:
    """Keeps the requests of one token under its rate limit."""

    send: Send
    limiter: RateLimiter

    async def __call__(self, request: Request) -> Response:
        """Wait for a permit and send the request."""
        call = request.call
        permit = self.limiter.acquire_nowait(call.priority)
        if permit is None:
            with call.waiting():
                permit = await self.limiter.acquire(call.priority)
        attempts_before, throttled = call.attempts, False
        try:
            response = await self.send(request)
            throttled = response.status == 429
            return response
        finally:
            self.limiter.release(permit, call.attempts - attempts_before, throttled=throttled)
