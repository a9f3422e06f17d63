"""Clients of an application: the functions that make them, and a view for each user."""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from coaching_async import AccessToken, CoachingClient
from coaching_async._refusals.arguments import kind_of

__all__ = ["ClientViews", "check_factory", "check_functions", "made_by"]

MAX_VIEWS = 1000
"""Number of views that are cached, some kilobytes each."""


class ClientViews:
    """Views of a client by access token. They are cached, because a user's rate limit spans several web requests."""

    def __init__(self, client: CoachingClient) -> None:
        self.client = client
        self.view = functools.lru_cache(MAX_VIEWS)(self._view)

    def _view(self, token: str) -> CoachingClient:
        return self.client.with_auth(AccessToken(token))


def check_factory(name: str, make: object) -> None:
    """Raise `TypeError` unless it is a plain function, as that which makes a client is."""
    if not callable(make) or inspect.iscoroutinefunction(make):
        found = "an async function" if callable(make) else kind_of(make)
        raise TypeError(f"{name} is a plain function that makes a client, such as CoachingClient.from_env, not {found}")


def made_by(
    name: str, make: Callable[[], AbstractAsyncContextManager[CoachingClient]]
) -> AbstractAsyncContextManager[CoachingClient]:
    """Return what the function makes. Raise `TypeError` unless it can be entered."""
    made = make()
    if not isinstance(made, AbstractAsyncContextManager):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        if inspect.iscoroutine(made):
            made.close()  # Python warns of one that nobody awaits
        raise TypeError(
            f"{name} returns a CoachingClient, or an async context manager that yields one, not {kind_of(made)}"
        )
    return made


def check_functions(make: object, listen: object, application: type, usage: str) -> None:
    """Raise `TypeError` unless `make` is a function that makes a client, and `listen` one that listens, or None.

    A framework that was given the function itself, and not what it returns, has called it with the application.
    """
    if isinstance(make, application):
        raise TypeError(f"the application takes what the function returns: {usage}")
    check_factory("make", make)
    if listen is not None and not callable(listen):
        raise TypeError(f"listen is an async function that is given the client, not {kind_of(listen)}")
