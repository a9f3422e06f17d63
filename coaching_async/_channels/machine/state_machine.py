"""State machine of a listener: which sockets to open and close, when to ping, and when to catch up. Does no I/O and has no clock."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from .messages import Action, Input

__all__ = ["State", "StateMachine"]

State: TypeAlias = Literal["idle", "opening", "live", "moving", "waiting", "ended"]


class StateMachine:
    """Decides what a listener does. `has_list` says whether there is a list of notifications to catch up from.

    `random` returns numbers from 0 to 1.
    """

    def __init__(self, random: Callable[[], float], *, has_list: bool) -> None:
        self._random = random
        self._has_list = has_list

    @property
    def state(self) -> State:
        """What the listener does at the moment."""
        raise NotImplementedError

    @property
    def is_ready(self) -> bool:
        """Whether a socket has been live, and the catch-up after it has ended. Then the block is entered."""
        raise NotImplementedError

    def handle(self, message: Input, now: float) -> list[Action]:
        """Return what to do after an input."""
        raise NotImplementedError

    def tick(self, now: float) -> list[Action]:
        """Return what is due."""
        raise NotImplementedError

    def next_at(self) -> float | None:
        """Return when `tick` has to be called next; None if only an input changes anything."""
        raise NotImplementedError
