"""Cases of a WebSocket that is being opened: the response to the handshake, TLS, proxies, and the HTTP client."""

import base64
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import httpx2
import httpx_aiohttp
import pytest

from coaching_async import ClientMisuse, ConfigurationError, HttpClient
from coaching_async._channels.socket import websocket as module
from coaching_async._channels.socket.websocket import HandshakeRefused, WebSocket, WebSocketClosed
from coaching_async._transport.http_client import new_http_client
from tests.channels.websockets import LIBRARIES, TLS, asynchronous, opened, quickly, uri_of
from tests.support.fault_server import Authority, Behaviour, Conversation, FaultServer, answering, then
from tests.support.http2_server import serving_http_2
from tests.support.websocket_server import TEXT, Peer, frame, handshake_response, upgrading

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left")]


def hello(peer: Peer) -> None:
    peer.send(frame(TEXT, "hello"))
    peer.receive()


async def refused(
    server: FaultServer, new_client: Callable[[], HttpClient] = LIBRARIES["own"], **options: Any
) -> HandshakeRefused:
    with quickly(), pytest.raises(HandshakeRefused) as raised:
        async with opened(server, new_client, **options):
            pass
    server.wait_until(lambda: not server.open)
    return raised.value


# The response to the handshake


async def test_the_request_is_a_handshake_with_the_secret_path_and_no_token():
    with FaultServer(upgrading(hello)) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "hello"
    (request,) = server.requests
    headers = request.headers
    assert (request.method, request.target) == ("GET", "/channels/streaming-5-canary")
    assert (headers["upgrade"], headers["connection"], headers["sec-websocket-version"]) == (
        "websocket",
        "Upgrade",
        "13",
    )
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert len(base64.b64decode(headers["sec-websocket-key"])) == 16
    assert not headers.keys() & {"authorization", "cookie", "sec-websocket-extensions", "sec-websocket-protocol"}


@pytest.mark.parametrize(
    "library, status", [("own", 200), ("httpx2", 401), ("own", 404), ("httpx2", 429), ("own", 503)]
)
async def test_another_status_is_told(library: str, status: int):
    with FaultServer(then(answering(b"no", status, retry_after="7"))) as server:
        refusal = await refused(server, LIBRARIES[library])
    assert (refusal.status, refusal.retry_after) == (status, 7.0)
    assert str(refusal) == f"the WebSocket was not opened: status {status}"


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_redirect_is_not_followed(library: str):
    with FaultServer(then(answering(status=307, location="/elsewhere"))) as server:
        assert (await refused(server, LIBRARIES[library])).status == 307
    assert len(server.requests) == 1


INVALID: dict[str, dict[str, str | None]] = {
    "wrong accept": {"sec_websocket_accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    "no accept": {"sec_websocket_accept": None},
    "no upgrade": {"upgrade": None},
    "another upgrade": {"upgrade": "h2c"},
    "no connection": {"connection": None},
    "extension": {"sec_websocket_extensions": "permessage-deflate"},
    "subprotocol": {"sec_websocket_protocol": "chat"},
}


@pytest.mark.parametrize("kind", INVALID)
async def test_a_response_that_is_not_that_of_a_websocket_server_is_refused(kind: str):
    with FaultServer(upgrading(hello, **INVALID[kind])) as server:
        refusal = await refused(server)
    assert refusal.status is None
    assert str(refusal) == "the WebSocket was not opened: the response is not that of a WebSocket server"


async def test_long_and_many_headers_of_the_response_do_not_matter():
    headers: dict[str, str | None] = {f"x_{number}": "x" * 200 for number in range(200)}
    with FaultServer(upgrading(hello, x_long="x" * 10_000, content_length="0", **headers)) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "hello"


def garbage(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


def cut(conversation: Conversation) -> None:
    request = conversation.request()
    assert request is not None
    conversation.send(handshake_response(request)[:-10])


def reset(conversation: Conversation) -> None:
    conversation.request()
    conversation.reset()


@pytest.mark.parametrize("behave", [garbage, cut, reset, Conversation.close], ids=lambda each: each.__name__)
async def test_without_a_response_the_cause_is_told(behave: Behaviour):
    with FaultServer(behave) as server:
        refusal = await refused(server)
    assert refusal.status is refusal.retry_after is None
    assert isinstance(refusal.__cause__, httpx.RequestError)
    assert str(refusal).startswith("the WebSocket was not opened: ")


async def test_a_server_that_is_not_there_is_told():
    with FaultServer() as server:
        pass
    refusal = await refused(server)
    assert refusal.status is None
    assert isinstance(refusal.__cause__, httpx.ConnectError)


async def test_a_server_that_does_not_respond_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT", 0.05)
    with FaultServer(Conversation.pause) as server:
        refusal = await refused(server)
    assert (refusal.status, refusal.__cause__) == (None, None)
    assert str(refusal) == "the WebSocket was not opened: no response in time"


async def test_closing_a_websocket_that_is_being_opened_ends_that():
    with FaultServer(Conversation.pause) as server:
        websocket = WebSocket(uri_of(server), asynchronous(LIBRARIES["own"]))
        async with anyio.create_task_group() as tasks:

            async def enter() -> None:
                with pytest.raises(WebSocketClosed, match="1001"):
                    await websocket.__aenter__()

            tasks.start_soon(enter)
            await anyio.sleep(0.02)
            with quickly():
                await websocket.close(1001)
        server.wait_until(lambda: not server.open)


async def test_a_websocket_that_was_closed_before_it_is_opened_opens_no_connection():
    with FaultServer(upgrading(hello)) as server:
        websocket = WebSocket(uri_of(server), asynchronous(LIBRARIES["own"]))
        await websocket.close()
        with pytest.raises(WebSocketClosed):
            await websocket.__aenter__()
    assert not server.requests


async def test_an_error_of_the_factory_comes_out_as_itself():
    async def new_client() -> HttpClient:
        raise ConfigurationError("https_proxy is set to what is no proxy's URL")

    with pytest.raises(ConfigurationError, match="https_proxy"):
        async with WebSocket("ws://127.0.0.1/x", new_client):
            pass


# TLS


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_a_private_authority_is_trusted_if_the_client_trusts_it(library: str):
    authority = Authority()
    clients: dict[str, Callable[[], HttpClient]] = {
        "httpx": lambda: new_http_client(connections=1, tls=authority.client, urls=[server.url]),
        "httpx2": lambda: httpx2.AsyncClient(verify=authority.client(), trust_env=False),
    }
    with FaultServer(upgrading(hello), tls=authority.server()) as server:
        async with opened(server, clients[library]) as websocket:
            assert await websocket.receive() == "hello"
            with quickly():
                await websocket.close()
        server.wait_until(lambda: not server.open)


@pytest.mark.parametrize("kind", ["unknown", "expired", "another name"])
async def test_a_certificate_that_is_not_valid_is_refused(kind: str):
    authority = Authority()
    names = ("another.test",) if kind == "another name" else ()
    trusted = Authority() if kind == "unknown" else authority

    def new_client() -> HttpClient:
        return new_http_client(connections=1, tls=trusted.client, urls=[server.url])

    with FaultServer(upgrading(hello), tls=authority.server(*names, expired=kind == "expired")) as server:
        refusal = await refused(server, new_client)
    assert isinstance(refusal.__cause__, httpx.ConnectError)
    assert isinstance(refusal.__cause__.__cause__, ssl.SSLError)
    assert not server.requests


async def test_a_server_that_is_silent_in_the_handshake_of_tls_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT", 0.05)

    def new_client() -> HttpClient:
        return new_http_client(connections=1, tls=lambda: TLS, urls=["https://localhost"])

    with FaultServer(Conversation.pause) as server:
        websocket = WebSocket(f"wss://localhost:{server.port}/x", asynchronous(new_client))
        with quickly(), pytest.raises(HandshakeRefused):
            await websocket.__aenter__()
        server.wait_until(lambda: not server.open)


# Proxies


PASSWORD = "hunter2"


def proxying(port: int, *, login: bool) -> Behaviour:
    """Return a behavior of a proxy that opens tunnels to a port of this machine, whatever their host."""

    def behave(conversation: Conversation) -> None:
        request = conversation.request()
        assert request is not None
        assert (request.method, request.target) == ("CONNECT", f"streaming.test:{port}")
        wanted = f"Basic {base64.b64encode(f'user:{PASSWORD}'.encode()).decode()}"
        if login and request.headers.get("proxy-authorization") != wanted:
            conversation.answer(status=407)
            return
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n")
        tunnel(conversation, port)

    return behave


def tunnel(conversation: Conversation, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as target:

        def back() -> None:
            try:
                while data := target.recv(65536):
                    conversation.send(data)
                conversation.close()
            except OSError:
                pass

        thread = threading.Thread(target=back)
        thread.start()
        try:
            while data := conversation.read_some():
                target.sendall(data)
        finally:
            target.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("login", [False, True])
async def test_a_websocket_goes_through_the_proxy_of_the_environment(login: bool, monkeypatch: pytest.MonkeyPatch):
    authority = Authority()
    with FaultServer(upgrading(hello), tls=authority.server("streaming.test")) as server:  # noqa: SIM117 # it needs its port
        with FaultServer(proxying(server.port, login=login)) as proxy:
            userinfo = f"user:{PASSWORD}@" if login else ""
            monkeypatch.setenv("https_proxy", f"http://{userinfo}127.0.0.1:{proxy.port}")
            origin = f"https://streaming.test:{server.port}"

            def new_client() -> HttpClient:
                return new_http_client(connections=1, tls=authority.client, urls=[origin])

            async with WebSocket(f"wss{origin[5:]}/x", asynchronous(new_client)) as websocket:
                assert await websocket.receive() == "hello"


async def test_a_proxy_that_refuses_the_login_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch):
    with FaultServer(then(answering(status=407))) as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        origin = "https://streaming.test"

        def new_client() -> HttpClient:
            return new_http_client(connections=1, tls=lambda: TLS, urls=[origin])

        with pytest.raises(HandshakeRefused) as raised:
            await WebSocket(f"wss{origin[5:]}/x", asynchronous(new_client)).__aenter__()
    assert isinstance(raised.value.__cause__, httpx.ProxyError)
    assert f"the proxy 127.0.0.1:{proxy.port} opens no connection: 407" in str(raised.value)
    assert PASSWORD not in str(raised.value)


# Borrowed clients


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_a_borrowed_client_is_left_open_and_adds_no_parameters_and_cookies(library: str):
    options: dict[str, Any] = {"params": {"a": "b"}, "cookies": {"c": "d"}, "verify": TLS}
    http: Any = httpx.AsyncClient(**options) if library == "httpx" else httpx2.AsyncClient(**options)
    with FaultServer(upgrading(hello)) as server:
        async with http:
            for _ in range(3):
                async with opened(server, lambda: http, owns_client=False) as websocket:
                    assert await websocket.receive() == "hello"
                server.wait_until(lambda: not server.open)
                assert not http.is_closed
    assert {request.target for request in server.requests} == {"/channels/streaming-5-canary"}
    assert "cookie" not in server.requests[0].headers


async def test_a_borrowed_client_that_raises_for_a_status_is_the_same():
    async def raise_for_status(response: httpx.Response) -> None:
        response.raise_for_status()

    with FaultServer(then(answering(status=503, retry_after="3"))) as server:
        async with httpx.AsyncClient(event_hooks={"response": [raise_for_status]}, verify=TLS) as http:
            refusal = await refused(server, lambda: http, owns_client=False)
    assert (refusal.status, refusal.retry_after) == (503, 3.0)


async def test_a_client_without_access_to_its_connection_is_refused_in_words(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("aiohttp supports only asyncio")
    with FaultServer(upgrading(hello)) as server:
        async with httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport()) as http:
            with pytest.raises(ClientMisuse, match=r"opens no WebSockets: give one that speaks HTTP/1\.1 by itself"):
                async with opened(server, lambda: http, owns_client=False):
                    pass
        await anyio.sleep(0.01)  # aiohttp closes its sockets a moment later


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_client_that_speaks_http_2_is_refused_in_words(library: Any):
    with FaultServer(serving_http_2()) as server:
        async with library.AsyncClient(http1=False, http2=True, verify=TLS) as http:
            with pytest.raises(ClientMisuse, match="opens no WebSockets"):
                async with opened(server, lambda: http, owns_client=False):
                    pass


async def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "websockets.client", None)
    with FaultServer(upgrading(hello)) as server, pytest.raises(ConfigurationError, match=r"'coaching_async\[live\]'"):
        async with opened(server):
            pass
    assert not server.requests
