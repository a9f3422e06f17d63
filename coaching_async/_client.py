"""`CoachingClient`: wires the layers together and owns, or borrows, the HTTP client."""

import logging
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import httpx

from ._annotations import Annotations
from ._api import Api
from ._appointments import Appointments
from ._engine import Engine, close, own_client
from ._errors import ConfigurationError
from ._events import Counters, Emit, Event, Stats
from ._notifications import Notifications
from ._pipeline import Authorising, Pacing, Request, Response, Retrying, Send, TokenSource
from ._rate import Budget, Gate, RateLimit
from ._regions import hosts
from ._retry import RetryPolicy
from ._schedule_slots import ScheduleSlots
from ._tokens import AccessToken, ClientCredentials, Grant, LoginLimit, TokenKeeper
from ._types import Secret

__all__ = ["CoachingClient"]

logger: Final = logging.getLogger("coaching_async")


class CoachingClient:
    """A client of the Genesys Cloud Coaching API.

    `auth` is a `ClientCredentials`, an `AccessToken`, or any object with `async def token(self, rejected=None) -> str`.

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
        http_client: httpx.AsyncClient | None = None,
        allow_http: bool = False,
        on_event: Emit | None = None,
    ) -> None:
        if not isinstance(timeout, int | float) or not timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("timeout has to be a number of seconds above 0")
        if max_concurrency < 1:
            raise ConfigurationError("max_concurrency has to be at least 1")
        where = hosts(region, base_url, login_url, allow_http=allow_http)
        self._counters: Final = Counters()
        self._on_event: Final = on_event
        self._http: Final = own_client(connections=max_concurrency + 1) if http_client is None else http_client
        self._borrowed: Final = http_client is not None
        self._gates: Final = (Gate(max_concurrency), Gate(1))

        budget, gate = Budget(rate_limit), self._gates[0]
        engine, login_engine = (Engine(self._http, each, self._borrowed) for each in self._gates)
        login = Retrying(LoginLimit(login_engine), retry)
        tokens = TokenKeeper(auth, f"{where.login}/oauth/token", login, self._emit) if isinstance(auth, Grant) else auth
        self._send: Send = Retrying(Pacing(Authorising(engine, tokens), budget), retry, on_throttle=gate.close_for)

        api = Api(where.api, self._send_if_open, self._emit, timeout)
        self.appointments = Appointments(api)
        self.annotations = Annotations(api)
        self.notifications = Notifications(api)
        self.schedule_slots = ScheduleSlots(api)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """A client configured by the environment, with the names that Genesys's own tools use.

        `GENESYSCLOUD_REGION` (a region, a domain or a URL; us-east-1 unless set), and either `GENESYSCLOUD_ACCESS_TOKEN`,
        which wins, or `GENESYSCLOUD_OAUTHCLIENT_ID` with `GENESYSCLOUD_OAUTHCLIENT_SECRET`.

        Raises `ConfigurationError`, which names what is missing.
        """
        region, token, client_id, client_secret = (_variable(environ, name) for name in VARIABLES)
        del environ  # an error's frames must not show it
        missing = [name for name, value in zip(VARIABLES[2:], (client_id, client_secret), strict=True) if not value]
        problem = f"the environment lacks {' and '.join(missing)}; or set {VARIABLES[1]} instead"
        auth: Grant | TokenSource | None = None
        try:
            if token:
                auth = AccessToken(token.reveal())
            elif client_id and client_secret:
                auth = ClientCredentials(client_id.reveal(), client_secret.reveal())
        except ValueError as error:
            problem = f"{VARIABLES[1]}: {error}"
        if auth is None:
            raise ConfigurationError(problem)
        return cls(auth, region=region.reveal() if region else None)

    def stats(self) -> Stats:
        """What this client has done so far."""
        return self._counters.snapshot()

    async def aclose(self) -> None:
        """Close the client, and its connections unless they are a borrowed client's. Twice is as good as once."""
        for gate in self._gates:
            gate.shut()
        if not self._borrowed:
            await close(self._http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send_if_open(self, request: Request) -> Response:
        self._gates[0].refuse_if_shut()  # at once, and not only when its turn has come
        return await self._send(request)

    def _emit(self, event: Event) -> None:
        self._counters(event)
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:  # who only watches must not change what happens
                logger.exception("on_event failed on %s", type(event).__name__)


VARIABLES: Final = (
    "GENESYSCLOUD_REGION",
    "GENESYSCLOUD_ACCESS_TOKEN",
    "GENESYSCLOUD_OAUTHCLIENT_ID",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET",
)


def _variable(environ: Mapping[str, str], name: str) -> Secret | None:
    return Secret(value) if (value := environ.get(name)) else None
