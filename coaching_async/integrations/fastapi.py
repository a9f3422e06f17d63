"""FastAPI: a client for the application, a view for each user, problem responses, and cancellation on disconnect.

    app = FastAPI(lifespan=lifespan())
    add_problem_responses(app)
    app.add_middleware(CancelOnDisconnect)

    @app.get("/appointments/{appointment_id}")
    async def appointment(appointment_id: UUID, client: Client) -> Appointment:
        return await client.appointments.get(str(appointment_id))

The models can be used as response types and request bodies without further steps.

Notifications as server-sent events:

    async def of_the_team(client: CoachingClient) -> AsyncIterator[Notification]:
        return client.notifications.listen(TEAM)

    app = FastAPI(lifespan=lifespan(listen=of_the_team))

    @app.get("/events")
    async def events(hub: NotificationHub, user_id: SignedIn) -> EventStream:
        return EventStream(hub, user_id)
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Final, TypeAlias
from uuid import UUID

import anyio

from coaching_async import CoachingClient, CoachingError, Notification
from coaching_async._refusals.arguments import checked_awaitable
from coaching_async.fanout import Hub

from ._clients import ClientViews, check_functions, made_by
from ._event_stream import EVENT_STREAM_HEADERS, MAX_AGE, ROOM, EventTexts, last_event_id
from ._extras import extra
from ._ndjson import NDJSON_TYPE, ndjson_lines
from ._problems import PROBLEM_TYPE, problem
from ._signals import closed_on_signals

with extra("fastapi"):
    from fastapi import Depends, FastAPI, Request
    from fastapi.responses import JSONResponse, Response, StreamingResponse
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
    from starlette.background import BackgroundTask
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "CancelOnDisconnect",
    "Client",
    "EventStream",
    "NotificationHub",
    "UserClient",
    "add_problem_responses",
    "json_lines",
    "lifespan",
]

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, object]]]


def lifespan(
    make: Callable[[], CoachingClient] = CoachingClient.from_env,
    *,
    listen: Callable[[CoachingClient], Awaitable[AsyncIterator[Notification]]] | None = None,
) -> Lifespan:
    """Return the `lifespan` of an application with a client from `make`, which is open while the application runs.

    With `listen` the application has a `Hub`, too, which `NotificationHub` is. `listen` is an async function that returns its
    stream, without entering it. The hub's subscriptions end as soon as the process is told to stop (SIGINT, SIGTERM), because
    uvicorn waits for open responses before it ends the lifespan.

    To open more than these, use it in a lifespan of your own, and yield its state with yours:
    `async with lifespan()(app) as state: yield {**state, "mine": ...}`.

    Raises `TypeError` if `make` or `listen` is no function.
    """
    check_functions(make, listen, FastAPI, "FastAPI(lifespan=lifespan())")

    @asynccontextmanager
    async def client_lifespan(_: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
        async with made_by("make", make) as client:
            state = {STATE: ClientViews(client)}
            if listen is None:
                yield state
                return
            async with Hub(await checked_awaitable("listen", listen(client))) as hub:
                with closed_on_signals(hub):
                    yield {**state, HUB: hub}

    return client_lifespan


STATE: Final = "coaching_users"
HUB: Final = "coaching_hub"


def _client(request: Request) -> CoachingClient:
    return _views(request).client


def _user_client(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> CoachingClient:
    return _views(request).view(bearer.credentials)


def _views(request: Request) -> ClientViews:
    views: ClientViews | None = getattr(request.state, STATE, None)
    if views is None:
        raise RuntimeError("the application has no client: FastAPI(lifespan=lifespan())")
    return views


Client: TypeAlias = Annotated[CoachingClient, Depends(_client)]
"""Parameter of a handler: the application's client, with the application's permissions."""

UserClient: TypeAlias = Annotated[CoachingClient, Depends(_user_client)]
"""Parameter of a handler: the same client with the token of the web request (`Authorization: Bearer`), else a 401."""


def _hub(request: Request) -> Hub:
    hub: Hub | None = getattr(request.state, HUB, None)
    if hub is None:
        raise RuntimeError("the application has no hub: FastAPI(lifespan=lifespan(listen=...))")
    return hub


NotificationHub: TypeAlias = Annotated[Hub, Depends(_hub)]
"""Parameter of a handler: the application's `Hub`, which reads the stream of `lifespan(listen=...)`."""


def add_problem_responses(app: FastAPI) -> None:
    """Respond to an error of the client that no handler catches with a problem response, RFC 9457.

    The statuses 400, 401, 403, 404 and 409 are passed on. A rate limit becomes 503 with Retry-After, a deadline 504, and any
    other error of the service 502. `detail` is the error's text, which contains no ids. `processed` is "maybe" or "yes" if
    a write may have been carried out. A mistake of the application stays a 500.
    """
    app.add_exception_handler(CoachingError, _respond)


async def _respond(_: Request, error: Exception) -> Response:
    response = problem(error) if isinstance(error, CoachingError) else None
    if response is None:
        raise error
    return JSONResponse(response.body, response.status, response.headers, PROBLEM_TYPE)


async def json_lines(models: AsyncIterable[object]) -> StreamingResponse:
    """Return a list as newline-delimited JSON, as its pages are read; a slow browser slows the reading down.

    The first item is read before the response starts, so that its error becomes a response of its own. A later error
    cuts the response off, which the browser can detect.
    """
    return StreamingResponse(await ndjson_lines(models), media_type=NDJSON_TYPE)


class EventStream(Response):
    """The notifications of some users as server-sent events, for an `EventSource` in the browser.

    | event | data |
    |---|---|
    | `notification` | a `Notification`, as JSON |
    | `missed` | `{"count": 3}`, or null if the number is not known: notifications that this browser does not get |
    | `alive` | `{}`: at the start, and 15 s after the last event |
    | `unavailable` | `{}`: the hub's stream has failed. The browser asks again after 10 to 30 s. |

    Each event has an id. A browser that reconnects sends the last one, in the header `Last-Event-ID` or in the parameter
    `last_event_id` of the query, and gets what came since. The handler decides whose notifications the browser may see. The
    response ends after `max_age` seconds, and the browser reconnects, so the handler decides again. `room` notifications may
    wait for a slow browser. Beyond that it gets `missed` in place of the oldest ones.

    The subscription ends with the response: when the browser disconnects, when the response is cancelled, or when the hub
    ends.
    """

    def __init__(
        self,
        hub: Hub,
        user_ids: str | UUID | Iterable[str | UUID],
        *,
        room: int = ROOM,
        max_age: float = MAX_AGE,
    ) -> None:
        self.status_code = 200
        self.background: BackgroundTask | None = None
        self.init_headers(EVENT_STREAM_HEADERS)
        self._hub, self._user_ids, self._room, self._max_age = hub, user_ids, room, max_age

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one web request (ASGI)."""
        request = Request(scope)
        place = last_event_id(request.headers, request.query_params)
        with self._hub.subscribe(self._user_ids, last_event_id=place, room=self._room) as subscription:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if request.method != "HEAD":
                await self._write(EventTexts(subscription), receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, texts: EventTexts, receive: Receive, send: Send) -> None:
        error: BaseException | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_on_disconnect, tasks.cancel_scope, receive)
            try:
                with anyio.move_on_after(self._max_age):
                    async for text in texts:
                        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            except anyio.get_cancelled_exc_class():
                raise
            except OSError:  # some servers raise it when the browser has disconnected
                pass
            except BaseException as raised:  # noqa: BLE001 # raised below, because the task group would wrap it
                error = raised
            tasks.cancel_scope.cancel()
        if error is not None:
            raise error


async def _cancel_on_disconnect(scope: anyio.CancelScope, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class CancelOnDisconnect:
    """Middleware that cancels the handler of a GET, with its requests to the service, when the browser disconnects.

    Handlers of other methods run to their end, because a cancelled write may have been carried out without a report.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one web request (ASGI)."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            await _CancellableRequest(self._app, receive, send).run(scope)
        else:
            await self._app(scope, receive, send)


class _CancellableRequest:
    """A web request whose handler is cancelled on disconnect."""

    def __init__(self, app: ASGIApp, receive: Receive, send: Send) -> None:
        self._app, self._receive, self._send = app, receive, send
        self._put, self._got = anyio.create_memory_object_stream[Message](1)
        self._is_answered = False

    async def run(self, scope: Scope) -> None:
        error: BaseException | None = None
        with self._put, self._got:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, tasks.cancel_scope)
                try:
                    await self._app(scope, self._next, self._forward)
                except anyio.get_cancelled_exc_class():
                    raise
                except BaseException as raised:  # noqa: BLE001 # raised below, because the task group would wrap it
                    error = raised
                tasks.cancel_scope.cancel()
        if error is not None:
            raise error

    async def _watch(self, request: anyio.CancelScope) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            await self._put.send(message)
        if not self._is_answered:
            request.cancel()
        self._put.close()

    async def _next(self) -> Message:
        try:
            return await self._got.receive()
        except anyio.EndOfStream:
            return {"type": "http.disconnect"}

    async def _forward(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_answered = True
