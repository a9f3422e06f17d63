"""Orders to the WebSockets over HTTP, for programs in any language: `/_sandbox/sockets`, without a token."""

from collections.abc import Mapping
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._channels.sockets import Orders, Socket, Sockets
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import Fields, is_string, list_of, one_of, parse_body, read_fields

from .control import Endpoint


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_duration(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value < 2**31


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


# The fields of each order. Those to sockets go to one WebSocket, if a number is given, or to all.
_TO_SOCKETS: Mapping[str, Fields] = {
    "drop": {},
    "close": {"code": _is_integer, "reason": is_string},
    "freeze": {},
    "mute": {},
    "say_closing": {"after": _is_duration},
    "evict": {},
    "double": {},
    "garble": {},
    "say": {"text": is_string},
}
_TO_ALL: Mapping[str, Fields] = {
    "publish": {"topic": is_string, "body": _is_object},
    "refuse_handshakes": {"statuses": list_of(_is_integer), "retry_after": _is_duration},
}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "say": ("text",),
    "publish": ("topic", "body"),
    "refuse_handshakes": ("statuses",),
}
_ORDERS = {**_TO_SOCKETS, **_TO_ALL}


@attrs.frozen
class SocketOrders:
    """Lists the WebSockets that are open, and passes orders on to them."""

    sockets: Sockets

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        return {"/_sandbox/sockets": {"GET": self.list_sockets, "POST": self.order}}

    async def list_sockets(self, _: Request) -> Response:
        return JsonResponse([_shown(socket) for socket in self.sockets])

    async def order(self, request: Request) -> Response:
        """Carry out an order, and respond with the WebSockets that are open then."""
        body = parse_body(await request.body())
        common: Fields = {"order": one_of(*_ORDERS), "number": _is_integer}
        name = read_fields(body, common, required=("order",))["order"]
        if unknown := body.keys() - common.keys() - _ORDERS[name].keys():
            raise errors.bad_request(f"The order {name} has no {min(unknown)}.")
        options = read_fields(body, _ORDERS[name], _REQUIRED.get(name, ()))
        try:
            if name == "refuse_handshakes":
                self.sockets.refuse_handshakes(*options.pop("statuses"), **options)
            elif name == "publish":
                self.sockets.publish(**options)
            else:
                getattr(self._addressed(body), name)(**options)
        except ValueError as error:
            raise errors.bad_request(str(error)) from error
        return await self.list_sockets(request)

    def _addressed(self, body: JsonObject) -> Orders:
        if "number" not in body:
            return self.sockets
        for socket in self.sockets:
            if socket.number == body["number"]:
                return socket
        raise errors.not_found("socket", str(body["number"]))


def _shown(socket: Socket) -> JsonObject:
    return {
        "number": socket.number,
        "topics": socket.topics,
        "is_frozen": socket.is_frozen,
        "is_muted": socket.is_muted,
    }
