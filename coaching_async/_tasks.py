"""Doing something apart, and coming back as if it had been done here."""

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import current_token

__all__ = ["in_child_task", "off_the_loop"]

T = TypeVar("T")


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
        raise RuntimeError("the HTTP client cancelled a request by itself")
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
