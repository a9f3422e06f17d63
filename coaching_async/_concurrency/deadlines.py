"""Looking at the deadline of the current scope."""

import anyio.lowlevel

from coaching_async._exceptions import RateLimited

__all__ = ["checkpoint_if_past_deadline", "is_past_deadline", "raise_if_too_late"]


def is_past_deadline() -> bool:
    """Whether who asks is cancelled, or past the deadline, and has not been told yet."""
    return anyio.current_time() >= anyio.current_effective_deadline()


async def checkpoint_if_past_deadline() -> None:
    """Tell them so; anybody else keeps their place."""
    while is_past_deadline():
        await anyio.lowlevel.checkpoint()


def raise_if_too_late(turn: float) -> None:
    """Waiting for a turn that comes after the deadline helps nobody: say so at once, and when to come back."""
    now, deadline = anyio.current_time(), anyio.current_effective_deadline()
    if now < deadline < turn:  # one that is over already is told by whose it is
        wait = turn - now
        error = RateLimited(f"not sent: the rate limit leaves no room for {wait:.1f} s, which is past the deadline")
        error.retry_after = wait
        raise error
