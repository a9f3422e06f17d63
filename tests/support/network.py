"""A network between a browser and a server, which can fail."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tests.support.fault_server import HANG, HOST

__all__ = ["Network"]

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Network:
    """Forwards connections to the address of a server, in a thread."""

    def __init__(self, url: str) -> None:
        self.target(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_refusing = False
        self.refused = 0
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        server: asyncio.Server = self._run(self._start)
        self.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def target(self, url: str) -> None:
        """Forward new connections to this address."""
        host, port = url.removeprefix("http://").split(":")
        self._target = host, int(port)

    def cut(self) -> None:
        """End all connections."""
        self._run(self._cut)

    def freeze(self) -> None:
        """Forward nothing, and end nothing: as a laptop that sleeps, or a connection that a router has forgotten."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def forget(self) -> None:
        """Let go of the connections, so that neither side hears of it."""
        self._run(self._forget)

    def thaw(self) -> None:
        """Forward again."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def refuse(self, *, refuses: bool = True) -> None:
        """Answer new requests with a 502, as a gateway does while a server restarts."""
        self._is_refusing = refuses

    def _run(self, function: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return await function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(HANG)

    async def _start(self) -> asyncio.Server:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self._server

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _forget(self) -> None:
        self._forgotten |= self._writers

    async def _stop(self) -> None:
        self._server.close()
        await self._cut()
        self._flows.set()
        while self._links:
            await asyncio.wait(set(self._links))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                if self._is_refusing:
                    self.refused += 1
                    await reader.read(65536)
                    writer.write(BAD_GATEWAY)
                    await writer.drain()
                    return
                far_reader, far_writer = await self._connect()
                self._writers.add(far_writer)
                try:
                    await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
                finally:
                    self._writers.discard(far_writer)
                    far_writer.transport.abort()
        finally:
            self._links.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect with a small buffer, so that a server soon notices that nothing is read."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.setblocking(False)
        try:
            await self._loop.sock_connect(connection, self._target)
        except BaseException:
            connection.close()
            raise
        return await asyncio.open_connection(sock=connection)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._flows.wait()
            if sink not in self._forgotten:
                sink.write(data)
                await sink.drain()
        sink.close()
