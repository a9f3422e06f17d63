"""`CancelOnDisconnect` with ASGI messages; test_disconnects.py has applications that use it."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from coaching_async.integrations.fastapi import CancelOnDisconnect

pytestmark = pytest.mark.anyio

Message = dict[str, Any]
GET = {"type": "http", "method": "GET"}
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
LEFT: Message = {"type": "http.disconnect"}


class Server:
    """A server that sends the body in several messages, and a disconnect `leaves_after` seconds later."""

    def __init__(self, *pieces: bytes, leaves_after: float = 1.0) -> None:
        last = len(pieces) - 1
        self.incoming = [
            {"type": "http.request", "body": piece, "more_body": number < last} for number, piece in enumerate(pieces)
        ]
        self.leaves_after = leaves_after
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self.incoming:
            return self.incoming.pop(0)
        await anyio.sleep(self.leaves_after)
        return LEFT

    async def send(self, message: Any) -> None:
        self.sent.append(message)


async def test_a_disconnect_cancels_the_handler():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await anyio.sleep_forever()

    server = Server(b"", leaves_after=7.0)
    started = anyio.current_time()
    await CancelOnDisconnect(app)(GET, server.receive, server.send)

    assert anyio.current_time() - started == pytest.approx(7.0)
    assert server.sent == []


async def test_work_after_the_response_is_not_cancelled_and_receives_the_disconnect():
    seen: list[Message] = []

    async def app(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        seen.append(await receive())
        await send(START)
        await send(END)
        await anyio.sleep(5.0)
        seen.extend([await receive(), await receive()])

    server = Server(b"")
    await CancelOnDisconnect(app)(GET, server.receive, server.send)

    assert seen == [{"type": "http.request", "body": b"", "more_body": False}, LEFT, LEFT]
    assert server.sent == [START, END]


async def test_a_body_in_several_messages_is_received_whole():
    async def app(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            await anyio.sleep(0.1)
            if not message["more_body"]:
                break
        await send(START)
        await send({"type": "http.response.body", "body": body})

    server = Server(b"a", b"b", b"c", b"d")
    await CancelOnDisconnect(app)(GET, server.receive, server.send)

    assert server.sent[-1]["body"] == b"abcd"


@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt])
async def test_an_exception_of_the_application_is_raised_as_itself(kind: type[BaseException]):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise kind("by the application")

    server = Server(b"")
    with pytest.raises(kind, match="by the application"):
        await CancelOnDisconnect(app)(GET, server.receive, server.send)


@pytest.mark.parametrize("scope", [{"type": "http", "method": "POST"}, {"type": "lifespan"}])
async def test_a_scope_that_is_no_get_is_passed_on_unchanged(scope: Message):
    given: list[Any] = []

    async def app(*arguments: Any) -> None:
        given.extend(arguments)

    server = Server(b"")
    await CancelOnDisconnect(app)(scope, server.receive, server.send)

    assert given == [scope, server.receive, server.send]
