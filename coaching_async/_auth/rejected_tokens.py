"""Tokens that the API rejects as soon as they come: how long no other one is requested. No I/O, no clock."""

import math
from typing import Final

import attrs

from .secret import Secret

__all__ = ["RejectedTokens"]


MAX_PAUSE: Final = 30.0
"""Longest time in seconds for which no other token is requested. It is 1 second at first, and doubles."""


@attrs.define(eq=False, repr=False)
class RejectedTokens:
    """The tokens that the API rejects one after the other, without having accepted one in between.

    The next one would not help then, and the token endpoint has a rate limit of its own. So for some seconds the 401 is the
    answer. A token that the API has accepted is replaced as soon as it is rejected.
    """

    latest: Secret | None = attrs.field(default=None, init=False)
    """The token that was rejected last, until the API accepts another one."""
    _ends_at: float = attrs.field(default=-math.inf, init=False)
    _pause: float = attrs.field(default=1.0, init=False)

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead."""
        self._ends_at += shift

    def may_replace(self, token: Secret, now: float) -> bool:
        """Return whether another token may be requested in place of one that was rejected now.

        If it is not the first one that is rejected, it has come in place of another, for this request or a concurrent one.
        """
        if now < self._ends_at:
            return False
        if self.latest not in {None, token}:
            self.replacement_rejected(token, now)
            return False
        self.latest = token
        return True

    def replacement_rejected(self, token: Secret, now: float) -> None:
        """Start a pause unless one is running, twice as long as the last one unless that was long ago."""
        self.latest = token
        if now >= self._ends_at:
            self._pause = min(2 * self._pause, MAX_PAUSE) if now < self._ends_at + MAX_PAUSE else 1.0
            self._ends_at = now + self._pause

    def accepted(self, token: Secret) -> None:
        """Record that the API has accepted a token. The latest one may be accepted in one call and rejected in another."""
        if token != self.latest:
            self.latest = None
