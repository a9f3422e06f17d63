"""The `Sandbox`: validates its options, wires the parts together, and runs the server."""

import math
import time
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias

import anyio

from ._auth.oauth import OAuth
from ._channels.channels import ChannelOptions, Channels
from ._channels.connections import Connections
from ._channels.sockets import Sockets
from ._faults.registry import Faults
from ._server.control import Control
from ._server.data import Data
from ._server.document import openapi
from ._server.events import Events
from ._server.pages import PAGES
from ._server.rate_limit import SlidingWindow
from ._server.request_log import Arrival, RequestLog
from ._server.server import Server
from ._server.service import Service
from ._server.socket_orders import SocketOrders
from ._state.persistence import load, save
from ._state.seed import seeded_state
from ._state.state import State
from ._wire.arguments import require_at_least, require_positive, require_whole
from ._wire.errors import ApiError

NotificationType: TypeAlias = Literal[
    "Create", "Update", "Delete", "StatusChange", "AnnotationAdded", "AnnotationEdited", "AnnotationDeleted"
]
"""The `actionType` of a notification."""


class Identified(Protocol):
    """An object with an id, for example a user of the client."""

    @property
    def id(self) -> str | None: ...


UserLike: TypeAlias = str | Mapping[str, Any] | Identified
"""A user: the id or e-mail address, a row of the sandbox, or an object with an `id`."""


class Sandbox:
    """A local substitute for Genesys Cloud that serves the Coaching API on a real socket.

    Enter it with `with`, or with `async with` on asyncio or trio. The same `seed` and `today` give the same data: the
    appointments are around `today` (in UTC), by default the day on which the sandbox is created. `state`, a file
    written by `save`, replaces `seed`, `today`, `appointments` and `users`. While the sandbox runs, a test may read and
    change `state`, order `faults`, inspect `requests`, and revoke tokens or add clients with `oauth`.

    A page holds up to `page_cap` items, even if more are requested. A job that searches for slots is in progress for its
    first `job_reads` reads. Each token may make `rate_limit` requests in any `rate_window` seconds, and is valid for
    `token_life` seconds; the token endpoint accepts `login_rate_limit` requests in such a window. Each response of the API
    is delayed by `latency` seconds. `requests` keeps the newest `requests_kept`.

    Notifications are listed oldest first, or `newest_first`. A notification channel exists for `channel_life` seconds, or
    until its token ends; `closing_notice` seconds before its end its WebSocket is told so (at most half of its life
    before, and not if it is 0). Every `heartbeat` seconds each WebSocket gets a heartbeat. A user and OAuth client have up to
    `channel_limit` channels, and a channel up to `topic_limit` topics.
    """

    state: State
    """The data: `user_ids`, `users` and `appointments` by their ids, and so on."""
    oauth: OAuth
    """OAuth clients, refresh tokens, and the access tokens that were issued."""
    faults: Faults
    """The ordered faults: `faults.add(Fault(...))`."""
    sockets: Sockets
    """The WebSockets that are open: `sockets.drop()`, or `sockets[0].close(1001)`."""
    _server: Server | None = None

    def __init__(
        self,
        *,
        appointments: int = 200,
        users: int = 10,
        seed: int = 1,
        today: date | None = None,
        state: str | PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        page_cap: int = 100,
        job_reads: int = 1,
        rate_limit: int | None = None,
        login_rate_limit: int | None = None,
        rate_window: float = 60.0,
        token_life: int = 86400,
        latency: float = 0.0,
        newest_first: bool = False,
        heartbeat: float = 30.0,
        channel_life: float = 86400.0,
        closing_notice: float = 60.0,
        channel_limit: int = 20,
        topic_limit: int = 1000,
        requests_kept: int = 10_000,
    ) -> None:
        require_whole(-math.inf, seed=seed)
        require_whole(0, appointments=appointments, port=port, job_reads=job_reads)
        require_whole(1, users=users, page_cap=page_cap, requests_kept=requests_kept)
        require_whole(1, channel_limit=channel_limit, topic_limit=topic_limit)
        require_at_least(0, latency=latency, closing_notice=closing_notice)
        require_at_least(1, token_life=token_life)
        for name, limit in (("rate_limit", rate_limit), ("login_rate_limit", login_rate_limit)):
            if limit is not None:
                require_whole(1, **{name: limit})
        require_positive(rate_window=rate_window, heartbeat=heartbeat, channel_life=channel_life)
        if port > 65535:
            raise ValueError(f"port must be 65535 at most, not {port!r}")
        midnight = _midnight_of(_today() if today is None else today)
        self.state = (
            load(Path(state), _now, seed, midnight)
            if state is not None
            else seeded_state(appointments, users, seed, midnight, _now)
        )
        self.oauth = OAuth(self.state.user_ids[0], token_life, time.monotonic)
        self.faults = Faults()
        options = ChannelOptions(heartbeat, channel_life, closing_notice, channel_limit, topic_limit)
        channels = Channels(options, self.state.lock, time.monotonic, self.oauth.seconds_left)
        connections = Connections(channels)
        self.sockets = Sockets(connections)
        events = Events()
        channels.on_change = lambda: events.publish("sockets")
        self.state.on_notification += [channels.notify, events.notify]
        self.oauth.on_revoked = channels.revoke
        self._log = RequestLog(requests_kept)
        self._service = Service(
            self.state,
            self.oauth,
            self.faults,
            connections,
            self._log,
            _sliding_window(rate_limit, rate_window),
            _sliding_window(login_rate_limit, rate_window),
            page_cap,
            job_reads,
            newest_first,
            latency,
            {
                **Control(self.faults, self._log).endpoints(),
                **Data(self.state).endpoints(),
                **SocketOrders(self.sockets).endpoints(),
                **events.endpoints(),
                **PAGES,
                "/openapi.json": {"GET": openapi},
            },
        )
        self._host, self._port = host, port

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'not running' if self._server is None else self.base_url})"

    @property
    def base_url(self) -> str:
        """The URL of the API host, without a path."""
        if self._server is None:
            raise RuntimeError("the sandbox is not running; enter it first")
        return self._server.address

    @property
    def login_url(self) -> str:
        """The URL of the token endpoint's host, which is the same."""
        return self.base_url

    @property
    def requests(self) -> list[Arrival]:
        """The requests that have arrived, oldest first, up to the newest `requests_kept`."""
        return self._log.all()

    def user_token(self, user: UserLike, permissions: Collection[str] = ()) -> str:
        """Return an access token of a user, without a request; it is valid for `token_life` seconds.

        `user` is the id or the e-mail address of one of `state.users`, a row of it, or an object with that `id`. The token
        allows what a participant of an appointment may do, and `permissions`.

        Raises: `LookupError` if no user has that id or address, or several users have that address; `TypeError` if
        `permissions` is one text.
        """
        if isinstance(permissions, str):
            raise TypeError(f"permissions is a list, for example [{permissions!r}], not one text")
        return self.oauth.user_token(self._user_id(user), frozenset(permissions))

    def notify(
        self, user: UserLike, action: NotificationType = "Update", *, appointment_id: str | None = None
    ) -> dict[str, Any]:
        """Make a notification of a user, without a change of an appointment, and return its row.

        `user` is as in `user_token`. `action` is the `actionType`. The notification is about the appointment of this id, by
        default about the user's first one, or else about the first one of all. It is published to the channels that have
        the user's topic.

        Raises: `LookupError` if there is no such user or appointment.
        """
        try:
            return self.state.notify(self._user_id(user), action, appointment_id)
        except ApiError as error:
            raise LookupError("the sandbox has no such appointment") from error

    def _user_id(self, user: UserLike) -> str:
        given = user if isinstance(user, str) else user["id"] if isinstance(user, Mapping) else user.id
        found = self.state.users_named(given or "")
        if len(found) != 1:
            raise LookupError(f"the sandbox has {'several users' if found else 'no user'} of that id or e-mail address")
        return found[0]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the whole state to a file for `Sandbox(state=path)`, without tokens, faults and requests."""
        save(self.state, Path(path))

    def __enter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("the sandbox is running already")
        self._server = Server.start(self._service, self._host, self._port)
        return self

    def __exit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()  # does not block for long

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.ask_to_stop()
            try:
                with anyio.CancelScope(shield=True):
                    # Polled, because a worker thread that joins it would outlive the sandbox (trio keeps its threads).
                    while self._server.running:  # noqa: ASYNC110 - the end of a thread cannot be awaited
                        await anyio.sleep(0.002)
            finally:
                self.__exit__(kind, error, trace)


def _now() -> datetime:
    return datetime.now(UTC)


def _today() -> date:
    return _now().date()


def _midnight_of(day: date) -> datetime:
    if not isinstance(day, date):  # pyright: ignore[reportUnnecessaryIsInstance] # not all programs are type-checked
        raise TypeError(f"today must be a date, not {day!r}")
    if not 3 <= day.year <= 9998:  # the data reach a year into the future and two into the past
        raise ValueError(f"today must be in one of the years 3 to 9998, not {day.year}")
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _sliding_window(requests: int | None, window: float) -> SlidingWindow | None:
    return SlidingWindow(requests, window, time.monotonic) if requests is not None else None
