"""The last failure to get a token, which is raised for some time without another request."""

import copy
import math
from typing import Final

import anyio
import attrs

from coaching_async._exceptions import AuthError, CoachingError

__all__ = ["FailureCache", "is_permanent"]


MAX_FAILURE_TTL: Final = 30.0
"""Longest time in seconds for which a temporary failure is cached. It is 1 second at first, and doubles."""


PERMANENT_ERRORS: Final = {"invalid_client", "invalid_grant", "unauthorized_client"}
"""OAuth error codes that the same credentials would get again, so that the credentials are not sent again."""


def is_permanent(error: CoachingError) -> bool:
    """Return whether the same credentials would get the same error again."""
    if not isinstance(error, AuthError) or error.is_from_gateway:
        return False
    return error.status == 401 or error.code in PERMANENT_ERRORS


@attrs.define(eq=False, repr=False)
class FailureCache:
    """The last failure to get a token. For some time it is raised without another request."""

    error: CoachingError | None = None
    expires_at: float = 0.0
    ttl: float = 1.0

    def is_active(self) -> bool:
        """Return whether there is a failure that has not expired."""
        return self.error is not None and anyio.current_time() < self.expires_at

    def raise_if_active(self) -> None:
        """Raise the failure unless it has expired."""
        if self.error is not None and self.is_active():
            raise copy.copy(self.error)

    def store(self, error: CoachingError) -> None:
        """Cache a failure: forever if it is permanent, else for `ttl` seconds, which doubles each time."""
        self.error = copy.copy(error)
        self.expires_at = math.inf if is_permanent(error) else anyio.current_time() + self.ttl
        self.ttl = min(2 * self.ttl, MAX_FAILURE_TTL)

    def clear(self) -> None:
        """Remove the failure after a success."""
        self.error, self.ttl = None, 1.0
