"""Which event loop, thread and process a client belongs to."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import attrs
from anyio.lowlevel import current_token

from coaching_async._exceptions import ClientMisuse
from coaching_async._value import Value

__all__ = ["EventLoopRef", "PerEventLoop"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class EventLoopRef(Value):
    """An event loop, and whose it is."""

    loop: object
    thread: int
    process: int

    @classmethod
    def current(cls) -> "EventLoopRef":
        """Where the caller runs."""
        return cls(current_token().native_token, threading.get_ident(), os.getpid())

    def is_closed(self) -> bool:
        """Whether the event loop has ended, and with it all that waited there."""
        if (is_closed := getattr(self.loop, "is_closed", None)) is not None:  # asyncio's
            return bool(is_closed())
        try:
            self.loop.run_sync_soon(int)  # type: ignore[attr-defined] # trio's
        except RuntimeError:  # its RunFinishedError, without importing trio
            return True
        return False


@attrs.define(eq=False, repr=False)
class PerEventLoop(Generic[T]):
    """A value for the event loop that first asks for it, and a new one when that loop is gone.

    Any other loop is told so in words: two loops that share connections hang, or end in an error about neither.
    """

    factory: Callable[[], T]
    on_discard: Callable[[T], None]
    """Told of a value whose loop is gone."""
    value: T = attrs.field(init=False)
    owner: EventLoopRef | None = attrs.field(default=None, init=False)
    _moving: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.value = self.factory()

    def get(self) -> T:
        """The value for this event loop. Raises `ClientMisuse` where it belongs to another one."""
        here = EventLoopRef.current()
        if self.owner != here:
            self._rebind(here)
        return self.value

    def is_foreign(self) -> bool:
        """Whether the value is that of another event loop than this one."""
        return self.owner != EventLoopRef.current()

    def _rebind(self, here: EventLoopRef) -> None:
        with self._moving:  # two threads may come at once
            if self.owner is not None and self.owner != here:
                _refuse_other_loop(self.owner, here)
                old, self.value = self.value, self.factory()
                self.on_discard(old)
            self.owner = here


def _refuse_other_loop(home: EventLoopRef, here: EventLoopRef) -> None:
    if home.process != here.process:
        raise ClientMisuse("this client was used before the process forked: make a new one in the child")
    if home.is_closed():
        return
    if home.thread != here.thread:
        raise ClientMisuse("this client is at work in another thread's event loop: make one client for each thread")
    raise ClientMisuse("this client is at work in another event loop: make a new one, or close that loop first")
