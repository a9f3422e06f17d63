"""What a run reads: decisions over what earlier runs have read, without I/O."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from coaching_async import Interval

__all__ = ["Coverage", "Part", "coverage_from_state", "coverage_to_state", "next_reads"]

VERSION: Final = 1

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The start of an interval without one: nothing was planned before."""

HORIZON: Final = timedelta(days=3653)
"""An interval without an end reaches that far into the future, because the service takes none that is open."""

DIGEST_SIZE: Final = 6
"""Bytes, a multiple of 3. Short, because the state is a text in the warehouse, and some take no more than 64 KB. The chance that
a new user has the digest of one of ten thousand others is 1 in 28 billion."""

DIGEST_LENGTH: Final = DIGEST_SIZE * 4 // 3
"""Characters."""


@attrs.frozen
class Coverage:
    """What earlier runs have read: the appointments of users that start at `start` or later, and before `end`."""

    arguments: str
    """Digest of the filters, and of what is read with the appointments."""
    start: datetime | None
    """None: from the first one."""
    end: datetime | None
    """None: to the last one."""
    read_at: datetime
    """Later runs read again what starts from `lookback` before that: when the last run began, or `end`, if that is earlier."""
    run_at: datetime
    """A time since which all of it was read, except for what starts earlier than `lookback` before `read_at`."""
    users: frozenset[str]
    """Digests of the ids of its users."""

    def joins(self, interval: Interval) -> bool:
        """Whether it goes on where this coverage ends, or before."""
        starts_late = self.start is None or interval.start >= self.start
        return starts_late and (self.end is None or interval.start <= self.end)

    def is_within(self, other: "Coverage") -> bool:
        """Whether the other one has all of its appointments."""
        starts_late = other.start is None or (self.start is not None and other.start <= self.start)
        return starts_late and (other.end is None or (self.end is not None and self.end <= other.end))


@attrs.frozen
class Part:
    """Appointments to read: those of `users` that start in `interval`. None is all of them."""

    users: Sequence[str]
    interval: Interval | None


def next_reads(
    coverage: Coverage | None,
    *,
    arguments: str,
    users: Sequence[str],
    interval: Interval | None,
    lookback: timedelta,
    now: datetime,
) -> tuple[Sequence[Part], Coverage]:
    """Return the parts that a run reads, and the coverage after it.

    Without an earlier run that it goes on from, a run reads all of `interval`. Otherwise it reads from `lookback` before
    `read_at`. Users that are not in the coverage are read from its start.
    """
    now = now.replace(microsecond=0)  # the API documents no fractions of seconds
    if interval is not None:  # times of one zone compare by wall time, which repeats when clocks are turned back
        interval = Interval(interval.start.astimezone(UTC), interval.end.astimezone(UTC))
    if coverage is None or coverage.arguments != arguments or not (interval is None or coverage.joins(interval)):
        return [Part(users, interval)], _widest(coverage, _first(arguments, users, interval, now))
    digests = {user: _digest(user) for user in users}
    known = [user for user in users if digests[user] in coverage.users]
    new = [user for user in users if digests[user] not in coverage.users]
    start = coverage.start if interval is None else interval.start
    end = None if interval is None else interval.end
    furthest = None if end is None or coverage.end is None else max(end, coverage.end)
    parts = [
        *_part(known, _latest(start, _before(coverage.read_at, lookback)), end, now),
        *_part(new, coverage.start, furthest, now),
    ]
    read_at, run_at = coverage.read_at, coverage.run_at
    # What starts before the interval is not read. It may still have changed, and then later runs read from where this one would.
    final_until = _latest(_before(coverage.read_at, lookback), _before(coverage.run_at, lookback))
    if interval is None or (final_until is not None and interval.start <= final_until):
        read_at = max(read_at, now if end is None else min(end, now))
        if end == furthest:
            run_at = now
    return parts, Coverage(arguments, coverage.start, furthest, read_at, run_at, frozenset(digests.values()))


def _first(arguments: str, users: Iterable[str], interval: Interval | None, now: datetime) -> Coverage:
    digests = frozenset(map(_digest, users))
    if interval is None:
        return Coverage(arguments, None, None, now, now, digests)
    return Coverage(arguments, interval.start, interval.end, min(interval.end, now), now, digests)


def _widest(old: Coverage | None, new: Coverage) -> Coverage:
    """Return the coverage that later runs go on from. One that lacks something of the old one does not take its place."""
    return old if old is not None and old.arguments == new.arguments and not old.is_within(new) else new


def _part(users: Sequence[str], start: datetime | None, end: datetime | None, now: datetime) -> Sequence[Part]:
    if not users:
        return []
    if start is None and end is None:
        return [Part(users, None)]
    start, end = start or FIRST, end or now + HORIZON
    return [Part(users, Interval(start, end))] if start < end else []


def _before(moment: datetime, lookback: timedelta) -> datetime | None:
    try:
        return moment - lookback
    except OverflowError:
        return None


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def coverage_to_state(coverage: Coverage) -> Mapping[str, Any]:
    """Return a coverage as JSON values."""
    return {
        "version": VERSION,
        "arguments": coverage.arguments,
        "start": coverage.start and coverage.start.isoformat(),
        "end": coverage.end and coverage.end.isoformat(),
        "read_at": coverage.read_at.isoformat(),
        "run_at": coverage.run_at.isoformat(),
        "users": "".join(sorted(coverage.users)),
    }


def coverage_from_state(state: Mapping[str, Any]) -> Coverage | None:
    """Return the coverage of a state; None if there is none, or one of another version, so that all is read again."""
    if state.get("version") != VERSION:
        return None
    users: str = state["users"]
    return Coverage(
        state["arguments"],
        _time(state["start"]),
        _time(state["end"]),
        datetime.fromisoformat(state["read_at"]),
        datetime.fromisoformat(state.get("run_at", state["read_at"])),  # 0.2.0 did not have it
        frozenset(users[place : place + DIGEST_LENGTH] for place in range(0, len(users), DIGEST_LENGTH)),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _digest(user: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(user.encode()).digest()[:DIGEST_SIZE]).decode()
