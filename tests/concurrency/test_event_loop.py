"""A client belongs to one event loop, and raises `ClientMisuse` in any other."""

import asyncio
import gc
import multiprocessing
import threading
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio

from coaching_async import AccessToken, ClientMisuse, CoachingClient, OutcomeUnknown, RetryPolicy
from coaching_async._concurrency.event_loop import EventLoopRef
from coaching_async._transport.http_client import LazyHttpClient
from tests.support.doubles import TOKEN, Service, answer, http_of
from tests.support.fault_server import HANG, FaultServer, ok

BACKENDS = ("asyncio", "trio")
APPOINTMENT = {"id": "1"}


def new_client(server: FaultServer, **options: Any) -> CoachingClient:
    return CoachingClient(AccessToken(TOKEN), base_url=server.url, **options)


async def get(client: CoachingClient) -> str:
    return (await client.appointments.get("1")).id


@pytest.mark.parametrize("first", BACKENDS)
@pytest.mark.parametrize("second", BACKENDS)
def test_a_client_works_in_a_new_event_loop_after_its_own_was_closed(first: str, second: str):
    with FaultServer(ok(APPOINTMENT)) as server:
        client = new_client(server)
        for backend in (first, second, first):
            assert anyio.run(get, client, backend=backend) == "1"
        anyio.run(client.aclose, backend=second)
        gc.collect()

        assert server.accepted == 3


def test_a_closed_client_stays_closed_in_a_new_event_loop():
    client = Service([answer(APPOINTMENT)]).client()
    anyio.run(get, client)
    anyio.run(client.aclose)

    with pytest.raises(ClientMisuse, match="this client is closed"):
        anyio.run(get, client)
    anyio.run(client.aclose)


@pytest.mark.parametrize("use", [get, CoachingClient.aclose, CoachingClient.__aenter__])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_from_another_thread_raises_client_misuse_at_once(backend: str, use: Callable[[CoachingClient], Any]):
    client = Service([answer(APPOINTMENT)]).client()
    errors: list[BaseException] = []

    def call_in_thread() -> None:
        try:
            anyio.run(use, client, backend=backend)
        except ClientMisuse as error:
            errors.append(error)

    async def main() -> None:
        await get(client)
        thread = threading.Thread(target=call_in_thread)
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        assert await get(client) == "1"  # the client still works here

    anyio.run(main, backend=backend)

    assert "another thread's event loop: make one client for each thread" in str(errors[0])


def test_a_call_from_another_loop_of_the_same_thread_raises_client_misuse_at_once():
    client = Service([answer(APPOINTMENT)]).client()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        first.run_until_complete(get(client))
        with pytest.raises(ClientMisuse, match="at work in another event loop"):
            second.run_until_complete(get(client))
        first.close()
        assert second.run_until_complete(get(client)) == "1"
    finally:
        first.close()
        second.close()


def call_in_child_process(client: CoachingClient, results: Any) -> None:
    try:
        results.put(anyio.run(get, client))
    except ClientMisuse as error:
        results.put(str(error))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("used", [True, False])
def test_a_forked_child_may_use_a_client_whose_event_loop_has_ended_or_that_was_not_used(used: bool):
    fork = multiprocessing.get_context("fork")
    client, results = Service([answer(APPOINTMENT)]).client(), fork.SimpleQueue()
    if used:
        anyio.run(get, client)

    child = fork.Process(target=call_in_child_process, args=(client, results))
    child.start()
    child.join(HANG)

    assert results.get() == "1"


@pytest.mark.parametrize("backend", BACKENDS)
def test_to_ask_whether_a_loop_has_ended_schedules_nothing_in_it(backend: str, monkeypatch: pytest.MonkeyPatch):
    """In a forked process it would wake the loop of the parent through their common socket."""
    refs: list[EventLoopRef] = []

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("something was scheduled")

    async def main() -> None:
        refs.append(EventLoopRef.current())
        with monkeypatch.context() as patched:
            patched.setattr(trio.lowlevel.TrioToken, "run_sync_soon", fail)
            patched.setattr(asyncio.BaseEventLoop, "call_soon_threadsafe", fail)
            assert not refs[0].is_closed()
            assert refs[0] == EventLoopRef.current()

    anyio.run(main, backend=backend)

    assert refs[0].is_closed()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_may_be_opened_in_one_task_and_closed_in_another(backend: str):
    async def main() -> None:
        with FaultServer(ok(APPOINTMENT)) as server:
            client = new_client(server)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.__aenter__)
            await get(client)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.aclose)
            server.wait_until(lambda: not server.open)

    anyio.run(main, backend=backend)


# Closing


@pytest.mark.anyio
async def test_closing_a_client_ends_its_open_calls():
    results: list[str] = []

    async def never(_: Any) -> Any:
        await anyio.sleep_forever()

    async def call(client: CoachingClient, function: Callable[[], Any], kind: type[Exception]) -> None:
        with pytest.raises(kind) as caught:
            await function()
        results.append(f"{caught.value.processed}: {caught.value}")  # type: ignore[attr-defined]

    service = Service([answer(APPOINTMENT)])
    service.http._transport.handle_async_request = never  # type: ignore[method-assign]
    client = service.client(max_concurrency=2)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):  # two are in flight, three wait for the concurrency limiter
            tasks.start_soon(call, client, partial(client.appointments.get, "1"), ClientMisuse)
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
        await client.aclose()

    assert results == ["no: appointments.get: " + CLOSED] * 5
    with pytest.raises(ClientMisuse):
        await client.appointments.get("1")

    results.clear()
    client = service.client()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, client, partial(client.appointments.set_status, "1", "Completed"), OutcomeUnknown)
        await anyio.wait_all_tasks_blocked()
        await client.aclose()

    assert results[0].startswith("maybe: appointments.set_status: " + CLOSED)


CLOSED = "this client is closed: make a new one, or call inside its `async with` block"


@pytest.mark.anyio
async def test_closing_a_client_ends_a_call_that_waits_for_its_next_attempt():
    client = Service([answer(status=503, Retry_After="100")]).client(timeout=200)
    started = anyio.current_time()

    async with anyio.create_task_group() as tasks:

        async def call() -> None:
            with pytest.raises(ClientMisuse):
                await get(client)

        tasks.start_soon(call)
        await anyio.sleep(1)
        await client.aclose()

    assert anyio.current_time() - started == pytest.approx(1)


@pytest.mark.anyio
@pytest.mark.real_time
async def test_a_client_that_is_dropped_open_warns_once_and_leaves_no_socket():
    with FaultServer(ok(APPOINTMENT)) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client: CoachingClient | None = new_client(server)
        assert client is not None
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(get, client)
        client = None
        gc.collect()
        await anyio.lowlevel.checkpoint()
        gc.collect()
        await anyio.to_thread.run_sync(server.wait_until, lambda: not server.open)

    messages = [str(warning.message) for warning in caught if "CoachingClient" in str(warning.message)]
    assert messages == ["a CoachingClient was dropped without being closed: use `async with`, or call aclose()"]


def test_a_client_that_was_never_used_may_be_dropped_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CoachingClient(AccessToken(TOKEN))
        gc.collect()


# Views


@pytest.mark.anyio
async def test_a_view_has_its_own_deadline_and_policy_and_shares_the_rest():
    service = Service([answer(status=503), answer(APPOINTMENT)])
    async with service.client() as client:
        view = client.with_options(timeout=5, retry=RetryPolicy(attempts=1))
        with pytest.raises(Exception, match="503"):
            await view.appointments.get("1")
        assert await get(client) == "1"

        assert http_of(view) is http_of(client)
        assert view.stats() == client.stats()
        assert view.with_options(timeout=1).appointments._api.retry.attempts == 1
        assert client.appointments._api.timeout == 60


@pytest.mark.anyio
async def test_a_view_cannot_be_closed_and_lives_as_long_as_its_client():
    async with Service([answer(APPOINTMENT)]).client() as client:
        view = client.with_options(timeout=5)
        with pytest.raises(ClientMisuse, match="a view cannot be closed"):
            await view.aclose()
        with pytest.raises(ClientMisuse, match="no context manager"):
            async with view:
                pass
        await get(view)

    with pytest.raises(ClientMisuse, match="this client is closed"):
        await get(view)


@pytest.mark.anyio
async def test_a_second_aclose_waits_for_the_first():
    inside = anyio.Event()

    class Slow(httpx.AsyncHTTPTransport):
        async def aclose(self) -> None:
            inside.set()
            await anyio.sleep(5)

    client = Service([answer(APPOINTMENT)]).client()
    client._sessions.value.http_client = LazyHttpClient(None, lambda: httpx.AsyncClient(transport=Slow()))
    await client._sessions.value.http_client.get()
    started = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.aclose)
        await inside.wait()
        await client.aclose()

    assert anyio.current_time() - started == pytest.approx(5)


def test_closing_in_a_later_event_loop_emits_no_warning():
    with FaultServer(ok(APPOINTMENT)) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = new_client(server)
        anyio.run(get, client)
        anyio.run(client.aclose)
        gc.collect()

    assert not [warning for warning in caught if "CoachingClient" in str(warning.message)]
