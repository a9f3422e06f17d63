"""What to do about a host that cannot be reached."""

import ssl

from coaching_async import CoachingError, TransportError

__all__ = ["is_proxys", "network_advice"]


def is_proxys(error: CoachingError) -> bool:
    """Return whether a proxy is at fault."""
    return isinstance(error, TransportError) and type(error.__cause__).__name__ == "ProxyError"


def network_advice(error: CoachingError) -> str:
    """Return what to do about an error without a response."""
    if is_proxys(error):
        return "Check the proxy that the environment names, with its user and password, or name the host in NO_PROXY."
    if isinstance(error, TransportError) and isinstance(getattr(error.__cause__, "__cause__", None), ssl.SSLError):
        return "A proxy that opens the traffic has a certificate of its own: let SSL_CERT_FILE name it. Check the clock, too."
    return "Check the region, the name resolution, the proxy and the firewall of this machine."
