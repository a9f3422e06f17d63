"""The secret address of a channel's WebSocket: which hosts it may name."""

from urllib.parse import SplitResult, urlsplit

from coaching_async._exceptions import DecodeError
from coaching_async._regions import HOST_CHARACTERS, REGIONS

__all__ = ["check_connect_uri", "http_origin"]


def check_connect_uri(uri: str, api_url: str) -> None:
    """Raise `DecodeError` unless a channel's `connectUri` leads to the service itself.

    It may name the host and port of the API, and hosts below X if the API is at `api.X`. An API host with another name is a
    gateway or a machine of the developer's. Then hosts below the domain of any region are allowed as well. The connection is
    encrypted unless the API's is not. The error does not quote the URI, because it gives access to the notifications.
    """
    is_own = _leads_to_the_service(uri, urlsplit(api_url))
    del uri  # the frames of an error must not show it
    if not is_own:
        raise DecodeError("connectUri: the service names another host")


def http_origin(uri: str) -> str:
    """Return the URL of the server of a checked `connectUri`, with the scheme of HTTP and without its secret path."""
    parts = urlsplit(uri)
    return f"http{parts.scheme[2:]}://{parts.netloc}"


def _leads_to_the_service(uri: str, api: SplitResult) -> bool:
    try:
        parts = urlsplit(uri)
        port = parts.port  # raises ValueError if it is not a number
    except ValueError:
        return False
    # With a backslash, blank or user name, some URL parsers read another host than a person does.
    if not uri.isascii() or not uri.isprintable() or set(uri) & set("\\ #") or set(parts.netloc) & set("@%"):
        return False
    if parts.scheme not in ({"ws", "wss"} if api.scheme == "http" else {"wss"}):
        return False
    host = parts.hostname or ""
    if host == api.hostname and (port or _default_port(parts)) == (api.port or _default_port(api)):
        return True
    domain = (api.hostname or "").removeprefix("api.")
    domains = {domain} if domain != api.hostname else set(REGIONS.values())
    is_name = set(host) <= HOST_CHARACTERS and not host.startswith(".")
    return is_name and any("." in domain and host.endswith(f".{domain}") for domain in domains)


def _default_port(url: SplitResult) -> int:
    return 443 if url.scheme in {"https", "wss"} else 80
