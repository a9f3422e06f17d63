"""The server: an ASGI application on a real socket, in its own thread and event loop."""

import asyncio
import contextlib
import logging
import socket
import threading
from concurrent.futures import Future
from typing import Any

import attrs
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

log = logging.getLogger("coaching_async.sandbox.websocket")
log.setLevel(logging.WARNING)  # uvicorn logs the path of each WebSocket, which is a secret


class _Protocol(H11Protocol):
    """Gives the application access to the connection, so that a fault can abort it, and to the tasks of requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self.access_log = False
        self.app_state = {"transport": transport, "tasks": self.server_state.tasks}


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = log
        self.conn.debug = False

    async def send(self, message: Any) -> None:
        if not self.handshake_complete and self.transport.is_closing():
            raise ClientDisconnected  # the client has sent something else than a handshake, which uvicorn does not expect
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # a refusal completes it, too; uvicorn would log an error


@attrs.frozen
class Server:
    """A running server. `start` and `stop` may be called from any thread.

    Only the protocol of uvicorn is used, because `uvicorn.Server` polls for its end ten times a second, installs signal
    handlers, and waits for requests that hang.
    """

    address: str
    _stopping: "Future[None]"
    _thread: threading.Thread

    @classmethod
    def start(cls, app: ASGIApp, host: str, port: int) -> "Server":
        """Start a server; when this returns, it accepts connections."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
        # Connections inherit it. asyncio does not set it if the socket comes from `create_server`; without it the two
        # writes of a response, head and body, are 40 ms apart.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url_host = f"[{host}]" if ":" in host else host
        address = f"http://{url_host}:{listener.getsockname()[1]}"
        stopping: Future[None] = Future()
        started = threading.Event()

        def run() -> None:
            try:
                asyncio.run(_serve(app, listener, started, stopping))
            finally:
                started.set()  # also after an error, because the caller waits for it

        thread = threading.Thread(target=run, name="coaching-sandbox", daemon=True)
        thread.start()
        started.wait()  # a check for leaked descriptors that begins now must not see the loop open its own
        return cls(address, stopping, thread)

    def ask_to_stop(self) -> None:
        if not self._stopping.done():
            self._stopping.set_result(None)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self.ask_to_stop()
        self._thread.join()


async def _serve(app: ASGIApp, listener: socket.socket, started: threading.Event, stopping: "Future[None]") -> None:
    with listener:
        config = uvicorn.Config(
            _cancellable(app),
            lifespan="off",
            ws=_WebSocketProtocol,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=60,
        )
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Protocol(config, state, {}), sock=listener)
        started.set()
        await asyncio.wrap_future(stopping)
        # Tasks that are not requests are accepting connections; asyncio would drop those without closing them.
        while accepting := asyncio.all_tasks() - state.tasks - {asyncio.current_task()}:
            await asyncio.wait(accepting)
        server.close()
        while state.connections or state.tasks:
            for connection in list(state.connections):
                connection.transport.abort()
            # uvicorn learns of a lost connection in the next iteration of the loop. A request that is cancelled after
            # that counts as disconnected, and not as one that the application left without a response.
            await asyncio.sleep(0)
            for task in state.tasks:
                task.cancel()
            await asyncio.sleep(0)


def _cancellable(app: ASGIApp) -> ASGIApp:
    """Suppress cancellation, which uvicorn would log as an error; it only means that the sandbox stops."""

    async def cancellable(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return cancellable
