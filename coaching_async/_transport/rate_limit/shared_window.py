"""The window that several processes share: who uses which permits, whose turn it is, and when. No clock and no I/O.

All times are those of the shared state's clock.
"""

import math
from collections import deque
from typing import Final

import attrs

from coaching_async._transport.cooldown import RAMP_UP_LIMIT
from coaching_async._transport.priority import Priority
from coaching_async._transport.retry_policy import MAX_COOLDOWN

from .limit import RateLimit
from .window import Window

__all__ = ["MAX_LEASE", "Decision", "InFlight", "Member", "SharedWindow", "Waiting", "look_spacing"]


MAX_LEASE: Final = 75.0
"""Seconds after which a permit of a process that has died counts as used."""


PASSED_OVER_AFTER: Final = 1.0
"""A process that does not come within this many seconds after its turn is passed over."""


HOLD: Final = 1.0
"""Seconds without permits after the shared state has forgotten something, so that each process brings its own back."""


MAX_HOLD: Final = 3.0
"""Longest time in seconds without permits after the shared state was lost: a process that still runs has written what it used by then."""


HOLD_POLL: Final = 0.2
"""Seconds between two looks of a process during that time."""


CLOCK_NOISE: Final = 0.1
"""Seconds. A time that is later than now by less is rounded, or measured with a round trip in between."""


MAX_POLL: Final = 1.0
"""Longest time in seconds between two looks of a process that waits for another process."""


MAX_LOOK_SPACING: Final = 0.05
"""Longest time in seconds between the looks of two processes that expect the same permit of bulk."""


MAX_WAIT: Final = 5.0
"""Longest time in seconds between two looks of a process that waits: what it waits for may have changed."""


PROBE_PATIENCE: Final = 10.0
"""Seconds for which a request after a cooldown counts as a probe. The process that sent it may have died."""


@attrs.frozen(eq=True, repr=True)
class InFlight:
    """A permit that is in use. If nothing is heard of it until the end of its lease, it counts as answered then."""

    granted_at: float
    lease_ends_at: float


@attrs.frozen
class Waiting:
    """That tasks of a process wait for a permit: since when, how many, and when the process looks next."""

    since: float
    tasks: int
    looks_at: float


@attrs.define
class Member:
    """What one process has written about itself. No other process writes it."""

    revision: int
    limit: RateLimit
    written_at: float
    last_granted_at: float = -math.inf
    mean_latency: float = 0.0
    lateness: float = 0.0
    in_flight: list[InFlight] = attrs.field(factory=list[InFlight])
    expiry_times: list[float] = attrs.field(factory=list[float])
    throttled_expiry_times: list[float] = attrs.field(factory=list[float])
    waiting: dict[Priority, Waiting] = attrs.field(factory=dict[Priority, Waiting])

    @property
    def is_idle(self) -> bool:
        """Whether it uses nothing and waits for nothing."""
        return not (self.in_flight or self.expiry_times or self.throttled_expiry_times or self.waiting)

    def used_until(self, now: float, per: float) -> list[float]:
        """Return when its used permits come free, those included whose lease has ended."""
        ended = [permit.lease_ends_at + per for permit in self.in_flight if permit.lease_ends_at <= now]
        return [time for time in (*self.expiry_times, *ended) if time > now]

    def held(self, now: float) -> list[InFlight]:
        """Return its permits that are in flight."""
        return [permit for permit in self.in_flight if permit.lease_ends_at > now]

    def waits(self, priority: Priority, now: float) -> Waiting | None:
        """Return its place in the queue, unless it has missed its turn."""
        waiting = self.waiting.get(priority)
        return waiting if waiting is not None and waiting.looks_at + PASSED_OVER_AFTER > now else None

    def matters(self, now: float, per: float) -> bool:
        """Return whether the others have to know about it, or have heard of it in the last window."""
        return bool(self.written_at + per > now or self.held(now) or self.used_until(now, per))

    def is_over(self, now: float, per: float) -> bool:
        """Return whether nobody can remember anything of it that matters, so that it is forgotten on purpose."""
        return self.written_at + MAX_LEASE + per <= now

    def shifted(self, seconds: float) -> "Member":
        """Return it with all times moved."""
        return attrs.evolve(
            self,
            written_at=self.written_at + seconds,
            last_granted_at=self.last_granted_at + seconds,
            in_flight=[InFlight(one.granted_at + seconds, one.lease_ends_at + seconds) for one in self.in_flight],
            expiry_times=[time + seconds for time in self.expiry_times],
            throttled_expiry_times=[time + seconds for time in self.throttled_expiry_times],
            waiting={
                priority: Waiting(one.since + seconds, one.tasks, one.looks_at + seconds)
                for priority, one in self.waiting.items()
            },
        )


@attrs.frozen
class Decision:
    """Whether a process may take a permit now, and if not, when it looks again."""

    granted: bool
    look_at: float
    earliest_at: float
    """No permit comes before, as far as is known. Of a permit that is granted: since when it could have been."""


@attrs.define
class SharedWindow:
    """What all processes know of the limit that they share."""

    learned_limit: int | None = None
    """Lower than the limit after 429s; None if there were none."""
    last_decrease_at: float = -math.inf
    next_increase_at: float = math.inf
    cooldown_ends_at: float = -math.inf
    """After a 429 nobody sends anything until then."""
    ramp_limit: float = math.inf
    """Requests that may be in flight after the cooldown: one, and one more for each success (slow start)."""
    held_since: float = -math.inf
    held_until: float = -math.inf
    """Nobody gets a permit until then. It ends earlier if each process has written since it began."""
    members: dict[str, Member] = attrs.field(factory=dict[str, Member])
    time: float = -math.inf
    """When it was written."""

    def shift(self, seconds: float) -> None:
        """Move all times, because the clock of the shared state was set to another time."""
        self.last_decrease_at += seconds
        self.next_increase_at += seconds
        self.cooldown_ends_at += seconds
        self.held_since += seconds
        self.held_until += seconds
        self.time += seconds
        self.members = {name: member.shifted(seconds) for name, member in self.members.items()}

    def follow_clock(self, now: float) -> None:
        """Move all times if the clock was set back since this was written. How far it was set ahead nobody can know."""
        if now < self.time - CLOCK_NOISE:
            self.shift(now - self.time)

    def bring_back(self, remembered: "SharedWindow", now: float) -> bool:
        """Put back what a process remembers, and the shared state has forgotten. Return whether it has.

        Each member's revision only grows, so one that is missing or lower than it was has been forgotten. Others may have got
        permits since, of which this process knows nothing, so for a moment nobody gets any, and each brings its own back.
        """
        per = max(self.longest_period, remembered.longest_period)
        forgotten = {
            name: member
            for name, member in remembered.members.items()
            if member.matters(now, per) and (name not in self.members or self.members[name].revision < member.revision)
        }
        if not forgotten:
            return False
        self.members |= forgotten
        self._hold(HOLD, now)
        self.cooldown_ends_at = max(self.cooldown_ends_at, remembered.cooldown_ends_at)
        self.ramp_limit = min(self.ramp_limit, remembered.ramp_limit)
        if remembered.last_decrease_at > self.last_decrease_at:
            self.learned_limit = remembered.learned_limit
            self.last_decrease_at = remembered.last_decrease_at
            self.next_increase_at = remembered.next_increase_at
        return True

    def normalize(self, now: float) -> None:
        """Drop what matters no more, and cap times that cannot be."""
        per = self.longest_period
        self.members = {name: member for name, member in self.members.items() if not member.is_over(now, per)}
        self.cooldown_ends_at = min(self.cooldown_ends_at, now + MAX_COOLDOWN)
        self.held_until = min(self.held_until, now + MAX_HOLD)
        if self.next_increase_at > now + 2 * per and self.next_increase_at < math.inf:
            self.next_increase_at = now + 2 * per

    def wait_for_others(self, name: str, since: float, now: float) -> None:
        """Let nobody get a permit until the others have written what they have used since the shared state was lost."""
        others = [member for other, member in self.members.items() if other != name]
        if any(member.written_at < since for member in others):
            self._hold(MAX_HOLD, now)

    def _hold(self, seconds: float, now: float) -> None:
        if self.held_until <= now:
            self.held_since = now
        self.held_until = max(self.held_until, now + seconds)

    def is_held(self, now: float) -> bool:
        """Return whether nobody gets a permit, because some have not yet written what they have used."""
        if now < self.held_since + HOLD:  # some may be missing
            return now < self.held_until
        per = self.longest_period
        return now < self.held_until and any(
            member.written_at < self.held_since and member.matters(now, per) for member in self.members.values()
        )

    @property
    def limit(self) -> RateLimit:
        """The lowest of the limits that the processes were given."""
        limits = (member.limit for member in self.members.values())
        return min(limits, key=lambda limit: (limit.requests / limit.per, limit.requests), default=RateLimit())

    @property
    def longest_period(self) -> float:
        """The longest period of the limits, in seconds: processes that were given another one may have counted by it."""
        return max((member.limit.per for member in self.members.values()), default=RateLimit().per)

    def processes(self, now: float, but: str | None = None) -> int:
        """Return how many processes, but one, have been heard of in the last window, or use permits."""
        return sum(member.matters(now, self.longest_period) for name, member in self.members.items() if name != but)

    def union(self, now: float) -> Window:
        """Return the window of all processes together."""
        members = list(self.members.values())
        limit = self.limit
        learned = limit.requests if self.learned_limit is None else min(self.learned_limit, limit.requests)
        return Window(
            limit,
            learned_limit=learned,
            last_decrease_at=self.last_decrease_at,
            next_increase_at=self.next_increase_at,
            last_granted_at=max((member.last_granted_at for member in members), default=-math.inf),
            expiry_times=deque(sorted(time for member in members for time in member.used_until(now, limit.per))),
            throttled_expiry_times=sorted(time for member in members for time in member.throttled_expiry_times),
            mean_latency=_mean([member.mean_latency for member in members if member.mean_latency]),
            lateness=_mean([member.lateness for member in members if member.lateness]),
            in_flight=sum(len(member.held(now)) for member in members),
            interactive_waiting=sum(
                waiting.tasks for member in members if (waiting := member.waits(Priority.INTERACTIVE, now))
            ),
        )

    def while_lost(self, name: str, own: Member, *, since: float, now: float) -> Window:
        """Return the window of all processes together as one of them knows it that has been alone since then.

        It takes the others for as busy as itself, because what comes free is for all of them.
        """
        per = self.longest_period
        in_flight = [permit for permit in own.in_flight if permit.granted_at >= since]
        expiry_times = [time for time in own.expiry_times if time > since + per]
        others = {
            other: attrs.evolve(one, in_flight=one.in_flight + in_flight, expiry_times=one.expiry_times + expiry_times)
            for other, one in self.members.items()
            if other != name and one.matters(since, per)
        }
        return attrs.evolve(self, members={**others, name: own}).union(now)

    def learn(self, window: Window, now: float) -> None:
        """Keep what a union has learned of the limit."""
        learned = window.current_limit(now)
        self.learned_limit = None if learned == window.limit.requests else learned
        self.last_decrease_at, self.next_increase_at = window.last_decrease_at, window.next_increase_at

    def throttled(self, granted_at: float, now: float, cooldown_ends_at: float) -> None:
        """Take a 429 into account: its permit was granted at `granted_at`, and is released already."""
        window = self.union(now)
        window.lower_limit(granted_at, now)
        self.learn(window, now)
        self.cooldown_ends_at, self.ramp_limit = max(self.cooldown_ends_at, cooldown_ends_at), 1

    def succeeded(self, granted_at: float) -> None:
        """Raise the number of requests in flight after a cooldown: a request that started after it got an answer."""
        if self.ramp_limit < math.inf and granted_at >= self.cooldown_ends_at:
            self.ramp_limit = self.ramp_limit + 1 if self.ramp_limit < RAMP_UP_LIMIT else math.inf

    def decide(self, name: str, priority: Priority, now: float) -> Decision:
        """Return whether a process may take a permit now. It is a member, and has said since when it waits."""
        window = self.union(now)
        self.learn(window, now)
        share = window.limit.per / window.learned_limit
        ahead = self._ahead(name, priority, now)
        earliest = self.end_of_queue_at(name, 0, now) if priority is Priority.INTERACTIVE else now
        if now < self.cooldown_ends_at:
            look_at = self.cooldown_ends_at + min(ahead * share, MAX_POLL)
            return Decision(granted=False, look_at=look_at, earliest_at=earliest)
        if self.is_held(now):
            look_at = min(self.held_until, now + HOLD_POLL) + min(ahead * share, HOLD_POLL)
            return Decision(granted=False, look_at=look_at, earliest_at=earliest)
        poll = min(MAX_POLL, (ahead + 1) * min(share, MAX_POLL / 5))
        if self._probes(now) >= self.ramp_limit:
            return Decision(granted=False, look_at=now + poll, earliest_at=earliest)
        due = self._ahead(name, priority, now, due_at=now)
        at = _permit_at(window, priority, due, now)
        if at <= now:
            waiting = self.members[name].waiting.get(priority)
            first_at = at if not due else _permit_at(window, priority, 0, now)
            since = now if waiting is None else waiting.since
            return Decision(granted=True, look_at=now, earliest_at=max(first_at, since))
        # Those who look later take a permit then, before this process does.
        at = at if ahead == due else _permit_at(window, priority, ahead, now)
        at = now + poll if at == math.inf else at
        if priority is Priority.BULK:
            at += ahead * look_spacing(window.limit)
        return Decision(granted=False, look_at=min(at, now + MAX_WAIT), earliest_at=earliest)

    def _ahead(self, name: str, priority: Priority, now: float, due_at: float = math.inf) -> int:
        """Return how many processes take a permit before this one: those in front of it that look until `due_at`."""
        place = self._place(name, priority, now)
        return sum(
            other != name
            and (waiting := member.waits(priority, now)) is not None
            and waiting.looks_at <= due_at
            and (waiting.since, other) < place
            for other, member in self.members.items()
        )

    def end_of_queue_at(self, name: str, own_before: int, now: float) -> float:
        """Return when an interactive request of this process gets its permit at the earliest.

        `own_before` requests of the same process are before it. Processes take turns, so as many of each other one are, too,
        and one more of each that is in front.
        """
        window, place = self.union(now), self._place(name, Priority.INTERACTIVE, now)
        window.interactive_waiting = own_before + sum(
            min(waiting.tasks, own_before + ((waiting.since, other) < place))
            for other, member in self.members.items()
            if other != name and (waiting := member.waits(Priority.INTERACTIVE, now))
        )
        return max(window.end_of_queue_at(now), self.cooldown_ends_at)

    def _place(self, name: str, priority: Priority, now: float) -> tuple[float, str]:
        own = self.members[name].waiting.get(priority)
        return (now if own is None else own.since, name)

    def _probes(self, now: float) -> int:
        """Return how many requests that started after the cooldown are in flight."""
        since = max(self.cooldown_ends_at, now - PROBE_PATIENCE)
        return sum(one.granted_at >= since for member in self.members.values() for one in member.held(now))


def _permit_at(window: Window, priority: Priority, ahead: int, now: float) -> float:
    """Return when a request may take a permit after `ahead` others. Those of bulk are an even share apart."""
    before = window.in_flight, window.last_granted_at
    window.in_flight += ahead
    if ahead and priority is Priority.BULK:
        share = window.limit.per / window.learned_limit
        window.last_granted_at = max(window.last_granted_at, now + (ahead - 1) * share)
    at = window.next_permit_at(priority, now)
    window.in_flight, window.last_granted_at = before
    return at


def look_spacing(limit: RateLimit) -> float:
    """Return how many seconds bulk looks later than an interactive request, and later than the process in front of it.

    They expect the same permit. If they looked at the same moment, only one of them could swap the text.
    """
    return min(limit.per / limit.requests / 10, MAX_LOOK_SPACING)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
