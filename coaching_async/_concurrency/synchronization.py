"""Waking waiters, and refusing a second task."""

import inspect
from typing import Any
from weakref import WeakSet, ref

import anyio

from coaching_async._exceptions import ClientMisuse

from .tasks import current_task

__all__ = ["Signal", "SingleTaskGuard"]


class Signal:
    """Wakes everybody who waits for it. Costs nothing while nobody does."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def notify_all(self) -> None:
        """Wake them."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait until it is sent next."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class SingleTaskGuard:
    """The tasks that step a `thing`, a walk, say. It belongs to the one that stepped last, and keeps none of them alive.

    Another task may take it over. When one that it was taken from comes back while the other is still at work, both are
    using it. (A task that has ended uses nothing: `asyncio.wait_for` makes one for each step on Python 3.11.)
    """

    def __init__(self, thing: str) -> None:
        self._thing = thing
        self._owner: ref[Any] | None = None
        self._earlier: WeakSet[Any] = WeakSet()
        self._is_stepping = False

    def check(self) -> None:
        """A step that takes no time. Raises `ClientMisuse` where two tasks share it."""
        if self._is_stepping or self._owner is None or self._owner() is not current_task():
            self.enter()
            self.exit()

    def enter(self) -> None:
        """A step begins. Raises `ClientMisuse` where two tasks share it."""
        task = current_task()
        owner = None if self._owner is None else self._owner()
        if self._is_stepping or (owner is not task and task in self._earlier and _is_running(owner)):
            raise ClientMisuse(
                f"two tasks share one {self._thing}, and each would miss what the other gets: give each its own"
            )
        if owner is not task:
            if owner is not None:
                self._earlier.add(owner)
            self._earlier.discard(task)
            self._owner = ref(task)
        self._is_stepping = True

    def exit(self) -> None:
        """The step has ended."""
        self._is_stepping = False


def _is_running(task: Any) -> bool:
    if task is None:
        return False
    if hasattr(task, "done"):  # one of asyncio's
        return not task.done()
    return inspect.getcoroutinestate(task.coro) != inspect.CORO_CLOSED
