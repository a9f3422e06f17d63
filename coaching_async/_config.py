"""The options of a client: their validation, and credentials from environment variables."""

import inspect
from collections.abc import Mapping
from typing import Final, NamedTuple

from ._auth.grants import AccessToken, ClientCredentials, Grant
from ._auth.secret import Secret
from ._auth.token_source import TokenSource
from ._events import Emit
from ._exceptions import ConfigurationError
from ._logging import LEVEL_NAMES
from ._refusals.arguments import checked_count, has_async_methods, kind_of
from ._refusals.suggestions import choices
from ._regions import resolve_hosts
from ._shared_state.store import SharedState
from ._transport.http_client import HttpClient
from ._transport.rate_limit.limit import RateLimit
from ._transport.retry_policy import RetryPolicy
from .models.coercion import strip_blanks

__all__ = [
    "log_level",
    "read_environment",
    "validate_auth",
    "validate_concurrency",
    "validate_flag",
    "validate_http_client",
    "validate_on_event",
    "validate_rate_limit",
    "validate_retry",
    "validate_shared_state",
    "validate_timeout",
]


def validate_auth(auth: Grant | TokenSource) -> None:
    """Raise `ConfigurationError` unless `auth` is a grant or a token source."""
    if not isinstance(auth, Grant) and not has_async_methods(auth, "token"):
        raise ConfigurationError(
            "auth is a grant such as ClientCredentials(...), an AccessToken(...), or an object with an async method token, "
            f"not {kind_of(auth)}"
        )


def validate_shared_state(shared_state: SharedState | None) -> None:
    """Raise `ConfigurationError` unless `shared_state` is one, or None."""
    if shared_state is not None and not has_async_methods(shared_state, "load", "swap"):
        raise ConfigurationError(
            "shared_state is a FileSharedState(...), a RedisSharedState(...), or an object with the async methods load and swap, "
            f"not {kind_of(shared_state)}"
        )


def validate_http_client(name: str, client: HttpClient | None) -> None:
    """Raise `ConfigurationError` unless the argument of this name is an HTTP client, or None."""
    if client is not None and not has_async_methods(client, "send"):
        raise ConfigurationError(f"{name} is an httpx.AsyncClient or an httpx2.AsyncClient, not {kind_of(client)}")


def validate_on_event(on_event: Emit | None) -> None:
    """Raise `ConfigurationError` unless `on_event` is a plain function, or None."""
    is_function = callable(on_event) and not isinstance(on_event, type)
    if on_event is not None and (not is_function or inspect.iscoroutinefunction(on_event)):
        found = "an async one" if is_function else kind_of(on_event)
        raise ConfigurationError(
            f"on_event is a plain function, not {found}: it is called in the middle of a call, and not awaited"
        )


def validate_retry(retry: RetryPolicy) -> RetryPolicy:
    """Return `retry`. Raise `ConfigurationError` unless it is a `RetryPolicy`."""
    if not isinstance(retry, RetryPolicy):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"retry is a RetryPolicy(...), not {kind_of(retry)}; with RetryPolicy(attempts=1) faults are not retried"
        )
    return retry


def validate_rate_limit(rate_limit: RateLimit) -> RateLimit:
    """Return `rate_limit`. Raise `ConfigurationError` unless it is a `RateLimit`."""
    if not isinstance(rate_limit, RateLimit):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"rate_limit is a RateLimit(...), such as RateLimit(300, per=60.0), not {kind_of(rate_limit)}"
        )
    return rate_limit


def validate_flag(name: str, flag: bool) -> bool:
    """Return `flag`. Raise `ConfigurationError` unless it is True or False."""
    if not isinstance(flag, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name} is True or False, not {kind_of(flag)}")
    return flag


def validate_concurrency(max_concurrency: int) -> int:
    """Return `max_concurrency`. Raise `ConfigurationError` unless it is a whole number, at least 1."""
    return checked_count("max_concurrency", max_concurrency, error=ConfigurationError)


def validate_timeout(timeout: float) -> float:
    """Return `timeout`. Raise `ConfigurationError` unless it is a positive number."""
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("timeout has to be a number of seconds above 0")
    return timeout


VARIABLES: Final = (
    "GENESYSCLOUD_REGION",
    "GENESYSCLOUD_ACCESS_TOKEN",
    "GENESYSCLOUD_OAUTHCLIENT_ID",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET",
)


LOG_VARIABLE: Final = "GENESYSCLOUD_LOG"


RATE_LIMIT_VARIABLE: Final = "GENESYSCLOUD_RATE_LIMIT"


class Environment(NamedTuple):
    """What the environment says of a client. None stands for what it does not say."""

    auth: Grant | TokenSource
    region: str | None
    rate_limit: RateLimit | None
    log_level: str | None


QUOTES: Final = ("'", '"')


def read_environment(environ: Mapping[str, str], *, allow_http: bool = False) -> Environment | ConfigurationError:
    """Return what the environment says of a client, or an error that names the variable.

    Blanks, line ends and invisible characters at the ends of a variable are left out, because the content of a mounted file
    often ends with some. The error is returned, because the frames of a raised one would show the environment.
    """
    if not isinstance(environ, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        return ConfigurationError(f"environ is a mapping such as os.environ, not {kind_of(environ)}")
    region, token, client_id, client_secret = values = [_secret_variable(environ, name) for name in VARIABLES]
    for name, value in zip(VARIABLES, values, strict=True):
        if value and (odd := _oddity(value)):
            return ConfigurationError(f"{name} {odd}: set it without")
    missing = [name for name, value in zip(VARIABLES[2:], (client_id, client_secret), strict=True) if not value]
    problem = f"the environment lacks {' and '.join(missing)}; or set {VARIABLES[1]} instead"
    auth: Grant | TokenSource | None = None
    try:
        if token:
            auth = AccessToken(token.reveal())
        elif client_id and client_secret:
            auth = ClientCredentials(client_id.reveal(), client_secret.reveal())
    except ValueError as error:
        problem = f"{VARIABLES[1]}: {error}"
    if auth is None:
        return ConfigurationError(problem)
    region_name = None if region is None else region.reveal()
    try:
        resolve_hosts(region_name, allow_http=allow_http)
    except ConfigurationError as error:
        return ConfigurationError(f"{VARIABLES[0]}: {error}")
    try:
        rate_limit = _parse_rate_limit(environ.get(RATE_LIMIT_VARIABLE, ""))
        return Environment(auth, region_name, rate_limit, log_level(environ))
    except ConfigurationError as error:
        return error


def _parse_rate_limit(text: str) -> RateLimit | None:
    text = strip_blanks(text)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{RATE_LIMIT_VARIABLE} is a whole number of requests a minute, at least 1")
    return RateLimit(int(text))


def log_level(environ: Mapping[str, str]) -> str | None:
    """Return the level of the log that the environment names; None if it names none."""
    level = strip_blanks(environ.get(LOG_VARIABLE, "")).casefold()
    del environ  # the frames of an error must not show it
    if level and level not in LEVEL_NAMES:
        raise ConfigurationError(f"{LOG_VARIABLE} is no level of the log: {choices(level, LEVEL_NAMES)}")
    return level or None


def _secret_variable(environ: Mapping[str, str], name: str) -> Secret | None:
    return Secret(value) if (value := strip_blanks(environ.get(name, ""))) else None


def _oddity(value: Secret) -> str | None:
    """Return what is wrong with a variable, without a part of it."""
    if value.reveal().startswith(QUOTES) or value.reveal().endswith(QUOTES):
        return "begins or ends with a quote"
    return None if value.reveal().isprintable() else "has a line end or an invisible character in it"
