"""The handler of each kind of fault. A new kind is a coroutine function here, and its name in `KINDS`."""

import asyncio
import contextlib
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.responses import Response

from coaching_async.sandbox._wire.responses import JsonResponse

from . import list_changes
from .effects import Effects
from .exchange import Exchange
from .fault import Fault
from .list_changes import ListChange

HTML_PAGE = "<!doctype html><title>Sign in</title><h1>Sign in to the network</h1>"
_MEBIBYTE = 2**20
_ROWS = ("entities", "results")

Handler: TypeAlias = Callable[[Exchange, Fault], Awaitable[None]]


async def _drop_before(exchange: Exchange, _: Fault) -> None:
    await exchange.abort()


async def _drop_after(exchange: Exchange, _: Fault) -> None:
    await exchange.run()
    await exchange.abort()


async def _status(exchange: Exchange, fault: Fault) -> None:
    await exchange.respond_status(fault.status or 500, body=fault.body, retry_after=fault.retry_after)


async def _stall(exchange: Exchange, _: Fault) -> None:
    await exchange.wait_for_disconnect()


async def _garbage(exchange: Exchange, _: Fault) -> None:
    exchange.transport.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    await exchange.close()


async def _html(exchange: Exchange, _: Fault) -> None:
    await exchange.respond(Response(HTML_PAGE, media_type="text/html"))


async def _redirect(exchange: Exchange, fault: Fault) -> None:
    await exchange.respond(Response(status_code=307, headers={"Location": fault.location or ""}))


async def _revoke(exchange: Exchange, _: Fault) -> None:
    exchange.oauth.revoke_all()
    await exchange.respond_status(401)


async def _gzip_bomb(exchange: Exchange, fault: Fault) -> None:
    response = Response(media_type="application/json", headers={"Content-Encoding": "gzip"})
    del response.headers["Content-Length"]
    await exchange.start_response(response)
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    spaces = b" " * _MEBIBYTE
    for remaining in range(fault.size, 0, -_MEBIBYTE):
        if exchange.transport.is_closing():
            return
        await exchange.send_body(compressor.compress(spaces[:remaining]), more=True)
        await asyncio.sleep(0)  # sending does not wait, and other requests have to be served, too
    await exchange.send_body(compressor.flush(), more=False)


async def _half_body(exchange: Exchange, _: Fault) -> None:
    response = await exchange.run()
    await exchange.start_response(response)
    await exchange.send_body(bytes(response.body)[: len(response.body) // 2], more=True)
    await exchange.close()


async def _drip(exchange: Exchange, fault: Fault) -> None:
    response = await exchange.run()
    await exchange.start_response(response)
    for byte in bytes(response.body):
        await exchange.send_body(bytes([byte]), more=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(exchange.wait_for_disconnect(), fault.delay)
            return
    await exchange.send_body(b"", more=False)


async def _wrong_shape(exchange: Exchange, _: Fault) -> None:
    body = json.loads(bytes((await exchange.run()).body) or b"{}")
    rows = next((name for name in _ROWS if name in body), None)
    await exchange.respond(JsonResponse(body | {rows: {"unexpected": True}} if rows else [body]))


async def _odd_row(exchange: Exchange, _: Fault) -> None:
    response = await exchange.run()
    body = json.loads(bytes(response.body) or b"{}")
    if rows := next((body[name] for name in _ROWS if body.get(name)), None):
        rows[0] = {name: value if name == "id" else {"unexpected": True} for name, value in rows[0].items()}
        response = JsonResponse(body)
    await exchange.respond(response)


async def _accepted(exchange: Exchange, fault: Fault) -> None:
    await exchange.respond(await exchange.run(Effects(accept_for=fault.delay)))


def _changing_list(change: ListChange) -> Handler:
    async def handle(exchange: Exchange, _: Fault) -> None:
        await exchange.respond(await exchange.run(Effects(list_change=change)))

    return handle


HANDLERS: Mapping[str, Handler] = {
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
    "odd_row": _odd_row,
    "accepted": _accepted,
    "insert": _changing_list(list_changes.insert),
    "delete": _changing_list(list_changes.delete),
    "reorder": _changing_list(list_changes.reorder),
}
