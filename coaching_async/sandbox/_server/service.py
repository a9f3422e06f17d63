"""The ASGI application: dispatches requests, and turns exceptions into responses."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import parse_qsl

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from coaching_async.sandbox._auth.oauth import OAuth
from coaching_async.sandbox._channels.connections import Connections
from coaching_async.sandbox._channels.handshake import Handshake
from coaching_async.sandbox._faults.effects import Effects
from coaching_async.sandbox._faults.exchange import Exchange
from coaching_async.sandbox._faults.handlers import HANDLERS
from coaching_async.sandbox._faults.registry import Faults
from coaching_async.sandbox._operations.request_context import RequestContext
from coaching_async.sandbox._operations.routes import find_operation, select_method
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.responses import JsonResponse, error_response, oauth_error_response

from .control import Endpoint
from .rate_limit import SlidingWindow
from .request_log import RequestLog

TOKEN_PATH = "/oauth/token"

log = logging.getLogger("coaching_async.sandbox")


@attrs.frozen
class Service:
    """The ASGI application.

    `control` are the endpoints of the sandbox itself, by path and method. They need no token; faults, rate limits and
    the request log ignore them. `/` is one of them for browsers only, because a client opens its connection by it.
    """

    state: State
    oauth: OAuth
    faults: Faults
    connections: Connections
    requests: RequestLog
    rate_limit: SlidingWindow | None
    login_rate_limit: SlidingWindow | None
    page_cap: int
    job_reads: int
    newest_first: bool
    latency: float
    control: Mapping[str, Mapping[str, Endpoint]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("ascii")
        if scope["type"] == "websocket":
            await self._open_socket(path, Handshake(self.connections, scope, receive, send))
            return
        request = Request(scope, receive)
        if (endpoints := self.control.get(path)) and (path != "/" or _is_browser(request)):
            await (await self._control(endpoints, request))(scope, receive, send)
            return

        async def operate(context_id: str, effects: Effects) -> Response:
            return await self._respond(request, path, context_id, lambda: self._operate(request, path, effects))

        await self._exchange(request, path, send, operate)

    async def _open_socket(self, path: str, handshake: Handshake) -> None:
        async def operate(context_id: str, _: Effects) -> Response:
            return await self._respond(handshake.request, path, context_id, lambda: handshake.answer(path, context_id))

        try:
            await self._exchange(handshake.request, path, handshake.send, operate)
            await handshake.serve()
        finally:
            handshake.end()

    async def _exchange(
        self, request: Request, path: str, send: Send, operate: Callable[[str, Effects], Awaitable[Response]]
    ) -> None:
        query = request.scope["query_string"].decode("latin-1")
        number = self.requests.add(request.method, path, query, self.state.clock())
        context_id = str(uuid.uuid4())

        def record_status(status: int) -> None:
            self.requests.set_status(number, status)

        exchange = Exchange(
            request,
            send,
            request.scope["state"]["transport"],
            context_id,
            self.oauth,
            partial(operate, context_id),
            record_status,
        )
        if fault := self.faults.take(request.method, path, query):
            await HANDLERS[fault.kind](exchange, fault)
        else:
            await exchange.respond(await exchange.run())

    async def _control(self, endpoints: Mapping[str, Endpoint], request: Request) -> Response:
        try:
            return await select_method(endpoints, request.method)(request)
        except errors.ApiError as error:
            return error_response(error, str(uuid.uuid4()))

    async def _respond(
        self, request: Request, path: str, context_id: str, operate: Callable[[], Awaitable[Response]]
    ) -> Response:
        try:
            response = await operate()
        except errors.ApiError as error:
            response = error_response(error, context_id)
        except ClientDisconnect:
            response = Response(status_code=400)  # cannot be sent any more
        except Exception:
            log.exception("%s %s failed", request.method, path)
            response = error_response(errors.internal_error(), context_id)
        if path != TOKEN_PATH:
            await asyncio.sleep(self.latency)
        return response

    async def _operate(self, request: Request, path: str, effects: Effects) -> Response:
        if path == TOKEN_PATH:
            return await select_method({"POST": self._issue_token}, request.method)(request)
        operation, ids = find_operation(request.method, path)
        caller = self.oauth.caller(request.headers.get("authorization"))
        if self.rate_limit and (wait := self.rate_limit.acquire(caller.token)):
            raise errors.too_many_requests(wait, self.rate_limit.limit)
        context = RequestContext(
            request,
            path,
            ids,
            caller,
            self.state,
            self.connections.channels,
            self.page_cap,
            self.job_reads,
            self.newest_first,
            effects,
        )
        return await operation(context)

    async def _issue_token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("latin-1")))
        if self.login_rate_limit and self.login_rate_limit.acquire():
            return oauth_error_response(errors.OAuthError("invalid_request", "rate limit exceeded; wait a little"))
        try:
            return JsonResponse(self.oauth.grant(request.headers.get("authorization"), form))
        except errors.OAuthError as error:
            return oauth_error_response(error)


def _is_browser(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
