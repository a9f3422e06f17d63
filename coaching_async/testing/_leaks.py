"""Detection of tasks, threads and file descriptors that a block of code leaves open."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import anyio
from anyio.lowlevel import checkpoint

__all__ = ["assert_no_leaks"]

POOLS: Final = ("asyncio_", "AnyIO worker thread", "Trio thread")
"""Names of worker threads that asyncio, anyio and trio keep for reuse."""

ATTEMPTS: Final = 10
"""How often to look at least, because one garbage collection can take longer than the time limit."""


class assert_no_leaks:  # noqa: N801 # lower case, as the context managers of contextlib
    """Context manager that asserts that a block leaves no task, thread, socket or other file descriptor open.

        async with assert_no_leaks():
            async with CoachingClient.from_env() as client: ...

    `with` works as well, but only `async with` detects tasks. They have up to `within` seconds to end. Worker threads that an
    event loop keeps for reuse are no leaks. File descriptors are detected on Linux and macOS, which list them.

    Raises: `AssertionError`, which names what is left open. If the block raises an error, nothing is asserted.
    """

    def __init__(self, *, within: float = 2.0) -> None:
        self._within = within
        self._open_before: set[str] = set()
        self._tasks_before: set[str] = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(within={self._within})"

    def __enter__(self) -> Self:
        self._open_before = _threads() | _descriptors()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for _attempt in self._wait_for_leaks(set):
                pass

    async def __aenter__(self) -> Self:
        self._tasks_before = _tasks()
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for _attempt in self._wait_for_leaks(_tasks):
                await checkpoint()  # lets the event loop finish closing

    def _wait_for_leaks(self, tasks: Callable[[], set[str]]) -> Iterator[None]:
        deadline = time.monotonic() + self._within
        attempts = 0
        while left := (_threads() | _descriptors()) - self._open_before | self._new_tasks(tasks()):
            attempts += 1
            if attempts >= ATTEMPTS and time.monotonic() > deadline:
                raise AssertionError(f"left behind: {', '.join(sorted(left))}")
            yield
            time.sleep(0.002)
            gc.collect()

    def _new_tasks(self, tasks: set[str]) -> set[str]:
        """Return new tasks if more have started than ended, because anyio's plugin replaces its task at each step of a fixture."""
        new = tasks - self._tasks_before
        return new if len(new) > len(self._tasks_before - tasks) else set()


def _tasks() -> set[str]:
    return {f"task {task.name} {task.id}" for task in anyio.get_running_tasks()}


def _threads() -> set[str]:
    return {
        f"thread {thread.name} {thread.ident}" for thread in threading.enumerate() if not thread.name.startswith(POOLS)
    }


def _descriptors() -> set[str]:
    found: set[str] = set()
    folder = next((path for path in (Path("/proc/self/fd"), Path("/dev/fd")) if path.exists()), None)
    for descriptor in folder.iterdir() if folder else ():
        try:
            found.add(f"descriptor {descriptor.name} {descriptor.readlink()}")
        except FileNotFoundError:  # the descriptor of the listing itself
            pass
        except OSError:  # not a link: macOS does not say what a descriptor refers to
            found.add(f"descriptor {descriptor.name}")
    return found
