"""`RateLimit`: how many requests of one token the service accepts in a window."""

from typing import Final

import attrs

from coaching_async._refusals.arguments import number_of_seconds, whole_number
from coaching_async._value import Value

__all__ = ["BULK_BURST", "RateLimit", "bulk_seconds"]


@attrs.frozen(eq=False, repr=False)
class RateLimit(Value):
    """At most `requests` in any window of `per` seconds, for one token."""

    requests: int = attrs.field(default=300, validator=whole_number(at_least=1))
    """Requests in a window."""
    per: float = attrs.field(default=60.0, kw_only=True, validator=number_of_seconds(is_zero_allowed=False))
    """Length of the window, in seconds."""


BULK_BURST: Final = 5
"""Bulk requests start at once while less than a fifth of the limit is in use."""


def bulk_seconds(limit: RateLimit, requests: int) -> float:
    """Return the seconds that a number of bulk requests takes under a limit: none for a burst, else an even share each."""
    return requests * limit.per / limit.requests if requests > limit.requests / BULK_BURST else 0.0
