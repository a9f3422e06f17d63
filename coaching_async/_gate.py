"""When nobody may send, and how many may at once."""

import math
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Final

import anyio
import anyio.lowlevel
import attrs

from ._lanes import Lane
from ._rate import refuse_if_past_deadline

__all__ = ["Gate", "Pause", "Turn"]


@attrs.define
class Turn:
    """One request under way: whether the service took it, which a 429 and a broken connection do not tell."""

    went_well: bool = False


class Pause:
    """While it lasts, nobody sends with the token that was told to wait.

    Then one probes, and each that goes well makes room for one more at a time, so that they double with every round.
    """

    def __init__(self) -> None:
        self._ends_at = float("-inf")
        self._pauses = 0
        self._width = math.inf
        self._under_way = 0  # of those that began after the last pause
        self._changed = anyio.Event()

    def last(self, seconds: float) -> None:
        """Begin one, or let it go on for that long; a longer one already told stays."""
        self._ends_at = max(self._ends_at, anyio.current_time() + seconds)
        self._pauses += 1
        self._width, self._under_way = 1, 0

    def lets_through(self) -> bool:
        """Whether one may send now."""
        return anyio.current_time() >= self._ends_at and self._under_way < self._width

    async def wait(self) -> None:
        """Wait until one may. Raises `RateLimited` at once where the pause outlasts the deadline."""
        await anyio.lowlevel.checkpoint()
        while not self.lets_through():
            refuse_if_past_deadline(self._ends_at)
            if anyio.current_time() < self._ends_at:
                await anyio.sleep_until(self._ends_at)
            else:
                await self._changed.wait()

    @contextmanager
    def under_way(self) -> Generator[Turn]:
        """For as long as one is."""
        turn, pauses = Turn(), self._pauses
        self._under_way += 1
        try:
            yield turn
        finally:
            if pauses == self._pauses:
                self._under_way -= 1
                if turn.went_well:
                    self._width = self._width + 1 if self._width < WIDEST else math.inf
            self._changed.set()
            self._changed = anyio.Event()


WIDEST: Final = 32
"""More are not under way at once, so there is nothing left to ramp up to."""


class Gate:
    """Lets at most `width` exchanges through at once, and none in a pause of their token.

    Whether there is a pause is asked last, with the slot in hand, so that nobody who waited for a slot slips out into it;
    while it lasts no slot is held. Of bulk one at a time waits for a slot, so that a direct call has no more before it.
    """

    def __init__(self, width: int) -> None:
        self._slots = anyio.Semaphore(width)
        self._turn_of_bulk = anyio.Lock()

    @asynccontextmanager
    async def slot(self, pause: Pause, lane: Lane = Lane.DIRECT) -> AsyncGenerator[Turn]:
        """A place among those under way."""
        while True:
            await pause.wait()
            async with self._turn_of_bulk if lane is Lane.BULK else nullcontext():
                await self._slots.acquire()
            if pause.lets_through():
                break
            self._slots.release()
        try:
            with pause.under_way() as turn:
                yield turn
        finally:
            self._slots.release()
