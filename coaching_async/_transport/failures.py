"""Network errors: exceptions of httpx, httpx2 and aiohttp → `Fault`, with a copy that holds no secret."""

import ssl
import sys
from collections.abc import Mapping
from typing import Final, TypeVar

from coaching_async._proxies import address_of

from .http_client import HttpResponse
from .httpcore_hooks import is_host_of
from .messages import SendError
from .retry_policy import Fault

__all__ = ["classify", "is_closed_loop", "response_raised_by"]

F = TypeVar("F", bound=BaseException)

LIBRARIES: Final = frozenset({"httpx", "httpx2", "aiohttp", "socksio"})
"""Packages whose exceptions are known. aiohttp's transport for httpx lets some of aiohttp's own through.

httpcore lets those of socksio through, about a SOCKS proxy that speaks something else, or hangs up.
"""


NETWORK_ERRORS: Final = frozenset({"RequestError", "HTTPStatusError", "ClientError", "SOCKSError"})
"""Base classes of network errors. The libraries' other exceptions are about how they are used."""


FAULTS: Final[Mapping[str, Fault]] = {
    "ConnectError": Fault.NOT_SENT,
    "ConnectTimeout": Fault.NOT_SENT,
    "PoolTimeout": Fault.NOT_SENT,
    "UnsupportedProtocol": Fault.NOT_CONNECTABLE,
    "LocalProtocolError": Fault.NOT_CONNECTABLE,
}
"""Faults by the name of the exception's class, which is the same in each library. Any other means `CONNECTION_LOST`."""


INCOMPLETE_HANDSHAKE: Final = (
    ssl.SSLEOFError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLZeroReturnError,
)
"""TLS errors of an interrupted handshake. Any other is about the server's identity, and a retry would not help."""


def classify(error: Exception, url: str, *, borrowed: bool, is_unsent: bool, proxy: str | None) -> SendError | None:
    """Return the fault of an exception with a sanitized copy as its cause, or None if it is a bug and no network error.

    `is_unsent` means that the service surely has not received the whole request. `proxy` is the address of the proxy that
    was to open the connection, and has not.
    """
    cls = _network_error_class(error)
    if cls is None:
        return None
    fault = _fault(error, cls.__name__, borrowed=borrowed)
    if is_unsent and fault is not Fault.NOT_CONNECTABLE:
        fault = Fault.NOT_SENT
    cause = _sanitized(error, cls)
    if (proxy := proxy or _proxy_of(error, url)) is not None:
        cause = _proxy_error(cause, proxy)
    elif is_unsent and cls.__name__ not in FAULTS:
        cause = _copy_as("ConnectError", cause, "the connection was closed before the request was sent")
    return SendError(fault, cause)


def response_raised_by(error: Exception) -> HttpResponse | None:
    """Return the response of a status error, which a borrowed client may raise, in a hook for example."""
    cls = _network_error_class(error)
    if cls is None or cls.__name__ != "HTTPStatusError":
        return None
    response: HttpResponse = getattr(error, "response")  # noqa: B009 # the class is not known, it may be httpx2's
    return response


def is_closed_loop(error: Exception) -> bool:
    """Whether a connection was used that belongs to an event loop that is closed."""
    return isinstance(error, RuntimeError) and "loop is closed" in str(error)


def _network_error_class(error: Exception) -> type[Exception] | None:
    """Return the most derived class of a network error that is a library's own."""
    library_classes = [cls for cls in type(error).__mro__ if cls.__module__.partition(".")[0] in LIBRARIES]
    if any(cls.__name__ in NETWORK_ERRORS for cls in library_classes):
        return library_classes[0]
    return type(error) if isinstance(error, OSError) else None


def _fault(error: Exception, class_name: str, *, borrowed: bool) -> Fault:
    if class_name == "ProxyError":
        return Fault.NOT_SENT if str(error).startswith("5") else Fault.NOT_CONNECTABLE
    if class_name in {"ConnectError", "ConnectTimeout"}:
        tls_error = _find_in_chain(error, ssl.SSLError)
        if tls_error is not None and not isinstance(tls_error, INCOMPLETE_HANDSHAKE):
            return Fault.NOT_CONNECTABLE
    if (
        class_name == "ConnectTimeout"
        and borrowed
        and not _find_in_chain(error, Exception, name="ClientConnectorError")
    ):
        # The aiohttp transport raises this also if the server closed the connection after it read the request.
        return Fault.CONNECTION_LOST
    if class_name == "RemoteProtocolError" and _find_in_chain(error, Exception, module="h11"):
        return Fault.INVALID_HTTP
    return FAULTS.get(class_name, Fault.CONNECTION_LOST)


def _find_in_chain(error: BaseException, cls: type[F], *, module: str = "", name: str = "") -> F | None:
    """Return the first exception of `cls`, of a module and a name, in an exception's chain of causes and contexts."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, cls) and type(link).__module__.startswith(module) and type(link).__name__.endswith(name):
            return link
        link = link.__cause__ or link.__context__
    return None


def _proxy_of(error: Exception, url: str) -> str | None:
    """Return the address of the proxy that one of aiohttp's exceptions is about, because aiohttp reports no steps."""
    link = _find_in_chain(error, Exception, module="aiohttp", name="Error")
    refused_url = getattr(getattr(link, "request_info", None), "real_url", None)
    peer = refused_url if type(link).__name__ == "ClientHttpProxyError" else link
    host, port = getattr(peer, "host", None), getattr(peer, "port", None)
    return None if host is None or port is None or is_host_of(url, host, port) else address_of(host, port)


def _proxy_error(cause: Exception, proxy: str) -> Exception:
    """Return a library's `ProxyError` that names the proxy and says what went wrong with it."""
    name, detail = type(cause).__name__, str(cause).rstrip(".") or type(cause).__name__
    what = "cannot be reached" if name in {"ConnectError", "ConnectTimeout"} else "opens no connection"
    return _copy_as("ProxyError", cause, f"the proxy {proxy} {what}: {detail}")


def _copy_as(class_name: str, cause: Exception, text: str) -> Exception:
    """Return the exception as one of another class of its library, or else of httpx, with another text."""
    library = sys.modules.get(type(cause).__module__)
    cls = getattr(library, class_name, None) or getattr(sys.modules["httpx"], class_name)
    error: Exception = cls(text)
    error.__cause__ = cause.__cause__
    return error


def _sanitized(error: Exception, cls: type[Exception]) -> Exception:
    """Return a copy without request, traceback and context, because these hold the token and the form."""
    tls_error = _find_in_chain(error, ssl.SSLError)
    # These errors quote the header that could not be sent, or the bytes that are no HTTP.
    is_quoting = cls.__name__ == "LocalProtocolError" or _find_in_chain(error, Exception, module="h11") is not None
    text = (
        "" if is_quoting else str(error) or str(tls_error or "")
    )  # the TLS error says what is wrong with a certificate
    try:
        copy = cls(text)
    except Exception:  # noqa: BLE001 # aiohttp's exceptions need a request, and quote its URL
        copy = ConnectionError(cls.__name__)
    if tls_error is not None:
        copy.__cause__ = type(tls_error)(*tls_error.args)
    return copy
