"""`CoachingClient`: the public object: its options, its resources, its views, and its end."""

import contextlib
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

import attrs

from ._api.client import PLATFORM_ROOT, ApiClient
from ._api.identity_state import Identity
from ._api.session import CLIENT_CLOSED, Session
from ._api.session_factory import SessionFactory
from ._auth.grants import Grant
from ._auth.token_source import TokenSource
from ._bulk.results import BulkResult
from ._bulk.runner import BulkStream, Items, OnProgress, bulk
from ._concurrency.event_loop import PerEventLoop
from ._config import (
    log_level,
    read_environment,
    validate_auth,
    validate_concurrency,
    validate_flag,
    validate_http_client,
    validate_on_event,
    validate_rate_limit,
    validate_retry,
    validate_shared_state,
    validate_timeout,
)
from ._events import Counters, Emit, Event, Stats
from ._exceptions import ClientMisuse, ConfigurationError
from ._logging import isolated, log_event, log_to_stderr
from ._refusals.async_only import AsyncContextOnly
from ._regions import region_of, resolve_hosts
from ._resources.annotations import Annotations
from ._resources.appointments import Appointments
from ._resources.notifications import Notifications
from ._resources.requests import Requests
from ._resources.schedule_slots import ScheduleSlots
from ._resources.teams import Teams
from ._resources.topics import Topics
from ._resources.users import Users
from ._shared_state.store import SharedState
from ._transport.http_client import HttpClient
from ._transport.rate_limit.limit import RateLimit
from ._transport.rate_limit.sharing import Sharing
from ._transport.retry_policy import RetryPolicy
from ._value import NotCopyable, summary
from .models.types import UNSET, Unset

__all__ = ["CoachingClient"]

K = TypeVar("K")
P = ParamSpec("P")
T = TypeVar("T")


class CoachingClient(Requests, AsyncContextOnly, NotCopyable):
    """An async client of the Genesys Cloud Coaching API, for asyncio and trio.

    Use it with `async with`, or call `aclose()` at the end.

    - `auth` authenticates the requests: a `ClientCredentials`, an `AccessToken`, a user's `AuthorizationCode`,
      `RefreshToken` or `Saml2Bearer`, or any object with `async def token(self, rejected=None) -> str`.
    - `region` is an AWS region ("eu-west-1"), a Genesys domain or a full API URL. The default is us-east-1.
    - `base_url` and `login_url` replace `region` for a gateway or a sandbox.
    - `timeout` is the deadline of each call in seconds. It includes the token request, all waiting, and all attempts.
      For pages of lists and calls of a bulk it does not run while they wait for the rate limit.
    - `retry` limits retries and backoff, `rate_limit` the requests per period.
    - `max_concurrency` is the maximum number of concurrent requests to the API.
    - `http_client` is used instead of a client of its own, and is not closed. Its pool must allow `max_concurrency` + 1
      connections.
    - `socket_client` opens the WebSockets of listeners, which otherwise have a client of their own each. It is not closed.
    - `allow_http` permits plain http to other hosts than loopback.
    - `on_event` is a plain function that receives every event of every call. Its exceptions are logged and ignored.
    - `strict` makes a row of a list that cannot be read an error of its page (`DecodeError`). Otherwise such a row is left
      out, and reported: in the `report` of an iteration, as an event, and as a WARNING in the log.
    - `shared_state` is a place that the processes of one OAuth client share, so that they use one access token and one rate
      limit together: a `FileSharedState` on one machine, a `RedisSharedState` on several. It is not closed.

    The environment variable `GENESYSCLOUD_LOG` ("debug", "info", "warning", "error") writes the log to standard error.

    Raises `ConfigurationError`.
    """

    _instead = "share it, or make a view with with_options() or with_auth()"

    appointments: Appointments
    annotations: Annotations
    notifications: Notifications
    schedule_slots: ScheduleSlots
    users: Users
    teams: Teams
    topics: Topics

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
        socket_client: HttpClient | None = None,
        allow_http: bool = False,
        on_event: Emit | None = None,
        strict: bool = False,
        shared_state: SharedState | None = None,
    ) -> None:
        log_to_stderr(log_level(os.environ))
        validate_auth(auth)
        validate_shared_state(shared_state)
        validate_http_client("http_client", http_client)
        validate_http_client("socket_client", socket_client)
        validate_on_event(on_event)
        hosts = resolve_hosts(region, base_url, login_url, allow_http=validate_flag("allow_http", allow_http))
        make_session = SessionFactory(
            hosts,
            self._emit,
            validate_retry(retry),
            validate_concurrency(max_concurrency),
            http_client,
            socket_client,
            shared_state,
            is_default_region=region is None and base_url is None,
        )

        def new_session() -> Session:
            if self._is_closed:
                raise ClientMisuse(CLIENT_CLOSED)
            return make_session()

        self._on_event: Final = isolated(on_event)
        self._counters: Final = Counters()
        self._is_closed = False
        self._is_view = False
        self._sessions: Final = PerEventLoop(new_session, Session.discard)
        self._bind_resources(
            ApiClient(
                hosts.api,
                self._sessions.get,
                Identity(auth, validate_rate_limit(rate_limit)),
                self._emit,
                validate_timeout(timeout),
                retry,
                max_concurrency,
                strict=validate_flag("strict", strict),
            )
        )

    def __repr__(self) -> str:
        if "_api" not in self.__dict__:  # `__init__` has raised
            return object.__repr__(self)
        where = region_of(self._api.base_url) or self._api.host
        return summary(self, where, "a view" if self._is_view else "", "closed" if self._is_closed else "")

    def _bind_resources(self, api: ApiClient) -> None:
        self._api = api
        self.appointments = Appointments(api)
        self.annotations = Annotations(api)
        self.notifications = Notifications(api)
        self.schedule_slots = ScheduleSlots(api)
        platform = attrs.evolve(api, root=PLATFORM_ROOT)
        self.users = Users(platform)
        self.teams = Teams(platform)
        self.topics = Topics(platform)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        timeout: float = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 # immutable
        rate_limit: RateLimit = RateLimit(300, per=60.0),  # noqa: B008 # immutable
        max_concurrency: int = 10,
        http_client: HttpClient | None = None,
        socket_client: HttpClient | None = None,
        allow_http: bool = False,
        on_event: Emit | None = None,
        strict: bool = False,
        shared_state: SharedState | None = None,
    ) -> Self:
        """Return a client configured by environment variables, which have the names that Genesys's own tools use.

            async with CoachingClient.from_env() as client:
                print(await client.users.get(user_id))

        The variables are `GENESYSCLOUD_REGION` (a region, a domain or a URL; default us-east-1), and either
        `GENESYSCLOUD_ACCESS_TOKEN`, which takes precedence, or `GENESYSCLOUD_OAUTHCLIENT_ID` with
        `GENESYSCLOUD_OAUTHCLIENT_SECRET`. `GENESYSCLOUD_RATE_LIMIT` is a number of requests a minute, and `GENESYSCLOUD_LOG`
        a level of the log (see the class). `environ` replaces `os.environ`. The other arguments are those of `CoachingClient`, and
        take precedence.

        Raises `ConfigurationError`, which names the variable that is missing or invalid. Blanks and line ends around a variable
        do not count.
        """
        # Not a default, because signatures show defaults.
        found = read_environment(os.environ if environ is None else environ, allow_http=allow_http)
        del environ  # the frames of an error must not show it
        if isinstance(found, ConfigurationError):
            raise found
        log_to_stderr(found.log_level)
        options = {
            "timeout": timeout,
            "retry": retry,
            "rate_limit": rate_limit,
            "max_concurrency": max_concurrency,
            "http_client": http_client,
            "socket_client": socket_client,
            "allow_http": allow_http,
            "on_event": on_event,
            "strict": strict,
            "shared_state": shared_state,
        }
        # Defaults are not passed on, because the environment, or a subclass, may have others.
        taken = inspect.signature(CoachingClient.from_env).parameters
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not taken[name].default}
        if found.rate_limit is not None:
            given.setdefault("rate_limit", found.rate_limit)
        return cls(found.auth, region=found.region, **given)

    def with_options(self, *, timeout: float | Unset = UNSET, retry: RetryPolicy | Unset = UNSET) -> Self:
        """Return a view of this client with another `timeout`, in seconds, or another `retry` policy.

            patient = client.with_options(timeout=300.0)
            appointment = await patient.appointments.create(body)

        The view shares everything else: connections, token, rate limit and statistics. It cannot be closed.

        Raises `ConfigurationError`.
        """
        return self._view(
            timeout=self._api.timeout if isinstance(timeout, Unset) else validate_timeout(timeout),
            retry=self._api.retry if isinstance(retry, Unset) else validate_retry(retry),
        )

    def with_auth(self, auth: Grant | TokenSource, *, rate_limit: RateLimit | None = None) -> Self:
        """Return a view of this client with another identity: the token of a user in a web request, for example.

            mine = client.with_auth(AccessToken(users_token))
            async for appointment in mine.appointments.list_mine():
                print(appointment.date_start, appointment.name)

        The view has its own token, rate limit, cooldown and retry budget, and shares connections and statistics, so thousands
        of views are cheap. Keep one view for each user while it is in use, because its token and its rate limit are
        discarded with it. It cannot be closed.

        Raises `ConfigurationError`.
        """
        validate_auth(auth)
        limit = self._api.identity.rate_limit if rate_limit is None else validate_rate_limit(rate_limit)
        return self._view(identity=Identity(auth, limit))

    def _view(self, **changes: Any) -> Self:
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._is_view = True  # of the same class
        view._bind_resources(attrs.evolve(self._api, **changes))  # of the same class
        return view

    async def warmup(self) -> None:
        """Fetch a token and open a connection, which the first call would otherwise wait for.

            await client.warmup()

        The connection stays open for 1.5 s if it is not used. A wrong client secret or host shows here, as an `AuthError` or
        a `TransportError`, before the first call. An `AccessToken` is not checked, because the request has no token.

        HTTP: POST /oauth/token at the login host, then HEAD / at the API host, without the token; any status is accepted
        Permission: none
        Raises: what every method raises.
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
        """Call `function` for each item, with up to `concurrency` concurrent calls (default: the client's `max_concurrency`).

            result = await client.bulk(
                client.appointments.get, appointment_ids
            )
            print(len(result.succeeded), "found,", result.failed)

        `items` is any iterable or async iterable. The next item is taken only when its call can start. Each call has a
        deadline of its own.

        A `CoachingError` becomes the outcome of its item, and the other calls continue. `Unauthorized`, `AuthError` and
        `ClientMisuse` would affect every call, so they stop the bulk: no further call starts, running calls finish, and the
        remaining items are "not started". A stopped bulk does not read the rest of an async input.

        `on_progress`, a plain function, receives each outcome when its call finishes, also where the bulk fails later.

        Raises `ValueError` and `TypeError` for invalid arguments, before anything is sent. Any other exception of
        `function`, `on_progress` or `items` cancels the running calls and is raised unchanged. If `items` raises a
        `CoachingError`, running calls finish first, and the error's `partial` has all outcomes.
        """
        return await bulk(function, items, concurrency, on_progress, default_concurrency=self._api.concurrency)

    def bulk_stream(
        self, function: Callable[[K], Awaitable[T]], items: Items[K], *, concurrency: int | None = None
    ) -> BulkStream[K, T]:
        """Return a stream of outcomes: `bulk` for an input that is endless, or too long to keep in memory.

            async with client.bulk_stream(
                client.appointments.get, appointment_ids
            ) as outcomes:
                async for outcome in outcomes:
                    print(outcome.item, outcome.value, outcome.error)

        Outcomes come in the order of the input. Up to `concurrency` calls are running, or finished and not yet consumed, so
        a slow consumer slows the calls down (backpressure). Leaving the block cancels the running calls and closes an async
        generator. After an error that stops a bulk, the stream ends with the outcomes of the running calls.

        Raises what `bulk` raises, in the block or at its end.
        """
        return BulkStream(function, items, concurrency, default_concurrency=self._api.concurrency)

    def stats(self) -> Stats:
        """Return the statistics of this client, its views included.

            stats = client.stats()
            print(stats.requests, stats.retries, stats.throttled)

        They count from when the client was made.
        """
        return self._counters.snapshot()

    async def sharing(self) -> Sharing | None:
        """Return which processes share the rate limit of this client, and what they use of it; None if it shares none.

            if (sharing := await client.sharing()) is not None:
                print(sharing.used, "of", sharing.limit.requests)

        It is read from the `shared_state`, and takes no permit. A client shares its limit if it has a `shared_state`, and
        `ClientCredentials` or an `AccessToken`; a view, if its own `auth` is one of these.

        HTTP: none
        Raises: `ClientMisuse` if the client is closed or belongs to another event loop. If the shared state cannot be used,
        `lost` says why.
        """
        return await self._api.sharing()

    async def aclose(self) -> None:
        """Cancel open calls, which raise `ClientMisuse` or `OutcomeUnknown`, and close the client's own connections.

            client = CoachingClient.from_env()
            try:
                print(await client.users.get(user_id))
            finally:
                await client.aclose()

        Idempotent. Raises `ClientMisuse` on a view, and in another event loop while the client's own is running.
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
        with contextlib.suppress(Exception):  # an application's log handler may raise
            log_event(event)
        self._on_event(event)
