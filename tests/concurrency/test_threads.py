"""A long body is read, and its models made, in a thread: the event loop goes on, and no call waits for it in vain."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import Appointment, CoachingClient, DeadlineExceeded, OutcomeUnknown, Page
from coaching_async._api import client as api_client
from coaching_async._concurrency.tasks import MAX_THREADS, run_in_thread
from coaching_async._serialization.codec import decode, to_dict
from coaching_async._serialization.json import LARGE_BODY
from coaching_async._transport.body import parse_body
from coaching_async.testing import assert_no_leaks
from tests.faults.support import NEW
from tests.support.doubles import Service
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

ENTITY = {"id": "1", "name": "x" * 100, "attendees": [{"id": "2"}]}
ENTITIES = [ENTITY] * (2 * LARGE_BODY // len(json.dumps(ENTITY)))


class Work:
    """Work in threads that ends when it is told to, and how much of it is under way."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.under_way = self.most = self.begun = 0
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> str:
        with self._lock:
            self.begun += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.may_end.wait(HANG)
        with self._lock:
            self.under_way -= 1
        return "done"

    async def leave(self, function: Callable[[], object]) -> None:
        """Cancel a caller of `run_in_thread` whose thread is at this work."""
        begun = self.begun
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(run_in_thread, function, abandon_on_cancel=True))
            await self.until(lambda: self.begun > begun)
            tasks.cancel_scope.cancel()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 # it comes true in another thread
            await anyio.sleep(0.001)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_end.set()


async def test_a_long_page_is_made_as_a_short_one_is():
    page = await parse_body(partial(decode, Page[Appointment]), json.dumps({"entities": ENTITIES, "total": 5}).encode())

    assert (len(page.entities), page.total) == (len(ENTITIES), 5)
    assert to_dict(page.entities[-1]) == ENTITY


async def test_what_is_wrong_in_a_long_page_is_told_with_its_place():
    entities: list[object] = [*ENTITIES]
    entities[333] = ENTITY | {"attendees": [5]}

    with pytest.raises(ValueError, match=r"entities\[333\].attendees\[0\]"):
        await parse_body(partial(decode, Page[Appointment]), json.dumps({"entities": entities}).encode())


async def test_while_a_thread_works_the_event_loop_goes_on(work: Work):
    async with anyio.create_task_group() as tasks:

        async def end_it() -> None:
            await work.until(lambda: work.under_way == 1)
            work.may_end.set()

        tasks.start_soon(end_it)
        assert await run_in_thread(work, abandon_on_cancel=True) == "done"


async def test_a_caller_that_is_cancelled_goes_at_once_and_the_thread_ends_by_itself(work: Work):
    async with assert_no_leaks():
        await work.leave(work)

        assert work.under_way == 1
        work.may_end.set()


async def test_what_a_thread_raises_is_raised_and_nowhere_printed_where_its_caller_has_gone(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    monkeypatch.setattr(sys, "unraisablehook", printed.append)

    def fail() -> None:
        work()
        raise LookupError

    await work.leave(fail)
    work.may_end.set()
    await work.until(lambda: work.under_way == 0)
    with pytest.raises(LookupError):
        await run_in_thread(fail, abandon_on_cancel=True)
    gc.collect()

    assert (printed, caplog.records) == ([], [])


async def test_no_more_than_two_threads_work_at_once_those_that_were_left_included(work: Work):
    async with anyio.create_task_group() as tasks:
        for _ in range(MAX_THREADS):
            await work.leave(work)
        for _ in range(5):
            tasks.start_soon(run_in_thread, work)
        await anyio.sleep(0.05)
        assert work.begun == MAX_THREADS
        work.may_end.set()

    assert (work.begun, work.most) == (MAX_THREADS + 5, MAX_THREADS)


async def test_where_no_thread_can_be_started_that_is_told_and_the_next_may_be(monkeypatch: pytest.MonkeyPatch):
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(MAX_THREADS + 1):
            with pytest.raises(RuntimeError, match="new thread"):
                await run_in_thread(int)

    assert await run_in_thread(int) == 0


def long_service() -> Service:
    content = json.dumps(ENTITY | {"news": "x" * LARGE_BODY}).encode()
    return Service(lambda _: httpx.Response(200, content=content))


def get(client: CoachingClient) -> Any:
    return client.appointments.get("1")


def create(client: CoachingClient) -> Any:
    return client.appointments.create(NEW)


@pytest.mark.parametrize("ask, kind, processed", [(get, DeadlineExceeded, "no"), (create, OutcomeUnknown, "yes")])
async def test_a_call_ends_at_its_deadline_though_a_thread_is_still_at_its_answer(
    ask: Callable[[CoachingClient], Any], kind: Any, processed: str, work: Work, monkeypatch: pytest.MonkeyPatch
):
    async with assert_no_leaks(), long_service().client(timeout=0.5) as client:
        with monkeypatch.context() as patch:
            patch.setattr(api_client, "decode", work)
            with pytest.raises(kind) as caught:
                await ask(client)
            assert work.under_way == 1
            work.may_end.set()

        assert caught.value.processed == processed
        assert (await client.with_options(timeout=HANG).appointments.get("1")).id == "1"


async def test_a_client_is_closed_though_a_thread_is_still_at_an_answer(work: Work, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api_client, "decode", work)
    client = long_service().client()

    async def ask() -> None:
        with pytest.raises(Exception, match="closed"):
            await client.appointments.get("1")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await work.until(lambda: work.under_way == 1)
        await client.aclose()

    assert work.under_way == 1


async def test_a_caller_that_is_cancelled_natively_goes_at_once_too(work: Work, anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("asyncio's own way to cancel")
    task = asyncio.ensure_future(run_in_thread(work, abandon_on_cancel=True))
    await work.until(lambda: work.under_way == 1)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert work.under_way == 1


ENDING = """
import threading
import anyio
from coaching_async._concurrency.tasks import run_in_thread

async def main():
    with anyio.move_on_after(0.05):
        await run_in_thread(threading.Event().wait, abandon_on_cancel=True)

anyio.run(main, backend="{}")
"""


def test_a_process_ends_though_a_thread_that_was_left_does_not(anyio_backend_name: str):
    script = [sys.executable, "-W", "error", "-c", ENDING.format(anyio_backend_name)]
    ran = subprocess.run(script, capture_output=True, text=True, timeout=HANG, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
