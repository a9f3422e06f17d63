"""Proxies of the environment: through which one a host is reached. Reads environment variables, and does no I/O."""

import os
import re
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

import attrs

from ._exceptions import ConfigurationError

__all__ = ["DEFAULT_PORTS", "Proxy", "address_of", "configured_proxies", "proxy_for"]


BLANKS_AND_QUOTES: Final = " \t\r\n'\""
"""What an environment file or a secret store may leave at the ends of a value."""


SEPARATORS: Final = re.compile(r"[\s,;|]+")
"""What separates the entries of NO_PROXY: commas, and what other programs accept."""


DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Default ports, of the schemes that a host or a proxy may have."""


BRACKETED: Final = re.compile(r"\[(?P<address>[^\]]*)\](?P<prefix>/\d+)?(?::(?P<port>\d+))?")
"""An IPv6 address or network in brackets, with a port or without."""


WITH_PORT: Final = re.compile(r"(?P<name>[^:]+):(?P<port>\d+)")


@attrs.frozen(repr=False)
class Proxy:
    """A proxy that an environment variable names."""

    url: str
    """Its URL, which may contain a password."""
    variable: str
    """The name of the variable, as it is written in the environment."""

    @property
    def address(self) -> str:
        """Its host and port, which are safe to show."""
        parts = urlsplit(self.url)
        return address_of(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.url.startswith("socks")


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy through which the host of a URL is reached; None if it is reached directly.

    Hosts on this machine are reached directly, whatever the environment says, and so are hosts that NO_PROXY names. An entry
    of NO_PROXY that means nothing is ignored. Raises `ConfigurationError` if the variable for this URL names no proxy.
    """
    parts, settings = urlsplit(url), getproxies()
    if _is_on_this_machine(parts.hostname or "") or _is_excluded(parts, settings.get("no", "")):
        return None
    found = ((scheme, settings.get(scheme, "")) for scheme in (parts.scheme, "all"))
    scheme, value = next((setting for setting in found if setting[1].strip(BLANKS_AND_QUOTES)), ("", ""))
    if not value:
        return None
    variable = _variable(scheme, value)
    problem_or_url = _parse(value.strip(BLANKS_AND_QUOTES))
    del value, settings, found  # the frames of an error must not show a password
    if isinstance(problem_or_url, SplitResult):
        return Proxy(problem_or_url.geturl(), variable)
    raise ConfigurationError(f"{variable} {problem_or_url}")


def configured_proxies() -> dict[str, str]:
    """Return the values of the variables that name a proxy for https, by the names of the variables."""
    settings = getproxies()
    found = {scheme: settings.get(scheme, "") for scheme in ("https", "all")}
    return {_variable(scheme, value): value for scheme, value in found.items() if value.strip(BLANKS_AND_QUOTES)}


def _variable(scheme: str, value: str) -> str:
    """Return the name of the variable that has this value, in the case in which it is written."""
    name = f"{scheme}_proxy"
    written = (variable for variable in (name, name.upper(), *os.environ) if variable.lower() == name)
    return next(
        (variable for variable in written if os.environ.get(variable) == value), f"the {scheme} proxy of this system"
    )


def _parse(value: str) -> SplitResult | str:
    """Return the URL of a proxy, or the rest of a sentence about what is wrong with it. The value may contain a password."""
    if re.match(r"socks://", value, re.IGNORECASE):  # as desktops write it
        value = f"socks5{value[5:]}"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        _ = parts.port  # raises ValueError if the port is not a number
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # UnicodeError is one
        parts, host = urlsplit(""), b""
    # A slash, question mark or number sign in a password ends the host, unless it is quoted.
    is_cut = "@" in parts.path + parts.query + parts.fragment
    if not host or is_cut or not value.isprintable() or " " in value or parts.port == 0:
        return "is set to what is no proxy's URL: write http://host:port, and percent-encode special characters of a password"
    if parts.scheme not in DEFAULT_PORTS:
        return "is set to what is no proxy's URL for this client: write http://, https:// or socks5:// before its host"
    return parts._replace(path="", query="", fragment="")


def _is_on_this_machine(host: str) -> bool:
    name = host.rstrip(".").lower()
    address = _address(name)
    if address is None:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _is_excluded(url: SplitResult, no_proxy: str) -> bool:
    host = _ascii((url.hostname or "").rstrip("."))
    port = url.port or DEFAULT_PORTS.get(url.scheme)
    entries = SEPARATORS.split(no_proxy.lower())
    return any(_matches(entry.strip(BLANKS_AND_QUOTES), url.scheme, host, port) for entry in entries)


def _matches(entry: str, scheme: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY names a host. An entry that means nothing names none."""
    if "://" in entry:
        wanted, _, rest = entry.partition("://")
        if wanted not in {scheme, "all", "*"}:
            return False
        entry = rest.partition("/")[0]
    if found := BRACKETED.fullmatch(entry):
        entry = found["address"] + (found["prefix"] or "")
    elif found := WITH_PORT.fullmatch(entry):
        entry = found["name"]
    if found and found["port"] and found["port"].lstrip("0") != str(port):
        return False
    if not entry.strip("*."):
        return "*" in entry
    address = _address(host)
    if address is not None:
        return _has_address(entry, address)
    name = _ascii(entry.strip(".").removeprefix("*."))  # "x", ".x" and "*.x" are the host x and all hosts below it
    return host == name or host.endswith(f".{name}") or fnmatchcase(host, name)


def _has_address(entry: str, address: IPv4Address | IPv6Address) -> bool:
    """Return whether an entry of NO_PROXY is an address, a network that contains it, or a pattern that matches it."""
    try:
        network = ip_network(entry.partition("%")[0], strict=False)
    except ValueError:
        return fnmatchcase(str(address), entry)
    return address in network


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _ascii(name: str) -> str:
    """Return a host name as it is sent, with international characters encoded."""
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def address_of(host: str, port: int) -> str:
    """Return host and port as they are written in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
