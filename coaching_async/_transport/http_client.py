"""HTTP clients: protocols for httpx and httpx2, the client's own one and its TLS, or a borrowed one."""

import os
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Protocol
from weakref import WeakSet

import anyio
import attrs
import httpx

from coaching_async._concurrency.tasks import run_in_child_task, run_in_thread
from coaching_async._exceptions import ConfigurationError
from coaching_async._proxies import Proxy, proxy_for
from coaching_async._version import __version__

from .body import ResponseBody
from .httpcore_hooks import close_after_event_loop, new_admission

__all__ = ["HttpClient", "HttpResponse", "LazyHttpClient", "SocketClients", "new_http_client", "new_tls_context"]


class HttpResponse(ResponseBody, Protocol):
    """What is used of an `httpx.Response` or `httpx2.Response`."""

    @property
    def status_code(self) -> int: ...
    async def aclose(self) -> None: ...


class HttpClient(Protocol):
    """What is used of `httpx.AsyncClient` or `httpx2.AsyncClient`."""

    @property
    def is_closed(self) -> bool: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def build_request(  # only the client that builds a request needs to know its type
        self,
        method: str,
        url: str,
        *,
        content: bytes | None,
        headers: Mapping[str, str],
        timeout: tuple[float | None, float | None, float | None, float | None],
        extensions: dict[str, Any],
    ) -> Any: ...
    async def send(self, request: Any, *, stream: bool, auth: None, follow_redirects: bool) -> HttpResponse: ...
    async def aclose(self) -> None: ...


DEFAULT_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"coaching-async/{__version__}",
}
"""Headers of every request."""


KEEPALIVE_EXPIRY: Final = 1.5
"""Seconds for which an idle connection is kept.

Servers close theirs after 2 s at the earliest, many after 5 s. If a server closes one just as a write is sent on it, nobody
knows whether the write was carried out.
"""


class LazyHttpClient:
    """An HTTP client: a borrowed one, or one of our own that is created when it is first needed.

    It is created in a thread, because reading the certificates takes 20 ms.
    """

    def __init__(self, http: HttpClient | None, factory: Callable[[], HttpClient]) -> None:
        self.http = http
        self.is_borrowed: Final = http is not None
        self.headers: Final = DEFAULT_HEADERS if self.is_borrowed else {}
        """Headers to add to each request, because a borrowed client does not send them itself."""
        self.admission: Final = None if self.is_borrowed else new_admission()
        self.streams: Final = WeakSet[Any]()
        """The network streams that httpcore has opened."""
        self._factory = factory
        self._lock = anyio.Lock()
        self._closing: AsyncGenerator[None] | None = None

    @property
    def owns_open_client(self) -> bool:
        """Whether there is one of our own to close."""
        return self.http is not None and not self.is_borrowed and not self.http.is_closed

    async def get(self) -> HttpClient:
        """Return the HTTP client. Raises `ConfigurationError`."""
        if (http := self.http) is None:
            async with self._lock:
                if (http := self.http) is None:
                    http = self.http = await run_in_thread(self._factory)
                    self._closing = _close_with_event_loop(http)
                    await anext(self._closing)
        return http

    async def close(self) -> None:
        """Close the client if it is our own. All connections are closed even if the caller is cancelled meanwhile."""
        if self._closing is not None:
            await run_in_child_task(self._closing.aclose)

    def discard(self) -> None:
        """Close the sockets of our own client after an event loop that has ended without closing it."""
        for stream in list(self.streams):
            close_after_event_loop(stream)


@attrs.frozen(eq=False, repr=False)
class SocketClients:
    """HTTP clients for WebSockets: a new one for each, or the borrowed one for all.

    A WebSocket holds its connection for hours, and a client of its own leaves the pool of the requests as it is.
    """

    borrowed: HttpClient | None
    tls: Callable[[], ssl.SSLContext]

    async def new_client(self, url: str) -> HttpClient:
        """Return the client for a server. Raises `ConfigurationError`.

        It is created in a thread, because the first one may have to read the certificates.
        """
        if self.borrowed is not None:
            return self.borrowed
        return await run_in_thread(lambda: new_http_client(connections=1, tls=self.tls, urls=(url,)))


async def _close_with_event_loop(http: HttpClient) -> AsyncGenerator[None]:
    """Close the client when this generator is closed: by `aclose()`, or by the event loop, which closes all that are left."""
    try:
        yield
    finally:
        await http.aclose()


def new_tls_context() -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer, with the certificates of `SSL_CERT_FILE`, else certifi's. Takes 20 ms.

    The minimum is set because Debian's Python leaves it to OpenSSL's settings, which may allow TLS 1.0.
    """
    try:
        context = httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        problem = type(error).__name__
    else:
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)  # the system may require 1.3
        return context
    raise ConfigurationError(f"{_unusable_tls_setting()}: {problem}")


def _unusable_tls_setting() -> str:
    """Return the beginning of a sentence about the setting because of which no TLS context can be made."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).keylog_filename = os.environ.get("SSLKEYLOGFILE") or os.devnull
    except OSError:
        return "the file that SSLKEYLOGFILE names cannot be written"
    variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    return f"the certificates that {variable or 'the package certifi'} names cannot be read"


def new_http_client(
    *, connections: int, tls: Callable[[], ssl.SSLContext], urls: Iterable[str] = ()
) -> httpx.AsyncClient:
    """Return the HTTP client that is used unless the user passes one. Raises `ConfigurationError`.

    It uses HTTP/1.1, follows no redirects and keeps no cookies. It reaches the hosts of `urls` through the proxies of the
    environment. httpx does not read these itself, because it refuses to start where one entry means nothing to it, also if
    no request would need that entry.
    """
    limits = httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=KEEPALIVE_EXPIRY,
    )
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    proxies = {url: proxy for url in urls if (proxy := proxy_for(url)) is not None}
    uses_tls = any(url.startswith("https:") for url in (*urls, *(proxy.url for proxy in proxies.values())))
    context = tls() if uses_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transports = {url: _proxied_transport(proxy, context, limits) for url, proxy in proxies.items()}
    del proxies  # the frames of an error must not show a password
    mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
    for url, transport in transports.items():
        if isinstance(transport, str):
            raise ConfigurationError(transport)
        mounts[url] = transport
    return httpx.AsyncClient(
        headers=DEFAULT_HEADERS,
        verify=context,
        limits=limits,
        cookies=no_cookies,
        mounts=mounts,
        trust_env=False,
        follow_redirects=False,
    )


def _proxied_transport(proxy: Proxy, tls: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncHTTPTransport | str:
    """Return a transport through a proxy, or what is wrong with the proxy."""
    try:
        server = httpx.Proxy(proxy.url, ssl_context=tls if proxy.url.startswith("https:") else None)
        return httpx.AsyncHTTPTransport(verify=tls, limits=limits, proxy=server)
    except ImportError:
        return f"{proxy.variable} is set to a SOCKS proxy, which needs one package more: pip install 'httpx[socks]'"
    except (ValueError, httpx.InvalidURL):  # does not quote the URL, because it may hold a password
        return f"{proxy.variable} is set to what is no proxy's URL"
