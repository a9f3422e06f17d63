"""Checks that send no request: environment variables, the hosts that they name, and proxies."""

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from coaching_async import (
    AccessToken,
    AuthorizationRequest,
    ClientCredentials,
    CoachingClient,
    ConfigurationError,
    Event,
    RateLimit,
    RetryPolicy,
    SharedState,
    TokenIssued,
    TokenSource,
)
from coaching_async._proxies import configured_proxies, proxy_for

from ._results import Check

__all__ = ["DEADLINE", "ONE_RETRY", "ConfiguredClient", "check_environment", "check_proxies", "configured_client"]

VARIABLES: Final = (
    "GENESYSCLOUD_REGION",
    "GENESYSCLOUD_ACCESS_TOKEN",
    "GENESYSCLOUD_OAUTHCLIENT_ID",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET",
)

DEADLINE: Final = 10.0
"""Timeout of each call in seconds."""

ONE_RETRY: Final = RetryPolicy(attempts=2)

CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that name certificates. The first that is set counts."""

FOREIGN_CERTIFICATES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables by which other programs find certificates."""


class ConfiguredClient(CoachingClient):
    """A client configured_client by environment variables, with a short timeout and one retry. It records the lifetime of its token."""

    def __init__(
        self,
        auth: AccessToken | ClientCredentials | TokenSource,
        *,
        region: str | None = None,
        rate_limit: RateLimit = RateLimit(),  # noqa: B008 # immutable
        shared_state: SharedState | None = None,
    ) -> None:
        super().__init__(
            auth,
            region=region,
            rate_limit=rate_limit,
            timeout=DEADLINE,
            retry=ONE_RETRY,
            on_event=self._record_token_lifetime,
            shared_state=shared_state,
        )
        self.rate_limit = rate_limit
        self.token_lifetime: float | None = None
        # The URL of a sign-in is the only public way to a region's login host. The API host differs from it in its prefix only.
        login = urlsplit(AuthorizationRequest("doctor", "http://localhost/", region=region).url)
        self.login_host, self.uses_tls = login.netloc, login.scheme == "https"
        name = self.login_host.removeprefix("login.")
        self.api_host = name if name == self.login_host else f"api.{name}"

    def _record_token_lifetime(self, event: Event) -> None:
        if isinstance(event, TokenIssued):
            self.token_lifetime = event.expires_in


def configured_client(environ: Mapping[str, str], shared_state: SharedState | None = None) -> ConfiguredClient | Check:
    """Return the client that the environment configures, or a failed check if it configures none."""
    try:
        return ConfiguredClient.from_env(environ, shared_state=shared_state)
    except ConfigurationError as error:
        advice = f"Set {VARIABLES[0]}, and either {VARIABLES[1]} or {VARIABLES[2]} with {VARIABLES[3]}."
        return Check("environment", "problem", str(error), advice)


def check_environment(environ: Mapping[str, str], client: ConfiguredClient) -> Check:
    """Report which variables are set and which hosts they name, but not the values of the variables."""
    present = [name for name in VARIABLES if environ.get(name, "").strip()]
    sentence = f"{', '.join(present)} set; the API is at {client.api_host}, logging in at {client.login_host}"
    if VARIABLES[0] not in present:
        sentence += f"; us-east-1, because {VARIABLES[0]} is not set"
    if VARIABLES[1] in present and set(VARIABLES[2:]) & set(present):
        sentence += f"; {VARIABLES[1]} wins over the client's id and secret"
    if odd := [name for name in present if environ[name] != environ[name].strip()]:
        sentence += f"; {' and '.join(odd)} begins or ends with a blank or a line end, which this client leaves out"
    return Check("environment", "ok", sentence)


def check_proxies(client: ConfiguredClient | None) -> Check:
    """Report the proxies and certificates that a client uses in this process. Of a proxy's URL only the host is shown."""
    found = configured_proxies()
    sentences = [f"{name} is {_host(value)}" for name, value in found.items()] or ["none is set"]
    hosts = dict.fromkeys([client.login_host, client.api_host] if client else ())
    if found and (around := [host for host in hosts if _is_reached_directly(host)]):
        sentences.append(f"{' and '.join(around)} {'is' if len(around) == 1 else 'are'} asked without it")
    if files := [name for name in CERTIFICATES if os.environ.get(name)]:
        sentences.append(f"certificates are those of {files[0]}")
    ignored = [name for name in (*files[1:], *FOREIGN_CERTIFICATES) if os.environ.get(name)]
    if ignored and (client is None or client.uses_tls):
        names = f"{' and '.join(ignored)} {'is' if len(ignored) == 1 else 'are'}"
        sentences.append(f"{names} not looked at{'' if files else ': let SSL_CERT_FILE name the certificates'}")
    return Check("proxy", "ok", "; ".join(sentences))


def _is_reached_directly(host: str) -> bool:
    try:
        return proxy_for(f"https://{host}") is None
    except ConfigurationError:  # the client reports it
        return False


def _host(url: str) -> str:
    """Return host and port of a URL, because the rest may be a password.

    A password with an unquoted slash would be parsed as a host. Such a URL is not shown at all.
    """
    url = url.strip()
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        port = parts.port
    except ValueError:
        return "no URL"
    if not parts.hostname or "@" in parts._replace(netloc="").geturl():
        return "no URL"
    return f"{parts.hostname}{f':{port}' if port else ''}"
