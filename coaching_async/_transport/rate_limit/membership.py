"""What a process knows of those that it shares a limit with."""

import os
import secrets

import attrs

from .limit import RateLimit
from .shared_window import CLOCK_NOISE, SharedWindow

__all__ = ["Membership"]


@attrs.define(eq=False, repr=False)
class Membership:
    """What a process knows of those that it shares a limit with. It outlives the event loop."""

    limit: RateLimit
    name: str = attrs.field(factory=lambda: secrets.token_hex(6))
    process: int = attrs.field(factory=os.getpid)
    revision: int = 0
    remembered: SharedWindow = attrs.field(factory=SharedWindow)
    """What the shared state held last."""
    ahead: float = 0.0
    """How many seconds the clock of the shared state was ahead then."""
    lateness: float = 0.0
    has_warned: bool = False

    def follow_clock(self, ahead: float) -> None:
        """Move what is remembered if the clock of the shared state was set to another time since."""
        if self.remembered.members and abs(ahead - self.ahead) > CLOCK_NOISE:
            self.remembered.shift(ahead - self.ahead)
            self.ahead = ahead

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead, or in a forked process."""
        self.ahead -= shift
        if self.process != os.getpid():
            self.name, self.process, self.revision = secrets.token_hex(6), os.getpid(), 0
