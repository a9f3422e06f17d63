"""Rows 101 and 102: other threads, event loops and processes; decoding does not block the event loop."""

import asyncio
import json
import multiprocessing
import signal
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from coaching_async import (
    ClientMisuse,
    CoachingClient,
)
from coaching_async._api import responses
from tests.conftest import VirtualLoop
from tests.faults.cancellation import read
from tests.faults.support import APPOINTMENT, client_to, eventually, failing
from tests.support.doubles import Service, answer, on, page
from tests.support.fault_server import HANG, FaultServer, ok

pytestmark = pytest.mark.anyio

Told = list[tuple[str, float]]


async def misuse(client: CoachingClient) -> tuple[str, float]:
    """Return the message of the error, and how many virtual seconds it took. A hang is a TimeoutError."""
    started = anyio.current_time()
    with anyio.fail_after(HANG), failing(ClientMisuse) as caught:
        await read(client)
    return str(caught.value), anyio.current_time() - started


@pytest.mark.real_time
async def test_row_101_use_in_another_thread_is_refused(anyio_backend_name: str):
    told: Told = []

    with FaultServer(ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await read(client)
            for backend in ("asyncio", "trio"):
                thread = threading.Thread(
                    target=lambda backend=backend: told.append(anyio.run(misuse, client, **on(backend)))
                )
                thread.start()
                await anyio.to_thread.run_sync(thread.join)
            await read(client)
        assert server.accepted == 1

    for text, seconds in told:
        assert text.startswith("this client is at work in another thread's event loop")
        assert seconds == 0
    assert len(told) == 2


@pytest.mark.real_time
def test_row_101_use_in_a_second_event_loop_is_refused(anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("trio has one event loop a thread")
    with FaultServer(ok(APPOINTMENT)) as server, asyncio.Runner() as one:
        client = client_to(server.url)
        one.run(read(client))  # type: ignore[arg-type]
        other = VirtualLoop()
        text, seconds = other.run_until_complete(misuse(client))
        other.close()
        one.run(read(client))  # type: ignore[arg-type]
        one.run(client.aclose())

    assert text.startswith("this client is at work in another event loop")
    assert seconds == 0
    assert server.accepted == 1


def in_the_child(client: CoachingClient, backend: str, told: Any) -> None:
    signal.set_wakeup_fd(-1)  # the parent's
    told.put(anyio.run(misuse, client, **on(backend)))


@pytest.mark.real_time
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_row_101_use_in_a_forked_child_is_refused(anyio_backend_name: str):
    fork = multiprocessing.get_context("fork")
    with FaultServer(ok(APPOINTMENT)) as server:
        async with client_to(server.url) as client:
            await read(client)
            told = fork.SimpleQueue()
            child = threading.Thread(target=forked, args=(fork, client, anyio_backend_name, told))
            child.start()
            await anyio.to_thread.run_sync(child.join)
            assert not told.empty(), "the child failed"
            text, seconds = told.get()
            told.close()
            await read(client)
        assert server.accepted == 1

    assert text == "this client was used before the process forked: make a new one in the child"
    assert seconds == 0


def forked(fork: Any, client: CoachingClient, backend: str, told: Any) -> None:
    """Fork in a thread, so that the child is in no event loop."""
    child = fork.Process(target=in_the_child, args=(client, backend, told))
    child.start()
    child.join(HANG)
    child.close()


@pytest.mark.real_time  # a virtual clock does not see the thread
async def test_row_102_other_tasks_run_while_a_large_page_is_decoded(
    monkeypatch: pytest.MonkeyPatch, example: Callable[[str], Any]
):
    """Decoding waits until another task has run since the thread started."""
    entity = example("appointment")
    count = 5 * 2**20 // len(json.dumps(entity | {"id": ""})) + 1
    many = page(number=1, count=1, total=count) | {
        "entities": [entity | {"id": str(number)} for number in range(count)]
    }
    whole = answer(many)
    assert len(whole.content) > 5 * 2**20
    begun, had_a_turn = threading.Event(), threading.Event()
    model = responses.decode

    def waiting(*arguments: Any) -> Any:
        begun.set()
        assert had_a_turn.wait(HANG)
        return model(*arguments)

    async def heartbeat() -> None:
        await eventually(begun.is_set)
        had_a_turn.set()

    monkeypatch.setattr(responses, "decode", waiting)
    async with Service([whole]).client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(heartbeat)
        async for each in client.appointments.list("u").pages():
            assert len(each.entities) == count

    assert had_a_turn.is_set()
