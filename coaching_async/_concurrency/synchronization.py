"""Synchronization of tasks: waking waiters, and detecting a second task that uses the same iterator."""

import inspect
from typing import Any
from weakref import WeakSet, ref

import anyio

from coaching_async._exceptions import ClientMisuse

from .tasks import current_task

__all__ = ["Signal", "SingleTaskGuard"]


class Signal:
    """A condition without a lock: `notify_all()` wakes all waiters. No event is allocated while there are none."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def notify_all(self) -> None:
        """Wake all tasks that wait now."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait for the next `notify_all()`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class SingleTaskGuard:
    """Detects two tasks that share one iterator. Error messages call it `name`.

    Ownership moves to the task that advanced the iterator last. If a previous owner comes back while the current one is
    still running, `ClientMisuse` is raised. A task that has ended does not count, because `asyncio.wait_for` makes a task
    for each call on Python 3.11. Tasks are referenced weakly.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._owner: ref[Any] | None = None
        self._previous_owners: WeakSet[Any] = WeakSet()
        self._is_entered = False

    def check(self) -> None:
        """Enter and exit at once. Raises `ClientMisuse` if two tasks share the iterator."""
        if self._is_entered or self._owner is None or self._owner() is not current_task():
            self.enter()
            self.exit()

    def enter(self) -> None:
        """Start to advance the iterator. Raises `ClientMisuse` if two tasks share it."""
        task = current_task()
        owner = None if self._owner is None else self._owner()
        if self._is_entered or (owner is not task and task in self._previous_owners and _is_running(owner)):
            raise ClientMisuse(
                f"two tasks share one {self._name}, and each would miss what the other gets: give each its own"
            )
        if owner is not task:
            if owner is not None:
                self._previous_owners.add(owner)
            self._previous_owners.discard(task)
            self._owner = ref(task)
        self._is_entered = True

    def exit(self) -> None:
        """End the advance that `enter` started."""
        self._is_entered = False


def _is_running(task: Any) -> bool:
    if task is None:
        return False
    if hasattr(task, "done"):  # a task of asyncio
        return not task.done()
    return inspect.getcoroutinestate(task.coro) != inspect.CORO_CLOSED
