"""What can go wrong with a request. A new kind is one coroutine function in `KINDS`."""

import asyncio
import contextlib
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from coaching_async.sandbox._auth.oauth import OAuth
from coaching_async.sandbox._wire.responses import Json, failure

from . import list_changes as disturbances
from .list_changes import Disturbance

if TYPE_CHECKING:
    from .fault import Fault

PAGE = "<!doctype html><title>Sign in</title><h1>Sign in to the network</h1>"
_MEBIBYTE = 2**20


@attrs.frozen
class Exchange:
    """One request, how to do its work, and the connection that waits for the answer."""

    request: Request
    send: Send
    transport: asyncio.Transport
    context_id: str
    oauth: OAuth
    work: Callable[[], Awaitable[Response]]
    note_status: Callable[[int], None]

    def sign(self, response: Response) -> Response:
        """Mark as the answer, before the first byte leaves: who has read it finds it in the log."""
        response.headers["ININ-Correlation-Id"] = self.context_id
        response.headers["Date"] = formatdate(usegmt=True)
        self.note_status(response.status_code)
        return response

    async def deliver(self, response: Response) -> None:
        await self.sign(response)(self.request.scope, self.request.receive, self.send)

    async def start(self, response: Response) -> None:
        """Send the head; the body is up to the caller."""
        headers = self.sign(response).raw_headers
        await self.send({"type": "http.response.start", "status": response.status_code, "headers": headers})

    async def send_body(self, body: bytes, *, more: bool) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def refuse(self, status: int, *, body: Any = None, retry_after: float | str | None = None) -> None:
        oauth = self.request.scope["path"].startswith("/oauth/")
        response = failure(status, body, self.context_id, oauth=oauth)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        await self.deliver(response)

    async def close(self) -> None:
        """Close, not abort: what was written has to arrive."""
        self.transport.close()
        await self.gone()

    async def cut(self) -> None:
        self.transport.abort()
        await self.gone()

    async def gone(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


async def _drop_before(exchange: Exchange, _: "Fault") -> None:
    await exchange.cut()


async def _drop_after(exchange: Exchange, _: "Fault") -> None:
    await exchange.work()
    await exchange.cut()


async def _status(exchange: Exchange, fault: "Fault") -> None:
    await exchange.refuse(fault.status or 500, body=fault.body, retry_after=fault.retry_after)


async def _stall(exchange: Exchange, _: "Fault") -> None:
    await exchange.gone()


async def _garbage(exchange: Exchange, _: "Fault") -> None:
    exchange.transport.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    await exchange.close()


async def _html(exchange: Exchange, _: "Fault") -> None:
    await exchange.deliver(Response(PAGE, media_type="text/html"))


async def _redirect(exchange: Exchange, fault: "Fault") -> None:
    await exchange.deliver(Response(status_code=307, headers={"Location": fault.location or ""}))


async def _revoke(exchange: Exchange, _: "Fault") -> None:
    exchange.oauth.revoke_all()
    await exchange.refuse(401)


async def _gzip_bomb(exchange: Exchange, fault: "Fault") -> None:
    response = Response(media_type="application/json", headers={"Content-Encoding": "gzip"})
    del response.headers["Content-Length"]
    await exchange.start(response)
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    blanks = b" " * _MEBIBYTE
    for left in range(fault.size, 0, -_MEBIBYTE):
        if exchange.transport.is_closing():
            return
        await exchange.send_body(packer.compress(blanks[:left]), more=True)
        await asyncio.sleep(0)  # sending does not wait, and others want to be served too
    await exchange.send_body(packer.flush(), more=False)


async def _half_body(exchange: Exchange, _: "Fault") -> None:
    response = await exchange.work()
    await exchange.start(response)
    await exchange.send_body(bytes(response.body)[: len(response.body) // 2], more=True)
    await exchange.close()


async def _drip(exchange: Exchange, fault: "Fault") -> None:
    response = await exchange.work()
    await exchange.start(response)
    for byte in bytes(response.body):
        await exchange.send_body(bytes([byte]), more=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(exchange.gone(), fault.delay)
            return
    await exchange.send_body(b"", more=False)


async def _wrong_shape(exchange: Exchange, _: "Fault") -> None:
    body = json.loads(bytes((await exchange.work()).body) or b"{}")
    await exchange.deliver(Json(body | {"entities": {"unexpected": True}} if "entities" in body else [body]))


async def _accepted(exchange: Exchange, fault: "Fault") -> None:
    exchange.request.state.accepted_for = fault.delay
    await exchange.deliver(await exchange.work())


def _disturbing(disturb: Disturbance) -> "Kind":
    async def disturbed(exchange: Exchange, _: "Fault") -> None:
        exchange.request.state.disturb = disturb
        await exchange.deliver(await exchange.work())

    return disturbed


Kind: TypeAlias = Callable[[Exchange, "Fault"], Awaitable[None]]

KINDS: Mapping[str, Kind] = {
    "drop_before": _drop_before,
    "drop_after": _drop_after,
    "status": _status,
    "stall": _stall,
    "garbage": _garbage,
    "html": _html,
    "redirect": _redirect,
    "revoke": _revoke,
    "gzip_bomb": _gzip_bomb,
    "half_body": _half_body,
    "drip": _drip,
    "wrong_shape": _wrong_shape,
    "accepted": _accepted,
    "insert": _disturbing(disturbances.insert),
    "delete": _disturbing(disturbances.delete),
    "reorder": _disturbing(disturbances.reorder),
}
