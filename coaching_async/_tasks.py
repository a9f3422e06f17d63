"""Doing something apart, and coming back as if it had been done here."""

import math
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from weakref import ref

import anyio
from anyio.lowlevel import current_token

__all__ = ["current_task", "in_child_task", "in_place", "is_task_of_ours", "off_the_loop", "task_of_ours"]

T = TypeVar("T")

_ours: Final = ContextVar[ref[Any] | None]("ours", default=None)


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


@contextmanager
def task_of_ours(*, so: bool = True) -> Generator[None]:
    """In this block the task is ours, and no code but ours awaits: only its scopes cancel it, and nobody natively.

    That goes for this one task: whoever is started from here, by an iterable of the user's, say, has the same context.
    """
    token = _ours.set(ref(current_task()) if so else None)
    try:
        yield
    finally:
        _ours.reset(token)


def is_task_of_ours() -> bool:
    """Whether it is."""
    ours = _ours.get()
    return ours is not None and ours() is current_task()


async def in_place(function: Callable[[], Awaitable[T]]) -> T:
    """Run `function` here, and as `in_child_task` would: what is cancelled from nowhere is an error."""
    try:
        return await function()
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() == -math.inf or _is_cancelled_natively():
            raise
    raise RuntimeError(BY_ITSELF)


def _is_cancelled_natively() -> bool:
    import asyncio  # here, because whoever gets here runs on it: trio raises no Cancelled of its own accord

    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


BY_ITSELF: Final = "the HTTP client cancelled a request by itself"


async def in_child_task(function: Callable[[], Awaitable[T]]) -> T:
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
        raise RuntimeError(BY_ITSELF)
    return values.pop()


async def off_the_loop(function: Callable[[], T]) -> T:
    """Run `function`, which takes some milliseconds, in a thread that is gone afterwards."""
    values: list[T] = []
    errors: list[BaseException] = []
    done = anyio.Event()
    loop: Any = current_token().native_token
    soon: Callable[[Callable[[], None]], object] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon

    def run() -> None:
        try:
            values.append(function())
        except BaseException as error:  # noqa: BLE001 # handed on below
            errors.append(error)
        with suppress(RuntimeError):  # the loop is gone, and with it who waits
            soon(done.set)

    thread = threading.Thread(target=run, name="coaching_async")
    thread.start()
    try:
        await done.wait()
    finally:
        thread.join()  # who is cancelled waits for the rest of it
    if errors:
        raise errors.pop()
    return values.pop()
