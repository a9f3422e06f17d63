"""The API host and the login host of a region, a domain or a URL."""

from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ._exceptions import ConfigurationError
from ._refusals.arguments import kind_of
from ._refusals.suggestions import suggestion

__all__ = ["DEFAULT_REGION", "HOST_CHARACTERS", "REGIONS", "Hosts", "region_of", "resolve_hosts"]


REGIONS: Final = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
}
"""AWS name of each region known today → its Genesys domain."""


DEFAULT_REGION: Final = "us-east-1"


PREFIXES: Final = ("api.", "login.", "apps.")


HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")


class Hosts(NamedTuple):
    """The two base URLs of a client, without a slash at the end."""

    api: str
    login: str


def resolve_hosts(
    region: str | None = None, base_url: str | None = None, login_url: str | None = None, *, allow_http: bool = False
) -> Hosts:
    """Return the hosts of a region in any spelling, or of the URLs. Raise `ConfigurationError` for invalid ones."""
    if base_url is None and login_url is not None:
        raise ConfigurationError("login_url goes with base_url: give both, or a region alone")
    if region is not None and base_url is not None:
        raise ConfigurationError("region and base_url contradict each other: give one of them")
    for name, value in (("region", region), ("base_url", base_url), ("login_url", login_url)):
        if value is not None and not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{name} is a str, not {kind_of(value)}")
    what = "region" if base_url is None else "base_url"
    if base_url is None:
        base_url = _region_url(region or DEFAULT_REGION)
    base_url = _validated_url(what, base_url, allow_http=allow_http)
    login_url = (
        _login_url(what, base_url)
        if login_url is None
        else _validated_url("login_url", login_url, allow_http=allow_http)
    )
    return Hosts(base_url, login_url)


def region_of(url: str) -> str | None:
    """Return the AWS name of the region whose API host or login host has this URL, None for any other URL."""
    host = (urlsplit(url).hostname or "").removeprefix("api.").removeprefix("login.")
    return next((name for name, domain in REGIONS.items() if domain == host), None)


def _region_url(region: str) -> str:
    """Return the API URL of an AWS region, a Genesys domain, or a host of it. Any other URL is returned unchanged."""
    region = region.strip()
    name = region.lower().rstrip("/")
    if "://" in name and not name.startswith(tuple(f"https://{prefix}" for prefix in PREFIXES)):
        return region
    name = name.removeprefix("https://")
    domain = REGIONS.get(name.replace("_", "-"), name)
    if "." not in domain or not set(domain) <= HOST_CHARACTERS:
        shown = "this one" if "@" in region else repr(region)  # a userinfo may contain a password
        near = suggestion(name, REGIONS)
        choice = f"use one of {', '.join(REGIONS)}, or your org's domain"
        raise ConfigurationError(f"unknown region {shown}: {'; '.join(filter(None, (choice, near)))}")
    for prefix in PREFIXES:
        domain = domain.removeprefix(prefix)
    return f"https://api.{domain}"


def _login_url(what: str, base_url: str) -> str:
    """Return `https://login.X` for `https://api.X`. A host with another name is its own login host."""
    scheme, host = base_url.split("://", 1)
    if "/" in host:
        remedy = "give base_url and login_url instead" if what == "region" else "give its login_url too"
        raise ConfigurationError(f"{what} has a path, so it is a gateway: {remedy}")
    return f"{scheme}://login.{host.removeprefix('api.')}" if host.startswith("api.") else base_url


def _validated_url(what: str, url: str, *, allow_http: bool) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if the port is not a number
        (parts.hostname or "").encode("idna")  # raises UnicodeError if a label is empty or too long
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{what} has to be a URL such as https://api.mypurecloud.com")
    # With a backslash or a userinfo, some URL parsers read another host than a person does.
    if (
        parts.username is not None
        or parts.query
        or parts.fragment
        or set(url) & set("\\ ")
        or "%" in parts.netloc
        or not url.isprintable()
    ):
        raise ConfigurationError(f"{what} may have a scheme, a host, a port and a path, nothing else")
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname):
        raise ConfigurationError(f"{what} would send the token in the clear: use https, or pass allow_http=True")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
