"""One request on its connection, as the handlers of faults see it."""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from coaching_async.sandbox._auth.oauth import OAuth
from coaching_async.sandbox._wire.responses import status_response

from .effects import NO_EFFECTS, Effects


@attrs.frozen
class Exchange:
    """A request, the operation that it asks for, and the connection that its response is sent on."""

    request: Request
    send: Send
    transport: asyncio.Transport
    context_id: str
    oauth: OAuth
    operate: Callable[[Effects], Awaitable[Response]]
    record_status: Callable[[int], None]

    async def run(self, effects: Effects = NO_EFFECTS) -> Response:
        """Run the operation, and return its response unsent."""
        return await self.operate(effects)

    async def respond(self, response: Response) -> None:
        await self._finalize(response)(self.request.scope, self.request.receive, self.send)

    async def start_response(self, response: Response) -> None:
        """Send status and headers; the caller sends the body."""
        headers = self._finalize(response).raw_headers
        await self.send({"type": "http.response.start", "status": response.status_code, "headers": headers})

    async def send_body(self, body: bytes, *, more: bool) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def respond_status(self, status: int, *, body: Any = None, retry_after: float | str | None = None) -> None:
        oauth = self.request.scope["path"].startswith("/oauth/")
        response = status_response(status, body, self.context_id, oauth=oauth)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        await self.respond(response)

    async def close(self) -> None:
        """Close the connection, after everything written has been sent."""
        self.transport.close()
        await self.wait_for_disconnect()

    async def abort(self) -> None:
        self.transport.abort()
        await self.wait_for_disconnect()

    async def wait_for_disconnect(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    def _finalize(self, response: Response) -> Response:
        # The status is recorded before the first byte is sent, so that a client that has read the response finds it.
        if response.media_type != "text/html":  # that is a gateway's
            response.headers["ININ-Correlation-Id"] = self.context_id
        response.headers["Date"] = formatdate(usegmt=True)
        self.record_status(response.status_code)
        return response
