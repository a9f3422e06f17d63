"""Child tasks, threads, and background tasks that no caller's cancellation reaches."""

import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import RunVar, current_token

__all__ = ["BackgroundTasks", "current_task", "run_in_child_task", "run_in_thread"]

T = TypeVar("T")


def current_task() -> Any:
    """The task that this is called in, of asyncio or of trio."""
    asyncio = sys.modules.get("asyncio")  # it is there where somebody runs on it; who does not is spared 9 ms
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no event loop of asyncio's
        task = None
    if task is None:
        import trio

        return trio.lowlevel.current_task()
    return task


async def run_in_child_task(function: Callable[[], Awaitable[T]]) -> T:
    """Run `function` in a task of its own: no exception groups."""
    values: list[T] = []
    errors: list[BaseException] = []

    async def child() -> None:
        try:
            values.append(await function())
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 # handed on below
            errors.append(error)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
    except BaseExceptionGroup as group:  # what struck the caller while it waited here: KeyboardInterrupt on trio
        errors += group.exceptions
    if errors:
        raise errors.pop()
    if not values:
        raise RuntimeError("the HTTP client cancelled a request by itself")
    return values.pop()


MAX_THREADS: Final = 2
"""Threads at once in an event loop: they compute, so that more of them would only take time from one another."""


_slots: Final = RunVar[anyio.Semaphore]("coaching_async.threads")


async def run_in_thread(function: Callable[[], T], *, abandon_on_cancel: bool = False) -> T:
    """Run `function`, which computes for some milliseconds, in a thread that ends with it.

    A caller that is cancelled waits for its end. With `abandon_on_cancel` the caller goes at once: what the thread makes or raises
    is dropped, and it keeps its place among the `THREADS` until it ends.
    """
    values: list[T] = []
    errors: list[BaseException] = []
    done = anyio.Event()
    loop: Any = current_token().native_token
    soon: Callable[[Callable[[], None]], object] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    try:
        slots = _slots.get()
    except LookupError:
        _slots.set(slots := anyio.Semaphore(MAX_THREADS, fast_acquire=True))

    def ended() -> None:
        slots.release()
        done.set()

    def run() -> None:
        try:
            values.append(function())
        except BaseException as error:  # noqa: BLE001 # handed on below
            errors.append(error)
        with suppress(RuntimeError):  # the loop is gone, and with it the caller
            soon(ended)

    await slots.acquire()
    thread = threading.Thread(
        target=run, name="coaching_async", daemon=abandon_on_cancel
    )  # the process does not wait for one
    try:
        thread.start()
    except RuntimeError:  # there are too many threads
        slots.release()
        raise
    try:
        await done.wait()
    finally:
        if done.is_set() or not abandon_on_cancel:
            thread.join()
    if errors:
        raise errors.pop()
    return values.pop()


class BackgroundTasks:
    """Short tasks of the event loop itself, which no caller's cancellation reaches. They handle what they raise.

    They see no caller's context variables either: they are for everybody, and may outlast who sent them off.
    """

    def __init__(self) -> None:
        self._tasks: set[object] = set()
        self._under_way = 0
        self._idle = anyio.Event()

    def spawn(self, errand: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], None]) -> None:
        """Send one off. `ended` is called at its end, whatever that was: it may be cancelled before it has begun."""
        self._under_way += 1

        def end(task: object = None) -> None:
            self._tasks.discard(task)
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            ended()

        async def run() -> None:
            try:
                await errand()
            finally:
                end()

        loop: Any = current_token().native_token
        if hasattr(loop, "create_task"):  # asyncio's, which holds its tasks only weakly
            task: Any = Context().run(loop.create_task, errand())
            self._tasks.add(task)
            task.add_done_callback(end)
        else:
            import trio

            trio.lowlevel.spawn_system_task(run, context=Context())

    async def wait_until_idle(self) -> None:
        """Wait until none is under way."""
        while self._under_way:
            self._idle = anyio.Event()
            await self._idle.wait()
