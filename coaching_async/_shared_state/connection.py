"""The connection of a client to its shared state: deadlines, and what is told when the state cannot be reached."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Generic, TypeVar, cast

import anyio
import attrs

from coaching_async._concurrency.tasks import SpawnBackgroundTask, is_cancelled
from coaching_async._events import Emit, SharedStateFound, SharedStateLost
from coaching_async._exceptions import ClientMisuse
from coaching_async._value import Secret

from .store import SharedState

__all__ = ["Loaded", "SharedStateConnection", "SharedStateUnavailable"]

T = TypeVar("T")

OPERATION_TIMEOUT: Final = 0.5
"""Seconds that one operation of the shared state takes at most."""


MAX_OPERATIONS: Final = 4
"""Operations of one client at the same time."""


PROBE_INTERVAL: Final = 1.0
"""Seconds between attempts to reach a shared state that is lost."""


MAX_REFUSALS: Final = 3
"""How often a text is found again after its swap was refused, before the place is taken for one that swaps nothing."""


PROBE: Final = "probe"
"""The name of the text that a probe writes."""


KEEP_PROBE: Final = 60.0
"""Seconds for which the text that a probe writes is kept."""


MAX_TIME: Final = 1e15
"""No clock is beyond, in seconds."""


class SharedStateUnavailable(Exception):
    """The shared state cannot be used now. Each process goes on by itself."""


@attrs.frozen(eq=False, repr=False)
class Loaded(Generic[T]):
    """A text that was loaded, as it is and parsed, with the time by the clock of the shared state."""

    text: Secret | None
    value: T
    time: float
    ahead: float
    """How many seconds that clock is ahead of the event loop's: more than it is by at most a round trip, never less."""


class SharedStateConnection:
    """The shared state, as token sources and rate limiters use it.

    An operation that fails or takes too long makes the state lost, which is told once. While it is lost every operation
    fails at once, and a background task asks once a second whether it is back.
    """

    def __init__(self, store: SharedState, emit: Emit, spawn: SpawnBackgroundTask) -> None:
        self._store = store
        self._emit = emit
        self._spawn = spawn
        self._suspect: tuple[str, Callable[[str | None], object]] | None = None
        """The text that could not be loaded or parsed last, and how it is parsed."""
        self._was_open = False
        self._lost_at: float | None = None
        self._reason = ""
        """Why it was lost."""
        self._refused: dict[str, tuple[Secret | None, int]] = {}
        """The old text of a swap that was refused, and how often it was found again since, by name."""
        self._operations = anyio.Semaphore(MAX_OPERATIONS, fast_acquire=True)
        self._is_probing = False
        self._closing = anyio.Event()

    def require_open(self) -> None:
        """Raise `ClientMisuse` for a place that was not opened yet: each process would go on by itself, and only log why."""
        if not self._was_open and getattr(self._store, "is_open", True) is False:
            how = (
                ": enter it with `async with`, around the block of the client"
                if hasattr(self._store, "__aenter__")
                else ""
            )
            raise ClientMisuse(f"this {type(self._store).__name__} is not open{how}")
        self._was_open = True

    @property
    def is_lost(self) -> bool:
        """Whether the shared state cannot be used now."""
        return self._lost_at is not None

    @property
    def is_closing(self) -> bool:
        """Whether the client is closing: what has to be written is written now."""
        return self._closing.is_set()

    async def load(self, name: str, parse: Callable[[str | None], T]) -> Loaded[T]:
        """Load the text of this name and parse it. Raises `SharedStateUnavailable`, also where `parse` raises `ValueError`."""
        async with self._turn():
            try:
                return await self._load(name, parse)
            except SharedStateUnavailable:
                self._suspect = name, parse
                raise

    async def swap(self, name: str, old: Secret | None, new: Secret, keep: float) -> bool:
        """Replace `old` by `new`, which an error's frames must not show. Return whether `old` was there. Raises `SharedStateUnavailable`.

        A swap whose caller was cancelled, or that took too long, may have been carried out.
        """
        async with self._turn():
            return await self._swap(name, old, new, keep)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None, None]:
        """Wait for other operations of this client, so that many at once are not taken for a shared state that is slow."""
        if not self.is_lost:
            async with self._operations:
                if not self.is_lost:
                    yield
                    return
        raise SharedStateUnavailable(self._reason)

    def refuse(self, reason: str) -> SharedStateUnavailable:
        """Take the state for lost because of what it does. Return the error to raise. `reason` quotes nothing of it."""
        return self._lose(reason)

    async def pause(self, seconds: float) -> None:
        """Sleep in a background task, but no longer than until the client is closed."""
        with anyio.move_on_after(seconds):
            await self._closing.wait()

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], on_done: Callable[[], None]) -> None:
        """Start a background task, which closing the client waits for. It has to end soon when `is_closing`."""
        self._spawn(function, on_done)

    def close(self) -> None:
        """Let the background tasks write what they have to write, and end."""
        self._closing.set()

    async def _load(self, name: str, parse: Callable[[str | None], T]) -> Loaded[T]:
        asked_at = anyio.current_time()
        match await self._operate(lambda: self._store.load(name)):
            case (str() | None as text, int() | float() as time) if abs(time) < MAX_TIME:
                with suppress(ValueError):
                    value, hidden = parse(text), None if text is None else Secret(text)
                    if name in self._refused:
                        self._count_refusals(name, hidden)
                    return Loaded(hidden, value, time, time - asked_at)
                raise self._lose("its text is none of this version's")
            case _:
                raise self._lose("its answer is none that SharedState.load may give")

    async def _swap(self, name: str, old: Secret | None, new: Secret, keep: float) -> bool:
        is_swapped = await self._operate(
            lambda: self._store.swap(name, None if old is None else old.reveal(), new.reveal(), keep)
        )
        if not isinstance(
            cast("object", is_swapped), bool
        ):  # the number of rows, None: taken for False, it would be tried for ever
            raise self._lose("its answer is none that SharedState.swap may give")
        if not is_swapped:
            _, found_again = self._refused.get(name, (old, 0))
            self._refused[name] = old, found_again
        return is_swapped

    def _count_refusals(self, name: str, text: Secret | None) -> None:
        """Take the state for lost if a text that was not the old one, as `swap` says, is the old one after all, again and again."""
        old, found_again = self._refused.pop(name, (None, 0))
        if found_again == MAX_REFUSALS:
            raise self._lose("it swaps no text, though no other process has")
        if old == text:
            self._refused[name] = old, found_again + 1

    async def _operate(self, operation: Callable[[], Awaitable[T]]) -> T:
        reason = "no answer in time"
        with anyio.move_on_after(OPERATION_TIMEOUT):
            try:
                return await operation()
            except BaseException as error:  # noqa: BLE001 # of any library; its text and its frames may quote what is stored
                if is_cancelled(error) or not isinstance(error, (Exception, anyio.get_cancelled_exc_class())):
                    raise error.with_traceback(None)  # noqa: B904 # it is the same error
                reason = type(error).__name__
                if isinstance(error, OSError) and error.errno is not None:
                    reason += f" ({os.strerror(error.errno)})"
        raise self._lose(reason)

    def _lose(self, reason: str) -> SharedStateUnavailable:
        """Take the state for lost. Return the error to raise."""
        if self._lost_at is None:
            self._lost_at, self._reason = anyio.current_time(), reason
            self._emit(SharedStateLost(reason))
        if not self._is_probing and not self.is_closing:
            self._is_probing = True
            self._spawn(self._probe_until_found, self._probing_ended)
        return SharedStateUnavailable(reason)

    def _probing_ended(self) -> None:
        self._is_probing = False

    async def _probe_until_found(self) -> None:
        while self._lost_at is not None:
            await self.pause(PROBE_INTERVAL)
            if self.is_closing:
                return
            with suppress(SharedStateUnavailable):
                await self._probe()
                lost_for, self._lost_at, self._suspect = anyio.current_time() - self._lost_at, None, None
                self._emit(SharedStateFound(lost_for))

    async def _probe(self) -> None:
        """Load what is used, and swap a text of its own: a place may be back for reading only."""
        if self._suspect is not None:
            await self._load(*self._suspect)
        old = await self._load(PROBE, lambda text: text)
        await self._swap(PROBE, old.text, Secret(f"{old.time}"), KEEP_PROBE)  # another process may be faster
        found = await self._load(PROBE, lambda text: text)
        if found.text == old.text:
            raise SharedStateUnavailable(self._reason)
