"""Tests of idle connections: a server that is about to close one costs no write its outcome."""

import time
from types import SimpleNamespace
from weakref import WeakSet

import httpcore
import httpx
import pytest
from httpcore._async import http11

from coaching_async import AccessToken, AppointmentUpdate, CoachingClient, RequestFailed, RetryPolicy
from coaching_async._transport.httpcore_hooks import HttpcoreTrace
from tests.support.doubles import TOKEN, request_of
from tests.support.fault_server import Conversation, FaultServer, ok

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

CHANGE = AppointmentUpdate(name="n")


@pytest.mark.parametrize("idle, connections", [(1.0, 1), (1.9, 2)])
async def test_a_connection_is_not_used_after_an_idle_time_after_which_servers_close_theirs(
    idle: float, connections: int, monkeypatch: pytest.MonkeyPatch
):
    offset = 0.0
    monkeypatch.setattr(http11, "time", SimpleNamespace(monotonic=lambda: time.perf_counter() * 1e-6 + offset))
    with FaultServer(ok({"id": "1"})) as server:
        async with CoachingClient(AccessToken(TOKEN), base_url=server.url) as client:
            await client.appointments.get("1")
            offset = idle
            await client.appointments.update("1", CHANGE)

    assert server.accepted == connections


async def test_a_write_that_could_not_be_written_to_its_connection_is_sent_again(monkeypatch: pytest.MonkeyPatch):
    """The connection was reset, and neither the pool nor the event loop had noticed before the write."""
    failures: list[str] = []
    write = http11.AsyncHTTP11Connection._send_event

    async def write_to_reset_connection(self: object, event: object, timeout: float | None = None) -> None:
        if not failures:
            failures.append("reset")
            raise httpcore.WriteError("reset")
        await write(self, event, timeout)  # type: ignore[arg-type]

    events: list[object] = []
    with FaultServer(ok({"id": "1"})) as server:
        retry = RetryPolicy(max_backoff=0.0)
        client = CoachingClient(AccessToken(TOKEN), base_url=server.url, retry=retry, on_event=events.append)
        async with client:
            await client.warmup()
            monkeypatch.setattr(http11.AsyncHTTP11Connection, "_send_event", write_to_reset_connection)
            monkeypatch.setattr(http11.AsyncHTTP11Connection, "_receive_event", disconnected_once())
            await client.appointments.update("1", CHANGE)

    assert [request.method for request in server.requests] == ["HEAD", "PATCH"]
    assert [each.error for each in events if isinstance(each, RequestFailed)] == ["ConnectError"]


def disconnected_once() -> object:
    receive, answered = http11.AsyncHTTP11Connection._receive_event, list[str]()

    async def receive_event(self: object, timeout: float | None = None) -> object:
        if not answered:
            answered.append("no")
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        return await receive(self, timeout)  # type: ignore[arg-type]

    return receive_event


async def trace_of(*events: tuple[str, dict[str, object]]) -> HttpcoreTrace:
    trace = HttpcoreTrace(request_of(), WeakSet())
    for event, info in events:
        await trace(event, dict(info))
    return trace


HEADERS = ("http11.send_request_headers.started", {"request": httpcore.Request("POST", "https://api.test/")})
CONNECT = ("http11.send_request_headers.started", {"request": httpcore.Request("CONNECT", "https://api.test/")})


def failed(step: str, error: BaseException) -> tuple[str, dict[str, object]]:
    return f"http11.{step}.failed", {"exception": error}


@pytest.mark.parametrize(
    "events, is_unsent",
    [
        ([], False),  # a transport that reports nothing proves nothing
        ([HEADERS], False),
        ([HEADERS, failed("send_request_headers", httpcore.WriteError())], True),
        ([HEADERS, failed("send_request_body", httpcore.WriteError())], True),
        ([HEADERS, failed("send_request_body", httpcore.WriteTimeout())], False),
        ([HEADERS, failed("receive_response_headers", httpcore.ReadError())], False),
        ([("connection.connect_tcp.started", {"host": "proxy", "port": 1}), CONNECT], True),
        ([("connection.connect_tcp.started", {"host": "proxy", "port": 1}), CONNECT, HEADERS], False),
        ([HEADERS, ("connection.connect_tcp.started", {"host": "proxy", "port": 1}), CONNECT], False),  # its own retry
    ],
)
async def test_a_request_is_unsent_if_its_last_byte_was_certainly_not_written(
    events: list[tuple[str, dict[str, object]]], is_unsent: bool
):
    assert (await trace_of(*events)).is_unsent is is_unsent


async def test_a_write_that_was_written_and_lost_is_not_sent_again():
    with FaultServer(Conversation.close) as server:
        async with CoachingClient(AccessToken(TOKEN), base_url=server.url) as client:
            with pytest.raises(Exception, match="may have been carried out") as caught:
                await client.appointments.update("1", CHANGE)

    assert isinstance(caught.value.__cause__, httpx.HTTPError)
    assert server.accepted == 1
