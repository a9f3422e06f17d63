"""A server with as little work as possible, so that the client is measured.

python -m benchmarks.server ITEMS DELAY
"""

import asyncio
import functools
import re
import sys

from .data import appointment, page

__all__: list[str] = []

QUERY = re.compile(rb"page(Number|Size)=(\d+)")


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Return the bytes of a response."""
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@functools.lru_cache(maxsize=256)
def listed(number: int, size: int, total: int) -> bytes:
    """Return a page, built once."""
    return response(page(number, size, total))


class Connection(asyncio.Protocol):
    """A connection that responds to one request after the other. Requests must have no body."""

    def __init__(self, items: int, delay: float) -> None:
        self.items, self.delay = items, delay
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to all complete requests."""
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            answer = self.answer(head.partition(b"\r\n")[0])
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self.send, answer)
            else:
                self.send(answer)

    def send(self, answer: bytes) -> None:
        """Write a response, unless the connection is closed."""
        if not self.transport.is_closing():
            self.transport.write(answer)

    def answer(self, line: bytes) -> bytes:
        """Return the response to the first line of a request."""
        if line.startswith((b"DELETE", b"HEAD")):
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if b"?" not in line:
            return response(appointment(1))
        asked = {name: int(value) for name, value in QUERY.findall(line)}
        return listed(asked[b"Number"], asked[b"Size"], self.items)


async def main(items: int, delay: float) -> None:
    """Serve until the other end of stdin is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(items, delay), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)  # for the process at the other end of the pipe
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
