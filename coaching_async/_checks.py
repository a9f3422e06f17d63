"""What a client may be given; anything else is told in words."""

import inspect

from ._errors import ConfigurationError
from ._grants import Grant

__all__ = ["refuse_odd", "seconds"]


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
