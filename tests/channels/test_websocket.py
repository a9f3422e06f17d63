"""Cases of an open WebSocket: what a peer may send, and what it must not."""

import threading
import tracemalloc
from collections.abc import Callable

import anyio
import pytest

from coaching_async._channels.socket import connection
from coaching_async._channels.socket.websocket import WebSocket, WebSocketClosed
from tests.channels.websockets import LIBRARIES, collect, opened, quickly
from tests.support.fault_server import HANG, FaultServer, hung_up
from tests.support.websocket_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    Peer,
    close_frame,
    frame,
    upgrading,
)

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left")]

MEBIBYTE = 2**20


def sending(*frames: bytes) -> Callable[[Peer], None]:
    """Return a behavior that sends frames in one piece, and then reads all that comes."""

    def behave(peer: Peer) -> None:
        peer.send(*frames)
        while peer.receive() is not None:
            pass

    return behave


def recording(received: list[Frame | None], *frames: bytes) -> Callable[[Peer], None]:
    """Return a behavior that sends frames, and records what comes until the end."""

    def behave(peer: Peer) -> None:
        peer.send(*frames)
        while (each := peer.receive()) is not None:
            received.append(each)
        received.append(None)

    return behave


# Messages


@pytest.mark.parametrize("library", LIBRARIES)
async def test_messages_go_both_ways(library: str):
    def echo(peer: Peer) -> None:
        while (received := peer.receive()) is not None and received.opcode == TEXT:
            peer.send(frame(TEXT, received.payload))

    with FaultServer(upgrading(echo)) as server:
        async with opened(server, LIBRARIES[library]) as websocket:
            for text in ("", "a", "ä€😀", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536):
                await websocket.send(text)
                assert await websocket.receive() == text


async def test_messages_that_arrive_together_with_the_handshake_are_received():
    with FaultServer(upgrading(sending(frame(TEXT, "second")), glued=frame(TEXT, "first"))) as server:
        async with opened(server) as websocket:
            assert [await websocket.receive(), await websocket.receive()] == ["first", "second"]


async def test_a_message_in_fragments_is_received_whole_and_a_ping_between_them_is_answered_at_once():
    answered = threading.Event()

    def behave(peer: Peer) -> None:
        euro = "€".encode()
        peer.send(frame(TEXT, b"1 " + euro[:1], fin=False), frame(PING, b"now"))
        assert peer.receive() == Frame(PONG, b"now")
        answered.set()
        peer.send(frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, euro[1:]))
        peer.receive()

    with FaultServer(upgrading(behave)) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "1 €"
            assert answered.is_set()


async def test_a_message_that_arrives_byte_by_byte_is_received():
    def behave(peer: Peer) -> None:
        for byte in frame(TEXT, "äöü" * 50):
            peer.send(bytes([byte]))
        peer.receive()

    with FaultServer(upgrading(behave)) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "äöü" * 50


async def test_binary_messages_are_dropped_whole_or_in_fragments():
    frames = (
        frame(BINARY, b"\xff" * 10),
        frame(TEXT, "a"),
        frame(BINARY, b"\xff", fin=False),
        frame(CONTINUATION, b"\xff"),
        frame(TEXT, "b"),
    )
    with FaultServer(upgrading(sending(*frames))) as server:
        async with opened(server) as websocket:
            assert [await websocket.receive(), await websocket.receive()] == ["a", "b"]


async def test_5000_small_messages_are_received_in_order():
    with FaultServer(
        upgrading(sending(*(frame(TEXT, str(number)) for number in range(5000)), close_frame()))
    ) as server:
        async with opened(server) as websocket:
            messages, closed = await collect(websocket)

    assert messages == [str(number) for number in range(5000)]
    assert (closed.reason, closed.code) == ("closed", 1000)


@pytest.mark.parametrize("pieces", [1, 16])
async def test_a_message_of_a_mebibyte_is_received(pieces: int):
    size = MEBIBYTE // pieces
    frames = [frame(CONTINUATION if n else TEXT, b"x" * size, fin=n == pieces - 1) for n in range(pieces)]
    with FaultServer(upgrading(sending(*frames))) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "x" * MEBIBYTE


# Pings


async def test_a_ping_is_answered_with_its_payload():
    received = list[Frame | None]()
    with FaultServer(upgrading(recording(received, frame(PING, b"\x00payload"), frame(TEXT, "x")))) as server:
        async with opened(server) as websocket:
            await websocket.receive()
    assert received == [Frame(PONG, b"\x00payload"), Frame(CLOSE, b"\x03\xe8"), None]


async def test_a_pong_that_nobody_asked_for_is_ignored():
    with FaultServer(upgrading(sending(frame(PONG, b"?"), frame(TEXT, "x")))) as server:
        async with opened(server) as websocket:
            assert await websocket.receive() == "x"


@pytest.mark.parametrize("opcode", [PING, PONG, TEXT, BINARY])
async def test_everything_that_arrives_is_heard(opcode: int):
    heard = anyio.Event()
    with FaultServer(upgrading(sending(frame(opcode, b"")))) as server:
        async with opened(server, on_heard=heard.set) as websocket, anyio.create_task_group() as tasks:
            tasks.start_soon(collect, websocket)
            with anyio.fail_after(HANG):
                await heard.wait()
            await websocket.close()


async def test_a_silent_peer_is_not_heard_and_a_task_that_receives_ends_when_the_websocket_is_closed():
    heard = list[None]()
    with FaultServer(upgrading(lambda peer: peer.conversation.pause())) as server:
        async with opened(server, on_heard=lambda: heard.append(None)) as websocket:
            async with anyio.create_task_group() as tasks:
                ends = list[WebSocketClosed]()

                async def receive() -> None:
                    ends.append((await collect(websocket))[1])

                tasks.start_soon(receive)
                await anyio.sleep(0.02)
                with quickly():
                    await websocket.close(1001)
            assert [(end.reason, end.code) for end in ends] == [("closed", 1001)]
        server.wait_until(lambda: not server.open)
    assert not heard


# The end


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4000])
async def test_the_peer_closes_with_a_code_which_is_answered(code: int):
    received = list[Frame | None]()
    with FaultServer(
        upgrading(recording(received, frame(TEXT, "last"), close_frame(code, "bye €".encode())))
    ) as server:
        async with opened(server) as websocket:
            messages, closed = await collect(websocket)
            assert (messages, closed.reason, closed.code) == (["last"], "closed", code)
            with pytest.raises(WebSocketClosed, match=str(code)):
                await websocket.send("too late")
            with pytest.raises(WebSocketClosed, match=str(code)):
                await websocket.receive()
        server.wait_until(lambda: None in received)
    (answer, _) = received
    assert answer is not None
    assert answer.code == code


async def test_the_peer_closes_without_a_code():
    with FaultServer(upgrading(sending(close_frame(None)))) as server:
        async with opened(server) as websocket:
            _, closed = await collect(websocket)
    assert (closed.reason, closed.code) == ("closed", 1005)


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_cut_connection_is_lost_behind_the_messages_that_came_before(end: str):
    def behave(peer: Peer) -> None:
        peer.send(frame(TEXT, "a"), frame(TEXT, "b"), frame(TEXT, "cut")[:-1])
        getattr(peer.conversation, end)()

    with FaultServer(upgrading(behave)) as server:
        async with opened(server) as websocket:
            messages, closed = await collect(websocket)
            assert (closed.reason, closed.code) == ("lost", None)
            with pytest.raises(WebSocketClosed, match="lost"):
                await websocket.send("too late")
    assert messages[:2] == ["a", "b"] if end == "close" else messages == ["a", "b"][: len(messages)]


async def test_messages_are_received_although_the_answer_to_a_ping_behind_them_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
):
    async def fail(*_: object) -> None:
        raise OSError

    with FaultServer(upgrading(sending(frame(TEXT, "a"), frame(PING), frame(TEXT, "b")))) as server:
        async with opened(server) as websocket:
            monkeypatch.setattr(websocket._opened()._stream, "write", fail)
            messages, closed = await collect(websocket)
    assert (messages, closed.reason) == (["a", "b"], "lost")


async def test_closing_twice_or_from_two_tasks_sends_one_close_frame():
    received = list[Frame | None]()
    with FaultServer(upgrading(recording(received))) as server:
        async with opened(server) as websocket:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(websocket.close, 1001)
                tasks.start_soon(websocket.close, 1001)
            await websocket.close(1000)
            with pytest.raises(WebSocketClosed, match="1001"):
                await websocket.receive()
        server.wait_until(lambda: None in received)
    assert received == [Frame(CLOSE, b"\x03\xe9"), None]


async def test_a_peer_that_ignores_the_close_is_not_waited_for():
    with FaultServer(upgrading(lambda peer: peer.conversation.pause())) as server:
        async with opened(server) as websocket:
            with quickly():
                await websocket.close()


def flooding(peer: Peer) -> None:
    """Send messages until the client has gone."""
    while not hung_up(peer.conversation._socket):
        peer.send(frame(TEXT, "x" * 1000) * 10)


async def test_a_block_is_left_at_once_with_messages_unread_and_more_coming():
    with FaultServer(upgrading(flooding)) as server:
        async with opened(server) as websocket:
            await websocket.receive()
            closing = quickly()
            closing.__enter__()
        closing.__exit__(None, None, None)


# What a peer must not send


INVALID = {
    "masked": (frame(TEXT, "x", mask=b"mask"), 1002),
    "reserved bits": (frame(TEXT, "x", reserved=0b100), 1002),
    "reserved opcode": (frame(0x3, "x"), 1002),
    "reserved control opcode": (frame(0xB), 1002),
    "continuation of nothing": (frame(CONTINUATION, "x"), 1002),
    "message within a message": (frame(TEXT, "x", fin=False) + frame(TEXT, "y"), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "ping in fragments": (frame(PING, b"x", fin=False), 1002),
    "close code that is reserved": (close_frame(1005), 1002),
    "close code of one byte": (frame(CLOSE, b"\x03"), 1002),
    "garbage": (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10, 1002),
    "text that is not UTF-8": (frame(TEXT, b"a\xff"), 1007),
    "text that ends in a character": (frame(TEXT, "€".encode()[:2]), 1007),
    "surrogates": (frame(TEXT, b"\xed\xa0\x80"), 1007),
}


@pytest.mark.parametrize("kind", INVALID)
async def test_what_breaks_the_protocol_ends_the_websocket_and_the_peer_is_told(kind: str):
    frames, code = INVALID[kind]
    received = list[Frame | None]()
    with FaultServer(upgrading(recording(received, frame(TEXT, "good"), frames, frame(TEXT, "ignored")))) as server:
        async with opened(server) as websocket:
            messages, closed = await collect(websocket)
        server.wait_until(lambda: None in received)
    assert (messages, closed.reason, closed.code) == (["good"], "invalid", code)
    (told, _) = received
    assert told is not None
    assert told.code == code


async def test_a_message_that_is_too_large_is_refused_by_its_head():
    received = list[Frame | None]()
    head = frame(TEXT, size=MEBIBYTE + 1)
    with FaultServer(upgrading(recording(received, head))) as server:
        async with opened(server) as websocket:
            messages, closed = await collect(websocket)
        server.wait_until(lambda: None in received)
    assert (messages, closed.reason, closed.code) == ([], "too large", 1009)
    (told, _) = received
    assert told is not None
    assert told.code == 1009


async def test_30_megabytes_in_fragments_are_refused_and_never_held():
    def behave(peer: Peer) -> None:
        piece = frame(CONTINUATION, bytes(100_000), fin=False)
        peer.send(frame(TEXT, b"", fin=False))
        for _ in range(300):
            peer.send(piece)

    with FaultServer(upgrading(behave)) as server:
        async with opened(server) as websocket:
            tracemalloc.start()
            try:
                _, closed = await collect(websocket)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert (closed.reason, closed.code) == ("too large", 1009)
    assert peak < 5 * MEBIBYTE


# Slowness


async def test_a_reader_that_stands_still_finds_all_messages_that_have_waited():
    with FaultServer(upgrading(sending(*(frame(TEXT, str(number)) + frame(PING) for number in range(200))))) as server:
        async with opened(server) as websocket:
            await anyio.sleep(0.2)
            assert [await websocket.receive() for _ in range(200)] == [str(number) for number in range(200)]


async def test_a_reader_that_stands_still_stops_the_peer():
    sent = [0]

    def behave(peer: Peer) -> None:
        peer.conversation._socket.settimeout(0.5)
        while sent[0] < 100 * MEBIBYTE:
            peer.send(frame(TEXT, "x" * 10_000))
            sent[0] += 10_000

    with FaultServer(upgrading(behave)) as server:
        async with opened(server):
            server.wait_until(lambda: not server.open)
    assert sent[0] < 20 * MEBIBYTE


async def send_for_ever(websocket: WebSocket) -> None:
    while True:
        await websocket.send("x" * MEBIBYTE)


async def test_a_peer_that_does_not_read_ends_a_send_and_the_task_that_receives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "WRITE_TIMEOUT", 0.1)
    with FaultServer(upgrading(lambda peer: peer.conversation.pause())) as server:
        async with opened(server) as websocket, anyio.create_task_group() as tasks:
            ends = list[WebSocketClosed]()

            async def receive() -> None:
                ends.append((await collect(websocket))[1])

            tasks.start_soon(receive)
            with quickly(), pytest.raises(WebSocketClosed, match="lost"):
                await send_for_ever(websocket)
        assert [end.reason for end in ends] == ["lost"]


async def test_a_peer_that_does_not_read_delays_the_close_by_half_a_second_at_most():
    with FaultServer(upgrading(lambda peer: peer.conversation.pause())) as server:
        async with opened(server) as websocket, anyio.create_task_group() as tasks:

            async def fill() -> None:
                with pytest.raises(WebSocketClosed, match="1000"):
                    await send_for_ever(websocket)

            tasks.start_soon(fill)
            await anyio.sleep(0.05)
            with quickly():
                await websocket.close()
