"""Channels and sockets, as the state machine knows them."""

import itertools
import math
from typing import Literal

import attrs

from .timings import CHANNEL_LIFETIME, DEAD_AFTER, MAX_OPENINGS, MIN_CHANNEL_LIFETIME, PING_AFTER, ROTATION

__all__ = ["ChannelState", "Slot", "Slots"]


@attrs.define(eq=False)
class ChannelState:
    """A channel, which may not exist yet."""

    number: int
    openings: int = 0
    """Attempts to open a socket to it."""
    replace_at: float = math.inf
    """When it is so old that it has to be replaced."""
    is_spent: bool = False
    """Whether no other socket shall be opened to it."""

    def created(self, now: float, lifetime: float | None, share: float) -> None:
        """Set when the channel is replaced. `share` is a random number from 0 to 1."""
        first, last = ROTATION
        lived = CHANNEL_LIFETIME if lifetime is None else max(lifetime, MIN_CHANNEL_LIFETIME)
        self.replace_at = now + lived * (first + (last - first) * share)

    def is_usable(self, now: float) -> bool:
        """Return whether another socket may be opened to it."""
        return not self.is_spent and self.openings < MAX_OPENINGS and now < self.replace_at


@attrs.define(eq=False)
class Slot:
    """A socket, or the attempt to open one."""

    number: int
    channel: ChannelState
    step: Literal["subscribing", "connecting", "open"] = "subscribing"
    opened_at: float = math.inf
    heard_at: float = math.inf
    pinged_at: float | None = None
    """When the silence was answered with a ping."""
    is_closing: bool = False
    """Whether the service has announced that it closes the socket."""

    def opened(self, now: float) -> None:
        """Begin the life of the socket."""
        self.step = "open"
        self.opened_at = self.heard_at = now

    def heard(self, now: float) -> None:
        """End the silence."""
        self.heard_at = now
        self.pinged_at = None

    @property
    def is_open(self) -> bool:
        """Whether it is a socket."""
        return self.step == "open"

    def lived(self, now: float) -> float:
        """Return for how many seconds the socket was open."""
        return now - self.opened_at if self.is_open else 0.0

    @property
    def silence_at(self) -> float:
        """When the silence has lasted long enough for the next step: a ping, then the end of the socket."""
        return self.heard_at + PING_AFTER if self.pinged_at is None else self.pinged_at + DEAD_AFTER


class Slots:
    """Creates slots and channels. A number is used once."""

    def __init__(self) -> None:
        self._slot_numbers = itertools.count(1)
        self._channel_numbers = itertools.count(1)

    def create(self, channel: ChannelState | None) -> Slot:
        """Return a slot with the channel, or with a new one."""
        return Slot(next(self._slot_numbers), channel or ChannelState(next(self._channel_numbers)))
