"""The service: which request goes where, and what every answer has in common."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from coaching_async.sandbox._auth.oauth import OAuth, OAuthError
from coaching_async.sandbox._faults.fault import Faults
from coaching_async.sandbox._faults.handlers import KINDS, Exchange
from coaching_async.sandbox._operations import appointments as operations
from coaching_async.sandbox._operations import platform
from coaching_async.sandbox._operations.request_context import Call
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import APPOINTMENTS, JOBS, NOTIFICATIONS, SLOTS
from coaching_async.sandbox._wire.responses import Json, login_refused, refused

from .control import Page
from .rate_limit import SlidingWindow
from .request_log import RequestLog

TOKEN_PATH = "/oauth/token"

T = TypeVar("T")

Operation: TypeAlias = Callable[[Call], Awaitable[Response]]

OPERATIONS: dict[str, Mapping[str, Operation]] = {
    APPOINTMENTS: {"GET": operations.list_appointments, "POST": operations.create_appointment},
    f"{APPOINTMENTS}/me": {"GET": operations.list_my_appointments},
    f"{APPOINTMENTS}/aggregates/query": {"POST": operations.aggregate_appointments},
    f"{APPOINTMENTS}/{{appointmentId}}": {
        "GET": operations.get_appointment,
        "PATCH": operations.update_appointment,
        "DELETE": operations.delete_appointment,
    },
    f"{APPOINTMENTS}/{{appointmentId}}/statuses": {"GET": operations.list_statuses},
    f"{APPOINTMENTS}/{{appointmentId}}/status": {"PATCH": operations.set_status},
    f"{APPOINTMENTS}/{{appointmentId}}/conversations": {"POST": operations.add_conversation},
    f"{APPOINTMENTS}/{{appointmentId}}/annotations": {
        "GET": operations.list_annotations,
        "POST": operations.create_annotation,
    },
    f"{APPOINTMENTS}/{{appointmentId}}/annotations/{{annotationId}}": {
        "GET": operations.get_annotation,
        "PATCH": operations.update_annotation,
        "DELETE": operations.delete_annotation,
    },
    NOTIFICATIONS: {"GET": operations.list_notifications},
    f"{NOTIFICATIONS}/{{notificationId}}": {
        "GET": operations.get_notification,
        "PATCH": operations.update_notification,
    },
    f"{SLOTS}/query": {"POST": operations.query_slots},
    JOBS: {"POST": operations.start_job},
    f"{JOBS}/{{jobId}}": {"GET": operations.get_job},
}

PLATFORM: dict[str, Mapping[str, Operation]] = {
    platform.TOKEN: {"GET": platform.get_token},
    platform.SUBJECT: {"GET": platform.get_subject},
}

_ROUTES = [(compile_path(path)[0], methods) for path, methods in (OPERATIONS | PLATFORM).items()]

log = logging.getLogger("coaching_async.sandbox")


def route(raw_path: str) -> tuple[Mapping[str, Operation], dict[str, str]]:
    """Find the operations of a path. It comes as it was sent, so that `a%2Fb` is one id, and not two segments."""
    for pattern, methods in _ROUTES:
        if found := pattern.fullmatch(raw_path):
            return methods, {name: unquote(segment) for name, segment in found.groupdict().items()}
    raise errors.no_such_path()


def _of(methods: Mapping[str, T], method: str) -> T:
    if (found := methods.get(method)) is None:
        raise errors.method_not_allowed(methods)
    return found


@attrs.frozen
class Service:
    """The ASGI application."""

    state: State
    oauth: OAuth
    faults: Faults
    requests: RequestLog
    limit: SlidingWindow | None
    login_limit: SlidingWindow | None
    page_cap: int
    job_reads: int
    latency: float
    pages: Mapping[str, Mapping[str, Page]]  # of the sandbox itself: no token, no fault, no limit, not recorded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("latin-1")
        if pages := self.pages.get(path):
            await (await self._show(pages, request))(scope, receive, send)
            return
        arrival = self.requests.arrived(request.method, path, query, self.state.clock())
        context_id = str(uuid.uuid4())

        async def work() -> Response:
            return await self._work(request, path, context_id)

        def note_status(status: int) -> None:
            self.requests.answered(arrival, status)

        exchange = Exchange(request, send, scope["state"]["transport"], context_id, self.oauth, work, note_status)
        if fault := self.faults.take(request.method, path, query):
            await KINDS[fault.kind](exchange, fault)
        else:
            await exchange.deliver(await work())

    async def _show(self, pages: Mapping[str, Page], request: Request) -> Response:
        try:
            return await _of(pages, request.method)(request)
        except errors.ApiError as why:
            return refused(why, str(uuid.uuid4()))

    async def _work(self, request: Request, path: str, context_id: str) -> Response:
        try:
            if path == TOKEN_PATH:
                return await _of({"POST": self._token}, request.method)(request)
            response = await self._operate(request, path)
        except errors.ApiError as why:
            response = refused(why, context_id)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody is left to read it
        except Exception:
            log.exception("%s %s failed", request.method, path)
            response = refused(errors.broken(), context_id)
        await asyncio.sleep(self.latency)
        return response

    async def _operate(self, request: Request, path: str) -> Response:
        methods, ids = route(path)
        operation = _of(methods, request.method)
        caller = self.oauth.caller(request.headers.get("authorization"))
        if self.limit and (wait := self.limit.wait(caller.token)):
            raise errors.too_many_requests(wait, self.limit.limit)
        return await operation(Call(request, path, ids, caller, self.state, self.page_cap, self.job_reads))

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("latin-1")))
        if self.login_limit and self.login_limit.wait():
            return login_refused(OAuthError("invalid_request", "rate limit exceeded; wait a little"))
        try:
            return Json(self.oauth.grant(request.headers.get("authorization"), form))
        except OAuthError as why:
            return login_refused(why)
