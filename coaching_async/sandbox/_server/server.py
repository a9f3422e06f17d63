"""An ASGI application on a real socket, in a thread and a loop of its own."""

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future

import attrs
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


class _Protocol(H11Protocol):
    """Lets the application see the connection, so that it can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self.access_log = False
        self.app_state = {"transport": transport}


@attrs.frozen
class Server:
    """A running server; `start` one, and `stop` it from any thread.

    `uvicorn.Server` looks ten times a second whether it shall stop, minds signals, and waits for requests that hang.
    Its protocol alone does all that is needed here.
    """

    address: str
    _stopping: "Future[None]"
    _thread: threading.Thread

    @classmethod
    def start(cls, app: ASGIApp, host: str, port: int) -> "Server":
        """Listen, then serve: connections are accepted from the moment this returns."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
        # Connections inherit it. asyncio would set it, but not where the listener comes from `create_server`; and without
        # it the two writes of an answer, head and body, are 40 ms apart.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        named = f"[{host}]" if ":" in host else host
        address = f"http://{named}:{listener.getsockname()[1]}"
        stopping: Future[None] = Future()
        started = threading.Event()

        def run() -> None:
            try:
                asyncio.run(_serve(app, listener, started, stopping))
            finally:
                started.set()  # or nobody would hear why it did not

        thread = threading.Thread(target=run, name="coaching-sandbox", daemon=True)
        thread.start()
        started.wait()  # the descriptors of its loop would look like leaks of whatever begins now
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
            ws="none",
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
        # Tasks that are no requests are connections being accepted; asyncio would drop those without closing them.
        while accepting := asyncio.all_tasks() - state.tasks - {asyncio.current_task()}:
            await asyncio.wait(accepting)
        server.close()
        while state.connections or state.tasks:
            for connection in list(state.connections):
                connection.transport.abort()
            # The loss of a connection is told in the next turn of the loop; a request that is cancelled after that
            # counts as abandoned, and not as one that the application forgot to answer.
            await asyncio.sleep(0)
            for task in state.tasks:
                task.cancel()
            await asyncio.sleep(0)


def _cancellable(app: ASGIApp) -> ASGIApp:
    """Uvicorn logs a cancelled request as an error; here it only means that the sandbox was left."""

    async def cancellable(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return cancellable
