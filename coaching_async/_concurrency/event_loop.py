"""Which event loop, thread and process a client belongs to, and a clock that goes on when the loop has ended."""

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import anyio
import attrs
from anyio.lowlevel import current_token

from coaching_async._exceptions import ClientMisuse
from coaching_async._value import Value

__all__ = ["EventLoopRef", "PerEventLoop", "lasting_clock"]

T = TypeVar("T")


def lasting_clock() -> Callable[[], float]:
    """Return the clock of the running event loop, as a function that can be called after the loop has ended, too."""
    native: Any = current_token().native_token
    clock: Callable[[], float] = (
        getattr(native, "time", None) or sys.modules["trio"].lowlevel.current_clock().current_time
    )
    ahead = anyio.current_time() - time.monotonic()
    # A clock may stop with its loop, as uvloop's does, and that of a test may run faster.
    return lambda: max(clock(), time.monotonic() + ahead)


@attrs.frozen(eq=False, repr=False)
class EventLoopRef(Value):
    """An event loop, with its thread and its process."""

    loop: Any
    """The loop of asyncio, or the root task of trio."""
    thread: int
    process: int

    @classmethod
    def current(cls) -> "EventLoopRef":
        """Return the event loop that the caller runs in."""
        loop: Any = current_token().native_token
        if not hasattr(loop, "is_closed"):
            loop = sys.modules["trio"].lowlevel.current_root_task()
        return cls(loop, threading.get_ident(), os.getpid())

    def is_closed(self) -> bool:
        """Return whether the event loop has ended, and with it all of its tasks.

        In a forked process this does not wake the loop of the parent, as trio's token would.
        """
        if hasattr(self.loop, "is_closed"):
            return bool(self.loop.is_closed())
        return inspect.getcoroutinestate(self.loop.coro) == inspect.CORO_CLOSED


@attrs.define(eq=False, repr=False)
class PerEventLoop(Generic[T]):
    """A value that belongs to the event loop of the first caller. When that loop is closed, the next loop gets a new value.

    A caller in another loop gets a `ClientMisuse`, because two loops that share connections would hang, or fail with an
    unrelated error.
    """

    factory: Callable[[], T]
    on_discard: Callable[[T], None]
    """Called with the value of a closed loop."""
    value: T = attrs.field(init=False)
    owner: EventLoopRef | None = attrs.field(default=None, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.value = self.factory()

    def get(self) -> T:
        """Return the value for this event loop. Raises `ClientMisuse` if it belongs to another one."""
        current = EventLoopRef.current()
        if self.owner != current:
            self._rebind(current)
        return self.value

    def is_foreign(self) -> bool:
        """Return whether the value does not belong to this event loop."""
        return self.owner != EventLoopRef.current()

    def _rebind(self, current: EventLoopRef) -> None:
        with self._lock:  # two threads may call at once
            if self.owner is not None and self.owner != current:
                _refuse_other_loop(self.owner, current)
                old, self.value = self.value, self.factory()
                self.on_discard(old)
            self.owner = current


def _refuse_other_loop(owner: EventLoopRef, current: EventLoopRef) -> None:
    if owner.is_closed():
        return
    if owner.process != current.process:
        raise ClientMisuse("this client was used before the process forked: make a new one in the child")
    if owner.thread != current.thread:
        raise ClientMisuse("this client is at work in another thread's event loop: make one client for each thread")
    raise ClientMisuse("this client is at work in another event loop: make a new one, or close that loop first")
