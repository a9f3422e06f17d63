"""Where a client lives: one event loop, of one thread, in one process."""

import os
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

import anyio
import attrs
from anyio.lowlevel import current_token

from ._errors import ClientMisuse
from ._value import Value

__all__ = ["Errands", "Home", "PerLoop"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Home(Value):
    """An event loop, and whose it is."""

    loop: object
    thread: int
    process: int

    @classmethod
    def here(cls) -> "Home":
        """Where the caller runs."""
        return cls(current_token().native_token, threading.get_ident(), os.getpid())

    def is_gone(self) -> bool:
        """Whether the event loop has ended, and with it all that waited there."""
        if (is_closed := getattr(self.loop, "is_closed", None)) is not None:  # asyncio's
            return bool(is_closed())
        try:
            self.loop.run_sync_soon(int)  # type: ignore[attr-defined] # trio's
        except RuntimeError:  # its RunFinishedError, without importing trio
            return True
        return False


@attrs.define(eq=False, repr=False)
class PerLoop(Generic[T]):
    """A value for the event loop that first asks for it, and a new one when that loop is gone.

    Any other loop is told so in words: two loops that share connections hang, or end in an error about neither.
    """

    make: Callable[[], T]
    drop: Callable[[T], None]
    """Told of a value whose loop is gone."""
    value: T = attrs.field(init=False)
    home: Home | None = attrs.field(default=None, init=False)
    _moving: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.value = self.make()

    def get(self) -> T:
        """The value for this event loop. Raises `ClientMisuse` where it belongs to another one."""
        here = Home.here()
        if self.home != here:
            self._move(here)
        return self.value

    def is_elsewhere(self) -> bool:
        """Whether the value is that of another event loop than this one."""
        return self.home != Home.here()

    def _move(self, here: Home) -> None:
        with self._moving:  # two threads may come at once
            if self.home is not None and self.home != here:
                _refuse_elsewhere(self.home, here)
                old, self.value = self.value, self.make()
                self.drop(old)
            self.home = here


class Errands:
    """Short tasks of the event loop itself, which no caller's cancellation reaches. They handle what they raise.

    They see no caller's context variables either: they are for everybody, and may outlast who sent them off.
    """

    def __init__(self) -> None:
        self._tasks: set[object] = set()
        self._under_way = 0
        self._none_left = anyio.Event()

    def start(self, errand: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], None]) -> None:
        """Send one off. `ended` is called at its end, whatever that was: it may be cancelled before it has begun."""
        self._under_way += 1

        def end(task: object = None) -> None:
            self._tasks.discard(task)
            self._under_way -= 1
            if not self._under_way:
                self._none_left.set()
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

    async def all_done(self) -> None:
        """Wait until none is under way."""
        while self._under_way:
            self._none_left = anyio.Event()
            await self._none_left.wait()


def _refuse_elsewhere(home: Home, here: Home) -> None:
    if home.process != here.process:
        raise ClientMisuse("this client was used before the process forked: make a new one in the child")
    if home.is_gone():
        return
    if home.thread != here.thread:
        raise ClientMisuse("this client is at work in another thread's event loop: make one client for each thread")
    raise ClientMisuse("this client is at work in another event loop: make a new one, or close that loop first")
