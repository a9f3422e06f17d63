"""Event streams of both frameworks, on a server, with many browsers."""

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from fastapi import FastAPI, Request

from coaching_async import AccessToken, CoachingClient, Notification
from coaching_async.fanout import Hub
from coaching_async.integrations import aiohttp, fastapi
from tests.support.effort import calls
from tests.support.event_source import EventSource
from tests.support.fault_server import HANG, HOST, wait_until
from tests.support.in_thread import in_thread
from tests.support.notifications import ANN, BOB, FedStream, notification

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Application:
    """An application that is served in a thread: its stream, and its hub."""

    def __init__(self) -> None:
        self.browsers = httpx.AsyncClient(trust_env=False, verify=False, timeout=HANG, limits=httpx.Limits())
        self.stream = FedStream()
        self.hubs: list[Hub] = []
        self.url = ""

    async def listen(self, client: CoachingClient) -> AsyncIterator[Notification]:
        return self.stream

    def feed(self, *items: Any) -> None:
        self.stream.feed_from_thread(*items)

    @property
    def subscribers(self) -> int:
        return sum(hub.subscribers for hub in self.hubs)


def make_client() -> CoachingClient:
    return CoachingClient(AccessToken("t"), region=f"http://{HOST}:9")


@contextmanager
def with_fastapi(application: Application) -> Iterator[str]:
    app = FastAPI(lifespan=fastapi.lifespan(make_client, listen=application.listen))
    app.add_middleware(fastapi.CancelOnDisconnect)

    @app.get("/events")
    async def events(hub: fastapi.NotificationHub, request: Request) -> fastapi.EventStream:
        application.hubs = [hub]
        return fastapi.EventStream(hub, request.query_params.getlist("user"), room=100)

    with in_thread(app) as url:
        yield url


@contextmanager
def with_aiohttp(application: Application, *, handler_cancellation: bool = True) -> Iterator[str]:
    async def events(request: web.Request) -> web.StreamResponse:
        application.hubs = [aiohttp.hub(request)]
        return await aiohttp.event_stream(request, aiohttp.hub(request), request.query.getall("user"), room=100)

    app = web.Application()
    app.cleanup_ctx.append(aiohttp.cleanup_ctx(make_client, listen=application.listen))
    app.on_shutdown.append(aiohttp.close_event_streams)
    app.add_routes([web.get("/events", events)])
    loop, runner = asyncio.new_event_loop(), web.AppRunner(app, handler_cancellation=handler_cancellation)

    async def start() -> str:
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        return f"http://{HOST}:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(function: Callable[[], Awaitable[Any]]) -> Any:
        return asyncio.run_coroutine_threadsafe(as_coroutine(function()), loop).result(HANG)

    yield run(start)
    run(runner.cleanup)  # in another task than the one that has started it
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def as_coroutine(awaited: Awaitable[Any]) -> Any:
    return await awaited


@pytest.fixture(params=[with_fastapi, with_aiohttp], ids=["fastapi", "aiohttp"])
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    application = Application()
    with request.param(application) as application.url:
        yield application
    assert not application.stream.is_open
    assert application.subscribers == 0


@asynccontextmanager
async def browsing(
    application: Application, *users: str, last_event_id: str | None = None
) -> AsyncIterator[EventSource]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    url = f"{application.url}/events"
    async with application.browsers.stream("GET", url, params={"user": users}, headers=headers) as answer:
        assert answer.status_code == 200
        source = EventSource(answer.aiter_lines())
        assert await source.next() == ("alive", {})
        yield source


async def all_left(application: Application) -> None:
    await asyncio.to_thread(wait_until, lambda: application.subscribers == 0)


async def test_fifty_browsers_leave_at_random_moments_and_none_is_left(application: Application):
    randomly, many = random.Random(18), calls(200)

    async def stay() -> None:
        async with browsing(application, ANN) as source:
            subscribed.release()
            assert await source.notifications(f"n{many - 1}") == [f"n{number}" for number in range(many)]

    async def leave() -> None:
        async with browsing(application, ANN) as source:
            subscribed.release()
            await all_subscribed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(source.notifications("never"), randomly.random())

    subscribed, all_subscribed = asyncio.Semaphore(0), asyncio.Event()
    browsers = [asyncio.create_task(stay() if number % 2 else leave()) for number in range(50)]
    for _ in browsers:
        await subscribed.acquire()
    assert application.subscribers == 50
    all_subscribed.set()
    for number in range(many):
        application.feed(notification(number), notification(number, BOB))
        if number % 10 == 0:
            await asyncio.sleep(0.02)
    await asyncio.gather(*browsers)
    await all_left(application)


async def test_a_browser_that_does_not_read_misses_some_and_is_told_so_and_the_others_get_all(
    application: Application,
):
    large = Notification(id="large", name="x" * 65536, user=notification(0, BOB).user)
    host, port = application.url.removeprefix("http://").split(":")
    with socket.socket() as stopped:
        stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stopped.connect((host, int(port)))
        stopped.sendall(f"GET /events?user={ANN}&user={BOB} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
        await asyncio.to_thread(wait_until, lambda: application.subscribers == 1)
        async with browsing(application, ANN) as source:
            for _ in range(100):  # more than the buffers of both sides
                application.feed(large)
                await asyncio.sleep(0.001)
            application.feed(*(notification(number) for number in range(300)))
            assert await source.notifications("n299") == [f"n{number}" for number in range(300)]

        text = await asyncio.to_thread(read_until, stopped, b'"n299"')
    missed = [json.loads(line.partition(": ")[2])["count"] for line in text.splitlines() if '{"count": ' in line]
    assert missed
    assert sum(missed) + text.count("event: notification") == 100 + 300
    assert f'"id": "n{300 - 100}"' in text
    await all_left(application)


def read_until(connection: socket.socket, end: bytes) -> str:
    connection.settimeout(HANG)
    read = b""
    while end not in read[-4096:]:
        read += connection.recv(65536) or pytest.fail("the response ended")
    return read.decode()


async def test_a_browser_that_reconnects_misses_none(application: Application):
    got: list[str] = []
    last_id = None
    for number in range(10):
        async with browsing(application, ANN, last_event_id=last_id) as source:
            application.feed(notification(2 * number))
            got += await source.notifications(f"n{2 * number}")
            last_id = source.last_id
        await all_left(application)
        application.feed(notification(2 * number + 1), notification(100, BOB))
    application.feed(notification(20))
    async with browsing(application, ANN, last_event_id=last_id) as source:
        got += await source.notifications("n20")
    assert got == [f"n{number}" for number in range(21)]


async def test_an_error_of_the_stream_ends_the_response_and_the_next_one(
    application: Application, caplog: pytest.LogCaptureFixture
):
    async with browsing(application, ANN) as source:
        application.feed(RuntimeError("lost"))
        assert await source.next() == ("unavailable", {})
        with pytest.raises(StopAsyncIteration):
            await source.next()
    async with browsing(application, ANN) as source:
        assert await source.next() == ("unavailable", {})
    assert [record.name for record in caplog.records] == ["coaching_async.fanout"]


async def test_without_handler_cancellation_aiohttp_ends_a_subscription_with_the_next_event(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("coaching_async.integrations._event_stream.ALIVE_EVERY", 0.1)
    application = Application()
    with with_aiohttp(application, handler_cancellation=False) as application.url:
        async with browsing(application, ANN):
            assert application.subscribers == 1
        await all_left(application)
