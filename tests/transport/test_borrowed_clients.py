"""Smoke tests of borrowed HTTP clients (httpx, httpx2, aiohttp) and of other event loops."""

import asyncio
import gc
import gzip
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import httpx2
import httpx_aiohttp
import pytest
import uvloop

from coaching_async import (
    AccessToken,
    AppointmentUpdate,
    ClientMisuse,
    CoachingClient,
    DecodeError,
    HttpClient,
    NotFound,
    OutcomeUnknown,
    RetryPolicy,
    TransportError,
)
from coaching_async.testing import assert_no_leaks
from tests.support.doubles import TOKEN
from tests.support.fault_server import HANG, Behaviour, Conversation, FaultServer, answering, ok, then
from tests.support.http2_server import serving_http_2

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

APPOINTMENT = {"id": "1", "name": "n"}

CLIENTS: dict[str, Callable[[], HttpClient]] = {
    "httpx": httpx.AsyncClient,
    "httpx2": httpx2.AsyncClient,
    "aiohttp": lambda: httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport()),
}


@pytest.fixture(params=CLIENTS)
async def http(request: pytest.FixtureRequest, anyio_backend_name: str) -> AsyncIterator[HttpClient]:
    if request.param == "aiohttp" and anyio_backend_name == "trio":
        pytest.skip("aiohttp supports only asyncio")
    http = CLIENTS[request.param]()
    yield http
    assert not http.is_closed, "a borrowed client is left open"
    await http.aclose()
    await anyio.sleep(0.01)  # aiohttp closes its sockets a moment later


def borrowing(http: HttpClient, server: FaultServer, **options: Any) -> CoachingClient:
    options = {"timeout": HANG, "retry": RetryPolicy(max_backoff=0.01)} | options
    return CoachingClient(AccessToken(TOKEN), base_url=server.url, http_client=http, **options)


async def test_a_read_returns_its_value(http: HttpClient):
    with FaultServer(ok(APPOINTMENT)) as server:
        async with borrowing(http, server) as client:
            assert (await client.appointments.get("a/b")).name == "n"

    (request,) = server.requests
    assert (request.method, request.target) == ("GET", "/api/v2/coaching/appointments/a%2Fb")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept-encoding"] == "gzip"


async def test_a_gzipped_response_is_decompressed(http: HttpClient):
    gzipped = gzip.compress(json.dumps(APPOINTMENT).encode())
    with FaultServer(then(answering(gzipped, content_encoding="gzip"))) as server:
        async with borrowing(http, server) as client:
            assert (await client.appointments.get("1")).name == "n"


async def test_a_response_above_the_size_limit_is_not_read_to_its_end(http: HttpClient):
    bomb = gzip.compress(b" " * 11 * 2**20)
    with FaultServer(then(answering(bomb, content_encoding="gzip"))) as server:
        async with borrowing(http, server) as client:
            with pytest.raises(DecodeError, match="larger than 10 MiB"):
                await client.appointments.get("1")
            await anyio.to_thread.run_sync(server.wait_until, lambda: not server.open)


async def test_an_error_response_raises_a_typed_error(http: HttpClient):
    with FaultServer(then(answering({"code": "not.found"}, 404))) as server:
        async with borrowing(http, server) as client:
            with pytest.raises(NotFound):
                await client.appointments.get("1")


HANG_UPS: list[Behaviour] = [Conversation.close, Conversation.reset]


@pytest.mark.parametrize("hang_up", HANG_UPS)
async def test_a_write_that_lost_its_connection_is_sent_once(http: HttpClient, hang_up: Behaviour):
    with FaultServer(then(hang_up)) as server:
        async with borrowing(http, server) as client:
            with pytest.raises(OutcomeUnknown) as caught:
                await client.appointments.update("1", AppointmentUpdate(name="x"))

    assert len(server.requests) == 1
    assert caught.value.processed == "maybe"
    assert caught.value.__context__ is None


async def test_a_write_with_a_truncated_response_is_sent_once(http: HttpClient):
    def respond_with_half(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": ')
        conversation.close()

    with FaultServer(respond_with_half) as server:
        async with borrowing(http, server) as client:
            with pytest.raises(OutcomeUnknown) as caught:
                await client.appointments.update("1", AppointmentUpdate(name="x"))

    assert len(server.requests) == 1
    assert caught.value.processed == "yes"


async def test_a_read_that_lost_its_connection_is_retried(http: HttpClient):
    with FaultServer(then(Conversation.reset), ok(APPOINTMENT)) as server:
        async with borrowing(http, server) as client:
            assert (await client.appointments.get("1")).name == "n"

    assert len(server.requests) == 2


async def test_a_response_that_is_no_http_is_a_transport_error(http: HttpClient):
    def respond_with_garbage(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"\x00\x01\x02 nonsense\r\n\r\n")
        conversation.close()

    with FaultServer(respond_with_garbage) as server:
        async with borrowing(http, server) as client:
            with pytest.raises(TransportError) as caught:
                await client.appointments.get("1")
            with pytest.raises(OutcomeUnknown):
                await client.appointments.update("1", AppointmentUpdate(name="x"))

    assert caught.value.__cause__ is not None
    assert TOKEN not in repr(caught.value.__cause__)
    assert len([request for request in server.requests if request.method == "PATCH"]) == 1


async def test_a_refused_connection_is_a_transport_error_and_nothing_was_carried_out(http: HttpClient):
    with FaultServer(ok()) as server:
        pass
    async with borrowing(http, server) as client:
        with pytest.raises(TransportError, match="no answer") as caught:
            await client.appointments.update("1", AppointmentUpdate(name="x"))

    assert (caught.value.processed, type(caught.value)) == ("no", TransportError)


async def test_a_redirect_is_not_followed(http: HttpClient):
    with (
        FaultServer(ok(APPOINTMENT)) as other_host,
        FaultServer(then(answering(b"", 307, location=other_host.url))) as server,
    ):
        async with borrowing(http, server) as client:
            with pytest.raises(Exception, match="307"):
                await client.appointments.update("1", AppointmentUpdate(name="x"))

    assert other_host.requests == []


async def test_after_many_cancelled_calls_the_client_still_works(http: HttpClient):
    def respond_slowly(conversation: Conversation) -> None:
        while conversation.request():
            conversation.pause(0.002)
            conversation.answer(APPOINTMENT)

    with FaultServer(respond_slowly) as server:
        async with borrowing(http, server, max_concurrency=5) as client:
            for round_ in range(10):
                async with anyio.create_task_group() as tasks:
                    for number in range(20):
                        tasks.start_soon(get_cancelled, client, 0.0005 * ((round_ * 7 + number) % 20))
            with anyio.fail_after(HANG):
                for _ in range(20):
                    await client.appointments.get("1")


async def get_cancelled(client: CoachingClient, after: float) -> None:
    with anyio.move_on_after(after):
        await client.appointments.get("1")


async def test_a_closed_client_is_a_misuse(anyio_backend_name: str):
    for make in CLIENTS.values():
        http = make()
        await http.aclose()
        client = CoachingClient(AccessToken(TOKEN), base_url="https://api.test", http_client=http)
        with pytest.raises(ClientMisuse, match="the HTTP client of this client is closed"):
            await client.appointments.get("1")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_borrowed_client_of_a_closed_event_loop_raises_a_clear_error():
    with FaultServer(ok(APPOINTMENT)) as server:
        client = borrowing(httpx.AsyncClient(limits=httpx.Limits(keepalive_expiry=HANG)), server)

        async def get() -> None:
            await client.appointments.get("1")

        anyio.run(get)
        with pytest.raises(ClientMisuse, match="belongs to an event loop that is gone"):
            anyio.run(get)
        gc.collect()  # connections of the closed loop


# Other event loops


async def make_calls(server: FaultServer) -> None:
    async with CoachingClient(AccessToken(TOKEN), base_url=server.url, timeout=HANG) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.appointments.get, "1")
                tasks.start_soon(get_cancelled, client, 0.001)
        async with asyncio.TaskGroup() as group:
            tasks_of_asyncio = [group.create_task(client.appointments.get("1")) for _ in range(5)]
        assert {task.result().name for task in tasks_of_asyncio} == {"n"}
        task = asyncio.create_task(client.appointments.get("1"))
        task.cancel()
        await asyncio.wait([task])
        assert (await client.appointments.get("1")).name == "n"


async def run_without_leaks(function: Callable[..., Any], *args: Any) -> None:
    async with assert_no_leaks():
        await function(*args)


def eager(loop: Any) -> Any:
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


LOOPS: dict[str, Callable[[], Any]] = {"uvloop": uvloop.new_event_loop}
if sys.version_info >= (3, 12):
    LOOPS["eager"] = lambda: eager(asyncio.new_event_loop())


@pytest.mark.parametrize("loop", LOOPS)
def test_other_event_loops_work_too(loop: str):
    with FaultServer(ok(APPOINTMENT)) as server, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(make_calls(server))  # a loop opens descriptors of its own when it is first used
        runner.run(run_without_leaks(make_calls, server))


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_the_defaults_of_a_borrowed_client_do_not_change_requests(library: Any):
    async with library.AsyncClient(params={"trace": "1"}, base_url="http://127.0.0.1:1", auth=("a", "b")) as http:
        with FaultServer(ok({"entities": [APPOINTMENT], "pageCount": 1})) as server:
            async with borrowing(http, server) as client:
                assert len(await client.appointments.list("u").collect()) == 1

    assert server.requests[0].target == "/api/v2/coaching/appointments?userIds=u&pageSize=100&pageNumber=1"
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def logged_in_this_thread(caplog: pytest.LogCaptureFixture) -> str:
    """Return the log without the server's threads, which use hpack too."""
    here = threading.get_ident()
    return "\n".join(f"{record.name} {record.getMessage()}" for record in caplog.records if record.thread == here)


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_over_http_2_no_log_has_token_or_cookie_and_other_requests_are_logged_in_full(
    library: Any, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(1)
    http: Any = library.AsyncClient(http1=False, http2=True)
    async with http:
        with FaultServer(serving_http_2(json.dumps(APPOINTMENT).encode(), set_cookie="session=c00kie")) as server:
            async with borrowing(http, server) as client:
                for _ in range(3):
                    assert (await client.appointments.get("1")).name == "n"
            log = logged_in_this_thread(caplog)
            assert "httpcore" in log
            assert TOKEN not in log
            assert "c00kie" not in log

            await http.get(server.url, headers={"X-Mine": "my header"})

    assert "my header" in logged_in_this_thread(caplog)
