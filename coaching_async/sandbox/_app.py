"""The service: which request goes where, and what every answer has in common."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from . import _errors as errors
from . import _operations as operations
from ._call import Call
from ._faults import KINDS, Exchange, Faults
from ._limits import SlidingWindow
from ._oauth import OAuth, OAuthError
from ._replies import Json, login_refused, refused
from ._requests import RequestLog
from ._state import State
from ._wire import APPOINTMENTS, NOTIFICATIONS

TOKEN_PATH = "/oauth/token"

Operation: TypeAlias = Callable[[Call], Awaitable[Response]]

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    APPOINTMENTS: {"GET": operations.list_appointments, "POST": operations.create_appointment},
    f"{APPOINTMENTS}/me": {"GET": operations.list_my_appointments},
    f"{APPOINTMENTS}/{{appointmentId}}": {
        "GET": operations.get_appointment,
        "PATCH": operations.update_appointment,
        "DELETE": operations.delete_appointment,
    },
    f"{APPOINTMENTS}/{{appointmentId}}/statuses": {"GET": operations.list_statuses},
    f"{APPOINTMENTS}/{{appointmentId}}/status": {"PATCH": operations.set_status},
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
}

_ROUTES = [(compile_path(path)[0], methods) for path, methods in OPERATIONS.items()]

log = logging.getLogger("coaching_async.sandbox")


def route(raw_path: str) -> tuple[Mapping[str, Operation], dict[str, str]]:
    """Find the operations of a path. It comes as it was sent, so that `a%2Fb` is one id, and not two segments."""
    for pattern, methods in _ROUTES:
        if found := pattern.fullmatch(raw_path):
            return methods, {name: unquote(segment) for name, segment in found.groupdict().items()}
    raise errors.no_such_path()


@attrs.frozen
class Service:
    """The ASGI application."""

    state: State
    oauth: OAuth
    faults: Faults
    requests: RequestLog
    limit: SlidingWindow | None
    page_cap: int
    latency: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("latin-1")
        arrival = self.requests.arrived(request.method, path, query, self.state.clock())
        context_id = str(uuid.uuid4())

        async def work() -> Response:
            return await self._work(request, path, context_id)

        def note_status(status: int) -> None:
            self.requests.answered(arrival, status)

        exchange = Exchange(request, send, scope["state"]["transport"], context_id, work, note_status)
        if fault := self.faults.take(request.method, path, query):
            await KINDS[fault.kind](exchange, fault)
        else:
            await exchange.deliver(await work())

    async def _work(self, request: Request, path: str, context_id: str) -> Response:
        try:
            if path == TOKEN_PATH:
                return await self._token(request)
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
        if (operation := methods.get(request.method)) is None:
            raise errors.method_not_allowed(methods)
        caller = self.oauth.caller(request.headers.get("authorization"))
        if self.limit is not None:
            self.limit.admit(caller.token)
        return await operation(Call(request, path, ids, caller, self.state, self.page_cap))

    async def _token(self, request: Request) -> Response:
        if request.method != "POST":
            raise errors.method_not_allowed(["POST"])
        form = dict(parse_qsl((await request.body()).decode("latin-1")))
        try:
            return Json(self.oauth.grant(request.headers.get("authorization"), form))
        except OAuthError as why:
            return login_refused(why)
