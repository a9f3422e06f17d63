"""Cases of a WebSocket that is left: cancelled in every way, or with an error; and what is seen of its secret."""

import asyncio
import pickle
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

import anyio
import httpx
import pytest

from coaching_async._channels.socket.websocket import HandshakeRefused, WebSocket, WebSocketClosed
from coaching_async._transport.httpcore_hooks import hiding_urls
from tests.channels.websockets import LIBRARIES, PATH, TLS, asynchronous, collect, opened, quickly
from tests.faults.support import chain, frames
from tests.support.effort import calls
from tests.support.fault_server import HANG, Behaviour, Conversation, FaultServer, answering, ok, then
from tests.support.secrets_logged import SecretsLogged
from tests.support.telemetry import THEIRS, Telemetry
from tests.support.websocket_server import PING, TEXT, Peer, close_frame, frame, upgrading

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left")]


def silent(peer: Peer) -> None:
    peer.conversation.pause()


async def receive_for_ever(server: FaultServer) -> None:
    async with opened(server) as websocket:
        await collect(websocket)


async def cancelled_by_a_scope(function: Callable[[], Awaitable[None]], delay: float) -> None:
    with anyio.move_on_after(delay):
        await function()


async def cancelled_natively(function: Callable[[], Awaitable[None]], delay: float) -> None:
    task = asyncio.ensure_future(function())
    await asyncio.sleep(delay)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_twice(function: Callable[[], Awaitable[None]], delay: float) -> None:
    task = asyncio.ensure_future(function())
    await asyncio.sleep(delay)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_by_a_timeout(function: Callable[[], Awaitable[None]], delay: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(delay):
            await function()


KINDS: dict[str, Callable[[Callable[[], Awaitable[None]], float], Awaitable[None]]] = {
    "scope": cancelled_by_a_scope,
    "native": cancelled_natively,
    "twice": cancelled_twice,
    "timeout": cancelled_by_a_timeout,
}


@pytest.fixture(params=KINDS)
def cancelled(request: pytest.FixtureRequest, anyio_backend_name: str) -> Any:
    if request.param != "scope" and anyio_backend_name == "trio":
        pytest.skip("asyncio's own")
    return KINDS[request.param]


async def test_a_task_that_receives_is_cancelled(cancelled: Any):
    with FaultServer(upgrading(silent)) as server:
        with quickly():
            await cancelled(lambda: receive_for_ever(server), 0.03)
        server.wait_until(lambda: not server.open)


async def test_a_task_that_waits_for_the_response_to_the_handshake_is_cancelled(cancelled: Any):
    with FaultServer(Conversation.pause) as server:
        with quickly():
            await cancelled(lambda: receive_for_ever(server), 0.03)
        server.wait_until(lambda: not server.open)


async def test_a_task_in_the_handshake_of_tls_is_cancelled(cancelled: Any):
    with FaultServer(Conversation.pause) as server:

        async def enter() -> None:
            await WebSocket(f"wss://localhost:{server.port}/x", asynchronous(LIBRARIES["own"])).__aenter__()

        with quickly():
            await cancelled(enter, 0.03)
        server.wait_until(lambda: not server.open)


async def test_a_task_that_closes_is_cancelled_and_the_peer_is_told_all_the_same(cancelled: Any):
    codes = list[int]()

    def behave(peer: Peer) -> None:
        received = peer.receive()
        assert received is not None
        codes.append(received.code)

    with FaultServer(upgrading(behave)) as server:
        async with opened(server) as websocket:

            async def close() -> None:
                await websocket.close(1001)
                await anyio.sleep(HANG)

            await cancelled(close, 0.0)
        server.wait_until(lambda: len(codes) == 1)
    assert codes[0] in {1000, 1001}


async def test_a_task_that_receives_with_a_timeout_loses_nothing():
    release = anyio.Event()

    def behave(peer: Peer) -> None:
        for number in range(20):
            whole = frame(TEXT, str(number))
            peer.send(whole[:1])
            peer.conversation.pause(0.002)
            peer.send(whole[1:])
        peer.send(close_frame())

    messages = list[str]()
    with FaultServer(upgrading(behave)) as server:
        async with opened(server) as websocket:
            while not release.is_set():
                with anyio.move_on_after(0.001):
                    try:
                        messages.append(await websocket.receive())
                    except WebSocketClosed:
                        release.set()
    assert messages == [str(number) for number in range(20)]


async def test_left_at_random_moments_nothing_stays(cancelled: Any):
    def behave(conversation: Conversation) -> None:
        fate = random.choice(["silent", "busy", "close", "cut", "refuse", "mute"])
        if fate == "mute":
            conversation.pause()
        elif fate == "refuse":
            then(answering(status=503))(conversation)
        else:
            upgrading(FATES[fate])(conversation)

    with FaultServer(behave) as server:

        async def visit() -> None:
            while True:
                with suppress(HandshakeRefused, WebSocketClosed):
                    await receive_for_ever(server)

        for _ in range(calls(100)):
            await cancelled(visit, random.uniform(0, 0.015))
        server.wait_until(lambda: not server.open)


def busy(peer: Peer) -> None:
    for _ in range(100):
        peer.send(frame(TEXT, "x" * 1000), frame(PING))
        peer.receive()


def closing(peer: Peer) -> None:
    peer.send(close_frame(1012))


def cutting(peer: Peer) -> None:
    peer.conversation.reset()


FATES = {"silent": silent, "busy": busy, "close": closing, "cut": cutting}


async def test_an_error_of_the_block_comes_out_as_itself():
    with FaultServer(upgrading(busy)) as server:
        for error in (ValueError("x"), KeyboardInterrupt()):
            with pytest.raises(type(error)) as raised:  # noqa: PT012
                async with opened(server) as websocket:
                    await websocket.receive()
                    raise error
            assert raised.value is error
            assert error.__context__ is None


# The secret


CANARY = PATH.rpartition("/")[2]


@pytest.fixture
def logged() -> Iterator[SecretsLogged]:
    secrets = SecretsLogged(CANARY)
    with secrets.watching():
        yield secrets


def redirecting(conversation: Conversation) -> None:
    request = conversation.request()
    assert request is not None
    conversation.answer(status=302, location=f"http://{request.headers['host']}{request.target}")


def hanging_up(conversation: Conversation) -> None:
    conversation.request()


def speaking_no_http(conversation: Conversation) -> None:
    request = conversation.request()
    assert request is not None
    conversation.send(f"GET {request.target} says the server\r\n\r\n".encode())


def talking(peer: Peer) -> None:
    peer.send(frame(TEXT, "hello"), frame(PING), frame(TEXT, "bad", reserved=1))
    peer.receive()


BEHAVIOURS: dict[str, Behaviour] = {
    "open": upgrading(talking),
    "closed": upgrading(closing),
    "not a WebSocket": upgrading(talking, sec_websocket_accept=CANARY),
    "refused": then(answering(f"no {PATH}".encode(), 404)),
    "redirected": redirecting,
    "lost": hanging_up,
    "no HTTP": speaking_no_http,
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", BEHAVIOURS)
async def test_the_secret_is_in_no_log_record_and_no_error(kind: str, library: str, logged: SecretsLogged):
    with FaultServer(BEHAVIOURS[kind]) as server:
        with pytest.raises((HandshakeRefused, WebSocketClosed)) as raised:  # noqa: PT012
            async with opened(server, LIBRARIES[library]) as websocket:
                while True:
                    await websocket.receive()
        assert CANARY in server.requests[0].target
    for error in chain(raised.value):
        shown = [repr(error), str(error), repr(vars(error)), repr(pickle.dumps(error.args))]
        shown += [repr(each.f_locals) for each in frames(error) if "coaching_async/" in each.f_code.co_filename]
        assert CANARY not in " ".join(shown)
        assert getattr(error, "_request", None) is None, "its request has the URL"


async def test_of_requests_that_are_not_secret_the_libraries_log_as_before():
    secrets = SecretsLogged(CANARY)
    with FaultServer(ok()) as server, pytest.raises(AssertionError), secrets.watching():  # noqa: PT012
        async with httpx.AsyncClient(verify=TLS, trust_env=False) as http:
            for path in (PATH, f"{PATH}-2"):
                with hiding_urls() if path == PATH else nullcontext():
                    await http.get(f"{server.url}{path}")
    (message,) = secrets.messages
    assert message.startswith(f"HTTP Request: GET {server.url}{PATH}-2 ")


async def test_the_secret_is_in_no_span_of_an_instrumented_library():
    telemetry = Telemetry()
    with telemetry.httpx_instrumented(), FaultServer(upgrading(talking), ok()) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "hello"
        assert telemetry.spans(THEIRS) == []
        async with httpx.AsyncClient(verify=TLS, trust_env=False) as http:
            await http.get(server.url)
    assert len(telemetry.spans(THEIRS)) == 1, "other requests have spans as before"
