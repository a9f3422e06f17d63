"""The rate limiter of a client that shares its limit with other processes."""

import logging
import math
import random
from contextlib import suppress
from typing import Final

import anyio
import attrs

from coaching_async._concurrency.deadlines import raise_if_too_late
from coaching_async._concurrency.synchronization import Signal
from coaching_async._shared_state.connection import SharedStateConnection, SharedStateUnavailable
from coaching_async._transport.priority import Priority
from coaching_async._transport.retry_policy import cooldown_seconds
from coaching_async._value import Secret

from .limit import RateLimit
from .limiter import Permit
from .membership import Membership
from .shared_text import decode, encode
from .shared_window import MAX_LEASE, Decision, InFlight, Member, Waiting, look_spacing
from .window import Window

__all__ = ["SharedRateLimiter"]

logger: Final = logging.getLogger("coaching_async")

WRITE_DELAY: Final = 1.0
"""Seconds after which what was used is written, unless a process that asks for a permit has written it before."""

CONFLICT_PAUSE: Final = 0.01
"""Longest random pause in seconds before a text is swapped again that another process has swapped meanwhile."""

LOOKS_PER_WINDOW: Final = 4
"""A process that waits looks so often, because the others take one that has written nothing for a window for gone."""

DEFAULT_COOLDOWN: Final = 1.0
"""Seconds of cooldown after a 429 whose Retry-After is 0."""

KEEP_WINDOWS: Final = 30
"""Windows for which the text is kept. A lowered limit takes 20 of them to grow."""

MAX_FORGOTTEN: Final = 5
"""Looks in a row for which something was forgotten, after which the shared state keeps nothing."""

LATENESS_WEIGHT: Final = 10
"""The weight of a new permit in the mean lateness is a tenth."""


@attrs.define(eq=False, repr=False)
class _Queue:
    """The tasks of this process that wait for a permit of one priority. The first of them asks for it."""

    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    tasks: int = 0
    since: float = 0.0
    """Its turn counts from then."""
    looks_at: float = 0.0


@attrs.define(eq=False, repr=False)
class _Pending:
    """What has happened since the last write, and concerns all processes."""

    throttled: list[tuple[float, float, float]] = attrs.field(factory=list[tuple[float, float, float]])
    """When the permits of 429s were granted and released, and for how many seconds nobody may send."""
    succeeded: list[float] = attrs.field(factory=list[float])
    """When the permits of answered requests were granted, while the limit ramps up."""


class SharedRateLimiter:
    """Grants the permits of a window that several processes share.

    To *look* is to load the text of the window, to put this process's own part in its place, to decide, and to swap the
    texts. A look that asks for nothing only writes. This process's part is written from its own memory each time, so the
    shared state may forget it.

    While the shared state is lost, this process takes its share of the limit.
    """

    def __init__(self, connection: SharedStateConnection, name: str, window: Window, membership: Membership) -> None:
        self._connection = connection
        self._name = name
        self._own = window
        """This process's permits. Its limit is the share while the shared state is lost."""
        self._membership = membership
        self._queues = {priority: _Queue() for priority in Priority}
        self._in_flight: dict[Permit, float] = {}
        """The permits that are in flight, with the end of their leases."""
        self._pending = _Pending()
        self._look_lock = anyio.Lock()
        self._changed = Signal()
        self._changes = self._written = 0
        """Counts the changes of this process's part, and those that are written."""
        self._unwritten: dict[float, int] = {}
        """The last change that each background task has to write, by the delay of the task."""
        self._forgotten = 0
        """Looks in a row for which something was forgotten."""
        self._is_alone = False
        self._alone_since = math.inf
        """Since when this process has not known what the others use."""

    def acquire_nowait(self, priority: Priority) -> Permit | None:
        """Return a permit if the shared state is lost, and one of this process's share is free."""
        if not self._connection.is_lost or self._queues[priority].lock.locked():
            return None
        self._go_alone()
        now = anyio.current_time()
        return self._grant(now) if self._alone_at(priority, now) <= now else None

    async def acquire(self, priority: Priority = Priority.INTERACTIVE) -> Permit:
        """Wait for a permit. Raises `RateLimited` at once if an interactive request would get it after its deadline."""
        queue = self._queues[priority]
        if priority is Priority.INTERACTIVE and queue.tasks:  # the first one looks at once
            self._raise_if_too_late(queue.tasks)
        if not queue.tasks:
            queue.since = queue.looks_at = anyio.current_time()
        queue.tasks += 1
        epoch, permit = self._own.epoch, None
        if priority is Priority.INTERACTIVE:
            self._own.interactive_waiting += 1
        try:
            async with queue.lock:
                permit = await self._wait_for_permit(priority)
                queue.since = queue.looks_at = anyio.current_time()  # the next task waits for the next turn
                return permit
        finally:
            if epoch == self._own.epoch:
                queue.tasks -= 1
                if priority is Priority.INTERACTIVE:
                    self._own.interactive_waiting -= 1
                    self._changed.notify_all()
                if permit is None:
                    self._write_soon(0.0)

    def release(self, permit: Permit, sent: int, *, throttled: bool = False, retry_after: float | None = None) -> None:
        """Give a permit back after `sent` requests: 0 if none was sent, 2 after a retry with a new token.

        `throttled` means that the service responded with 429, and `retry_after` what it said then.
        """
        if permit.epoch != self._own.epoch:  # of a task that is finalized after its event loop has ended
            return
        now = anyio.current_time()
        self._in_flight.pop(permit, None)
        self._own.release(permit.granted_at, now, sent, throttled=throttled)
        is_urgent = not sent
        if throttled:
            seconds = cooldown_seconds(retry_after) or DEFAULT_COOLDOWN
            self._pending.throttled.append((permit.granted_at, now, seconds))
            self._own.lower_limit(permit.granted_at, now)
            is_urgent = True
        elif sent and self._membership.remembered.ramp_limit < math.inf:
            self._pending.succeeded.append(permit.granted_at)
            is_urgent = True
        self._write_soon(0.0 if is_urgent else WRITE_DELAY)
        if is_urgent or self._is_alone:
            self._changed.notify_all()

    async def _wait_for_permit(self, priority: Priority) -> Permit:
        queue = self._queues[priority]
        while True:
            now = anyio.current_time()
            if self._connection.is_lost:
                self._go_alone()
                look_at = self._alone_at(priority, now)
                if look_at <= now:
                    return self._grant(now)
                if priority is Priority.INTERACTIVE and look_at < math.inf:
                    raise_if_too_late(look_at)
                look_at = min(look_at, now + WRITE_DELAY, self._own.next_increase_at)
            else:
                self._join()
                try:
                    permit, decision = await self._look(priority)
                except SharedStateUnavailable:
                    continue
                if permit is not None:
                    return permit
                if priority is Priority.INTERACTIVE:
                    raise_if_too_late(decision.earliest_at - self._membership.ahead)
                look_at = queue.looks_at
                if priority is Priority.BULK:  # this counts as lateness, which the pace makes up for
                    look_at += look_spacing(self._membership.limit)
                look_at = min(look_at, now + self._own.limit.per / LOOKS_PER_WINDOW)
            with anyio.CancelScope(deadline=look_at):
                await self._changed.wait()

    def _raise_if_too_late(self, own_before: int) -> None:
        """Raise `RateLimited` if the next interactive request would get its permit after its deadline, as far as is known."""
        membership = self._membership
        if self._is_alone:
            raise_if_too_late(self._own.end_of_queue_at(anyio.current_time()))
        elif membership.name in membership.remembered.members:
            now = anyio.current_time() + membership.ahead
            raise_if_too_late(
                membership.remembered.end_of_queue_at(membership.name, own_before, now) - membership.ahead
            )

    def _grant(self, now: float) -> Permit:
        self._own.grant(now)
        permit = Permit(now, self._own.epoch)
        self._in_flight[permit] = self._lease_ends_at(now)
        self._changes += 1
        return permit

    def _lease_ends_at(self, now: float) -> float:
        return min(anyio.current_effective_deadline(), now + MAX_LEASE)

    # Alone

    def _go_alone(self) -> None:
        """Take this process's share of the limit while the shared state is lost."""
        if self._is_alone:
            return
        own, now = self._own, anyio.current_time()
        self._is_alone, self._alone_since = True, min(self._alone_since, now)
        remembered, ahead = self._membership.remembered, self._membership.ahead
        learned = remembered.union(now + ahead).current_limit(now + ahead) if remembered.members else own.limit.requests
        others = remembered.processes(now + ahead, but=self._membership.name)
        share = max(1, min(learned, self._membership.limit.requests) // (others + 1))
        self._use(RateLimit(share, per=own.limit.per))
        self._write_soon(WRITE_DELAY)

    def _join(self) -> None:
        """Use the limit of all again."""
        if self._is_alone:
            self._is_alone = False
            remembered = self._membership.remembered
            self._use(remembered.limit if remembered.members else self._membership.limit)

    def _use(self, limit: RateLimit) -> None:
        self._own.change_period(limit.per)
        self._own.limit, self._own.learned_limit, self._own.next_increase_at = limit, limit.requests, math.inf

    def _alone_at(self, priority: Priority, now: float) -> float:
        """Return when a request may take a permit of this process's share, and of what the others are known to have left."""
        at = self._own.next_permit_at(priority, now)
        membership, ahead = self._membership, self._membership.ahead
        if at > now or membership.remembered.members.keys() <= {membership.name}:
            return at
        known = membership.remembered.while_lost(
            membership.name, self._member(ahead), since=self._alone_since + ahead, now=now + ahead
        )
        return known.next_permit_at(Priority.INTERACTIVE, now + ahead) - ahead

    # Looking

    async def _look(self, asked: Priority | None) -> tuple[Permit | None, Decision]:
        """Write this process's part, and take a permit if one was asked for and is free. Raises `SharedStateUnavailable`."""
        is_done = False
        try:
            async with self._look_lock:
                while True:
                    looked = await self._try_to_look(asked)
                    if looked is not None:
                        is_done = True
                        return looked
                    await anyio.sleep(random.uniform(0, CONFLICT_PAUSE))  # noqa: S311 # no secret
        finally:
            if not is_done and asked is not None:  # the text may have a permit that nobody holds
                self._write_soon(0.0)

    async def _try_to_look(self, asked: Priority | None) -> tuple[Permit | None, Decision] | None:
        membership, queue = self._membership, None if asked is None else self._queues[asked]
        loaded = await self._connection.load(self._name, decode)
        shared, now, ahead = loaded.value, loaded.time, loaded.ahead
        shared.follow_clock(now)
        membership.follow_clock(ahead)
        self._forgotten = self._forgotten + 1 if shared.bring_back(membership.remembered, now) else 0
        if self._forgotten == MAX_FORGOTTEN:
            self._forgotten = 0
            raise self._connection.refuse("it forgets what was written")
        membership.revision += 1
        changes, pending, self._pending = self._changes, self._pending, _Pending()
        shared.members[membership.name] = self._member(ahead)
        is_swapped = False
        try:
            shared.normalize(now)
            if self._alone_since < math.inf:
                shared.wait_for_others(membership.name, self._alone_since + ahead, now)
            for granted_at, released_at, seconds in pending.throttled:
                shared.throttled(granted_at + ahead, now, released_at + ahead + seconds)
            for granted_at in pending.succeeded:
                shared.succeeded(granted_at + ahead)
            decision = Decision(granted=False, look_at=now, earliest_at=now)
            if asked is not None and queue is not None:
                decision = shared.decide(membership.name, asked, now)
                own = shared.members[membership.name]
                if decision.granted:
                    own.in_flight.append(InFlight(now, self._lease_ends_at(anyio.current_time()) + ahead))
                    own.last_granted_at = now
                    own.waiting.pop(asked, None)
                else:
                    own.waiting[asked] = attrs.evolve(own.waiting[asked], looks_at=decision.look_at)
            text = Secret(encode(shared, now))
            is_swapped = await self._connection.swap(self._name, loaded.text, text, self._keep())
        finally:
            if not is_swapped:
                self._pending = _Pending(
                    pending.throttled + self._pending.throttled, pending.succeeded + self._pending.succeeded
                )
        if not is_swapped:
            return None
        membership.remembered, membership.ahead, self._written = shared, ahead, changes
        self._alone_since = math.inf
        if not self._is_alone and self._own.limit != shared.limit:
            self._use(shared.limit)
        self._warn_of_other_limit(shared.limit)
        if asked is None or queue is None:
            return None, decision
        if not decision.granted:
            queue.looks_at = decision.look_at - ahead
            return None, decision
        at = anyio.current_time()
        self._measure_lateness(asked, at + ahead - decision.earliest_at)
        return self._grant(at), decision

    def _member(self, ahead: float) -> Member:
        """Return this process's part, in the time of the shared state."""
        own, membership, now = self._own, self._membership, anyio.current_time()
        return Member(
            membership.revision,
            membership.limit,
            now + ahead,
            own.last_granted_at + ahead,
            own.mean_latency,
            membership.lateness,
            [
                # It is alive, so what has taken longer than the lease goes on.
                InFlight(permit.granted_at + ahead, max(ends_at, now + WRITE_DELAY) + ahead)
                for permit, ends_at in self._in_flight.items()
            ],
            [_rounded_up(time + ahead) for time in own.expiry_times if time > now],
            [_rounded_up(time + ahead) for time in own.throttled_expiry_times if time > now],
            {
                priority: Waiting(queue.since + ahead, queue.tasks, queue.looks_at + ahead)
                for priority, queue in self._queues.items()
                if queue.tasks
            },
        )

    def _keep(self) -> float:
        return max(KEEP_WINDOWS * self._membership.limit.per, 2 * MAX_LEASE)

    def _measure_lateness(self, asked: Priority, late: float) -> None:
        if asked is Priority.BULK:
            late = min(max(0.0, late), WRITE_DELAY)
            self._membership.lateness += (late - self._membership.lateness) / LATENESS_WEIGHT

    def _warn_of_other_limit(self, limit: RateLimit) -> None:
        membership = self._membership
        if limit != membership.limit and not membership.has_warned:
            membership.has_warned = True
            logger.warning(
                "the processes that share this limit were given different ones: all keep to %d requests in %g s",
                limit.requests,
                limit.per,
            )

    # Writing

    def _write_soon(self, delay: float) -> None:
        """Write this process's part after a delay at most."""
        self._changes += 1
        is_writing, self._unwritten[delay] = delay in self._unwritten, self._changes
        if not is_writing:
            self._connection.spawn(lambda: self._write(delay), lambda: None)

    async def _write(self, delay: float) -> None:
        connection = self._connection
        try:
            while (written := self._written) < self._unwritten[delay]:
                await connection.pause(WRITE_DELAY if connection.is_lost else delay)
                if connection.is_lost and connection.is_closing:
                    return
                # A look that asked for a permit may have written it meanwhile. Then what is newer has time.
                if not connection.is_lost and (self._written == written or connection.is_closing):
                    with suppress(SharedStateUnavailable):
                        await self._look(None)
        finally:
            del self._unwritten[delay]


def _rounded_up(time: float) -> float:
    """Round to milliseconds, in which times are written, so that no permit comes free too early."""
    return math.ceil(time * 1000) / 1000
