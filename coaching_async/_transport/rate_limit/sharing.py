"""`Sharing`: who shares a rate limit, and what they use of it."""

import anyio
import attrs

from coaching_async._shared_state.connection import SharedStateConnection, SharedStateUnavailable
from coaching_async._value import Value

from .limit import RateLimit
from .membership import Membership
from .shared_text import decode

__all__ = ["Sharing", "read_sharing"]


@attrs.frozen(eq=False, repr=False)
class Sharing(Value):
    """Who shares a rate limit by a shared state, and what they use of it now. It identifies no process, token or user."""

    processes: int
    """Processes that have used the limit in the last window. Two clients in one process count as two."""
    limit: RateLimit
    """The lowest limit that one of them was given."""
    learned_limit: int
    """Requests in a window that they allow themselves: fewer than `limit.requests` after 429s."""
    used: int
    """Requests in the last window, without those in flight."""
    in_flight: int
    """Requests in flight, and those that were answered less than a second ago. Those of a process that has died count as in
    flight for up to 75 seconds."""
    cooldown: float
    """Seconds for which all of them send nothing, after a 429; else 0."""
    round_trip: float
    """Seconds that it took to read this from the shared state."""
    lost: str | None = None
    """Why the shared state cannot be used; None if it can. The other attributes are then what this process saw last."""


async def read_sharing(connection: SharedStateConnection, name: str, membership: Membership) -> Sharing:
    """Return who shares the limit of this name. Takes no permit, and writes nothing."""
    asked_at, lost = anyio.current_time(), None
    try:
        loaded = await connection.load(name, decode)
        shared, now = loaded.value, loaded.time
    except SharedStateUnavailable as unavailable:
        lost = str(unavailable)
        shared, now = attrs.evolve(membership.remembered), asked_at + membership.ahead
    round_trip = anyio.current_time() - asked_at
    shared.follow_clock(now)
    shared.normalize(now)
    limit = shared.limit if shared.members else membership.limit
    window = shared.union(now)
    return Sharing(
        processes=shared.processes(now),
        limit=limit,
        learned_limit=min(window.current_limit(now), limit.requests),
        used=len(window.expiry_times),
        in_flight=window.in_flight,
        cooldown=max(0.0, shared.cooldown_ends_at - now),
        round_trip=round_trip,
        lost=lost,
    )
