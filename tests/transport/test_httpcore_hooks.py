"""The door of the HTTP library: requests go in one by one, and none holds up another for longer than that."""

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


class Library(httpx.AsyncBaseTransport):
    """An HTTP library that tells its first step, and does what it is told for that request before and after it."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        """What is done before the first step."""
        self.after: dict[str, Callable[[], Awaitable[object]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        self.inside.append(name)
        await self.before.get(name, anyio.lowlevel.checkpoint)()
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        await self.after.get(name, anyio.lowlevel.checkpoint)()
        return answer({"id": name})

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Library:
    """The one of a client that was brought none."""
    library = Library()

    def own_client(**_: object) -> httpx.AsyncClient:
        return library.http()

    monkeypatch.setattr("coaching_async._client.new_http_client", own_client)
    return library


def client(http: httpx.AsyncClient | None = None) -> CoachingClient:
    return CoachingClient(AccessToken(TOKEN), base_url="https://api.test", http_client=http)


@pytest.mark.real_time
async def test_of_those_that_come_at_once_none_is_sent_back_to_look_for_another_connection(
    monkeypatch: pytest.MonkeyPatch,
):
    sent_back: list[object] = []
    clear = pool.AsyncPoolRequest.clear_connection

    def counted(request: Any) -> None:
        sent_back.append(request)
        clear(request)

    monkeypatch.setattr(pool.AsyncPoolRequest, "clear_connection", counted)
    with Sandbox(appointments=8, users=2) as sandbox:
        ids = list(sandbox.state.appointments)
        auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
        async with CoachingClient(auth, base_url=sandbox.base_url) as one:
            await one.warmup()
            for _ in range(3):
                assert (await one.bulk(one.appointments.get, ids, concurrency=8)).failed == {}

    assert sent_back == []


async def test_one_that_waits_for_its_answer_holds_up_nobody(ours: Library):
    both = anyio.Event()

    async def meet() -> None:
        if len(ours.inside) == 2:
            both.set()
        await both.wait()

    ours.after = {"1": meet, "2": meet}
    async with client() as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.appointments.get, "1")
        tasks.start_soon(one.appointments.get, "2")


async def test_who_has_not_made_a_step_is_waited_for(ours: Library):
    go = anyio.Event()
    ours.before = {"1": go.wait}
    async with client() as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.appointments.get, "1")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(one.appointments.get, "2")
        await anyio.wait_all_tasks_blocked()
        assert ours.inside == ["1"]

        go.set()
        await anyio.wait_all_tasks_blocked()
        assert ours.inside == ["1", "2"]


async def test_a_client_that_was_brought_may_take_its_time_before_the_first_step():
    """In a hook, say, or while it waits for a connection; and what one mount of it tells, another does not."""
    library, both = Library(), anyio.Event()

    async def meet() -> None:
        if len(library.inside) == 3:
            both.set()
        await both.wait()

    library.before = {"1": meet, "2": meet}
    async with client(library.http()) as one, anyio.create_task_group() as tasks:
        await one.appointments.get("0")
        tasks.start_soon(one.appointments.get, "1")
        tasks.start_soon(one.appointments.get, "2")


async def test_who_fails_or_is_cancelled_before_its_first_step_leaves_the_door_open(ours: Library):
    async def fails() -> None:
        raise httpx.ConnectError("no route")

    ours.before = {"1": fails, "2": anyio.sleep_forever}
    async with client() as one:
        with pytest.raises(TransportError):
            await one.with_options(retry=RetryPolicy(attempts=1)).appointments.get("1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.appointments.get, "2")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(one.appointments.get, "3")  # waits at the door
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert (await one.appointments.get("4")).id == "4"
    assert "3" not in ours.inside
