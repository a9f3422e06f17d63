"""The window of a rate limit: which permits are in use, and when a request may take the next one. No clock and no I/O."""

import math
from collections import deque
from typing import Final

import attrs

from coaching_async._transport.priority import Priority

from .limit import BULK_BURST, RateLimit

__all__ = ["Window"]


INTERACTIVE_RESERVE: Final = 3
"""A third of the limit is left to interactive requests while bulk spreads the rest over time."""


SPARE: Final = 150
"""One of so many permits bulk never takes: 2 of 300. Else all would be in use once bulk has gone on for a window, and an
interactive request would wait for the next one to come free, which may be several even shares away."""


RECOVERY_STEPS: Final = 20
"""A limit that 429s have lowered grows by a twentieth of the full limit in each window without a 429, in up to twenty
steps: by one request at a time if the limit is 300. So if the service still allows less, it refuses few requests."""


MAX_LOOKAHEAD: Final = 100
"""Up to about 100 of the expiry times are examined, evenly chosen, to pace bulk."""


LATENCY_WINDOW: Final = 10
"""The weight of a new response in the mean latency is a tenth."""


LATENCY_SLACK: Final = 2
"""Permits that come free later than evenly, by up to twice the mean latency in a window, are not a gap to bulk."""


@attrs.define(eq=False, repr=False)
class Window:
    """A sliding window over one token's requests, as the service sees it: those of one process, or of all that share it.

    A permit comes free `per` seconds after its *response*, because the service may have counted the request at any moment
    between sending and response.

    Interactive requests take any free permit and go first. Bulk requests take a fifth of the window at once, and then
    keep an even pace. So an interactive request beside a bulk finds a free permit, or waits for one share of the window
    and not for a whole window.
    """

    limit: RateLimit
    learned_limit: int = attrs.field(default=attrs.Factory(lambda self: self.limit.requests, takes_self=True))
    """Lower than the limit after 429s."""
    last_decrease_at: float = -math.inf
    next_increase_at: float = math.inf
    last_granted_at: float = -math.inf
    expiry_times: deque[float] = attrs.field(factory=deque[float])
    """When each used permit comes free, soonest first."""
    throttled_expiry_times: list[float] = attrs.field(factory=list[float])
    """Those of permits whose requests got a 429."""
    mean_latency: float = 0.0
    lateness: float = 0.0
    """Mean time that a permit of bulk is taken late, because several processes have to agree on it."""
    in_flight: int = 0
    interactive_waiting: int = 0
    epoch: int = 0
    """Counts the event loops that it has been in."""

    def rebase(self, shift: float, now: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead.

        The requests that were in flight in the old loop count as sent now.
        """
        lost, self.in_flight, self.interactive_waiting = self.in_flight, 0, 0
        self.expiry_times = deque([*(time + shift for time in self.expiry_times), *[now + self.limit.per] * lost])
        self.throttled_expiry_times = [time + shift for time in self.throttled_expiry_times]
        self.last_decrease_at += shift
        self.last_granted_at += shift
        self.next_increase_at += shift
        self.epoch += 1

    def change_period(self, per: float) -> None:
        """Count the requests by another period, in seconds. Those that are forgotten already stay so."""
        if longer := per - self.limit.per:
            self.expiry_times = deque(time + longer for time in self.expiry_times)
            self.throttled_expiry_times = [time + longer for time in self.throttled_expiry_times]

    def grant(self, now: float) -> None:
        """Take a permit."""
        self.in_flight += 1
        self.last_granted_at = now

    def release(self, granted_at: float, now: float, sent: int, *, throttled: bool) -> None:
        """Give a permit back after `sent` requests, the last of which may have got a 429."""
        per = self.limit.per
        self.in_flight -= 1
        self.expiry_times.extend([now + per] * sent)
        if sent:
            # Capped, because late responses after an outage would make bulk exceed its pace.
            latency = min(now - granted_at, 2 * self.mean_latency + per / RECOVERY_STEPS)
            self.mean_latency += (latency - self.mean_latency) / LATENCY_WINDOW
        if throttled:
            self.throttled_expiry_times.append(now + per)

    def lower_limit(self, granted_at: float, now: float) -> None:
        """Lower the limit after a 429 to the number of requests accepted in this window, but by no more than half.

        429s of requests that were sent before the last decrease, or less than half a window after it, are ignored, because
        an outage would otherwise reduce the limit to one.
        """
        limit = self.current_limit(now)
        if granted_at > self.last_decrease_at + self.limit.per / 2:
            accepted = self._used_in_window(now) - len(self.throttled_expiry_times)
            self.learned_limit = max(1, limit // 2, min(limit, accepted))
            self.last_decrease_at = now
        self.next_increase_at = now + 2 * self.limit.per  # after a whole window without a 429

    def current_limit(self, now: float) -> int:
        """Return the limit now. A lowered one grows after a window without a 429."""
        if now < self.next_increase_at:
            return self.learned_limit
        limit = self.limit
        step = math.ceil(limit.requests / RECOVERY_STEPS**2)
        seconds = limit.per * step / math.ceil(limit.requests / RECOVERY_STEPS)
        while now >= self.next_increase_at:
            self.learned_limit = min(limit.requests, self.learned_limit + step)
            is_full = self.learned_limit == limit.requests
            self.next_increase_at = math.inf if is_full else self.next_increase_at + seconds
        return self.learned_limit

    def next_permit_at(self, priority: Priority, now: float) -> float:
        """Return when a request may take the next permit; infinity if that depends on a response or on another request."""
        limit = self.current_limit(now)
        if priority is Priority.BULK:
            limit -= limit // SPARE
        free = limit - self.in_flight - self._used_in_window(now)
        if free <= 0:
            return self.expiry_times[-free] if -free < len(self.expiry_times) else math.inf
        if priority is Priority.INTERACTIVE:
            return now
        if self.interactive_waiting:
            return math.inf
        if free * BULK_BURST > limit * (BULK_BURST - 1):
            return now
        return self._paced_at(free, limit, now)

    def _paced_at(self, free: int, limit: int, now: float) -> float:
        """Return when bulk may take the next of the free permits, once more than a burst is in use.

        Example: at 60 requests a minute, 20 interactive requests were sent at 0 s. 40 permits are free, and 20 more come
        free at 60 s.

        * Even pace: at one a second the 40 permits last 40 s. So as not to run out before 60 s bulk starts at 20 s.
        * Spread: 20 of the 40 permits exceed the interactive reserve. Spread over the 60 s until more come free, the first
          of them may be used after 60 s / 21 = 2.9 s.

        The sooner of the two is 2.9 s: bulk never stops for long. The same question is asked again for the next permit.
        """
        return min(self._even_pace_at(free, limit), self._spread_at(free, limit, now))

    def _even_pace_at(self, free: int, limit: int) -> float:
        """Return from when on bulk may take one permit per even share of the window without ever running out.

        Each permit in use has to come free before the free ones, and those that come free before it, are used up. Those of
        a burst come free together and leave a gap behind them.
        """
        seconds_per_permit = self.limit.per / limit
        tolerated_spacing = (self.limit.per + LATENCY_SLACK * self.mean_latency) / limit
        tolerated_spacing += LATENCY_SLACK * self.lateness
        examined = range(0, len(self.expiry_times), len(self.expiry_times) // MAX_LOOKAHEAD + 1)
        free_must_last_until = max(
            (self.expiry_times[index] - index * tolerated_spacing for index in examined),
            default=self.last_granted_at + self.limit.per,
        )
        # A permit that bulk takes is away for the latency longer than a window, so it is taken that much sooner.
        return free_must_last_until - free * seconds_per_permit - self.mean_latency

    def _spread_at(self, free: int, limit: int, now: float) -> float:
        """Return when bulk may take a permit if those above the reserve are spread over the time until more come free."""
        per = self.limit.per
        seconds_per_permit = per / limit
        above_reserve = max(0, free - limit // INTERACTIVE_RESERVE)
        last_granted_at = max(self.last_granted_at, now - per)
        next_expiry_at = self.expiry_times[0] if self.expiry_times else self.last_granted_at + per
        return last_granted_at + max(seconds_per_permit, (next_expiry_at - last_granted_at) / (above_reserve + 1))

    def _used_in_window(self, now: float) -> int:
        """Return how many requests are in the window, without those in flight."""
        while self.expiry_times and self.expiry_times[0] <= now:
            self.expiry_times.popleft()
        while self.throttled_expiry_times and self.throttled_expiry_times[0] <= now:
            del self.throttled_expiry_times[0]
        return len(self.expiry_times)

    def end_of_queue_at(self, now: float) -> float:
        """Return when an interactive request that queues up now gets its permit, or earlier; not later."""
        limit = self.current_limit(now)
        excess = self.in_flight + self._used_in_window(now) - limit
        if self.interactive_waiting + excess < 0:
            return now
        # After a decrease more permits may be in use than the limit allows. The first ones to expire free none then. After
        # them permits come free in rounds of `limit`, in the order of the responses, those in flight in a window at best.
        above_limit = max(0, excess)
        rounds, index = divmod(self.interactive_waiting + excess - above_limit, limit)
        index += above_limit
        free_at = self.expiry_times[index] if index < len(self.expiry_times) else now + self.limit.per
        return free_at + rounds * self.limit.per
