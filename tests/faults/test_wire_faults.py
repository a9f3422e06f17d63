"""The fault server and the fault proxy break connections at the exact byte, and leave nothing behind."""

import contextlib
import http.client
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from coaching_async.testing import assert_no_leaks
from tests.support.fault_server import (
    HANG,
    Authority,
    Behaviour,
    Conversation,
    Fault,
    FaultProxy,
    FaultServer,
    answering,
    ok,
    tasks_now,
    then,
    wait_until,
)

UP, DOWN = bytes(range(256)) * 600, bytes(reversed(range(256))) * 600
"""More than one chunk, and less than the socket buffers."""

POSITIONS = [1, 2, 255, 65535, 65536, 65537, len(UP)]


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    with assert_no_leaks():
        yield


def connect(port: int) -> socket.socket:
    # A connection that is reset at once would be an error of `create_connection` with a timeout, which waits for it apart.
    peer = socket.create_connection(("127.0.0.1", port))
    peer.settimeout(HANG)
    return peer


def all_of(peer: socket.socket) -> tuple[bytes, str]:
    """Return all data of a connection, and how it ends."""
    data = bytearray()
    try:
        while some := peer.recv(65536):
            data += some
    except ConnectionResetError:
        return bytes(data), "RST"
    return bytes(data), "FIN"


def get(connection: http.client.HTTPConnection, target: str = "/", body: bytes | None = None) -> tuple[int, bytes]:
    connection.request("POST" if body else "GET", target, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


@contextlib.contextmanager
def http_to(port: int, tls: ssl.SSLContext | None = None) -> Iterator[http.client.HTTPConnection]:
    if tls:
        connection = http.client.HTTPSConnection("localhost", port, timeout=HANG, context=tls)
    else:
        connection = http.client.HTTPConnection("localhost", port, timeout=HANG)
    with contextlib.closing(connection):
        yield connection


# The server


def test_ok_answers_all_requests_of_a_connection():
    with FaultServer(ok({"a": 1})) as server, http_to(server.port) as connection:
        assert get(connection, "/one") == (200, b'{"a": 1}')
        assert get(connection, "/two", b"body") == (200, b'{"a": 1}')

    one, two = server.requests
    assert (one.method, one.target, one.body) == ("GET", "/one", b"")
    assert (two.method, two.target, two.body, two.headers["content-length"]) == ("POST", "/two", b"body", "4")
    assert two.raw.startswith(b"POST /two HTTP/1.1\r\n")
    assert two.raw.endswith(b"\r\n\r\nbody")
    assert server.accepted == 1


def test_the_last_behaviour_is_for_all_later_connections():
    with FaultServer(ok(b"first"), ok(b"later")) as server:
        seen = []
        for _ in range(3):
            with http_to(server.port) as connection:
                seen.append(get(connection)[1])

    assert seen == [b"first", b"later", b"later"]


def test_a_response_has_the_given_status_and_headers():
    with FaultServer(then(answering({"x": None}, 429, retry_after="3"))) as server, http_to(server.port) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.reason, answer.headers["Retry-After"]) == (429, "Too Many Requests", "3")
        assert json.loads(answer.read()) == {"x": None}


def test_a_response_may_have_a_wrong_content_length():
    liar = then(answering(b"123", content_length="5"))
    with FaultServer(liar) as server, http_to(server.port) as peer, pytest.raises(http.client.IncompleteRead):
        get(peer)


def test_steps_follow_one_another_and_then_the_connection_is_closed():
    with FaultServer(then(answering(b"1"), answering(b"2"))) as server, connect(server.port) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n" * 2)
        data, end = all_of(peer)

    assert (data.count(b"HTTP/1.1 200 OK"), end) == (2, "FIN")


def test_a_partial_request_is_none_and_can_be_read():
    seen: list[Any] = []

    def behave(conversation: Conversation) -> None:
        seen.extend([conversation.request(), conversation.read(100)])

    with FaultServer(behave) as server, connect(server.port) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n123")
        peer.shutdown(socket.SHUT_WR)
        assert all_of(peer) == (b"", "FIN")

    assert seen == [None, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n123"]
    assert server.requests == []


def test_read_returns_exactly_the_requested_bytes():
    def behave(conversation: Conversation) -> None:
        conversation.send(b"<%b>" % conversation.read(3))
        conversation.send(b"<%b>" % conversation.read(9))

    with FaultServer(behave) as server, connect(server.port) as peer:
        peer.sendall(b"12345")
        peer.shutdown(socket.SHUT_WR)
        assert all_of(peer) == (b"<123><45>", "FIN")


def test_close_sends_a_fin_even_if_nothing_was_read():
    with FaultServer(Conversation.close) as server, connect(server.port) as peer:
        peer.sendall(UP)
        assert all_of(peer) == (b"", "FIN")


def test_reset_sends_an_rst_after_all_sent_data():
    def behave(conversation: Conversation) -> None:
        conversation.send(DOWN)
        conversation.reset()

    with FaultServer(behave) as server, connect(server.port) as peer:
        assert all_of(peer) == (DOWN, "RST")
        assert server.open == 0


def test_a_connection_is_open_until_the_peer_closes_it():
    with FaultServer(Conversation.close, Conversation.pause) as server:
        with connect(server.port) as closed, connect(server.port) as paused:
            server.wait_until(lambda: server.accepted == 2)
            assert all_of(closed) == (b"", "FIN")
            paused.sendall(b"unread")
            assert server.open == 2
        server.wait_until(lambda: server.open == 0)


def test_leaving_the_server_ends_all_conversations():
    behaviours = [Conversation.pause, Conversation.request, lambda c: c.send(b"x" * 50_000_000)]
    with contextlib.ExitStack() as peers:
        with FaultServer(*behaviours) as server:
            for _ in behaviours:
                peers.enter_context(connect(server.port))
            server.wait_until(lambda: server.accepted == 3)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("FaultServer")]


def test_an_exception_of_a_behaviour_is_raised():
    def behave(_: Conversation) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"), FaultServer(behave) as server, connect(server.port) as peer:
        assert all_of(peer) == (b"", "FIN")


def test_a_peer_that_has_closed_is_no_failure():
    def behave(conversation: Conversation) -> None:
        while True:
            conversation.send(DOWN)

    with FaultServer(behave) as server:
        connect(server.port).close()
        server.wait_until(lambda: server.accepted == 1 and server.open == 0)


def test_wait_until_raises_an_assertion_error_after_its_time():
    with pytest.raises(AssertionError, match=r"within 0\.01 s"):
        wait_until(lambda: False, 0.01)


# The proxy


class Far:
    """The server behind the proxy, which records the data and how the connection ended."""

    def __init__(self) -> None:
        self.got, self.end = b"", ""

    def read(self, conversation: Conversation) -> None:
        self.got, self.end = all_of(conversation._socket)

    def read_then_send(self, conversation: Conversation) -> None:
        self.read(conversation)
        conversation.send(DOWN)


def send_down(conversation: Conversation) -> None:
    conversation.send(DOWN)


def receive(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (some := peer.recv(count - len(data))):
        data += some
    return data


def nothing_comes(peer: socket.socket) -> bool:
    return not select.select([peer], [], [], 0.02)[0]


@contextlib.contextmanager
def through(behaviour: Behaviour, fault: Fault | None) -> Iterator[tuple[socket.socket, FaultProxy, FaultServer]]:
    with (
        FaultServer(behaviour) as server,
        FaultProxy(server.port, lambda _: fault) as proxy,
        connect(proxy.port) as peer,
    ):
        yield peer, proxy, server


def test_without_a_fault_all_data_passes_in_both_directions():
    far = Far()
    with through(far.read_then_send, None) as (peer, proxy, server):
        peer.sendall(UP)
        peer.shutdown(socket.SHUT_WR)
        assert all_of(peer) == (DOWN, "FIN")

    assert (far.got == UP, far.end, proxy.accepted, server.accepted) == (True, "FIN", 1, 1)


@pytest.mark.parametrize("at", POSITIONS)
@pytest.mark.parametrize("kind, end", [("cut", "FIN"), ("reset", "RST")])
def test_on_the_way_up_a_connection_breaks_at_the_byte(kind: Any, end: str, at: int):
    far = Far()
    with through(far.read, Fault(kind, "up", at)) as (peer, _, _):
        with contextlib.suppress(ConnectionError):
            peer.sendall(UP)
        with contextlib.suppress(BrokenPipeError):  # an RST has arrived while sending
            assert all_of(peer)[0] == b""
        wait_until(lambda: far.end != "")

    assert (len(far.got), far.end) == (at, end)
    assert far.got == UP[:at]


@pytest.mark.parametrize("at", POSITIONS)
@pytest.mark.parametrize("kind, end", [("cut", "FIN"), ("reset", "RST")])
def test_on_the_way_down_a_connection_breaks_at_the_byte(kind: Any, end: str, at: int):
    with through(send_down, Fault(kind, "down", at)) as (peer, _, _):
        got, ended = all_of(peer)

    assert (len(got), ended) == (at, end)
    assert got == DOWN[:at]


@pytest.mark.parametrize("kind, end", [("cut", "FIN"), ("reset", "RST")])
def test_a_fault_at_byte_0_happens_when_the_first_byte_arrives(kind: Any, end: str):
    with through(ok(b"never seen"), Fault(kind, "down")) as (peer, _, server):
        assert nothing_comes(peer)
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert all_of(peer) == (b"", end)

    assert len(server.requests) == 1


def test_bytes_are_counted_across_chunks():
    far = Far()
    with through(far.read, Fault("cut", "up", 5)) as (peer, _, _):
        for each in b"12345678":
            peer.sendall(bytes([each]))
        assert all_of(peer) == (b"", "FIN")
        wait_until(lambda: far.end != "")

    assert far.got == b"12345"


@pytest.mark.parametrize("at", [0, *POSITIONS[:-1]])
def test_on_the_way_up_a_pause_is_at_the_byte(at: int):
    first, rest = list[bytes](), list[bytes]()

    def behave(conversation: Conversation) -> None:
        data = conversation.read(at)
        assert nothing_comes(conversation._socket)
        first.append(data)
        rest.append(all_of(conversation._socket)[0])

    with through(behave, Fault("pause", "up", at)) as (peer, proxy, _):
        peer.sendall(UP)
        peer.shutdown(socket.SHUT_WR)
        assert proxy.paused.wait(HANG)
        wait_until(lambda: len(first) == 1)
        proxy.resume()
        assert all_of(peer) == (b"", "FIN")

    assert [*first, *rest] == [UP[:at], UP[at:]]


@pytest.mark.parametrize("at", [0, *POSITIONS[:-1]])
def test_on_the_way_down_a_pause_is_at_the_byte(at: int):
    with through(send_down, Fault("pause", "down", at)) as (peer, proxy, _):
        assert receive(peer, at) == DOWN[:at]
        assert proxy.paused.wait(HANG)
        assert nothing_comes(peer)
        proxy.resume()
        assert not proxy.paused.is_set()
        assert all_of(peer) == (DOWN[at:], "FIN")


def test_a_pause_in_one_direction_does_not_affect_the_other():
    def behave(conversation: Conversation) -> None:
        conversation.read(3)
        conversation.send(b"down")
        conversation.read(3)

    with through(behave, Fault("pause", "up", 3)) as (peer, proxy, _):
        peer.sendall(b"123456")
        assert proxy.paused.wait(HANG)
        assert receive(peer, 4) == b"down"


def test_a_delay_happens_once_and_loses_nothing():
    began = time.monotonic()
    with through(send_down, Fault("delay", "down", 7, 0.05)) as (peer, _, _):
        assert receive(peer, 7) == DOWN[:7]
        assert all_of(peer) == (DOWN[7:], "FIN")

    assert time.monotonic() - began >= 0.05


def test_a_blackhole_drops_the_rest_and_the_fin():
    with through(send_down, Fault("blackhole", "down", 7)) as (peer, _, server):
        assert receive(peer, 7) == DOWN[:7]
        assert nothing_comes(peer)
        peer.close()
        server.wait_until(lambda: server.open == 0)


def test_the_plan_is_called_for_each_connection():
    asked = list[int]()

    def plan(number: int) -> Fault | None:
        asked.append(number)
        return Fault("cut", "down", 0) if number == 2 else None

    with FaultServer(send_down) as server, FaultProxy(server.port, plan) as proxy:
        got = []
        for _ in range(3):
            with connect(proxy.port) as peer:
                got.append(len(all_of(peer)[0]))

    assert (asked, got) == ([1, 2, 3], [len(DOWN), 0, len(DOWN)])


def test_a_reset_of_the_server_is_passed_on():
    with FaultServer(Conversation.reset) as server, FaultProxy(server.port) as proxy, connect(proxy.port) as peer:
        assert all_of(peer) == (b"", "RST")


@pytest.mark.parametrize("fault", [None, Fault("pause", "up"), Fault("blackhole", "up"), Fault("delay", "up", 0, 60)])
def test_leaving_the_proxy_ends_all_connections(fault: Fault | None):
    with FaultServer(Conversation.pause) as server, contextlib.ExitStack() as peers:
        with FaultProxy(server.port, lambda _: fault) as proxy:
            peers.enter_context(connect(proxy.port)).sendall(b"x")
            server.wait_until(lambda: server.accepted == 1)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("FaultProxy")]


# TLS


def test_a_known_certificate_is_trusted_through_a_proxy_too():
    authority = Authority()
    with FaultServer(ok(b"safe"), tls=authority.server()) as server, FaultProxy(server.port, https=True) as proxy:
        for port in (server.port, proxy.port):
            with http_to(port, authority.client()) as connection:
                assert get(connection) == (200, b"safe")

    assert server.url == f"https://localhost:{server.port}"
    assert proxy.url == f"https://localhost:{proxy.port}"


def test_the_authority_can_be_a_file(tmp_path: Path):
    authority = Authority()
    trusting = ssl.create_default_context(cafile=authority.pem(tmp_path))
    with FaultServer(ok(b"safe"), tls=authority.server()) as server, http_to(server.port, trusting) as connection:
        assert get(connection) == (200, b"safe")


@pytest.mark.parametrize(
    "server_of, complaint",
    [
        (lambda authority: authority.server("elsewhere.test"), "Hostname mismatch"),
        (lambda authority: authority.server(expired=True), "certificate has expired"),
        (lambda _: Authority().server(), "unable to get local issuer certificate"),
    ],
)
def test_the_server_ignores_a_client_that_refuses_its_certificate(server_of: Any, complaint: str):
    authority = Authority()
    with FaultServer(ok(), tls=server_of(authority)) as server, http_to(server.port, authority.client()) as connection:
        with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
            get(connection)
        server.wait_until(lambda: server.accepted == 1 and server.open == 0)


def test_a_peer_without_a_handshake_does_not_outlive_the_server():
    with contextlib.ExitStack() as peers, FaultServer(ok(), tls=Authority().server()) as server:
        peers.enter_context(connect(server.port))  # closed after the server
        server.wait_until(lambda: server.open == 1)


def test_tls_can_be_reset():
    authority = Authority()
    resetting = FaultServer(then(Conversation.reset), tls=authority.server())
    with resetting, http_to(resetting.port, authority.client()) as peer, pytest.raises(ConnectionResetError):
        get(peer)


# Tasks


@pytest.mark.anyio
@pytest.mark.real_time
async def test_httpx_leaves_nothing_behind():
    authority = Authority()
    with FaultServer(ok({"a": 1}), tls=authority.server()) as server:
        async with assert_no_leaks(), httpx.AsyncClient(verify=authority.client()) as http:
            assert (await http.get(server.url)).json() == {"a": 1}
            assert server.open == 1
        server.wait_until(lambda: server.open == 0)


@pytest.mark.anyio
@pytest.mark.real_time
async def test_tasks_now_counts_a_running_task():
    before = tasks_now()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever)
        assert tasks_now() == before + 1
        tasks.cancel_scope.cancel()
    assert tasks_now() == before
