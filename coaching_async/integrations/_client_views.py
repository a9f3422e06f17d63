"""The client of an application, with a view for each of its users."""

import functools

from coaching_async import AccessToken, CoachingClient

__all__ = ["ClientViews"]

MAX_VIEWS = 1000
"""Number of views that are cached, some kilobytes each."""


class ClientViews:
    """Views of a client by access token. They are cached, because a user's rate limit spans several web requests."""

    def __init__(self, client: CoachingClient) -> None:
        self.client = client
        self.view = functools.lru_cache(MAX_VIEWS)(self._view)

    def _view(self, token: str) -> CoachingClient:
        return self.client.with_auth(AccessToken(token))
