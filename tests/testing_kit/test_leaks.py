"""`assert_no_leaks`: leaked descriptors, threads and tasks are reported by name."""

import contextlib
import socket
import threading

import anyio
import pytest

from coaching_async.sandbox import Sandbox
from coaching_async.testing import assert_no_leaks


def test_an_open_descriptor_is_reported():
    with (
        contextlib.ExitStack() as held,
        pytest.raises(AssertionError, match=r"left behind: .*socket"),
        assert_no_leaks(within=0.05),
    ):
        held.enter_context(socket.socket())


def test_a_running_thread_is_reported():
    done = threading.Event()
    stays = threading.Thread(target=done.wait, name="stays")
    with pytest.raises(AssertionError, match=r"left behind: .*thread stays"), assert_no_leaks(within=0.05):
        stays.start()
    done.set()
    stays.join()


def test_a_thread_that_ends_soon_is_no_leak():
    with assert_no_leaks():
        timer = threading.Timer(0.02, socket.socket().close)
        timer.start()


def test_an_exception_is_not_hidden_by_the_leak_that_it_causes():
    def failing() -> None:
        held.enter_context(socket.socket())
        raise LookupError

    with contextlib.ExitStack() as held, pytest.raises(LookupError), assert_no_leaks():
        failing()


@pytest.mark.anyio
async def test_a_running_task_is_reported_by_its_name():
    async with anyio.create_task_group() as tasks:
        with pytest.raises(AssertionError, match="left behind: task the one that stays"):
            async with assert_no_leaks(within=0.05):
                tasks.start_soon(anyio.sleep_forever, name="the one that stays")
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_task_that_ends_soon_is_no_leak():
    async with anyio.create_task_group() as tasks, assert_no_leaks():
        tasks.start_soon(anyio.lowlevel.checkpoint)


@pytest.mark.anyio
async def test_a_task_that_ends_soon_is_no_leak_where_garbage_collection_takes_all_the_time():
    async with anyio.create_task_group() as tasks, assert_no_leaks(within=0):
        tasks.start_soon(anyio.lowlevel.checkpoint)


@pytest.mark.anyio
async def test_an_exception_passes_the_check_for_tasks():
    async def failing() -> None:
        async with assert_no_leaks():
            tasks.start_soon(anyio.sleep_forever)
            raise LookupError

    async with anyio.create_task_group() as tasks:
        with pytest.raises(LookupError):
            await failing()
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.real_time
async def test_the_worker_threads_of_an_event_loop_are_no_leaks():
    async with assert_no_leaks():
        await anyio.to_thread.run_sync(int)


def test_a_sandbox_opens_all_its_resources_when_it_is_entered():
    for _ in range(20):
        with Sandbox(appointments=0), assert_no_leaks():
            pass
