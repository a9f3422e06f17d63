"""Child tasks, threads, and background tasks that no caller's cancellation reaches."""

import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar, cast

import anyio
from anyio.lowlevel import RunVar, cancel_shielded_checkpoint, current_token

__all__ = ["BackgroundTasks", "ErrorCollectingTaskGroup", "current_task", "run_in_child_task", "run_in_thread"]

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


class ErrorCollectingTaskGroup:
    """A task group that raises an error of its tasks as itself, not in an exception group.

    The first error cancels the other tasks and the block. It is raised when the block is left, unless the block raised an
    error of its own. An interrupt (KeyboardInterrupt, SystemExit) is raised in any case.
    """

    def __init__(self) -> None:
        self._group = anyio.create_task_group()
        self._errors: list[BaseException] = []

    @property
    def cancel_scope(self) -> anyio.CancelScope:
        """The cancel scope of the block and of the tasks."""
        return self._group.cancel_scope

    def start_soon(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Start a task that runs `function(*args)`."""
        self._group.start_soon(self._run, function, *args)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        block_error = None if error is None else _without_cancellation(error)
        is_handled: bool | None = False
        try:
            is_handled = await self._group.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:  # the block's error, or a KeyboardInterrupt that trio raises in this task
            for member in group.exceptions:
                self._record(member)
        if self._errors and (block_error is None or not isinstance(_most_severe(self._errors), Exception)):
            # The cancellation is being thrown in. Until the next checkpoint it would become the context of what is raised.
            await cancel_shielded_checkpoint()
            errors, self._errors = self._errors, []
            _raise_unchained(errors)
        if block_error is not None and block_error is not error:
            _raise_unchained([block_error])
        return is_handled

    async def _run(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await function(*args)
        except BaseException as error:
            if not self._record(error):
                raise
            self.cancel_scope.cancel()

    def _record(self, error: BaseException) -> bool:
        """Record what has to be raised at the end. Return whether there is any: a cancellation is not recorded."""
        recorded = _without_cancellation(error)
        if recorded is not None:
            self._errors.append(recorded)
        return recorded is not None


def _without_cancellation(error: BaseException) -> BaseException | None:
    """Remove cancellations, which a nursery of trio puts into one group with the errors of its tasks."""
    cancelled = anyio.get_cancelled_exc_class()
    if not isinstance(error, BaseExceptionGroup):
        return None if isinstance(error, cancelled) else error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return group if group.subgroup(cancelled) is None else group.split(cancelled)[1]


def _most_severe(errors: list[BaseException]) -> BaseException:
    """Return the first interrupt, or else the first error, which is the one that cancelled the others."""
    return next((error for error in errors if not isinstance(error, Exception)), errors[0])


def _raise_unchained(errors: list[BaseException]) -> NoReturn:
    """Raise the most severe error with the context that it has. The cancellation that it led to is not its context."""
    error = _most_severe(errors)
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        errors.clear()  # its traceback holds this frame and the caller's
        del error, context


async def run_in_child_task(function: Callable[[], Awaitable[T]]) -> T:
    """Run `function` in a child task, and return or raise what it returns or raises."""
    values: list[T] = []

    async def child() -> None:
        values.append(await function())

    async with ErrorCollectingTaskGroup() as tasks:
        tasks.start_soon(child)
    if not values:
        raise RuntimeError("the HTTP client cancelled a request by itself")
    return values.pop()


MAX_THREADS: Final = 2
"""Threads at once in an event loop: they compute, so that more of them would only take time from one another."""


_slots: Final = RunVar[anyio.Semaphore]("coaching_async.threads")


async def run_in_thread(function: Callable[[], T], *, is_left: bool = False) -> T:
    """Run `function`, which computes for some milliseconds, in a thread that ends with it.

    A caller that is cancelled waits for its end. With `is_left` the caller goes at once: what the thread makes or raises
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
    thread = threading.Thread(target=run, name="coaching_async", daemon=is_left)  # the process does not wait for one
    try:
        thread.start()
    except RuntimeError:  # there are too many threads
        slots.release()
        raise
    try:
        await done.wait()
    finally:
        if done.is_set() or not is_left:
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
