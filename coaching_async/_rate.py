"""Pacing: how many requests one token sends in a window, and when nobody may send."""

import math
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
import anyio.lowlevel
import attrs

from ._errors import RateLimited

__all__ = ["Budget", "Gate", "Pause", "RateLimit"]


@attrs.frozen
class RateLimit:
    """At most `requests` in any window of `per` seconds, for one token."""

    requests: int = attrs.field(default=300, validator=attrs.validators.ge(1))
    per: float = attrs.field(default=60.0, kw_only=True, validator=attrs.validators.gt(0))


class Budget:
    """A sliding window over one token's requests, as the service sees it.

    A permit is free again `per` seconds after its *answer* came: the service may have counted the request at any moment
    between sending and answer.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._used: deque[float] = deque()  # when each permit that was used is free again, soonest first
        self._in_flight = 0
        self._waiting = 0
        self._turn = anyio.Lock()  # first come, first served
        self._answer = anyio.Event()

    async def acquire(self) -> None:
        """Wait for a permit. Raises `RateLimited` at once when it would come after the deadline."""
        self._refuse_if_too_late()
        self._waiting += 1
        try:
            async with self._turn:
                await self._permit()
        finally:
            self._waiting -= 1
        self._in_flight += 1

    def release(self, sent: int) -> None:
        """Give a permit back after `sent` requests: none where it came to nothing, two where a 401 was replayed."""
        self._in_flight -= 1
        self._used.extend([anyio.current_time() + self._limit.per] * sent)
        self._answer.set()

    async def _permit(self) -> None:
        while not self._is_free():
            self._answer = anyio.Event()
            with anyio.move_on_after(self._used[0] - anyio.current_time() if self._used else None):
                await self._answer.wait()  # one that was not used is free at once

    def _is_free(self) -> bool:
        while self._used and self._used[0] <= anyio.current_time():
            self._used.popleft()
        return self._in_flight + len(self._used) < self._limit.requests

    def _refuse_if_too_late(self) -> None:
        free = self._is_free()
        nth = self._waiting + self._in_flight + len(self._used) - self._limit.requests
        if nth < 0 or (free and not self._waiting):
            return
        # Permits come free in the order of the answers, those in flight a window from now at best, and so on in rounds.
        rounds, nth = divmod(nth, self._limit.requests)
        soonest = self._used[nth] if nth < len(self._used) else anyio.current_time() + self._limit.per
        turn = soonest + rounds * self._limit.per
        _refuse_if_past_deadline(turn)


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
            _refuse_if_past_deadline(self._ends_at)
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
    while it lasts no slot is held.
    """

    def __init__(self, width: int) -> None:
        self._slots = anyio.Semaphore(width)

    @asynccontextmanager
    async def slot(self, pause: Pause) -> AsyncGenerator[Turn]:
        """A place among those under way."""
        while True:
            await pause.wait()
            await self._slots.acquire()
            if pause.lets_through():
                break
            self._slots.release()
        try:
            with pause.under_way() as turn:
                yield turn
        finally:
            self._slots.release()


def _refuse_if_past_deadline(turn: float) -> None:
    """Waiting for a turn that comes after the deadline helps nobody: say so at once, and when to come back."""
    now, deadline = anyio.current_time(), anyio.current_effective_deadline()
    if now < deadline < turn:  # one that is over already is told by whose it is
        wait = turn - now
        error = RateLimited(f"not sent: the rate limit leaves no room for {wait:.1f} s, which is past the deadline")
        error.retry_after = wait
        raise error
