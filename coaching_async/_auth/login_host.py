"""The login host, as errors name it, and advice on what it refuses."""

from collections.abc import Callable
from typing import Final

import attrs

from coaching_async._regions import DEFAULT_REGION, region_of
from coaching_async._transport.messages import CHECK_NETWORK, host_of

from .grants import AuthorizationCode, ClientCredentials, Grant, Saml2Bearer

__all__ = ["ADVICE_ON_GATEWAY", "LoginHost", "advice_on_refusal"]


SEE_DOCTOR: Final = "`coaching-async doctor` tells more"


ADVICE_ON_GATEWAY: Final = f"{CHECK_NETWORK}; {SEE_DOCTOR}"
"""What to do if something on the way to the login host has responded."""


@attrs.frozen(repr=False)
class LoginHost:
    """The login host of a client: `str()` is its name with the region, and the proxy on the way to it."""

    url: str
    is_default: bool = False
    """Whether no region was given, so that it is that of the default region."""
    find_proxy: Callable[[str], str | None] = attrs.field(default=lambda _: None, eq=False)
    """Returns the address of the proxy that a URL is requested through, None if there is none or it is not known."""

    def __str__(self) -> str:
        region, proxy = region_of(self.url), self.find_proxy(self.url)
        if self.is_default:
            region = f"{DEFAULT_REGION}, the default, because no region is given"
        return f"{host_of(self.url)}{f' ({region})' if region else ''}{f' through the proxy {proxy}' if proxy else ''}"

    @property
    def advice(self) -> str:
        """What to check if it does not know the OAuth client."""
        if self.is_default:
            first = "give the region of your org, by GENESYSCLOUD_REGION or region=..., and check the"
        else:
            first = f"check that the OAuth client is one of this {'region' if region_of(self.url) else 'host'}, and its"
        return f"{first} id and secret; {SEE_DOCTOR}"


GRANT_TYPES: Final = ((ClientCredentials, "Client Credentials"), (Saml2Bearer, "SAML2 Bearer"))


def advice_on_refusal(host: LoginHost, grant: Grant, status: int, code: str | None, *, is_refresh: bool) -> str:
    """Return what to do about a response of the login host that has no token."""
    if status == 429:
        return "wait a minute, and let the programs that fetch tokens share a client or a shared_state, and with it one token"
    if status >= 500 or status == 408:
        return "try again later"
    if code in {"unauthorized_client", "unsupported_grant_type"}:
        name = next((name for cls, name in GRANT_TYPES if isinstance(grant, cls)), "Code Authorization")
        return f"the OAuth client needs the grant type {name}: Admin, Integrations, OAuth"
    if code != "invalid_grant" or isinstance(grant, ClientCredentials):
        return host.advice
    if isinstance(grant, Saml2Bearer):
        return "check org_name, and that the assertion is a new one, from the identity provider of that org"
    if isinstance(grant, AuthorizationCode) and not is_refresh:
        return (
            "a code is good for one use, soon after the sign-in and with its redirect_uri: let the user sign in again"
        )
    return "the sign-in has ended, or another program has used this refresh token: let the user sign in again"
