"""For FastAPI: one client for the application, a view for each user, errors as problem responses, browsers that leave.

    app = FastAPI(lifespan=lifespan())
    add_problem_responses(app)
    app.add_middleware(CancelOnDisconnect)

    @app.get("/appointments/{appointment_id}")
    async def appointment(appointment_id: UUID, client: Client) -> Appointment:
        return await client.appointments.get(str(appointment_id))

The models need nothing: they are response types and request bodies as they are.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, TypeAlias

import anyio
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coaching_async import CoachingClient, CoachingError

from ._client_views import ClientViews
from ._ndjson import LINES_TYPE, lines_of
from ._problems import PROBLEM_TYPE, problem

__all__ = ["CancelOnDisconnect", "Client", "UserClient", "add_problem_responses", "json_lines", "lifespan"]

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, object]]]


def lifespan(make: Callable[[], CoachingClient] = CoachingClient.from_env) -> Lifespan:
    """The `lifespan` of an application with a client, which `make` makes; it is open as long as the application runs.

    Where there is more to open, use it in a lifespan of your own, and yield its state with yours:
    `async with lifespan()(app) as state: yield {**state, "mine": ...}`.
    """

    @asynccontextmanager
    async def opened(_: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
        async with make() as client:
            yield {STATE: ClientViews(client)}

    return opened


STATE = "coaching_users"


def _client(request: Request) -> CoachingClient:
    return _users(request).client


def _user_client(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> CoachingClient:
    return _users(request).view(bearer.credentials)


def _users(request: Request) -> ClientViews:
    users: ClientViews | None = getattr(request.state, STATE, None)
    if users is None:
        raise RuntimeError("the application has no client: FastAPI(lifespan=lifespan())")
    return users


Client: TypeAlias = Annotated[CoachingClient, Depends(_client)]
"""A parameter of a handler: the application's client, with its own permissions."""

UserClient: TypeAlias = Annotated[CoachingClient, Depends(_user_client)]
"""The same client with the token that the request brings (`Authorization: Bearer`); without one the answer is 401."""


def add_problem_responses(app: FastAPI) -> None:
    """Answer an error of the client that no handler catches with a problem, RFC 9457.

    400, 401, 403, 404 and 409 are passed on. A rate limit is 503 with Retry-After, a deadline 504, anything else that the
    service did wrong 502. `detail` is the error's text, which has no ids in it; `processed` says "maybe" or "yes" where a
    write may have been carried out. What is the application's own mistake stays a 500.
    """
    app.add_exception_handler(CoachingError, _answer)


async def _answer(_: Request, error: Exception) -> Response:
    told = problem(error) if isinstance(error, CoachingError) else None
    if told is None:
        raise error
    return JSONResponse(told.body, told.status, told.headers, PROBLEM_TYPE)


async def json_lines(models: AsyncIterable[object]) -> StreamingResponse:
    """A list as it comes, a line of JSON for each of its items; a slow browser slows the list down.

    The first item is read before the answer begins, so that an error by then gets an answer of its own. A later one
    cuts the answer off, which the browser can tell from its end.
    """
    return StreamingResponse(await lines_of(models), media_type=LINES_TYPE)


class CancelOnDisconnect:
    """Middleware: a browser that leaves cancels the GET that it asked for, and what that asks of the service.

    Other methods run to their end, because a write that is cancelled may have been carried out, and nobody is told.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            await _Attended(self._app, receive, send).run(scope)
        else:
            await self._app(scope, receive, send)


class _Attended:
    """One request, and whether somebody is there to have its answer."""

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
                except BaseException as raised:  # noqa: BLE001 # raised below, outside of the group that would wrap it
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
