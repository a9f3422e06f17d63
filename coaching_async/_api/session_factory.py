"""`SessionFactory`: the layers that the requests of an identity pass, wired together for an event loop."""

import functools
import ssl
from collections.abc import Callable

import attrs

from coaching_async._auth.bearer import BearerAuthMiddleware
from coaching_async._auth.login_host import LoginHost
from coaching_async._auth.shared_name import shared_name
from coaching_async._auth.shared_token_cache import SharedTokenCache
from coaching_async._auth.token_endpoint import NormalizeThrottlingMiddleware, TokenEndpoint
from coaching_async._auth.token_source import token_source_for
from coaching_async._concurrency.tasks import BackgroundTasks
from coaching_async._events import Emit
from coaching_async._exceptions import ConfigurationError
from coaching_async._proxies import proxy_for
from coaching_async._regions import Hosts
from coaching_async._shared_state.connection import SharedStateConnection
from coaching_async._shared_state.store import SharedState
from coaching_async._transport.concurrency_limit import ConcurrencyLimiter
from coaching_async._transport.http import HttpTransport
from coaching_async._transport.http_client import (
    HttpClient,
    LazyHttpClient,
    SocketClients,
    new_http_client,
    new_tls_context,
)
from coaching_async._transport.rate_limit.limiter import Limiter
from coaching_async._transport.rate_limit.middleware import RateLimitMiddleware
from coaching_async._transport.rate_limit.shared_limiter import SharedRateLimiter
from coaching_async._transport.rate_limit.sharing import read_sharing
from coaching_async._transport.retry import RetryMiddleware
from coaching_async._transport.retry_policy import RetryPolicy

from .identity_state import Identity, IdentityState
from .session import AcceptAnyStatus, Pipeline, ReadSharing, Session

__all__ = ["SessionFactory"]


@attrs.frozen(eq=False, repr=False)
class SessionFactory:
    """Makes the session of a client in an event loop."""

    hosts: Hosts
    emit: Emit
    retry: RetryPolicy
    max_concurrency: int
    http_client: HttpClient | None
    socket_client: HttpClient | None
    shared_state: SharedState | None
    is_default_region: bool = False
    """Whether no region and no URL was given."""
    tls: Callable[[], ssl.SSLContext] = attrs.field(factory=lambda: functools.cache(new_tls_context), init=False)

    def __call__(self) -> Session:
        """Return a new session."""
        http = LazyHttpClient(self.http_client, self._new_http_client)
        api_host = HttpTransport(http, ConcurrencyLimiter(self.max_concurrency))
        login_host = HttpTransport(http, ConcurrencyLimiter(1))
        background = BackgroundTasks()
        shared = (
            None if self.shared_state is None else SharedStateConnection(self.shared_state, self.emit, background.spawn)
        )

        def new_pipeline(identity: Identity, state: IdentityState) -> Pipeline:
            if shared is not None:
                shared.require_open()
            login = RetryMiddleware(
                NormalizeThrottlingMiddleware(login_host), state.login_cooldown, state.login_retry_budget
            )
            host = LoginHost(self.hosts.login, self.is_default_region, self._find_proxy)
            endpoint = TokenEndpoint(f"{self.hosts.login}/oauth/token", login, self.emit, self.retry, host)
            token_name = shared_name(identity.auth, self.hosts.login, "token")
            token_cache = None if shared is None or token_name is None else SharedTokenCache(shared, token_name)
            tokens = token_source_for(identity.auth, endpoint, background.spawn, state.tokens, token_cache)
            signed = BearerAuthMiddleware(api_host, tokens, state.rejected_tokens)
            limiter: Limiter = state.rate_limiter
            sharing: ReadSharing | None = None
            limit_name = shared_name(identity.auth, self.hosts.login, "rate_limit")
            if shared is not None and limit_name is not None:
                membership = state.membership()
                limiter = SharedRateLimiter(shared, limit_name, state.rate_limiter.window, membership)
                sharing = functools.partial(read_sharing, shared, limit_name, membership)
            limited = RateLimitMiddleware(signed, limiter)
            send = RetryMiddleware(limited, state.cooldown, state.retry_budget)
            ping = RetryMiddleware(AcceptAnyStatus(api_host))
            return Pipeline(send, tokens, state.names, ping, sharing)

        return Session(new_pipeline, background, http, SocketClients(self.socket_client, self.tls), shared)

    def _find_proxy(self, url: str) -> str | None:
        """Return the address of the proxy that our own HTTP client uses for a URL. Which one a borrowed client uses is not known."""
        if self.http_client is not None:
            return None
        try:
            proxy = proxy_for(url)
        except ConfigurationError:  # the environment has changed since
            return None
        return None if proxy is None else proxy.address

    def _new_http_client(self) -> HttpClient:
        return new_http_client(connections=self.max_concurrency + 1, tls=self.tls, urls=self.hosts)
