"""The options of a client: their validation, and credentials from environment variables."""

import inspect
from collections.abc import Mapping
from typing import Final, NamedTuple

from ._auth.grants import AccessToken, ClientCredentials, Grant
from ._auth.secret import Secret
from ._auth.token_source import TokenSource
from ._exceptions import ConfigurationError
from ._logging import LEVEL_NAMES
from ._refusals.suggestions import choices
from ._regions import resolve_hosts
from ._shared_state.store import SharedState
from ._transport.rate_limit.limit import RateLimit
from .models.coercion import strip_blanks

__all__ = [
    "log_level",
    "read_environment",
    "validate_arguments",
    "validate_concurrency",
    "validate_shared_state",
    "validate_strict",
    "validate_timeout",
]


def validate_shared_state(shared_state: SharedState | None) -> SharedState | None:
    """Return `shared_state`. Raise `ConfigurationError` unless it is one, or None."""
    methods = (getattr(shared_state, name, None) for name in ("load", "swap"))
    if shared_state is not None and not all(inspect.iscoroutinefunction(method) for method in methods):
        raise ConfigurationError(
            "shared_state is a FileSharedState(...), a RedisSharedState(...), or has the async methods load and swap; "
            f"{_type_name(shared_state)} is none of these"
        )
    return shared_state


def validate_strict(strict: bool) -> bool:
    """Return `strict`. Raise `ConfigurationError` unless it is True or False."""
    if not isinstance(strict, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"strict is True or False, not {_type_name(strict)}")
    return strict


def validate_arguments(auth: object, http_client: object, on_event: object, socket_client: object = None) -> None:
    """Raise `ConfigurationError` for a type that a type checker would reject."""
    if not isinstance(auth, Grant) and not inspect.iscoroutinefunction(getattr(auth, "token", None)):
        raise ConfigurationError(
            f"auth is a grant such as ClientCredentials(...), an AccessToken(...), or has an async method token; "
            f"{_type_name(auth)} is none of these"
        )
    for name, client in (("http_client", http_client), ("socket_client", socket_client)):
        if client is not None and not inspect.iscoroutinefunction(getattr(client, "send", None)):
            raise ConfigurationError(
                f"{name} is an httpx.AsyncClient or an httpx2.AsyncClient, not {_type_name(client)}"
            )
    if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
        raise ConfigurationError("on_event is a plain function: it is called in the middle of a call, and not awaited")


def _type_name(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def validate_concurrency(max_concurrency: int) -> None:
    """Raise `ConfigurationError` unless `max_concurrency` is a whole number, at least 1."""
    if not isinstance(max_concurrency, int) or max_concurrency < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("max_concurrency has to be a whole number, at least 1")


def validate_timeout(timeout: float) -> float:
    """Return `timeout`. Raise `ConfigurationError` unless it is a positive number."""
    if not isinstance(timeout, int | float) or not timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
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
