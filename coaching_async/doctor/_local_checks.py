"""What can be told without asking anybody: the variables that are set, the hosts they mean, the proxies."""

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from coaching_async import (
    AccessToken,
    AuthorizationRequest,
    ClientCredentials,
    CoachingClient,
    ConfigurationError,
    Event,
    RetryPolicy,
    TokenIssued,
    TokenSource,
)

from ._results import Check

__all__ = ["DEADLINE", "ONE_RETRY", "ConfiguredClient", "configured", "environment", "proxies"]

VARIABLES: Final = (
    "GENESYSCLOUD_REGION",
    "GENESYSCLOUD_ACCESS_TOKEN",
    "GENESYSCLOUD_OAUTHCLIENT_ID",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET",
)

DEADLINE: Final = 10.0
"""Seconds that each call may take."""

ONE_RETRY: Final = RetryPolicy(attempts=2)

LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""What the client's own HTTP client never asks through a proxy."""


class ConfiguredClient(CoachingClient):
    """A client as `from_env` makes it, in a hurry, and one that notes how long its token lives."""

    def __init__(self, auth: AccessToken | ClientCredentials | TokenSource, *, region: str | None = None) -> None:
        super().__init__(auth, region=region, timeout=DEADLINE, retry=ONE_RETRY, on_event=self._note)
        self.token_life: float | None = None
        # There is no other public way to a region's hosts; the API's name differs in its beginning, if at all.
        self.login_host = urlsplit(AuthorizationRequest("doctor", "http://localhost/", region=region).url).netloc
        name = self.login_host.removeprefix("login.")
        self.api_host = name if name == self.login_host else f"api.{name}"

    def _note(self, event: Event) -> None:
        if isinstance(event, TokenIssued):
            self.token_life = event.expires_in


def configured(environ: Mapping[str, str]) -> ConfiguredClient | Check:
    """The client that the environment means, or why there is none."""
    try:
        return ConfiguredClient.from_env(environ)
    except ConfigurationError as error:
        advice = f"Set {VARIABLES[0]}, and either {VARIABLES[1]} or {VARIABLES[2]} with {VARIABLES[3]}."
        return Check("environment", "problem", str(error), advice)


def environment(environ: Mapping[str, str], patient: ConfiguredClient) -> Check:
    """Which variables are set, never to what, and which hosts they mean."""
    present = [name for name in VARIABLES if environ.get(name)]
    odd = [name for name in present if environ[name] != environ[name].strip(" \t\r\n'\"")]
    if odd:
        sentence = f"{' and '.join(odd)} begins or ends with a blank or a quote"
        return Check("environment", "problem", sentence, "Set it without; perhaps it was copied with it.")
    sentence = f"{', '.join(present)} set; the API is at {patient.api_host}, logging in at {patient.login_host}"
    if VARIABLES[0] not in present:
        sentence += f"; us-east-1, because {VARIABLES[0]} is not set"
    if VARIABLES[1] in present and set(VARIABLES[2:]) & set(present):
        sentence += f"; {VARIABLES[1]} wins over the client's id and secret"
    return Check("environment", "ok", sentence)


def proxies(patient: ConfiguredClient | None) -> Check:
    """The proxies and certificates of this process, as httpx takes them; of a proxy's URL only the host is shown."""
    found = {name: value for name, value in getproxies().items() if name in {"https", "all"}}
    files = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    sentences = [f"{name.upper()}_PROXY is {_host(value)}" for name, value in found.items()] or ["none is set"]
    hosts = dict.fromkeys([patient.login_host, patient.api_host] if patient else ())
    if found and (around := [host for host in hosts if urlsplit(f"//{host}").hostname in LOCAL or proxy_bypass(host)]):
        sentences.append(f"{' and '.join(around)} {'is' if len(around) == 1 else 'are'} asked without it")
    if files:
        sentences.append(f"certificates are those of {' and '.join(files)}")
    return Check("proxy", "ok", "; ".join(sentences))


def _host(url: str) -> str:
    """A URL's host and port: the rest may be a password, and where one has a slash in it, what looks like a host is, too."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        port = parts.port
    except ValueError:
        return "no URL"
    if not parts.hostname or "@" in parts._replace(netloc="").geturl():
        return "no URL"
    return f"{parts.hostname}{f':{port}' if port else ''}"
