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
    """What is known about the tokens that came in place of rejected ones.

    If the API rejects such a token, too, the next token would not help, and the token endpoint has a rate limit of its own.
    So for some seconds the 401 is the answer. A token that the API has accepted once is replaced as soon as it is rejected.
    """

    untried: Secret | None = attrs.field(default=None, init=False)
    """The token that came last in place of a rejected one, until the API accepts it."""
    _is_rejected: bool = attrs.field(default=False, init=False)
    """Whether the API has rejected that token."""
    _ends_at: float = attrs.field(default=-math.inf, init=False)
    _pause: float = attrs.field(default=1.0, init=False)

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead."""
        self._ends_at += shift

    def may_replace(self, token: Secret, now: float) -> bool:
        """Return whether another token may be requested in place of one that was rejected now."""
        if token == self.untried and not self._is_rejected:
            self.replacement_rejected(token, now)
        return now >= self._ends_at

    def replaced(self, token: Secret) -> None:
        """Record that `token` came in place of a rejected one. Concurrent requests may get the same one."""
        if token != self.untried:
            self.untried, self._is_rejected = token, False

    def replacement_rejected(self, token: Secret, now: float) -> None:
        """Start a pause unless one is running, twice as long as the last one unless that was long ago."""
        if token != self.untried or now < self._ends_at:
            return
        self._is_rejected = True
        self._pause = min(2 * self._pause, MAX_PAUSE) if now < self._ends_at + MAX_PAUSE else 1.0
        self._ends_at = now + self._pause

    def accepted(self, token: Secret) -> None:
        """Record that the API has accepted a token. One that it rejects elsewhere stays what it is."""
        if token == self.untried and not self._is_rejected:
            self.untried = None
