"""Admission to httpcore: requests enter one at a time, and none delays another for longer than that."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpcore._async.connection_pool as pool
import httpx
import pytest

from coaching_async import AccessToken, ClientCredentials, CoachingClient, RetryPolicy, TransportError
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.support.doubles import TOKEN, answer

pytestmark = pytest.mark.anyio


class FakeLibrary(httpx.AsyncBaseTransport):
    """An HTTP library that reports its first event, and runs a function before and after it for some requests."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        """Run before the first event, by the id in the path."""
        self.after: dict[str, Callable[[], Awaitable[object]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        self.entered.append(name)
        await self.before.get(name, anyio.lowlevel.checkpoint)()
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        await self.after.get(name, anyio.lowlevel.checkpoint)()
        return answer({"id": name})

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    """The library of clients that create their own HTTP client."""
    library = FakeLibrary()

    def new_http_client(**_: object) -> httpx.AsyncClient:
        return library.http()

    monkeypatch.setattr("coaching_async._api.session_factory.new_http_client", new_http_client)
    return library


def new_client(http: httpx.AsyncClient | None = None) -> CoachingClient:
    return CoachingClient(AccessToken(TOKEN), base_url="https://api.test", http_client=http)


@pytest.mark.real_time
async def test_no_concurrent_request_has_to_search_the_pool_twice(
    monkeypatch: pytest.MonkeyPatch,
):
    reassigned: list[object] = []
    clear_connection = pool.AsyncPoolRequest.clear_connection

    def record(request: Any) -> None:
        reassigned.append(request)
        clear_connection(request)

    monkeypatch.setattr(pool.AsyncPoolRequest, "clear_connection", record)
    with Sandbox(appointments=8, users=2) as sandbox:
        ids = list(sandbox.state.appointments)
        auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
        async with CoachingClient(auth, base_url=sandbox.base_url) as client:
            await client.warmup()
            for _ in range(3):
                assert (await client.bulk(client.appointments.get, ids, concurrency=8)).failed == {}

    assert reassigned == []


async def test_a_request_that_waits_for_its_response_delays_no_other(library: FakeLibrary):
    all_entered = anyio.Event()

    async def wait_for_all() -> None:
        if len(library.entered) == 2:
            all_entered.set()
        await all_entered.wait()

    library.after = {"1": wait_for_all, "2": wait_for_all}
    async with new_client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.appointments.get, "1")
        tasks.start_soon(client.appointments.get, "2")


async def test_the_next_request_waits_until_httpcore_has_started_the_previous_one(library: FakeLibrary):
    go = anyio.Event()
    library.before = {"1": go.wait}
    async with new_client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.appointments.get, "1")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(client.appointments.get, "2")
        await anyio.wait_all_tasks_blocked()
        assert library.entered == ["1"]

        go.set()
        await anyio.wait_all_tasks_blocked()
        assert library.entered == ["1", "2"]


async def test_requests_of_a_borrowed_client_do_not_wait_for_one_another():
    """It may spend time in a hook or wait for a connection before the first event, and its mounts may report none."""
    library, all_entered = FakeLibrary(), anyio.Event()

    async def wait_for_all() -> None:
        if len(library.entered) == 3:
            all_entered.set()
        await all_entered.wait()

    library.before = {"1": wait_for_all, "2": wait_for_all}
    async with new_client(library.http()) as client, anyio.create_task_group() as tasks:
        await client.appointments.get("0")
        tasks.start_soon(client.appointments.get, "1")
        tasks.start_soon(client.appointments.get, "2")


async def test_a_request_that_ends_before_its_first_event_admits_the_next_one(library: FakeLibrary):
    async def fail() -> None:
        raise httpx.ConnectError("no route")

    library.before = {"1": fail, "2": anyio.sleep_forever}
    async with new_client() as client:
        with pytest.raises(TransportError):
            await client.with_options(retry=RetryPolicy(attempts=1)).appointments.get("1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.appointments.get, "2")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(client.appointments.get, "3")  # waits for admission
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert (await client.appointments.get("4")).id == "4"
    assert "3" not in library.entered
