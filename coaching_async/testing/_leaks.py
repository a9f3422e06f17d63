"""What a block of code leaves behind."""

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
"""Threads that asyncio, anyio and trio keep for the next who needs one."""


class assert_no_leaks:  # noqa: N801 # reads as a word of the language, as contextlib's do
    """Asserts that a block leaves nothing behind: no task, no thread, no socket and no other file descriptor.

        async with assert_no_leaks():
            async with CoachingClient.from_env() as client: ...

    `with` does as well, but only `async with` sees tasks. What is just ending has `within` seconds to be gone. Threads
    that an event loop keeps for later are no leaks. Descriptors are seen where the system lists them: on Linux and macOS.

    Raises `AssertionError`, which says what is left. An error of the block passes, and then nothing is looked for.
    """

    def __init__(self, *, within: float = 2.0) -> None:
        self._within = within
        self._held: set[str] = set()
        self._tasks: set[str] = set()

    def __enter__(self) -> Self:
        self._held = _threads() | _descriptors()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for _moment in self._moments(set):
                pass

    async def __aenter__(self) -> Self:
        self._tasks = _tasks()
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for _moment in self._moments(_tasks):
                await checkpoint()  # closing takes the loop a turn or two

    def _moments(self, tasks: Callable[[], set[str]]) -> Iterator[None]:
        deadline = time.monotonic() + self._within
        while left := (_threads() | _descriptors()) - self._held | self._more(tasks()):
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: {', '.join(sorted(left))}")
            yield
            time.sleep(0.002)
            gc.collect()

    def _more(self, tasks: set[str]) -> set[str]:
        """New tasks, if they are more than are gone: anyio's plugin has one wait for each step of a fixture."""
        new = tasks - self._tasks
        return new if len(new) > len(self._tasks - tasks) else set()


def _tasks() -> set[str]:
    return {f"task {each.name} {each.id}" for each in anyio.get_running_tasks()}


def _threads() -> set[str]:
    return {f"thread {each.name} {each.ident}" for each in threading.enumerate() if not each.name.startswith(POOLS)}


def _descriptors() -> set[str]:
    held: set[str] = set()
    folder = next((each for each in (Path("/proc/self/fd"), Path("/dev/fd")) if each.exists()), None)
    for each in folder.iterdir() if folder else ():
        try:
            held.add(f"descriptor {each.name} {each.readlink()}")
        except FileNotFoundError:  # the one that lists them
            pass
        except OSError:  # no link: macOS does not tell what it is
            held.add(f"descriptor {each.name}")
    return held
