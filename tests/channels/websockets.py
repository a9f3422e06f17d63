"""What the tests of the WebSocket share: a client's side of it to a hostile server."""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2

from coaching_async import HttpClient
from coaching_async._channels.socket.websocket import WebSocket, WebSocketClosed
from coaching_async._transport.http_client import new_http_client
from tests.support.fault_server import HANG, FaultServer

__all__ = ["LIBRARIES", "PATH", "RUSH", "TLS", "asynchronous", "collect", "opened", "quickly", "uri_of"]

PATH = "/channels/streaming-5-canary"
"""The path of a WebSocket, which is a secret."""

RUSH = 5.0
"""Seconds that count as at once on a busy machine, where the alternative is to hang."""


TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context that trusts no authority, because reading the certificates takes 20 ms."""


def own_client() -> HttpClient:
    return new_http_client(connections=1, tls=lambda: TLS)


LIBRARIES: dict[str, Callable[[], HttpClient]] = {
    "own": own_client,
    "httpx2": lambda: httpx2.AsyncClient(verify=TLS, trust_env=False),
}
"""HTTP clients that open WebSockets. The client's own is httpx's."""


def asynchronous(new_client: Callable[[], HttpClient]) -> Callable[[], Awaitable[HttpClient]]:
    async def call() -> HttpClient:
        return new_client()

    return call


def uri_of(server: FaultServer) -> str:
    return f"ws{server.url[4:]}{PATH}"


@asynccontextmanager
async def opened(
    server: FaultServer, new_client: Callable[[], HttpClient] = own_client, **options: Any
) -> AsyncIterator[WebSocket]:
    async with WebSocket(uri_of(server), asynchronous(new_client), **options) as websocket:
        yield websocket


async def collect(websocket: WebSocket) -> tuple[list[str], WebSocketClosed]:
    """Receive all messages. Return them, and why the WebSocket ended."""
    messages = list[str]()
    while True:
        try:
            messages.append(await websocket.receive())
        except WebSocketClosed as closed:
            return messages, closed


@contextmanager
def quickly(seconds: float = RUSH) -> Generator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


assert RUSH < HANG
