"""A state machine of a listener on a clock of its own, and the service that it talks to, step by step."""

from typing import TypeVar

from coaching_async._channels.machine.messages import (
    Action,
    CatchUp,
    CaughtUp,
    ChannelCreated,
    Input,
    MessageReceived,
    OpenSocket,
    SocketOpened,
    Start,
    Subscribe,
    Subscribed,
)
from coaching_async._channels.machine.state_machine import StateMachine

__all__ = ["BEGIN", "Script", "only"]

A = TypeVar("A", bound=Action)

BEGIN = 1000.0


def only(kind: type[A], actions: list[Action]) -> A:
    """Return the only action of a kind."""
    (found,) = (action for action in actions if isinstance(action, kind))
    return found


class Script:
    """Plays driver and service. `luck` is what the machine's random numbers are."""

    def __init__(self, *, has_list: bool = True, luck: float = 0.5) -> None:
        self.luck = luck
        self.machine = StateMachine(lambda: self.luck, has_list=has_list)
        self.now = BEGIN
        self.has_list = has_list

    @property
    def state(self) -> str:
        return self.machine.state

    def do(self, message: Input) -> list[Action]:
        """Hand over an input. Actions that are due at once follow."""
        return self.machine.handle(message, self.now) + self.wait(0)

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass, and return what was to be done meanwhile."""
        actions: list[Action] = []
        end = self.now + seconds
        while (at := self.machine.next_at()) is not None and at <= end:
            self.now = max(self.now, at)
            due = self.machine.tick(self.now)
            following = self.machine.next_at()
            assert due or following is None or following > self.now, "time stands still"
            actions += due
        self.now = end
        return actions

    def wait_and_hear(self, seconds: float, slot: int) -> list[Action]:
        """Let time pass while a socket brings a heartbeat every 30 s."""
        actions: list[Action] = []
        while seconds > 0:
            actions += self.wait(min(30.0, seconds))
            seconds -= 30.0
            actions += self.do(MessageReceived(slot))
        return actions

    def connect(self, subscribe: Subscribe, *, is_new: bool = True) -> list[Action]:
        """Let an attempt to open a socket succeed."""
        if is_new:
            self.do(ChannelCreated(subscribe.slot, 86_400))
        opening = only(OpenSocket, self.do(Subscribed(subscribe.slot)))
        assert (opening.slot, opening.channel) == (subscribe.slot, subscribe.channel)
        return self.do(SocketOpened(subscribe.slot))

    def go_live(self) -> int:
        """Start, and return the slot of the socket that is live. The list was caught up with."""
        subscribe = only(Subscribe, self.do(Start()))
        actions = self.connect(subscribe)
        if self.has_list:
            assert only(CatchUp, actions).reason == "opened"
            self.do(CaughtUp())
        assert self.machine.is_ready
        return subscribe.slot
