"""State machine of a listener: what to do after each input, and when time has passed. Does no I/O and has no clock.

| state | is left when |
|---|---|
| idle | the listener starts |
| opening | the socket was opened, or was not |
| live | the socket is lost, or a move begins: announced by the service, before the channel expires, with a new token, or because no events come |
| moving | the previous socket is closed, or the next one was not opened or is lost: then the move begins again after a pause |
| waiting | the pause after a failure has ended |
| ended | never: the block was left, or nothing helps |
"""

import math
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

from .catch_ups import Audit, CatchUps
from .messages import (
    Action,
    BufferDrained,
    BufferFilled,
    CatchUpFailed,
    CatchUpReason,
    CaughtUp,
    Entered,
    Fail,
    Input,
    Leave,
    LookAtToken,
    MessageReceived,
    ReportGap,
    ReportLost,
    ReportMoved,
    ReportOpened,
    Start,
)
from .sockets import Sockets
from .timers import Timers
from .timings import AUDIT_INTERVAL, POLL_INTERVAL, TOKEN_INTERVAL

__all__ = ["State", "StateMachine"]

State: TypeAlias = Literal["idle", "opening", "live", "moving", "waiting", "ended"]

_Timer: TypeAlias = Literal["look at token", "audit", "poll"]


class StateMachine:
    """Decides what a listener does. `has_list` says whether there is a list of notifications to catch up from.

    `random` returns numbers from 0 to 1.
    """

    def __init__(self, random: Callable[[], float], *, has_list: bool) -> None:
        self._has_list = has_list
        self._phase: Literal["idle", "running", "ended"] = "idle"
        self._sockets = Sockets(random)
        self._timers: Timers[_Timer] = Timers()
        self._catch_ups = CatchUps(random)
        self._audit = Audit()
        self._is_dropping = False

    @property
    def state(self) -> State:
        """What the listener does at the moment."""
        return self._sockets.state if self._phase == "running" else self._phase

    @property
    def is_ready(self) -> bool:
        """Whether a socket has been live, and the catch-up after it has ended, or the block was entered anyway."""
        return self._sockets.is_ready

    def handle(self, message: Input, now: float) -> list[Action]:
        """Return what to do after an input."""
        if self._phase == "running":
            self._handle_running(message, now)
        elif self._phase == "idle" and isinstance(message, Start):
            self._phase = "running"
            self._sockets.start(now)
        elif isinstance(message, Leave):
            self._phase = "ended"
        return self._take_actions(now)

    def tick(self, now: float) -> list[Action]:
        """Return what is due."""
        if self._phase != "running":
            return []
        if self._audit.deaf_at <= now:
            self._audit.reset()
            self._sockets.move("deaf", now)
        while timer := self._timers.pop_due(now):
            match timer:
                case "look at token":
                    self._timers["look at token"] = now + TOKEN_INTERVAL
                    if live := self._sockets.live:
                        self._sockets.actions.append(LookAtToken(live.number))
                case "audit":
                    self._timers["audit"] = now + AUDIT_INTERVAL
                    self._catch_up("audit", now)
                case "poll":
                    self._timers["poll"] = now + POLL_INTERVAL
                    self._catch_up("poll", now)
        self._sockets.tick(now)
        return self._take_actions(now)

    def next_at(self) -> float | None:
        """Return when `tick` has to be called; None if only an input changes anything."""
        if self._phase != "running":
            return None
        at = min(self._sockets.next_at(), self._timers.next_at(), self._catch_ups.next_at, self._audit.deaf_at)
        return None if at == math.inf else at

    def _handle_running(self, message: Input, now: float) -> None:
        match message:
            case Start():
                pass
            case Leave():
                self._sockets.close()
                self._phase = "ended"
            case Entered():
                self._sockets.is_ready = True
            case CaughtUp(found=found):
                self._caught_up(found, now)
            case CatchUpFailed():
                self._catch_up_failed(message, now)
            case BufferFilled():
                self._is_dropping = True
                self._audit.reset()
            case BufferDrained(since=since):
                self._is_dropping = False
                self._sockets.actions.append(ReportGap("overflow", since))
            case _:
                self._sockets.handle(message, now)
                if isinstance(message, MessageReceived) and message.notification_id:
                    live = self._sockets.live
                    if live and live.number == message.slot:
                        self._audit.brought(message.notification_id)

    def _take_actions(self, now: float) -> list[Action]:
        actions, self._sockets.actions = self._sockets.actions, []
        for action in actions:
            match action:
                case ReportOpened():
                    self._socket_changed("opened", now)
                case ReportMoved():
                    self._socket_changed("moved", now)
                case ReportLost():
                    self._audit.reset()
                    self._timers = Timers({"poll": now + POLL_INTERVAL})
                case ReportGap(reason="unreadable" | "overflow" as reason):
                    self._catch_up(reason, now)
                case Fail():
                    self._phase = "ended"
                case _:
                    pass
        if self._phase == "running" and (catch_up := self._catch_ups.begin(now)):
            if catch_up.reason == "audit" and self.state == "live" and not self._is_dropping:
                self._audit.begin()
            actions.append(catch_up)
        return actions

    def _socket_changed(self, reason: Literal["opened", "moved"], now: float) -> None:
        self._audit.reset()
        self._timers = Timers({"look at token": now, "audit": now + AUDIT_INTERVAL})
        self._catch_up(reason, now)
        self._sockets.is_ready |= not self._has_list

    def _catch_up(self, reason: CatchUpReason, now: float) -> None:
        if self._has_list:
            self._catch_ups.request(reason, now)

    def _caught_up(self, found: Collection[str], now: float) -> None:
        if self._catch_ups.running:
            if self._catch_ups.running == "audit":
                self._audit.found(found, now)
            self._catch_ups.succeeded()
            self._sockets.is_ready = True

    def _catch_up_failed(self, failure: CatchUpFailed, now: float) -> None:
        if self._catch_ups.running:
            if failure.is_fatal or not self.is_ready:
                self._sockets.fail("refused", failure.error)
            else:
                self._catch_ups.failed(now, failure.retry_after)
