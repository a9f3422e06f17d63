"""What the environment says of a client, by the names that Genesys's own tools use."""

from collections.abc import Mapping
from typing import Final

from ._errors import ConfigurationError
from ._grants import AccessToken, ClientCredentials, Grant
from ._pipeline import TokenSource
from ._types import Secret

__all__ = ["configured"]

VARIABLES: Final = (
    "GENESYSCLOUD_REGION",
    "GENESYSCLOUD_ACCESS_TOKEN",
    "GENESYSCLOUD_OAUTHCLIENT_ID",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET",
)


def configured(environ: Mapping[str, str]) -> tuple[Grant | TokenSource, str | None] | ConfigurationError:
    """What to log in with, and the region, if it is set; or an error that names what is missing.

    That is not raised here, because its frames must not show the environment.
    """
    region, token, client_id, client_secret = (_variable(environ, name) for name in VARIABLES)
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
    return ConfigurationError(problem) if auth is None else (auth, region.reveal() if region else None)


def _variable(environ: Mapping[str, str], name: str) -> Secret | None:
    return Secret(value) if (value := environ.get(name)) else None
