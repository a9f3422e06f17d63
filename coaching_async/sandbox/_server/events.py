"""What happens in the sandbox, as it happens, for its own page: server-sent events, without a token."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from coaching_async.sandbox._channels.tasks import start_task
from coaching_async.sandbox._wire.formats import JsonObject

from .control import Endpoint

MAX_WAITING = 1000
"""Events that may wait for a page that does not read; with more, it is disconnected, and connects again."""


@attrs.define(eq=False)
class Events:
    """Passes events on to the pages that are open. `publish` may be called from any thread."""

    _pages: "dict[asyncio.Queue[str | None], asyncio.AbstractEventLoop]" = attrs.field(
        factory=dict["asyncio.Queue[str | None]", asyncio.AbstractEventLoop], init=False, repr=False
    )
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        return {"/_sandbox/events": {"GET": self.stream}}

    async def stream(self, _: Request) -> Response:
        return _Stream(self)

    def notify(self, row: JsonObject) -> None:
        self.publish("notification", row)

    def publish(self, name: str, data: object = None) -> None:
        text = f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
        with self._lock:
            for queue, loop in self._pages.items():
                with contextlib.suppress(RuntimeError):  # the sandbox has stopped
                    loop.call_soon_threadsafe(_put, queue, text)

    def subscribe(self) -> "asyncio.Queue[str | None]":
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        with self._lock:
            self._pages[queue] = asyncio.get_running_loop()
        return queue

    def unsubscribe(self, queue: "asyncio.Queue[str | None]") -> None:
        with self._lock:
            del self._pages[queue]


def _put(queue: "asyncio.Queue[str | None]", text: str | None) -> None:
    queue.put_nowait(text if queue.qsize() < MAX_WAITING else None)


class _Stream(Response):
    """A response that goes on until its client leaves. `StreamingResponse` has tasks that the server would wait for."""

    media_type = "text/event-stream"

    def __init__(self, events: Events) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["Content-Length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        queue = self._events.subscribe()
        reader = start_task(scope, _wait_for_disconnect(receive, queue))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b": connected\n\n", "more_body": True})
            while (text := await queue.get()) is not None:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._events.unsubscribe(queue)
            reader.cancel()


async def _wait_for_disconnect(receive: Receive, queue: "asyncio.Queue[str | None]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.put_nowait(None)
