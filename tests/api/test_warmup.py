"""What the first call would wait for, and what is done of it ahead or off the event loop."""

import asyncio
import gc
import ssl
import threading
from typing import Any

import anyio
import pytest
from anyio.lowlevel import current_token

from coaching_async import (
    AccessToken,
    AuthError,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    ConfigurationError,
    RetryPolicy,
    TransportError,
)
from coaching_async._concurrency.tasks import run_in_thread
from coaching_async.testing import assert_no_leaks
from tests.support.doubles import TOKEN, http_of
from tests.support.fault_server import HANG, Conversation, FaultServer, answering, then

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


def office(conversation: Conversation) -> None:
    """Gives tokens and appointments."""
    while (request := conversation.request()) is not None:
        is_login = request.target == "/oauth/token"
        body = {"access_token": TOKEN, "expires_in": 999} if is_login else {"id": "1"}
        conversation.answer(b"" if request.method == "HEAD" else body)


@pytest.mark.usefixtures("idle_connections_are_kept")
async def test_after_warmup_the_first_call_is_one_request_on_an_open_connection():
    with FaultServer(office) as server:
        async with CoachingClient(ClientCredentials("id", "secret"), base_url=server.url) as client:
            await client.warmup()
            warm = [(request.method, request.target) for request in server.requests]
            accepted = server.accepted
            await client.appointments.get("1")
            assert server.accepted == accepted

    assert warm == [("POST", "/oauth/token"), ("HEAD", "/")]
    assert len(server.requests) == 3
    assert "authorization" not in server.requests[1].headers


async def test_a_view_is_warmed_up_with_its_own_token():
    with FaultServer(office) as server:
        async with CoachingClient(AccessToken("another"), base_url=server.url) as client:
            mine = client.with_auth(ClientCredentials("id", "secret"))
            await mine.warmup()
            await mine.appointments.get("1")

    assert [request.target for request in server.requests].count("/oauth/token") == 1


@pytest.mark.parametrize("status", [404, 429, 503])
async def test_warmup_accepts_any_status_and_does_not_retry(status: int):
    with FaultServer(then(answering(status=status, retry_after="9"))) as server:
        async with CoachingClient(AccessToken(TOKEN), base_url=server.url) as client:
            await client.warmup()
            await client.warmup()

    assert len(server.requests) == 2


async def test_warmup_reports_wrong_credentials_and_hosts():
    with FaultServer(then(answering({"error": "invalid_client"}, status=400))) as server:
        async with CoachingClient(ClientCredentials("id", "secret"), base_url=server.url) as client:
            with pytest.raises(AuthError):
                await client.warmup()

    once = RetryPolicy(attempts=1)
    async with CoachingClient(AccessToken(TOKEN), base_url=server.url, retry=once) as client:
        with pytest.raises(TransportError) as caught:
            await client.warmup()
    assert (caught.value.operation, caught.value.processed) == ("warmup", "no")


class Reading:
    """Stands for reading the certificates, and knows where it was done."""

    def __init__(self) -> None:
        self.threads = list[int]()
        self.begun, self.go_on = anyio.Event(), threading.Event()
        self.go_on.set()
        loop: Any = current_token().native_token
        self.tell = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon

    def __call__(self) -> ssl.SSLContext:
        self.threads.append(threading.get_ident())
        self.tell(self.begun.set)
        self.go_on.wait(HANG)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
async def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    reading = Reading()
    monkeypatch.setattr("coaching_async._api.session_factory.new_tls_context", reading)
    return reading


async def test_certificates_are_read_once_and_off_the_event_loop_when_the_client_is_opened(reading: Reading):
    client = CoachingClient(AccessToken(TOKEN))
    assert reading.threads == []

    async with client, assert_no_leaks(), anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(client._sessions.value.http_client.get)

    assert len(reading.threads) == 1
    assert threading.get_ident() not in reading.threads


async def test_no_certificates_are_read_if_all_hosts_use_plain_http(reading: Reading):
    with FaultServer(office) as server:
        async with CoachingClient(AccessToken(TOKEN), base_url=server.url) as client:
            await client.appointments.get("1")
            assert http_of(client) is not None

    assert reading.threads == []


async def test_cancellation_while_certificates_are_read_leaves_no_thread_and_the_next_task_has_them(reading: Reading):
    client = CoachingClient(AccessToken(TOKEN))
    reading.go_on.clear()
    async with assert_no_leaks(), anyio.create_task_group() as tasks:
        tasks.start_soon(client.__aenter__)
        await reading.begun.wait()
        tasks.cancel_scope.cancel()
        reading.go_on.set()
    assert http_of(client) is None

    async with client:
        assert http_of(client) is not None
    assert len(reading.threads) == 1


async def test_closing_a_client_that_is_being_opened_raises_client_misuse_in_the_opening_task(reading: Reading):
    client = CoachingClient(AccessToken(TOKEN))
    reading.go_on.clear()
    async with assert_no_leaks(), anyio.create_task_group() as tasks:

        async def opened() -> None:
            with pytest.raises(ClientMisuse, match="closed"):
                await client.__aenter__()

        tasks.start_soon(opened)
        await reading.begun.wait()
        await client.aclose()
        reading.go_on.set()


def test_a_thread_that_outlives_its_event_loop_ends_silently(monkeypatch: pytest.MonkeyPatch):
    complaints: list[object] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(HANG)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it complains of the task
    task = loop.create_task(run_in_thread(slow))
    loop.run_until_complete(asyncio.sleep(0))
    begun.wait(HANG)
    thread = next(each for each in threading.enumerate() if each.name == "coaching_async")
    loop.close()
    go_on.set()
    thread.join(HANG)
    del task
    gc.collect()

    assert complaints == []


async def test_unreadable_certificates_raise_in_the_task_that_opens_the_client(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    client = CoachingClient(AccessToken(TOKEN))

    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        await client.warmup()
    await client.aclose()


async def test_any_exception_of_a_thread_is_raised_in_the_waiting_task():
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run_in_thread(fail)
