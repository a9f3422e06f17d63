"""Large responses are decoded in a thread. The event loop goes on, and a cancelled call does not wait for the thread."""

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


class BlockingWork:
    """A blocking function that returns when `may_return` is set, and counts its threads."""

    def __init__(self) -> None:
        self.may_return = threading.Event()
        self.running = self.peak = self.started = 0
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> str:
        with self._lock:
            self.started += 1
            self.running += 1
            self.peak = max(self.peak, self.running)
        self.may_return.wait(HANG)
        with self._lock:
            self.running -= 1
        return "done"

    async def abandon(self, function: Callable[[], object]) -> None:
        """Run `function`, which calls this one, in a thread, and cancel the caller meanwhile."""
        started = self.started
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(run_in_thread, function, abandon_on_cancel=True))
            await self.wait_until(lambda: self.started > started)
            tasks.cancel_scope.cancel()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 # another thread makes it true
            await anyio.sleep(0.001)


@pytest.fixture
def work() -> Iterator[BlockingWork]:
    work = BlockingWork()
    yield work
    work.may_return.set()


async def test_a_large_page_is_decoded_like_a_small_one():
    page = await parse_body(partial(decode, Page[Appointment]), json.dumps({"entities": ENTITIES, "total": 5}).encode())

    assert (len(page.entities), page.total) == (len(ENTITIES), 5)
    assert to_dict(page.entities[-1]) == ENTITY


async def test_an_error_in_a_large_page_names_its_place():
    entities: list[object] = [*ENTITIES]
    entities[333] = ENTITY | {"attendees": [5]}

    with pytest.raises(ValueError, match=r"entities\[333\].attendees\[0\]"):
        await parse_body(partial(decode, Page[Appointment]), json.dumps({"entities": entities}).encode())


async def test_the_event_loop_runs_other_tasks_while_a_thread_works(work: BlockingWork):
    async with anyio.create_task_group() as tasks:

        async def let_it_return() -> None:
            await work.wait_until(lambda: work.running == 1)
            work.may_return.set()

        tasks.start_soon(let_it_return)
        assert await run_in_thread(work, abandon_on_cancel=True) == "done"


async def test_a_cancelled_caller_does_not_wait_for_the_thread_it_abandons(work: BlockingWork):
    async with assert_no_leaks():
        await work.abandon(work)

        assert work.running == 1
        work.may_return.set()


async def test_an_error_of_a_thread_is_raised_and_not_printed_if_its_caller_was_cancelled(
    work: BlockingWork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    monkeypatch.setattr(sys, "unraisablehook", printed.append)

    def fail() -> None:
        work()
        raise LookupError

    await work.abandon(fail)
    work.may_return.set()
    await work.wait_until(lambda: work.running == 0)
    with pytest.raises(LookupError):
        await run_in_thread(fail, abandon_on_cancel=True)
    gc.collect()

    assert (printed, caplog.records) == ([], [])


async def test_at_most_two_threads_run_at_once_abandoned_ones_included(work: BlockingWork):
    async with anyio.create_task_group() as tasks:
        for _ in range(MAX_THREADS):
            await work.abandon(work)
        for _ in range(5):
            tasks.start_soon(run_in_thread, work)
        await anyio.sleep(0.05)
        assert work.started == MAX_THREADS
        work.may_return.set()

    assert (work.started, work.peak) == (MAX_THREADS + 5, MAX_THREADS)


async def test_a_thread_that_cannot_be_started_raises_and_gives_its_slot_back(monkeypatch: pytest.MonkeyPatch):
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(MAX_THREADS + 1):
            with pytest.raises(RuntimeError, match="new thread"):
                await run_in_thread(int)

    assert await run_in_thread(int) == 0


def large_response_service() -> Service:
    content = json.dumps(ENTITY | {"news": "x" * LARGE_BODY}).encode()
    return Service(lambda _: httpx.Response(200, content=content))


def get(client: CoachingClient) -> Any:
    return client.appointments.get("1")


def create(client: CoachingClient) -> Any:
    return client.appointments.create(NEW)


@pytest.mark.parametrize(
    "call, error_class, processed", [(get, DeadlineExceeded, "no"), (create, OutcomeUnknown, "yes")]
)
async def test_a_call_ends_at_its_deadline_while_a_thread_still_decodes_its_response(
    call: Callable[[CoachingClient], Any],
    error_class: Any,
    processed: str,
    work: BlockingWork,
    monkeypatch: pytest.MonkeyPatch,
):
    async with assert_no_leaks(), large_response_service().client(timeout=0.5) as client:
        with monkeypatch.context() as patch:
            patch.setattr(api_client, "decode", work)
            with pytest.raises(error_class) as caught:
                await call(client)
            assert work.running == 1
            work.may_return.set()

        assert caught.value.processed == processed
        assert (await client.with_options(timeout=HANG).appointments.get("1")).id == "1"


async def test_a_client_can_be_closed_while_a_thread_still_decodes_a_response(
    work: BlockingWork, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api_client, "decode", work)
    client = large_response_service().client()

    async def call() -> None:
        with pytest.raises(Exception, match="closed"):
            await client.appointments.get("1")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await work.wait_until(lambda: work.running == 1)
        await client.aclose()

    assert work.running == 1


async def test_a_natively_cancelled_caller_does_not_wait_for_the_thread_it_abandons(
    work: BlockingWork, anyio_backend_name: str
):
    if anyio_backend_name == "trio":
        pytest.skip("native cancellation is asyncio's")
    task = asyncio.ensure_future(run_in_thread(work, abandon_on_cancel=True))
    await work.wait_until(lambda: work.running == 1)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert work.running == 1


SCRIPT = """
import threading
import anyio
from coaching_async._concurrency.tasks import run_in_thread

async def main():
    with anyio.move_on_after(0.05):
        await run_in_thread(threading.Event().wait, abandon_on_cancel=True)

anyio.run(main, backend="{}")
"""


def test_a_process_exits_while_an_abandoned_thread_still_runs(anyio_backend_name: str):
    script = [sys.executable, "-W", "error", "-c", SCRIPT.format(anyio_backend_name)]
    ran = subprocess.run(script, capture_output=True, text=True, timeout=HANG, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
