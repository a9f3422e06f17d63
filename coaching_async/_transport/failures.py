"""How HTTP libraries fail, and what each failure means: the same for httpx, httpx2 and aiohttp behind one of them."""

import ssl
from collections.abc import Mapping
from typing import Final, TypeVar

from .retry_policy import Fault

__all__ = ["fault_from_exception", "network_error_class", "sanitized"]

F = TypeVar("F", bound=BaseException)

LIBRARIES: Final = frozenset({"httpx", "httpx2", "aiohttp"})
"""Whose errors are understood. aiohttp's own come through its transport for httpx, where that has no name for them."""


NETWORK_ERRORS: Final = frozenset({"RequestError", "HTTPStatusError", "ClientError"})
"""The roots of what may go wrong on the way; what else these libraries raise is about how they are used."""


FAULTS: Final[Mapping[str, Fault]] = {
    "ConnectError": Fault.NOT_SENT,
    "ConnectTimeout": Fault.NOT_SENT,
    "PoolTimeout": Fault.NOT_SENT,
    "UnsupportedProtocol": Fault.NOT_CONNECTABLE,
    "LocalProtocolError": Fault.NOT_CONNECTABLE,
}
"""What an error means by the name of its class, which is the same in each library; any other means LOST."""


INCOMPLETE_HANDSHAKE: Final = (
    ssl.SSLEOFError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLZeroReturnError,
)
"""A handshake that was not finished; any other error of TLS is about who is at the other end, and stays."""


def network_error_class(error: Exception) -> type[Exception] | None:
    """The library's own class that an error is of, or None where it is no error of the network's."""
    theirs = [cls for cls in type(error).__mro__ if cls.__module__.partition(".")[0] in LIBRARIES]
    if any(cls.__name__ in NETWORK_ERRORS for cls in theirs):
        return theirs[0]
    return type(error) if isinstance(error, OSError) else None


def fault_from_exception(error: Exception, kind: str, *, borrowed: bool) -> Fault:
    if kind == "ProxyError":
        return Fault.NOT_SENT if str(error).startswith("5") else Fault.NOT_CONNECTABLE
    if kind in {"ConnectError", "ConnectTimeout"}:
        tls = _find_in_chain(error, ssl.SSLError)
        if tls is not None and not isinstance(tls, INCOMPLETE_HANDSHAKE):
            return Fault.NOT_CONNECTABLE
    if kind == "ConnectTimeout" and borrowed and not _find_in_chain(error, Exception, name="ClientConnectorError"):
        # The aiohttp transport reports a server that hung up after reading the request this way.
        return Fault.CONNECTION_LOST
    if kind == "RemoteProtocolError" and _find_in_chain(error, Exception, module="h11"):
        return Fault.INVALID_HTTP
    return FAULTS.get(kind, Fault.CONNECTION_LOST)


def _find_in_chain(error: BaseException, cls: type[F], *, module: str = "", name: str = "") -> F | None:
    """The first of `cls`, of that module and of that name, among an error and what it came from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, cls) and type(seen).__module__.startswith(module) and type(seen).__name__.endswith(name):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def sanitized(error: Exception, kind: type[Exception]) -> Exception:
    """The same error without request, traceback and context, which hold the token and the form."""
    tls = _find_in_chain(error, ssl.SSLError)
    # What could not be sent is quoted in the error about it, and so is what came and is no HTTP.
    is_quoting = kind.__name__ == "LocalProtocolError" or _find_in_chain(error, Exception, module="h11") is not None
    text = "" if is_quoting else str(error) or str(tls or "")  # of a certificate the cause may tell more
    try:
        copy = kind(text)
    except Exception:  # noqa: BLE001 # aiohttp's want to know of which request, and quote its URL
        copy = ConnectionError(kind.__name__)
    if tls is not None:
        copy.__cause__ = type(tls)(*tls.args)
    return copy
