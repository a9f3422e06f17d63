"""The deadline (timeout) of the current cancel scope."""

import anyio.lowlevel

from coaching_async._exceptions import RateLimited

__all__ = ["checkpoint_if_past_deadline", "is_past_deadline", "raise_if_too_late"]


def is_past_deadline() -> bool:
    """Return whether the caller is cancelled, or past its deadline. No await has raised that yet."""
    return anyio.current_time() >= anyio.current_effective_deadline()


async def checkpoint_if_past_deadline() -> None:
    """Raise the cancellation of a caller that is past its deadline. Do not yield to other tasks otherwise."""
    while is_past_deadline():
        await anyio.lowlevel.checkpoint()


def raise_if_too_late(start: float) -> None:
    """Raise `RateLimited` if `start`, when a request may be sent, is after the deadline.

    A deadline that has passed already is left to its own cancel scope.
    """
    now, deadline = anyio.current_time(), anyio.current_effective_deadline()
    if now < deadline < start:
        wait = start - now
        error = RateLimited(f"not sent: the rate limit leaves no room for {wait:.1f} s, which is past the deadline")
        error.retry_after = wait
        raise error
