"""`CoachingClient`: wires the layers together and owns, or borrows, the HTTP client."""

import contextlib
import copy
import functools
import os
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, Unpack

import attrs

from ._api.client import ApiClient
from ._api.responses import RawResponse, capture_response, to_raw_response
from ._api.session import CLIENT_CLOSED, AcceptAnyStatus, Identity, Pipeline, Session
from ._auth.bearer import BearerAuthMiddleware
from ._auth.grants import Grant
from ._auth.token_endpoint import NormalizeThrottlingMiddleware, TokenEndpoint
from ._auth.token_source import TokenSource, token_source_for
from ._bulk.results import BulkResult
from ._bulk.runner import BulkStream, Items, OnProgress, bulk
from ._concurrency.event_loop import PerEventLoop
from ._concurrency.tasks import BackgroundTasks
from ._config import ClientOptions, auth_from_environment, validate_arguments, validate_timeout
from ._events import Counters, Emit, Event, Stats
from ._exceptions import ClientMisuse, ConfigurationError
from ._logging import isolated, log_event
from ._regions import resolve_hosts
from ._resources.annotations import Annotations
from ._resources.appointments import Appointments
from ._resources.notifications import Notifications
from ._resources.schedule_slots import ScheduleSlots
from ._serialization.json import Json, dumps
from ._serialization.urls import request_target
from ._transport.http import HttpTransport
from ._transport.http_client import HttpClient, LazyHttpClient, new_http_client, new_tls_context
from ._transport.rate_limit import RateLimit, RateLimiter, RateLimitMiddleware
from ._transport.retry import RetryMiddleware
from ._transport.retry_policy import RetryPolicy, Safety
from ._transport.throttling import ConcurrencyLimiter
from .models.types import UNSET, Unset

__all__ = ["CoachingClient"]

K = TypeVar("K")
P = ParamSpec("P")
T = TypeVar("T")


class CoachingClient:
    """A client of the Genesys Cloud Coaching API.

    `auth` is a `ClientCredentials`, an `AccessToken`, a user's `AuthorizationCode`, `RefreshToken` or `Saml2Bearer`, or any
    object with `async def token(self, rejected=None) -> str`.

    `region` is an AWS name ("eu-west-1"), a Genesys domain or a full API URL, us-east-1 unless told; `base_url` and
    `login_url` stand instead of it for a gateway or a sandbox. `timeout` is the deadline of one call in seconds: token,
    waiting, all attempts and the answer. `retry` and `rate_limit` say how often to try and how fast to go;
    `max_concurrency` how many requests are under way at once. `http_client` is used instead of an own one and stays
    open; its pool has to allow `max_concurrency` + 1 connections. Plain http goes to loopback only, elsewhere with
    `allow_http`. `on_event` is told what happens in each call; what it raises is logged and otherwise ignored.

    Use it with `async with`, or call `aclose()` at the end.

    Raises `ConfigurationError`.
    """

    appointments: Appointments
    annotations: Annotations
    notifications: Notifications
    schedule_slots: ScheduleSlots

    def __init__(
        self,
        auth: Grant | TokenSource,
        *,
        region: str | None = None,
        base_url: str | None = None,
        login_url: str | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 # immutable
        rate_limit: RateLimit = RateLimit(300, per=60.0),  # noqa: B008 # immutable
        max_concurrency: int = 10,
        http_client: HttpClient | None = None,
        allow_http: bool = False,
        on_event: Emit | None = None,
    ) -> None:
        if not isinstance(max_concurrency, int) or max_concurrency < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("max_concurrency has to be a whole number, at least 1")
        validate_arguments(auth, http_client, on_event)
        hosts = resolve_hosts(region, base_url, login_url, allow_http=allow_http)
        is_plain = all(host.startswith("http:") for host in hosts)
        tls = functools.cache(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else new_tls_context())

        def new_session() -> Session:
            if self._is_closed:
                raise ClientMisuse(CLIENT_CLOSED)
            http = LazyHttpClient(http_client, lambda: new_http_client(connections=max_concurrency + 1, tls=tls()))
            api_host = HttpTransport(http, ConcurrencyLimiter(max_concurrency))
            login_host = HttpTransport(http, ConcurrencyLimiter(1))
            background = BackgroundTasks()

            def new_pipeline(identity: Identity) -> Pipeline:
                login = RetryMiddleware(NormalizeThrottlingMiddleware(login_host))
                endpoint = TokenEndpoint(f"{hosts.login}/oauth/token", login, self._emit, retry)
                tokens = token_source_for(identity.auth, endpoint, background.spawn)
                signed = BearerAuthMiddleware(api_host, tokens)
                send = RetryMiddleware(RateLimitMiddleware(signed, RateLimiter(identity.rate_limit)))
                return Pipeline(send, tokens, ping=RetryMiddleware(AcceptAnyStatus(api_host)))

            return Session(new_pipeline, background, http)

        self._on_event: Final = isolated(on_event)
        self._counters: Final = Counters()
        self._is_closed = False
        self._is_view = False
        self._sessions: Final = PerEventLoop(new_session, Session.discard)
        self._bind_resources(
            ApiClient(
                hosts.api,
                self._sessions.get,
                Identity(auth, rate_limit),
                self._emit,
                validate_timeout(timeout),
                retry,
                max_concurrency,
            )
        )

    def _bind_resources(self, api: ApiClient) -> None:
        self._api = api
        self.appointments = Appointments(api)
        self.annotations = Annotations(api)
        self.notifications = Notifications(api)
        self.schedule_slots = ScheduleSlots(api)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **options: Unpack[ClientOptions]) -> Self:
        """A client configured by the environment, with the names that Genesys's own tools use; the options are the client's.

        `GENESYSCLOUD_REGION` (a region, a domain or a URL; us-east-1 unless set), and either `GENESYSCLOUD_ACCESS_TOKEN`,
        which wins, or `GENESYSCLOUD_OAUTHCLIENT_ID` with `GENESYSCLOUD_OAUTHCLIENT_SECRET`.

        Raises `ConfigurationError`, which names what is missing.
        """
        found = auth_from_environment(environ)
        del environ  # an error's frames must not show it
        if isinstance(found, ConfigurationError):
            raise found
        auth, region = found
        return cls(auth, region=region, **options)

    def with_options(self, *, timeout: float | Unset = UNSET, retry: RetryPolicy | Unset = UNSET) -> Self:
        """A view of this client with another deadline, in seconds, or another policy, for some calls.

        It shares everything else: connections, token, rate limit, statistics. It cannot be closed. Raises
        `ConfigurationError`.
        """
        return self._view(
            timeout=self._api.timeout if isinstance(timeout, Unset) else validate_timeout(timeout),
            retry=self._api.retry if isinstance(retry, Unset) else retry,
        )

    def with_auth(self, auth: Grant | TokenSource, *, rate_limit: RateLimit | None = None) -> Self:
        """A view of this client that speaks for somebody else: one user's token in a web request, say.

            mine = client.with_auth(AccessToken(users_token))
            async for appointment in mine.appointments.list_mine(): ...

        It has a token and a rate limit of its own, and shares everything else; thousands of them cost little. Keep one
        view for a user while it is in use, because its token and what it has sent are forgotten with it. It cannot be
        closed.
        """
        validate_arguments(auth, None, None)
        known = self._api.identity.rate_limit
        return self._view(identity=Identity(auth, known if rate_limit is None else rate_limit))

    def _view(self, **changes: Any) -> Self:
        view = copy.copy(self)
        view._is_view = True  # noqa: SLF001 # one of us
        view._bind_resources(attrs.evolve(self._api, **changes))  # noqa: SLF001 # one of us
        return view

    async def raw(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
        """Call a method and get its answer as it came: status, headers, JSON, besides the value.

            answer = await client.raw(client.appointments.get, appointment_id)

        After a 202 it does not wait for what was accepted. Raises what the method raises, and `TypeError` for a bulk, whose
        calls may be raw.
        """
        with capture_response() as capture:
            value = await function(*args, **kwargs)
        if capture.call is None:
            raise TypeError("raw() takes a method of this client's that makes a call, and its arguments")
        return to_raw_response(capture.call, capture.elapsed, value)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | bool | Iterable[str] | None] | None = None,
        json: Json = None,
        safe: bool = False,
    ) -> RawResponse[Json]:
        """Any other endpoint of the platform, with this client's token, pacing and retries.

            answer = await client.request("GET", f"/api/v2/users/{quote(user_id, safe='')}")

        `path` starts with a slash, and its ids are quoted; parameters go into `query`, where lists are repeated and None
        is left out. `safe` says that the request only asks, whatever its method, and may be sent twice; without it a POST,
        PUT or PATCH is sent again only when it was surely not carried out.

        Raises `ValueError` and `TypeError` for bad arguments, before anything is sent; else what every method raises.
        """
        verb = method.upper()
        if not verb.isalpha() or not verb.isascii():
            raise ValueError("method is one of GET, POST, PUT, PATCH, DELETE")
        safety = Safety.SAFE if safe or verb in {"GET", "HEAD"} else Safety.WRITE
        if verb == "DELETE" and not safe:
            safety = Safety.DELETE
        return await self._api.request(
            verb, request_target(path, query or {}), safety, None if json is None else dumps(json)
        )

    async def warmup(self) -> None:
        """Do ahead what the first call would wait for: a token is fetched, and a connection opened, which stays for 5 s.

        Needs no permission. HTTP: `POST /oauth/token` at the login host, then `HEAD /` at the API host, without the token;
        any answer will do. Raises what every method raises; `AuthError` and `TransportError` tell of wrong credentials and
        hosts before anybody waits for an answer.
        """
        await self._api.warmup()

    async def bulk(
        self,
        function: Callable[[K], Awaitable[T]],
        items: Items[K],
        *,
        concurrency: int | None = None,
        on_progress: OnProgress[K, T] | None = None,
    ) -> BulkResult[K, T]:
        """Call `function` for each item, at most `concurrency` at a time (`max_concurrency` of the client unless told).

            result = await client.bulk(client.appointments.get, ids)

        `items` is any iterable, async ones included; each item is taken only when there is room for its call, and each call
        has a deadline of its own. A `CoachingError` is the outcome of its item and stops nobody else, except those that
        every call would meet: `Unauthorized`, `AuthError` and `ClientMisuse`. After one of them nothing new begins, what is
        under way ends by itself, and the rest is "not started"; an async input is then not read any further.

        `on_progress`, a plain function, is given each outcome as it comes, and so keeps them where the bulk itself fails.

        Raises `ValueError` and `TypeError` for bad arguments, before anything is sent. What `function` raises that is no
        `CoachingError` comes out at once, as itself, as does what `on_progress` and `items` raise, and the calls under way
        are cancelled. They are waited for where `items` raises a `CoachingError`, whose `partial` has all outcomes.
        """
        return await bulk(function, items, concurrency, on_progress, usual=self._api.concurrency)

    def bulk_stream(
        self, function: Callable[[K], Awaitable[T]], items: Items[K], *, concurrency: int | None = None
    ) -> BulkStream[K, T]:
        """`bulk` for an input that is too long to keep, or never ends.

            async with client.bulk_stream(client.appointments.get, ids) as outcomes:
                async for outcome in outcomes: ...

        Outcomes come in the order of the input. At most `concurrency` calls are under way, or done and not yet taken: who
        reads slowly slows them down. Leaving the block cancels what is under way, and closes an async generator. After an
        error that stops a bulk the stream ends with what was under way.

        Raises what `bulk` raises, in the block or at its end.
        """
        return BulkStream(function, items, concurrency, usual=self._api.concurrency)

    def stats(self) -> Stats:
        """What this client, its views included, has done so far."""
        return self._counters.snapshot()

    async def aclose(self) -> None:
        """End the calls under way, with `ClientMisuse` or `OutcomeUnknown`, and close the client's own connections.

        Twice is as good as once. Raises `ClientMisuse` on a view, and in another event loop than the client's.
        """
        if self._is_view:
            raise ClientMisuse("a view cannot be closed: close the client that it was made from")
        session = None if self._is_closed and self._sessions.is_foreign() else self._sessions.get()
        self._is_closed = True
        if session is not None:
            await session.aclose()

    async def __aenter__(self) -> Self:
        if self._is_view:
            raise ClientMisuse("a view cannot be closed, so it is no context manager: use it as it is")
        session = self._sessions.get()
        session.raise_if_closed()
        await session.http_client.get()
        session.raise_if_closed()  # it may have been closed while its HTTP client was made
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _emit(self, event: Event) -> None:
        self._counters(event)
        with contextlib.suppress(Exception):  # a handler of the application's; who only watches must not change a call
            log_event(event)
        self._on_event(event)
