"""What a client may be given; anything else is told in words."""

import inspect
from typing import TypedDict

from ._errors import ConfigurationError
from ._events import Emit
from ._grants import Grant
from ._http import HttpClient
from ._rate import RateLimit
from ._retry import RetryPolicy

__all__ = ["Options", "refuse_odd", "seconds"]


class Options(TypedDict, total=False):
    """What a client is told besides who it is, and where the service is; as `CoachingClient` describes it."""

    timeout: float
    retry: RetryPolicy
    rate_limit: RateLimit
    max_concurrency: int
    http_client: HttpClient | None
    allow_http: bool
    on_event: Emit | None


def refuse_odd(auth: object, http_client: object, on_event: object) -> None:
    """What a type checker would have told."""
    if not isinstance(auth, Grant) and not inspect.iscoroutinefunction(getattr(auth, "token", None)):
        raise ConfigurationError(
            f"auth is a grant such as ClientCredentials(...), an AccessToken(...), or has an async method token; "
            f"{_kind(auth)} is none of these"
        )
    if http_client is not None and not inspect.iscoroutinefunction(getattr(http_client, "send", None)):
        raise ConfigurationError(
            f"http_client is an httpx.AsyncClient or an httpx2.AsyncClient, not {_kind(http_client)}"
        )
    if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
        raise ConfigurationError("on_event is a plain function: it is called in the middle of a call, and not awaited")


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def seconds(timeout: float) -> float:
    """A deadline."""
    if not isinstance(timeout, int | float) or not timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("timeout has to be a number of seconds above 0")
    return timeout
