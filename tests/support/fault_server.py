"""A server and a proxy with faults at exact bytes, and certificates.

They run in threads on plain sockets, so that they do not depend on the event loop under test.
"""

import array
import contextlib
import datetime as dt
import fcntl
import http
import json
import select
import socket
import ssl
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import anyio
import attrs
import trustme

HOST = "127.0.0.1"
CHUNK = 65536
HANG = 120.0
"""Seconds after which a wait counts as a hang, even on a busy machine."""


def becomes_true(condition: Callable[[], bool], seconds: float = HANG) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def wait_until(condition: Callable[[], bool], seconds: float = HANG) -> None:
    if not becomes_true(condition, seconds):
        raise AssertionError(f"this did not become true within {seconds:g} s: {condition}")


# Sockets


def is_gone(connection: socket.socket, events: int = 0) -> bool:
    """Return whether a connection is closed in both directions or broken, or has one of the events."""
    poll = select.poll()
    poll.register(connection, events)
    return bool(poll.poll(0))


def hung_up(connection: socket.socket) -> bool:
    """Return whether the peer has closed, even behind unread data."""
    return is_gone(connection, getattr(select, "POLLRDHUP", 0))


def is_sent(connection: socket.socket) -> bool:
    """Return whether the peer's machine has received all sent data, or never will."""
    waiting = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, waiting)
    return not waiting[0] or is_gone(connection)


def close_with_reset(connection: socket.socket) -> None:
    """Make closing send an RST. Wait until all sent data has arrived, because an RST discards it."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: is_sent(connection), 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, array.array("i", [1, 0]).tobytes())


def swallow(connection: socket.socket) -> None:
    while connection.recv(CHUNK):
        pass


class Listener:
    """Runs `_serve` in a thread for each accepted connection. `__exit__` ends all of them."""

    def __init__(self, *, https: bool = False) -> None:
        self.accepted = 0
        self.port = 0
        self._https = https
        self._changed = threading.Condition()
        self._stopped = False
        self._live = set[socket.socket]()
        self._threads = list[threading.Thread]()
        self._failures = list[BaseException]()

    wait_until = staticmethod(wait_until)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self._https else f"http://{HOST}:{self.port}"

    def _serve(self, number: int, connection: socket.socket) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._socket = socket.create_server((HOST, 0), backlog=256)
        self.port = self._socket.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for each in self._live:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)  # not that of SSLSocket, which its thread is using
        socket.create_connection((HOST, self.port)).close()  # makes accept() return
        deadline = time.monotonic() + HANG
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        self._socket.close()
        if self._failures:
            raise self._failures[0]
        assert not any(thread.is_alive() for thread in self._threads), "a behavior does not end"

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with self._changed:
                if self._stopped:
                    connection.close()
                    return
                self._live.add(connection)
                self.accepted += 1
                number = self.accepted
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._attend, number, connection)

    def _attend(self, number: int, connection: socket.socket) -> None:
        try:
            self._serve(number, connection)
        finally:
            self._close(connection)

    def _start(self, work: Callable[..., None], *args: Any) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*args)
            except OSError:
                pass  # the peer has closed
            except BaseException as failure:  # noqa: BLE001 -- raised by __exit__
                self._failures.append(failure)

        thread = threading.Thread(target=guarded, name=f"{type(self).__name__}.{work.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _close(self, connection: socket.socket) -> None:
        with self._changed:
            self._live.discard(connection)
            connection.close()

    def _wait(self, seconds: float | None = None, until: Callable[[], bool] = lambda: False) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or until(), seconds)
            if self._stopped:
                raise ConnectionAbortedError("the test is over")


# The server


@attrs.frozen
class Received:
    """A received request."""

    method: str
    target: str
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes
    raw: bytes


class Conversation:
    """One accepted connection."""

    def __init__(self, server: "FaultServer", number: int, connection: socket.socket) -> None:
        self.server, self.number = server, number
        self._socket = connection
        self._unread = bytearray()

    def request(self) -> Received | None:
        """Return a whole request, or None if the peer closed before its end. `read` returns the partial one."""
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if not self._buffer(len(self._unread) + 1):
                return None
        first, *lines = self._unread[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        assert "transfer-encoding" not in headers, "only Content-Length is understood"
        size = end + 4 + int(headers.get("content-length", 0))
        if not self._buffer(size):
            return None
        raw = self.read(size)
        method, target, _ = first.split(" ")
        received = Received(method, target, headers, raw[end + 4 :], raw)
        self.server.requests.append(received)
        return received

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, or fewer if the peer closed."""
        self._buffer(count)
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    def read_some(self) -> bytes:
        """Return the next data, at least a byte, or nothing at the end."""
        return self.read(max(1, len(self._unread))) if self._buffer(1) else b""

    def _buffer(self, count: int) -> bool:
        while len(self._unread) < count:
            data = self._socket.recv(CHUNK)
            if not data:
                return False
            self._unread += data
        return True

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self, body: bytes | object = b"", status: int = 200, **headers: str) -> None:
        """Send a framed response: bytes unchanged, anything else as JSON. A given `Content_Length` takes precedence."""
        self.send(response(body, status, **headers))

    def close(self) -> None:
        """Send FIN. (Under TLS this is a truncation: there is no close_notify.)"""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send RST after all sent data has arrived."""
        close_with_reset(self._socket)
        self.server._close(self._socket)

    def pause(self, seconds: float | None = None) -> None:
        """Wait for `seconds`, or until the server is stopped, which ends the conversation."""
        self.server._wait(seconds)


Behaviour = Callable[[Conversation], None]


def response(body: bytes | object = b"", status: int = 200, **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Length": str(len(content)), "Content-Type": "application/json"}
    lines |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    reason = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Unheard Of"
    head = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode("latin-1") + content


def answering(body: bytes | object = b"", status: int = 200, **headers: str) -> Behaviour:
    """Return a step for `then` that responds."""
    return lambda conversation: conversation.answer(body, status, **headers)


def then(*steps: Behaviour) -> Behaviour:
    """Return a behavior that reads a request before each step and then closes: `then(answering({}), Conversation.reset)`."""

    def behave(conversation: Conversation) -> None:
        for step in steps:
            if conversation.request() is None:
                return
            step(conversation)

    return behave


def ok(body: bytes | object = b"") -> Behaviour:
    """Return a behavior that responds 200 to all requests."""

    def behave(conversation: Conversation) -> None:
        while conversation.request() is not None:
            conversation.answer(body)

    return behave


class FaultServer(Listener):
    """A server whose n-th connection gets the n-th behavior; later ones get the last.

    An OSError ends a conversation silently. `__exit__` raises any other exception of a behavior.
    A connection that a behavior leaves open is closed with FIN. Then the server waits until the peer closes, too.
    """

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(https=tls is not None)
        self.requests = list[Received]()
        self._behaviours, self._tls = behaviours, tls

    @property
    def open(self) -> int:
        """Return how many connections the peer has not closed, without those that this side reset."""
        with self._changed:
            return sum(not hung_up(each) for each in self._live)

    def _serve(self, number: int, connection: socket.socket) -> None:
        if self._tls:
            connection = self._secured(self._tls, connection)
        conversation = Conversation(self, number, connection)
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            self._behaviours[min(number, len(self._behaviours)) - 1](conversation)
        finally:
            with contextlib.suppress(OSError):
                conversation.close()
                swallow(connection)
            self._close(connection)

    def _secured(self, tls: ssl.SSLContext, connection: socket.socket) -> ssl.SSLSocket:
        with self._changed:
            self._live.discard(connection)
            secured = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            self._live.add(secured)
        return secured


# The proxy


@attrs.frozen
class Fault:
    """A fault as soon as exactly `at` bytes have passed in a direction; at 0, when the first byte arrives.

    cut: FIN to both sides. reset: RST to both sides. In this direction only - pause: nothing passes until `resume`.
    delay: nothing passes for `seconds`. blackhole: the rest is dropped, including the FIN.
    """

    kind: Literal["cut", "reset", "pause", "delay", "blackhole"]
    direction: Literal["up", "down"]
    """Up is from the client to the server."""
    at: int = 0
    seconds: float = 0.0


Plan = Callable[[int], Fault | None]


class FaultProxy(Listener):
    """Forwards TCP to a port of this machine. `plan` returns the fault of the n-th connection, counted from 1.

    TLS is between the client and the target. The proxy only forwards it, and `https` is for its `url`.
    """

    def __init__(self, target_port: int, plan: Plan = lambda _: None, *, https: bool = False) -> None:
        super().__init__(https=https)
        self.plan = plan
        self.paused = threading.Event()
        self._target_port, self._resumed = target_port, 0

    def resume(self) -> None:
        with self._changed:
            self.paused.clear()
            self._resumed += 1
            self._changed.notify_all()

    def _serve(self, number: int, client: socket.socket) -> None:
        fault = self.plan(number)
        target = socket.create_connection((HOST, self._target_port))
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            self._live.add(target)
        link = Link(self, client, target)
        faults = {fault.direction: fault} if fault else {}
        try:
            if not self._stopped:
                down = self._start(link.pump, target, client, faults.get("down"))
                link.pump(client, target, faults.get("up"))
                down.join()
        finally:
            self._close(target)

    def _pause(self) -> None:
        with self._changed:
            before = self._resumed
            self.paused.set()
            self._wait(until=lambda: self._resumed > before)


class Link:
    """The two sockets of a proxied connection, with a pump in each direction."""

    def __init__(self, proxy: FaultProxy, *ends: socket.socket) -> None:
        self._proxy, self._ends, self._reset = proxy, ends, False

    def pump(self, source: socket.socket, sink: socket.socket, fault: Fault | None) -> None:
        try:
            if fault is not None and self._copy(source, sink, fault.at):
                self._strike(fault, source)
            self._copy(source, sink)
            if not self._reset:
                sink.shutdown(socket.SHUT_WR)
        except ConnectionResetError:  # forwarded
            self._abort()
        except OSError:  # a cut, a blackhole, or the end of the test
            with contextlib.suppress(OSError):
                swallow(source)

    def _copy(self, source: socket.socket, sink: socket.socket, count: int | None = None) -> bool:
        """Copy `count` bytes, or all. Return False if the source ended before."""
        if count == 0:
            return bool(source.recv(1, socket.MSG_PEEK))
        while count is None or count > 0:
            data = source.recv(CHUNK if count is None else min(count, CHUNK))
            if not data or self._reset:
                return False
            sink.sendall(data)
            count = None if count is None else count - len(data)
        return True

    def _strike(self, fault: Fault, source: socket.socket) -> None:
        match fault.kind:
            case "cut":
                for end in self._ends:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_WR)
            case "reset":
                self._abort()
            case "pause":
                self._proxy._pause()
            case "delay":
                self._proxy._wait(fault.seconds)
            case "blackhole":
                raise ConnectionAbortedError

    def _abort(self) -> None:
        self._reset = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                close_with_reset(end)
                end.shutdown(socket.SHUT_RD)  # sends nothing, and ends the other pump


# TLS


class Authority:
    """Issues certificates for servers. For an unknown authority use another instance."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return the TLS context of a server, for localhost or the given names."""
        day = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        end = day + dt.timedelta(days=1)
        leaf = self._ca.issue_cert(*(names or ("localhost", HOST)), not_before=day, not_after=end if expired else None)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        leaf.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def pem(self, folder: Path) -> str:
        """Write a file for SSL_CERT_FILE or `ssl.create_default_context(cafile=...)`, and return its path."""
        path = folder / "authority.pem"
        path.write_bytes(self._ca.cert_pem.bytes())
        return str(path)


# Tasks


def tasks_now() -> int:
    """Return how many tasks the running event loop has, including a few of trio's own."""
    return len(anyio.get_running_tasks())
