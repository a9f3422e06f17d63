"""The handshake of a WebSocket, in the form of an HTTP request: faults and errors are the same as for any other."""

from functools import partial

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.responses import status_response

from .channels import Channel
from .connections import Connection, Connections
from .tasks import start_task

PREFIX = "/channels/"


@attrs.define(eq=False)
class Handshake:
    """A request for a WebSocket. A response with status 101 accepts it."""

    connections: Connections
    scope: Scope
    _receive: Receive
    _send: Send
    request: Request = attrs.field(init=False)
    _connection: Connection | None = attrs.field(default=None, init=False)
    _has_left: bool = attrs.field(default=False, init=False)
    _channel: Channel | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.request = Request({**self.scope, "type": "http", "method": "GET"}, self.receive)

    async def answer(self, path: str, context_id: str) -> Response:
        """Look up the channel, and return the response, unsent."""
        if refusal := self.connections.take_refusal():
            response = status_response(refusal.status, None, context_id, oauth=False)
            if refusal.retry_after is not None:
                response.headers["Retry-After"] = f"{refusal.retry_after:g}"
            return response
        self._channel = self.connections.channels.find(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if self._channel is None:
            raise errors.path_not_found()
        return Response(status_code=101)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._has_left = True
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        if message.get("status") == 101 and self._channel is not None:
            # Open before the client learns of it: what happens after that is sent.
            self._connection = self.connections.open(self._channel, self.scope["state"]["transport"])
            await self._send({"type": "websocket.accept"})
        elif self._connection is None:
            refused = {**message, "type": f"websocket.{message['type']}"}
            if "headers" in refused:  # uvicorn adds the length; older versions do so although it is there
                refused["headers"] = [each for each in refused["headers"] if each[0] != b"content-length"]
            await self._send(refused)

    async def serve(self) -> None:
        """Serve the WebSocket, if it was accepted, and if no fault has closed it."""
        if self._connection is not None and not self._has_left:
            await self._connection.serve(self._receive, self._send, partial(start_task, self.scope))

    def end(self) -> None:
        if self._connection is not None:
            self._connection.leave()
