"""The HTTP transport: the fault of each failure, and what remains after errors, cancellation and closing."""

import asyncio
import gc
import ssl
import threading
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import httpx
import pytest

from coaching_async import AccessToken, ClientMisuse, CoachingClient, RetryPolicy, TransportError
from coaching_async._transport.concurrency_limit import ConcurrencyLimiter
from coaching_async._transport.http import HttpTransport
from coaching_async._transport.http_client import HttpClient, LazyHttpClient, new_http_client, new_tls_context
from coaching_async._transport.messages import SendError
from coaching_async._transport.retry_policy import Fault, Safety
from tests.support.doubles import TOKEN, http_of, request_of

pytestmark = pytest.mark.anyio


def transport_over(http: HttpClient, *, is_borrowed: bool = True) -> HttpTransport:
    lazy_client = LazyHttpClient(http if is_borrowed else None, lambda: http)
    left_open.append(lazy_client)
    return HttpTransport(lazy_client, ConcurrencyLimiter(1))


left_open: list[LazyHttpClient] = []
"""Clients that the event loop closes at its end. One that the garbage collector finds before is a ResourceWarning on trio."""


class FailingTransport(httpx.AsyncBaseTransport):
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self.error


class TruncatedBody(httpx.AsyncByteStream):
    """Half a body, then a lost connection."""

    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"id": '
        raise httpx.ReadError("cut")

    async def aclose(self) -> None:
        self.closed = True


class TruncatedResponse(httpx.AsyncBaseTransport):
    def __init__(self, status: int) -> None:
        self.status, self.body = status, TruncatedBody()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, stream=self.body)


def http_transport(transport: httpx.AsyncBaseTransport, *, borrowed: bool = False) -> HttpTransport:
    return transport_over(httpx.AsyncClient(transport=transport), is_borrowed=borrowed)


def tls_error() -> httpx.ConnectError:
    try:
        try:
            raise ssl.SSLCertVerificationError(1, "certificate verify failed")
        except ssl.SSLError as cause:
            raise httpx.ConnectError("certificate verify failed") from cause
    except httpx.ConnectError as error:
        return error


@pytest.mark.parametrize(
    "error, borrowed, fault",
    [
        (httpx.ConnectError("refused"), False, Fault.NOT_SENT),
        (httpx.ConnectError("refused"), True, Fault.NOT_SENT),
        (httpx.ConnectTimeout("slow"), False, Fault.NOT_SENT),
        (httpx.ConnectTimeout("slow"), True, Fault.CONNECTION_LOST),
        (httpx.PoolTimeout("full"), False, Fault.NOT_SENT),
        (tls_error(), False, Fault.NOT_CONNECTABLE),
        (httpx.ProxyError("407 Proxy Authentication Required"), False, Fault.NOT_CONNECTABLE),
        (httpx.ProxyError("502 Bad Gateway"), False, Fault.NOT_SENT),
        (httpx.UnsupportedProtocol("ftp"), False, Fault.NOT_CONNECTABLE),
        (httpx.LocalProtocolError("bad header"), False, Fault.NOT_CONNECTABLE),
        (httpx.ReadError("cut"), False, Fault.CONNECTION_LOST),
        (httpx.WriteError("cut"), False, Fault.CONNECTION_LOST),
        (httpx.ReadTimeout("slow"), False, Fault.CONNECTION_LOST),
        (httpx.WriteTimeout("slow"), False, Fault.CONNECTION_LOST),
        (httpx.RemoteProtocolError("garbage"), False, Fault.CONNECTION_LOST),
    ],
)
async def test_each_exception_of_httpx_has_its_fault(error: Exception, borrowed: bool, fault: Fault):
    with pytest.raises(SendError) as caught:
        await http_transport(FailingTransport(error), borrowed=borrowed)(request_of())

    assert caught.value.fault is fault
    assert type(caught.value.cause) is type(error)
    assert str(caught.value.cause) == ("" if isinstance(error, httpx.LocalProtocolError) else str(error))
    assert caught.value.cause.__traceback__ is None
    assert caught.value.cause._request is None  # type: ignore[attr-defined]


async def test_a_tls_failure_keeps_its_cause():
    with pytest.raises(SendError) as caught:
        await http_transport(FailingTransport(tls_error()))(request_of())

    cause = caught.value.cause.__cause__
    assert isinstance(cause, ssl.SSLCertVerificationError)
    assert cause.__traceback__ is cause.__context__ is None


@pytest.mark.parametrize("safety", Safety)
async def test_a_truncated_body_of_a_success_is_a_fault_of_its_own(safety: Safety):
    transport = TruncatedResponse(200)

    with pytest.raises(SendError) as caught:
        await http_transport(transport)(request_of(safety))

    assert caught.value.fault is Fault.BODY_TRUNCATED
    assert transport.body.closed


async def test_an_error_response_with_a_truncated_body_keeps_its_status():
    transport = TruncatedResponse(404)

    response = await http_transport(transport)(request_of())

    assert (response.status, response.content) == (404, b"")
    assert transport.body.closed


async def test_an_error_response_with_a_truncated_body_keeps_its_headers():
    class Throttling(TruncatedResponse):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(429, headers={"Retry-After": "30"}, stream=self.body)

    assert (await http_transport(Throttling(429))(request_of())).retry_after == 30


async def test_a_status_error_that_a_borrowed_client_raises_is_a_response():
    async def raise_for_status(response: httpx.Response) -> None:
        response.raise_for_status()

    def service(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"code": "not.found"})

    http = httpx.AsyncClient(transport=httpx.MockTransport(service), event_hooks={"response": [raise_for_status]})
    response = await transport_over(http)(request_of())

    assert response.status == 404


async def test_a_closed_borrowed_client_is_a_misuse():
    http = httpx.AsyncClient()
    await http.aclose()

    with pytest.raises(ClientMisuse, match="HTTP client of this client is closed"):
        await transport_over(http)(request_of())


async def test_a_subclass_of_an_httpx_exception_counts_as_that_exception():
    class OddReadError(httpx.ReadError):
        def __init__(self) -> None:
            super().__init__("odd")

    with pytest.raises(SendError) as caught:
        await http_transport(FailingTransport(OddReadError()))(request_of())

    assert type(caught.value.cause) is httpx.ReadError


async def test_a_transport_that_cancels_itself_raises_a_clear_error(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("trio lets no code raise Cancelled")

    with pytest.raises(RuntimeError, match="cancelled a request by itself"):
        await http_transport(FailingTransport(asyncio.CancelledError()))(request_of())  # type: ignore[arg-type]


async def test_a_write_in_flight_may_have_been_carried_out():
    request, processed = request_of(Safety.WRITE), list[str]()

    class Recording(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            processed.append(request.call.processed)
            return httpx.Response(400)

    await http_transport(Recording(), borrowed=True)(request)

    assert processed == ["maybe"]
    assert (request.call.processed, request.call.attempts) == ("no", 1)


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which would end the test run."""


async def test_an_interrupt_is_raised_unchanged():
    class Interrupting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise Interrupt

    with pytest.raises(Interrupt):
        await http_transport(Interrupting())(request_of())


# Over real sockets


class Server:
    """Responds to every request after a delay. The client closes the connections."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.url = ""

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        async with listener:
            task_status.started()
            await listener.serve(self.handle)

    async def handle(self, stream: anyio.abc.SocketStream) -> None:
        body = b'{"id": "1"}'
        response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        async with stream:
            try:
                while True:
                    buffer = b""
                    while b"\r\n\r\n" not in buffer:
                        buffer += await stream.receive()
                    await anyio.sleep(self.delay)
                    await stream.send(response)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(0.002)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve)
        yield server
        tasks.cancel_scope.cancel()


def threads() -> list[threading.Thread]:
    """Return all threads but those in which trio waits for the event loop that hosts it in tests."""
    return [thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")]


@pytest.mark.real_time
async def test_a_closed_client_leaves_no_connection_and_no_thread(server: Server):
    before = threads()

    async with CoachingClient(AccessToken(TOKEN), base_url=server.url) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(client.appointments.get, "1")
        pool = http_of(client)._transport._pool  # type: ignore[attr-defined]

    assert pool.connections == []
    assert threads() == before


@pytest.mark.real_time
async def test_closing_closes_every_connection_even_if_it_is_cancelled(server: Server, anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("cancellation of asyncio only")
    client = CoachingClient(AccessToken(TOKEN), base_url=server.url)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(client.appointments.get, "1")
    pool = http_of(client)._transport._pool  # type: ignore[attr-defined]
    connections = list(pool.connections)

    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])

    assert connections
    assert all(connection.is_closed() for connection in connections)


@pytest.mark.real_time
async def test_a_refused_connection_is_a_transport_error():
    one_attempt = RetryPolicy(attempts=1)
    async with CoachingClient(AccessToken(TOKEN), base_url="http://127.0.0.1:1", retry=one_attempt) as client:
        with pytest.raises(TransportError, match="no answer") as caught:
            await client.appointments.get("1")

    assert caught.value.processed == "no"
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


async def test_an_own_client_takes_proxies_from_the_environment_but_not_for_loopback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")

    hosts = ["https://api.mypurecloud.com", "http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"]
    async with new_http_client(connections=1, tls=new_tls_context, urls=hosts) as http:

        def is_proxied(url: str) -> bool:
            return "proxy" in type(http._transport_for_url(httpx.URL(url))._pool).__name__.lower()  # type: ignore[attr-defined]

        assert [is_proxied(f"{host}/x") for host in hosts] == [True, False, False, False]


async def test_a_failed_exchange_leaves_no_reference_cycle():
    transport = http_transport(FailingTransport(httpx.ReadError("cut")))

    async def fail() -> None:
        with pytest.raises(SendError):
            await transport(request_of())

    await fail()
    gc.collect()
    gc.disable()
    try:
        await fail()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [garbage for garbage in gc.garbage if type(garbage).__module__.startswith("coaching_async")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []
