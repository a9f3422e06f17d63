"""One client for an application, and a view of it for each of its users."""

import functools

from coaching_async import AccessToken, CoachingClient

__all__ = ["ClientViews"]

KEPT = 1000
"""ClientViews whose views are kept: some kilobytes each."""


class ClientViews:
    """The views of a client by access token. The newest are kept, so that a user's rate limit outlives a request."""

    def __init__(self, client: CoachingClient) -> None:
        self.client = client
        self.view = functools.lru_cache(KEPT)(self._view)

    def _view(self, token: str) -> CoachingClient:
        return self.client.with_auth(AccessToken(token))
