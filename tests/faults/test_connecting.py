"""Rows 1 to 5 and 25: connection attempts that fail, certificates, proxies."""

import contextlib
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from coaching_async import (
    Appointment,
    AppointmentUpdate,
    CoachingClient,
    DeadlineExceeded,
    Interval,
    RetryPolicy,
    TransportError,
    from_dict,
)
from coaching_async._events import Event, RequestFailed
from coaching_async._transport import http as engine
from tests.faults.support import APPOINTMENT, CANARY, NEW, TOKEN, client_to, failing
from tests.support.fault_server import HOST, Authority, Conversation, FaultServer, answering, ok, then

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

OUTSIDE = "https://api.test.invalid"
BRIEF = 0.2
"""Seconds of the connect timeout, instead of five."""

CALLS: dict[str, Callable[[CoachingClient], Awaitable[object]]] = {
    "GET": lambda client: client.appointments.get("1"),
    "POST that asks": lambda client: client.appointments.aggregate(interval=Interval.month(2026, 11)),
    "DELETE": lambda client: client.appointments.delete("1"),
    "POST": lambda client: client.appointments.create(NEW),
    "PATCH": lambda client: client.appointments.update("1", AppointmentUpdate(name="m")),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@pytest.fixture(autouse=True)
def no_proxies_but_those_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.CONNECT_TIMEOUT == 5.0
    monkeypatch.setattr(engine, "CONNECT_TIMEOUT", BRIEF)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Authority:
    """An authority that new clients trust."""
    authority = Authority()
    monkeypatch.setenv("SSL_CERT_FILE", authority.pem(tmp_path))
    return authority


@contextlib.contextmanager
def never_sent(attempts: int, cause: type[Exception], match: str | None = None) -> Iterator[Any]:
    """Assert that a call fails after `attempts` and reports that it changed nothing."""
    with failing(TransportError, match) as caught:
        yield caught
    error = caught.value
    assert (type(error), error.processed, error.attempts) == (TransportError, "no", attempts)
    assert type(error.__cause__) is cause


# Rows 1 to 3, 5: no connection


@every_call
async def test_row_01_a_closed_port_is_tried_four_times_with_jittered_backoff(
    call: Any, monkeypatch: pytest.MonkeyPatch
):
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))  # taken, so that no other server can listen there
        async with client_to(f"http://{HOST}:{deaf.getsockname()[1]}", retry=RetryPolicy()) as client:
            with never_sent(4, httpx.ConnectError):
                await call(client)

    assert client.stats().requests == 4
    assert len(slept) == 3
    assert all(0 <= wait <= most for wait, most in zip(slept, (1, 2, 4), strict=True))


@every_call
async def test_row_02_a_name_that_does_not_resolve_is_tried_four_times(call: Any, monkeypatch: pytest.MonkeyPatch):
    resolve = socket.getaddrinfo
    asked = list[str]()

    def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002
        name = host.decode() if isinstance(host, bytes) else host
        if name != "api.test.invalid":
            return resolve(host, port, family, type, proto, flags)
        if not flags & socket.AI_NUMERICHOST:  # trio's first lookup
            asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with client_to(OUTSIDE) as client:
        with never_sent(4, httpx.ConnectError) as caught:
            await call(client)

    assert len(asked) == 4
    assert caught.value.__cause__._request is None


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """The port of a listener that ignores further SYNs."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(8):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((HOST, port))
        yield port


@every_call
async def test_row_03_a_connection_attempt_without_an_answer_times_out_and_is_made_four_times(
    call: Any, brief: None, full_backlog: int
):
    events = list[Event]()
    async with client_to(f"http://{HOST}:{full_backlog}", on_event=events.append) as client:
        with never_sent(4, httpx.ConnectTimeout):
            await call(client)

    elapsed = [event.elapsed for event in events if isinstance(event, RequestFailed)]
    assert len(elapsed) == 4
    assert all(BRIEF <= seconds < 4 for seconds in elapsed), elapsed  # and not the default of five seconds


@every_call
async def test_row_05_a_tls_handshake_without_an_answer_is_tried_four_times(call: Any, brief: None):
    with FaultServer(Conversation.pause) as server:
        async with client_to(f"https://localhost:{server.port}") as client:
            with never_sent(4, httpx.ConnectTimeout):
                await call(client)
            server.wait_until(lambda: server.accepted == 4 and server.open == 0)


@pytest.mark.parametrize("cut_by", ["its deadline", "its caller"])
async def test_row_05_a_write_that_ends_while_it_connects_has_certainly_changed_nothing(
    cut_by: str, caplog: pytest.LogCaptureFixture
):
    with FaultServer(Conversation.pause) as server:
        async with client_to(f"https://localhost:{server.port}") as client:
            if cut_by == "its deadline":
                with failing(DeadlineExceeded, "nothing was changed"):
                    await client.with_options(timeout=0.2).appointments.set_status("1", "Completed")
            else:
                with anyio.move_on_after(0.2):
                    await client.appointments.set_status("1", "Completed")

    assert not [record for record in caplog.records if record.levelname == "WARNING"]


# Row 4: certificates


WRONG = {
    "of an unknown authority": (lambda _: Authority().server(), "unable to get local issuer certificate"),
    "of another host": (lambda authority: authority.server("elsewhere.test"), "Hostname mismatch"),
    "expired": (lambda authority: authority.server(expired=True), "certificate has expired"),
}


async def test_row_04_a_valid_certificate_is_accepted(authority: Authority):
    with FaultServer(ok(APPOINTMENT), tls=authority.server()) as server:
        async with client_to(server.url) as client:
            assert await client.appointments.get("1") == from_dict(Appointment, APPOINTMENT)
        assert server.accepted == 1

    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@every_call
@pytest.mark.parametrize("certificate, complaint", WRONG.values(), ids=WRONG.keys())
async def test_row_04_an_invalid_certificate_is_not_retried(
    call: Any, certificate: Any, complaint: str, authority: Authority
):
    with FaultServer(ok(APPOINTMENT), tls=certificate(authority)) as server:
        async with client_to(server.url) as client:
            with never_sent(1, httpx.ConnectError) as caught:
                await call(client)
        assert (server.accepted, server.requests) == (1, [])

    reason = caught.value.__cause__.__cause__
    assert isinstance(reason, ssl.SSLCertVerificationError)
    assert complaint in str(reason)
    assert complaint in str(caught.value)


async def test_row_04_a_server_without_tls_is_not_retried(authority: Authority):
    def plain(conversation: Conversation) -> None:
        conversation.read(1)
        conversation.answer(status=400)

    with FaultServer(plain) as server:
        async with client_to(f"https://localhost:{server.port}") as client:
            with never_sent(1, httpx.ConnectError) as caught:
                await client.appointments.get("1")
        assert server.accepted == 1

    assert isinstance(caught.value.__cause__.__cause__, ssl.SSLError)


# Row 25: proxies. They are used for https, as SSL_CERT_FILE is: see row 4.


PROXY_VARIABLES = pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])


class Tunnel:
    """A working proxy: it tunnels to a port of this machine, and records all bytes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = bytearray()

    def __call__(self, conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        client = conversation._socket
        with socket.create_connection((HOST, self.port)) as service:
            other = {client: service, service: client}
            while True:
                for each in select.select([client, service], [], [])[0]:
                    if not (data := each.recv(65536)):
                        return
                    self.seen += data
                    other[each].sendall(data)


@PROXY_VARIABLES
async def test_row_25_a_proxy_is_used_for_https_and_never_sees_the_token(
    variable: str, monkeypatch: pytest.MonkeyPatch, authority: Authority
):
    with FaultServer(ok(APPOINTMENT), tls=authority.server("api.test.invalid")) as service:
        tunnel = Tunnel(service.port)
        with FaultServer(tunnel) as proxy:
            monkeypatch.setenv(variable, proxy.url)
            async with client_to(OUTSIDE) as client:
                assert await client.appointments.get("1") == from_dict(Appointment, APPOINTMENT)

    (asked,) = proxy.requests
    assert (asked.method, asked.target) == ("CONNECT", "api.test.invalid:443")
    assert "authorization" not in asked.headers
    assert CANARY.encode() not in asked.raw
    assert tunnel.seen
    assert CANARY.encode() not in tunnel.seen
    assert service.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_row_25_requests_to_this_machine_use_no_proxy(monkeypatch: pytest.MonkeyPatch):
    with FaultServer(answering(status=502)) as proxy, FaultServer(ok(APPOINTMENT)) as server:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        async with client_to(server.url) as client:
            assert await client.appointments.get("1") == from_dict(Appointment, APPOINTMENT)

    assert server.url.startswith("http://127.0.0.1:")
    assert (proxy.accepted, len(server.requests)) == (0, 1)


@every_call
async def test_row_25_a_proxy_that_requires_credentials_is_not_retried(call: Any, monkeypatch: pytest.MonkeyPatch):
    with FaultServer(then(answering(status=407, proxy_authenticate='Basic realm="r"'))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//someone:{CANARY}-password@"))
        async with client_to(OUTSIDE) as client:
            with never_sent(1, httpx.ProxyError, "407"):
                await call(client)

    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert "authorization" not in proxy.requests[0].headers
    assert TOKEN.encode() not in proxy.requests[0].raw


@every_call
@pytest.mark.parametrize("status", [502, 503])
async def test_row_25_a_proxy_that_cannot_connect_is_retried(status: int, call: Any, monkeypatch: pytest.MonkeyPatch):
    with FaultServer(then(answering(status=status))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with client_to(OUTSIDE) as client:
            with never_sent(4, httpx.ProxyError, str(status)):
                await call(client)

    assert [(request.method, request.target) for request in proxy.requests] == [("CONNECT", "api.test.invalid:443")] * 4
    assert all(TOKEN.encode() not in request.raw for request in proxy.requests)


async def test_row_25_a_call_succeeds_when_the_proxy_recovers(monkeypatch: pytest.MonkeyPatch, authority: Authority):
    with (
        FaultServer(ok(APPOINTMENT), tls=authority.server("api.test.invalid")) as service,
        FaultServer(then(answering(status=503)), Tunnel(service.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with client_to(OUTSIDE) as client:
            assert await client.appointments.create(NEW) == from_dict(Appointment, APPOINTMENT)

    assert (proxy.accepted, [request.method for request in service.requests]) == (2, ["POST"])
