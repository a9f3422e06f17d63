"""Child tasks without exception groups, threads, and background tasks that survive the cancellation of their caller."""

import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeAlias, TypeVar, cast

import anyio
from anyio.lowlevel import RunVar, cancel_shielded_checkpoint, current_token

__all__ = [
    "BackgroundTasks",
    "ErrorCollectingTaskGroup",
    "SpawnBackgroundTask",
    "ThreadSlots",
    "current_task",
    "run_in_child_task",
    "run_in_thread",
]

T = TypeVar("T")


def current_task() -> Any:
    """Return the current task, of asyncio or of trio."""
    asyncio = sys.modules.get("asyncio")  # not imported here: that takes 9 ms, which a program on trio need not spend
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no event loop of asyncio is running
        task = None
    if task is None:
        import trio

        return trio.lowlevel.current_task()
    return task


def is_cancelled(error: BaseException) -> bool:
    """Return whether an exception is the cancellation of the current task, and not one that a library has raised by itself.

    A library raises `asyncio.CancelledError` where it waits for a future or a task that it has cancelled.
    """
    if not isinstance(error, anyio.get_cancelled_exc_class()):
        return False
    cancelling = getattr(current_task(), "cancelling", None)  # trio's Cancelled cannot be raised by a library
    return cancelling is None or bool(cancelling())


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
"""Number of threads at once in an event loop for one purpose. More would not be faster, because they share one interpreter."""


ThreadSlots: TypeAlias = RunVar[anyio.Semaphore]
"""The slots of the threads for one purpose, in each event loop. Threads that hang leave those of another purpose free."""


COMPUTING: Final = ThreadSlots("coaching_async.threads.computing")


async def run_in_thread(
    function: Callable[[], T], *, abandon_on_cancel: bool = False, purpose: ThreadSlots = COMPUTING
) -> T:
    """Run `function`, which takes some milliseconds, in a new thread.

    A caller that is cancelled waits for the thread. With `abandon_on_cancel` it does not: the result or error of the thread
    is dropped, and the thread counts as one of `MAX_THREADS` until it ends.
    """
    values: list[T] = []
    errors: list[BaseException] = []
    done = anyio.Event()
    loop: Any = current_token().native_token
    call_soon: Callable[[Callable[[], None]], object] = (
        getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon  # asyncio's or trio's
    )
    try:
        slots = purpose.get()
    except LookupError:
        purpose.set(slots := anyio.Semaphore(MAX_THREADS, fast_acquire=True))

    def on_done() -> None:
        slots.release()
        done.set()

    def run() -> None:
        try:
            values.append(function())
        except BaseException as error:  # noqa: BLE001 # raised below
            errors.append(error)
        with suppress(RuntimeError):  # the loop is closed, and the caller has ended
            call_soon(on_done)

    await slots.acquire()
    # The process does not wait for a daemon thread when it exits.
    thread = threading.Thread(target=run, name="coaching_async", daemon=abandon_on_cancel)
    try:
        thread.start()
    except RuntimeError:  # the process has too many threads
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


SpawnBackgroundTask: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]], Callable[[], None]], None]
"""Starts a background task, which no caller's cancellation reaches: the function, and a callback for its end."""


class BackgroundTasks:
    """Background tasks that survive the cancellation of the caller that spawned them.

    They must handle their own exceptions. They run in an empty context, because they serve all callers and may outlive the
    one that spawned them.
    """

    def __init__(self) -> None:
        self._tasks: set[object] = set()
        self._running = 0
        self._idle = anyio.Event()

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], on_done: Callable[[], None]) -> None:
        """Start a task. `on_done` is called when it has ended, even if it was cancelled before it started."""
        self._running += 1

        def finish(task: object = None) -> None:
            self._tasks.discard(task)
            self._running -= 1
            if not self._running:
                self._idle.set()
            on_done()

        async def run() -> None:
            try:
                await function()
            finally:
                finish()

        loop: Any = current_token().native_token
        if hasattr(loop, "create_task"):  # a loop of asyncio, which references its tasks weakly
            task: Any = Context().run(loop.create_task, function())
            self._tasks.add(task)
            task.add_done_callback(finish)
        else:
            import trio

            trio.lowlevel.spawn_system_task(run, context=Context())

    async def wait_until_idle(self) -> None:
        """Wait until no task is running."""
        while self._running:
            self._idle = anyio.Event()
            await self._idle.wait()
