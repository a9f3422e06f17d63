"""Rows 6 to 24: connections that break, stall, or carry invalid HTTP."""

import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    Appointment,
    AppointmentReference,
    AppointmentUpdate,
    CoachingClient,
    CoachingError,
    DeadlineExceeded,
    DecodeError,
    Interval,
    OutcomeUnknown,
    TransportError,
    from_dict,
)
from coaching_async._events import Event, RequestFailed
from coaching_async._transport import http as engine
from tests.faults.support import APPOINTMENT, NEW, client_to, failing, show_no_secret
from tests.support.deadlines import DEADLINES, in_doubt_at_its_deadline
from tests.support.doubles import CUT, http_of
from tests.support.fault_server import (
    HANG,
    Behaviour,
    Conversation,
    Fault,
    FaultProxy,
    FaultServer,
    answering,
    becomes_true,
    ok,
    response,
    then,
)

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

WANTED = from_dict(Appointment, APPOINTMENT)
BRIEF = 0.2
"""Seconds of the read timeout, instead of fifteen."""
LATE = 7.0
"""Seconds that a busy machine may take beyond a deadline: far fewer than the read timeout of fifteen."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
half_of_it = answering(b'{"id": "an-app', content_length="40")


class Patience:
    """Sets the read timeout: brief after `lose`, and the default after `regain` or the first failure. Records the failures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[str] = []
        self._usual = engine.READ_TIMEOUT
        self._set = monkeypatch.setattr

    def lose(self) -> None:
        self._set(engine, "READ_TIMEOUT", BRIEF)

    def regain(self) -> None:
        self._set(engine, "READ_TIMEOUT", self._usual)

    def __call__(self, event: Event) -> None:
        if isinstance(event, RequestFailed):
            self.failures.append(event.error)
            self.regain()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    assert engine.READ_TIMEOUT == 15.0
    return Patience(monkeypatch)


def sent(server: FaultServer, method: str) -> int:
    """Return how many complete requests of a method arrived, which the service would have carried out."""
    return [request.method for request in server.requests].count(method)


def in_doubt(error: Any, processed: str, attempts: int = 1) -> None:
    assert (type(error), error.processed, error.attempts) == (OutcomeUnknown, processed, attempts)


async def at_the_deadline(seconds: float, kind: type[CoachingError], call: Awaitable[object]) -> Any:
    """Assert that a call fails at its deadline, and return its error."""
    began = anyio.current_time()
    with failing(kind) as caught:
        await call
    assert seconds - 0.005 <= anyio.current_time() - began <= seconds + LATE
    assert type(caught.value) is kind
    return caught.value


async def leaves_no_trace(client: CoachingClient, server: FaultServer) -> None:
    """Assert that the pool has no connection of a call that ended early, and that the next call succeeds."""
    pool = http_of(client)._transport._pool
    assert (pool.connections, pool._requests) == ([], [])
    server.wait_until(lambda: server.open == 0)
    assert await client.appointments.get("1") == WANTED


# Rows 6 to 12: cut after the request


async def test_row_06_a_create_whose_connection_is_cut_is_sent_once():
    with FaultServer(then(Conversation.close)) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown, "look|Look") as caught:
                await client.appointments.create(NEW)

    in_doubt(caught.value, "maybe")
    assert (sent(server, "POST"), server.accepted) == (1, 1)


async def test_row_07_a_create_that_is_reset_is_not_sent_again_though_it_would_work():
    with FaultServer(then(Conversation.reset), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown) as caught:
                await client.appointments.create(NEW)

    in_doubt(caught.value, "maybe")
    assert (sent(server, "POST"), server.accepted) == (1, 1)


async def test_row_08_a_create_whose_response_is_cut_was_carried_out():
    with FaultServer(then(half_of_it), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown) as caught:
                await client.appointments.create(NEW)

    in_doubt(caught.value, "yes")
    assert (sent(server, "POST"), server.accepted) == (1, 1)


async def test_row_09_a_write_that_is_reset_before_it_is_read_is_sent_at_most_once():
    events = list[Event]()
    with FaultServer(Conversation.reset) as server:
        async with client_to(server.url, on_event=events.append) as client:
            with failing(TransportError) as caught:
                await client.appointments.create(NEW)

    errors = [event.error for event in events if isinstance(event, RequestFailed)]
    left = [error for error in errors if error != "ConnectError"]
    assert len(left) <= 1
    assert errors[: len(errors) - len(left)] == ["ConnectError"] * (len(errors) - len(left))
    assert (type(caught.value), caught.value.processed) == (
        (OutcomeUnknown, "maybe") if left else (TransportError, "no")
    )
    assert server.requests == []


async def test_row_10_a_delete_that_is_cut_and_then_gets_a_404_has_succeeded():
    with FaultServer(then(Conversation.close), then(answering({"code": "not.found"}, 404))) as server:
        async with client_to(server.url) as client:
            reference = await client.appointments.delete("1")

    assert reference == AppointmentReference(id="1", self_uri="/api/v2/coaching/appointments/1")
    assert sent(server, "DELETE") == 2


async def test_row_11_an_update_that_is_cut_is_sent_once():
    with FaultServer(then(Conversation.close), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown) as caught:
                await client.appointments.update("1", AppointmentUpdate(name="m"))

    in_doubt(caught.value, "maybe")
    assert sent(server, "PATCH") == 1


async def test_row_11_an_update_that_is_declared_safe_is_sent_again():
    """`request` declares this with `safe=True`."""
    with FaultServer(then(Conversation.close), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            path = "/api/v2/coaching/appointments/1"
            raw = await client.request("PATCH", path, json={"name": "m"}, safe=True)

    assert (raw.value, raw.attempts, sent(server, "PATCH")) == (APPOINTMENT, 2, 2)


@pytest.mark.parametrize(
    "ask, answer",
    [
        (lambda client: client.appointments.aggregate(interval=Interval.month(2026, 11)), {"results": []}),
        (
            lambda client: client.schedule_slots.query(
                interval=Interval.month(2026, 11), length_in_minutes=30, attendee_ids=["user-1"]
            ),
            {"suggestedSlots": [], "attendeeSchedules": [], "facilitatorSchedules": []},
        ),
    ],
    ids=["aggregate", "query"],
)
@pytest.mark.parametrize("cut", [Conversation.close, Conversation.reset])
async def test_row_12_a_post_that_only_reads_is_sent_again(
    cut: Behaviour, ask: Callable[[CoachingClient], Awaitable[object]], answer: object
):
    with FaultServer(then(cut), ok(answer)) as server:
        async with client_to(server.url) as client:
            assert await ask(client)

    assert sent(server, "POST") == 2


# Rows 13 and 14: a body that is cut


async def test_row_13_a_read_cut_in_the_middle_of_its_chunks_is_sent_again():
    def chunks(conversation: Conversation) -> None:
        conversation.send(HEAD + b'Transfer-Encoding: chunked\r\n\r\ne\r\n{"id": "an-app\r\n')

    with FaultServer(then(chunks), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            assert await client.appointments.get("1") == WANTED

    assert sent(server, "GET") == 2


async def test_row_14_a_partial_body_that_ends_with_its_connection_is_refused():
    with FaultServer(then(lambda conversation: conversation.send(HEAD + b'\r\n{"id": "tru'))) as server:
        async with client_to(server.url) as client:
            with failing(DecodeError):
                await client.appointments.get("1")

    assert sent(server, "GET") == 2


# Rows 15 and 16: keep-alive connections


async def test_row_15_a_closed_keep_alive_connection_is_not_used_again():
    closed = threading.Event()

    def answer_and_close(conversation: Conversation) -> None:
        conversation.request()
        conversation.answer(APPOINTMENT)
        conversation.close()
        closed.set()

    with FaultServer(answer_and_close, ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await client.appointments.get("1")
            server.wait_until(closed.is_set)
            assert await client.appointments.create(NEW) == WANTED

    assert (sent(server, "POST"), server.accepted) == (1, 2)


async def test_row_16_a_read_on_a_keep_alive_connection_that_closes_is_sent_again():
    with FaultServer(then(answering(APPOINTMENT), Conversation.close), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await client.appointments.get("1")
            assert await client.appointments.get("1") == WANTED

    assert (sent(server, "GET"), server.accepted) == (3, 2)


async def test_row_16_a_create_on_a_keep_alive_connection_that_closes_is_sent_once():
    with FaultServer(then(answering(APPOINTMENT), Conversation.close), ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await client.appointments.get("1")
            with failing(OutcomeUnknown) as caught:
                await client.appointments.create(NEW)

    in_doubt(caught.value, "maybe")
    assert type(caught.value.__cause__) is httpx.RemoteProtocolError
    assert (sent(server, "POST"), server.accepted) == (1, 1)


# Rows 17 to 19, 22, 24: slow and stalled connections


def dripping(begin: bytes, drop: bytes, seconds: float) -> Behaviour:
    def drip(conversation: Conversation) -> None:
        conversation.send(begin)
        while True:
            conversation.send(drop)
            conversation.pause(seconds)

    return then(drip)


DRIPS = {
    "row_17_body": dripping(HEAD + b"Content-Length: 1000\r\n\r\n", b" ", 0.3),
    "row_18_header": dripping(HEAD + b"X-Drip: ", b"x", 0.3),
    "row_18_endless_102": dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01),
}


async def outlasts_its_drip(drip: Behaviour) -> None:
    for seconds in DEADLINES:
        with FaultServer(drip, ok(APPOINTMENT)) as server:
            async with client_to(server.url, timeout=seconds) as client:
                error = await at_the_deadline(seconds, DeadlineExceeded, client.appointments.get("1"))
                assert (error.processed, error.attempts) == ("no", 1)
                if not becomes_true(lambda server=server: bool(server.requests), seconds):
                    continue
                await leaves_no_trace(client.with_options(timeout=HANG), server)
            assert server.accepted == 2
            return
    raise AssertionError("no request arrived before its deadline")


async def test_row_17_a_slowly_sent_body_ends_at_the_deadline():
    await outlasts_its_drip(DRIPS["row_17_body"])


@pytest.mark.parametrize("drip", ["row_18_header", "row_18_endless_102"])
async def test_row_18_slowly_sent_headers_end_at_the_deadline(drip: str):
    await outlasts_its_drip(DRIPS[drip])


async def test_row_19_a_read_without_a_response_is_sent_again_after_the_read_timeout(patience: Patience):
    patience.lose()
    with FaultServer(then(Conversation.pause), ok(APPOINTMENT)) as server:
        async with client_to(server.url, on_event=patience) as client:
            began = anyio.current_time()
            assert await client.appointments.get("1") == WANTED
            assert anyio.current_time() - began >= BRIEF
        assert (sent(server, "GET"), server.accepted) == (2, 2)

    assert patience.failures == ["ReadTimeout"]


async def test_row_19_a_read_that_never_gets_a_response_fails_after_four_attempts(patience: Patience):
    patience.lose()
    with FaultServer(then(Conversation.pause)) as server:
        async with client_to(server.url) as client:
            with failing(TransportError) as caught:
                await client.appointments.get("1")
        assert (type(caught.value), caught.value.processed) == (TransportError, "no")
        assert type(caught.value.__cause__) is httpx.ReadTimeout
        assert sent(server, "GET") == 4


async def test_row_19_a_create_without_a_response_waits_until_its_deadline(patience: Patience):
    patience.lose()
    with FaultServer(then(Conversation.pause), ok(APPOINTMENT)) as server:
        async with client_to(server.url, timeout=3 * BRIEF) as client:
            in_doubt(await at_the_deadline(3 * BRIEF, OutcomeUnknown, client.appointments.create(NEW)), "maybe")
            patience.regain()
            await leaves_no_trace(client.with_options(timeout=HANG), server)
        assert sent(server, "POST") == 1


LARGE = {"text": "x" * (16 * 2**20)}
"""Larger than all socket buffers of this machine, so that sending blocks until the server reads."""


def stops_reading() -> tuple[FaultServer, Callable[[int], Fault | None]]:
    return FaultServer(ok(APPOINTMENT)), lambda number: Fault("pause", "up", 1000) if number == 1 else None


async def test_row_22_a_write_that_the_server_stops_reading_ends_at_the_deadline(patience: Patience):
    patience.lose()
    server, plan = stops_reading()
    with server, FaultProxy(server.port, plan) as proxy:
        async with client_to(proxy.url) as client:

            async def write(seconds: float) -> None:
                began = anyio.current_time()
                try:
                    # encoded before the deadline starts
                    await client.with_options(timeout=seconds).request("POST", "/api/v2/x", json=LARGE)
                finally:
                    assert seconds <= anyio.current_time() - began <= seconds + LATE

            error = await in_doubt_at_its_deadline(write)
            show_no_secret(error)
            in_doubt(error, "maybe")
            assert becomes_true(proxy.paused.is_set)
            patience.regain()
            assert await client.with_options(timeout=HANG).appointments.get("1") == WANTED
        assert (sent(server, "POST"), proxy.accepted) == (0, 2)


async def test_row_22_a_safe_request_that_the_server_stops_reading_is_sent_again(patience: Patience):
    patience.lose()
    server, plan = stops_reading()
    with server, FaultProxy(server.port, plan) as proxy:
        async with client_to(proxy.url, on_event=patience) as client:
            raw = await client.request("POST", "/api/v2/x", json=LARGE, safe=True)
        assert (raw.value, raw.attempts, proxy.accepted) == (APPOINTMENT, 2, 2)

    assert patience.failures == ["WriteTimeout"]


async def test_row_24_a_dead_keep_alive_connection_is_replaced(patience: Patience):
    dead = Fault("blackhole", "down", len(response(APPOINTMENT)))
    with (
        FaultServer(ok(APPOINTMENT)) as server,
        FaultProxy(server.port, lambda number: dead if number == 1 else None) as proxy,
    ):
        async with client_to(proxy.url, on_event=patience) as client:
            await client.appointments.get("1")
            assert (proxy.accepted, patience.failures) == (1, [])
            patience.lose()
            assert await client.appointments.get("1") == WANTED
        assert (proxy.accepted, patience.failures) == (2, ["ReadTimeout"])


# Rows 20 and 21: no HTTP


@pytest.mark.parametrize("garbage", [b"garbage\r\n\r\n", b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"HTTP/9.9 OK\r\n\r\n"])
async def test_row_20_garbage_is_asked_for_once_more(garbage: bytes):
    with FaultServer(then(lambda conversation: conversation.send(garbage))) as server:
        async with client_to(server.url) as client:
            with failing(TransportError) as caught:
                await client.appointments.get("1")

    assert (type(caught.value), caught.value.processed) == (TransportError, "no")
    assert type(caught.value.__cause__) is httpx.RemoteProtocolError
    assert sent(server, "GET") == 2


async def test_row_20_garbage_for_an_answer_leaves_a_create_in_doubt():
    with FaultServer(then(lambda conversation: conversation.send(b"garbage\r\n\r\n"))) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown) as caught:
                await client.appointments.create(NEW)

    in_doubt(caught.value, "maybe")
    assert sent(server, "POST") == 1


ILLEGAL: dict[str, tuple[bytes, int]] = {
    "a header of 1 MiB": (HEAD + b"X-Large: " + b"x" * 2**20 + b"\r\n\r\n", 2),
    "99999 headers": (HEAD + b"X-Many: x\r\n" * 99_999 + b"\r\n", 2),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456", 2),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 2),
    "a chunk without a size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nsize\r\n{}\r\n", 4),  # a body cut short
}


@pytest.mark.parametrize("bytes_sent, attempts", ILLEGAL.values(), ids=ILLEGAL.keys())
async def test_row_21_illegal_framing_fails_in_little_memory(bytes_sent: bytes, attempts: int):
    with FaultServer(then(lambda conversation: conversation.send(bytes_sent))) as server:
        async with client_to(server.url) as client:
            tracemalloc.start()
            try:
                with failing(TransportError) as caught:
                    await client.appointments.get("1")
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert (type(caught.value), caught.value.processed) == (TransportError, "no")
    assert type(caught.value.__cause__) in CUT
    assert sent(server, "GET") == attempts
    assert peak < 5 * 2**20


# Row 23: many concurrent calls


async def test_row_23_200_calls_share_ten_connections_in_the_order_of_the_calls():
    ten_are_here = threading.Barrier(10)

    def together(conversation: Conversation) -> None:
        while conversation.request() is not None:
            ten_are_here.wait(HANG)
            conversation.answer(APPOINTMENT)

    asked = list[str]()
    with FaultServer(together) as server:
        async with client_to(server.url) as client, anyio.create_task_group() as tasks:

            async def get(id_: str) -> None:
                asked.append(id_)
                assert await client.appointments.get(id_) == WANTED

            for number in range(200):
                tasks.start_soon(get, str(number))
        arrived = [request.target.rpartition("/")[2] for request in server.requests]

    assert server.accepted == 10
    assert client.stats().retries == 0
    assert sorted(arrived) == sorted(asked)
    # Ten requests are in flight at a time, on ten connections. Their order among themselves is open.
    assert all(abs(arrived.index(id_) - place) < 10 for place, id_ in enumerate(asked))
