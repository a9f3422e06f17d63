"""The HTTP client that requests go out with: one of our own, or a borrowed one."""

import ssl
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Protocol

import anyio
import httpx

from coaching_async._concurrency.tasks import run_in_child_task, run_in_thread
from coaching_async._exceptions import ConfigurationError
from coaching_async._version import VERSION

from .body import ResponseBody
from .httpcore_hooks import new_admission

__all__ = ["HttpClient", "HttpResponse", "LazyHttpClient", "new_http_client", "new_tls_context"]


class HttpResponse(ResponseBody, Protocol):
    """As much of an answer of httpx's, or httpx2's, as is used here."""

    @property
    def status_code(self) -> int: ...
    async def aclose(self) -> None: ...


class HttpClient(Protocol):
    """As much of `httpx.AsyncClient`, or `httpx2.AsyncClient`, as is used here."""

    @property
    def is_closed(self) -> bool: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def build_request(  # a request goes back to the client that built it, so nobody needs to know what it is
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
    "User-Agent": f"coaching-async/{VERSION}",
}
"""Of every request."""


class LazyHttpClient:
    """An HTTP client and its connections: borrowed, or our own, which is made when it is first needed.

    Reading the certificates takes 20 ms, so that is done off the event loop.
    """

    def __init__(self, http: HttpClient | None, factory: Callable[[], HttpClient]) -> None:
        self.http = http
        self.is_borrowed: Final = http is not None
        self.headers: Final = DEFAULT_HEADERS if self.is_borrowed else {}
        """What each request has to be given, because the client does not have it."""
        self.admission: Final = None if self.is_borrowed else new_admission()
        self._factory = factory
        self._lock = anyio.Lock()

    @property
    def owns_open_client(self) -> bool:
        """Whether there are any that have to be closed by us."""
        return self.http is not None and not self.is_borrowed

    async def get(self) -> HttpClient:
        """The HTTP client. Raises `ConfigurationError`."""
        if (http := self.http) is None:
            async with self._lock:
                if (http := self.http) is None:
                    http = self.http = await run_in_thread(self._factory)
        return http

    async def close(self) -> None:
        """Close all connections of our own, also when the caller is cancelled in the middle."""
        if self.http is not None and not self.is_borrowed:
            await run_in_child_task(self.http.aclose)


def new_tls_context() -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer, with the certificates of `SSL_CERT_FILE`, else certifi's. Takes 20 ms.

    Python as Debian builds it leaves the oldest version to OpenSSL's settings, which may allow TLS 1.0.
    """
    try:
        context = httpx.create_ssl_context()
    except OSError as error:  # ssl's own among them
        problem = type(error).__name__
    else:
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)  # the system may ask for 1.3
        return context
    raise ConfigurationError(f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {problem}")


def new_http_client(*, connections: int, tls: ssl.SSLContext) -> httpx.AsyncClient:
    """The HTTP client of who brings none: no redirects, no cookies, proxies from the environment, HTTP/1.1."""
    limits = httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=5.0,  # below any load balancer's idle time: else it may close just as we send
    )
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    # Whatever the environment says: what stays on this machine needs no proxy, and may be plain http.
    direct: dict[str, None] = dict.fromkeys(["all://localhost", "all://127.0.0.1", "all://[::1]"])
    try:
        return httpx.AsyncClient(
            headers=DEFAULT_HEADERS,
            verify=tls,
            limits=limits,
            cookies=no_cookies,
            mounts=direct,
            follow_redirects=False,
        )
    except ImportError:
        problem = "is a SOCKS proxy, which needs one package more: pip install 'httpx[socks]'"
    except (ValueError, httpx.InvalidURL):
        problem = "is no proxy's URL"
    # Which of them it is stays unsaid: a proxy's URL may hold a password.
    raise ConfigurationError(f"what HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is set to {problem}")
