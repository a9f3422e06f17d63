"""A state machine of a listener whose time passes faster than that of its driver."""

import attrs
import pytest

from coaching_async._channels import listener
from coaching_async._channels.machine.messages import (
    Action,
    BufferDrained,
    CatchUpFailed,
    ChannelCreated,
    HandshakeFailed,
    Input,
    ReportGap,
    SubscribeFailed,
)
from coaching_async._channels.machine.state_machine import StateMachine

__all__ = ["hurry"]


class FastMachine(StateMachine):
    """Shows the driver's time to the state machine `factor` times as long."""

    factor = 100.0

    def handle(self, message: Input, now: float) -> list[Action]:
        return self._slowed(super().handle(self._hurried(message), now * self.factor))

    def tick(self, now: float) -> list[Action]:
        # Rounding may make the time of `next_at` a little earlier than it was.
        return self._slowed(super().tick(now * self.factor + 1e-6))

    def next_at(self) -> float | None:
        at = super().next_at()
        return None if at is None else at / self.factor

    def _hurried(self, message: Input) -> Input:
        match message:
            case ChannelCreated(lifetime=float() as lifetime):
                return attrs.evolve(message, lifetime=lifetime * self.factor)
            case SubscribeFailed() | HandshakeFailed() | CatchUpFailed():
                waits = message.retry_after
                return message if waits is None else attrs.evolve(message, retry_after=waits * self.factor)
            case BufferDrained():
                return attrs.evolve(message, since=message.since * self.factor)
            case _:
                return message

    def _slowed(self, actions: list[Action]) -> list[Action]:
        return [
            attrs.evolve(action, since=action.since / self.factor) if isinstance(action, ReportGap) else action
            for action in actions
        ]


def hurry(monkeypatch: pytest.MonkeyPatch, factor: float = 100.0) -> None:
    """Let the time of the listeners' state machines pass faster."""
    machine = type("FastMachine", (FastMachine,), {"factor": factor})
    monkeypatch.setattr(listener, "StateMachine", machine)
