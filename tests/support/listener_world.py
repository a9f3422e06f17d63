"""A service that goes wrong at random, for the state machine of a listener. Its time is virtual."""

import heapq
import itertools
import math
import random
from collections import Counter, deque

import attrs

from coaching_async._channels.machine.messages import (
    Action,
    BufferDrained,
    BufferFilled,
    BytesReceived,
    CatchUp,
    CatchUpFailed,
    CaughtUp,
    ChannelCreated,
    ChannelTakenAway,
    Close,
    Fail,
    HandshakeFailed,
    Input,
    LookAtToken,
    MessageReceived,
    OpenSocket,
    Ping,
    ReportGap,
    ReportLost,
    ReportMoved,
    ReportOpened,
    SocketClosing,
    SocketLost,
    SocketOpened,
    Start,
    Subscribe,
    Subscribed,
    SubscribeFailed,
    TokenChanged,
    TokenRevoked,
    UnreadableFrame,
)
from coaching_async._channels.machine.state_machine import StateMachine

__all__ = ["DAY", "DEGREES", "World", "live_through"]

DAY = 86_400.0
DEGREES = {"calm": 0.02, "bad": 0.2, "evil": 0.6}
"""How much goes wrong."""

LATE = 20.0
"""Seconds that answers may take which are on their way when the service is well again."""

ERROR = OSError("the service is out of order")


@attrs.define
class Socket:
    """A socket as the service sees it."""

    is_frozen: bool = False
    is_mute: bool = False


class World:
    """Runs a state machine against a service. `evil` is the chance that something goes wrong, from 0 to 1.

    The laws of the machine are checked after each step.
    """

    def __init__(self, seed: int, evil: float, *, has_list: bool = True) -> None:
        self.evil = evil
        self.has_list = has_list
        self.now = 0.0
        self._chance = random.Random(seed)
        self.machine = StateMachine(random.Random(seed + 1).random, has_list=has_list)
        self._queue: list[tuple[float, int, Input | str]] = []
        self._order = itertools.count()
        self._created: set[int] = set()
        self._slots: dict[int, int] = {}
        self._sockets: dict[int, Socket] = {}
        self._attempts: set[int] = set()
        self._missed: set[str] = set()
        self._ids = itertools.count()
        self._is_catching_up = False
        self._owes_catch_up = False
        self.subscribed_at: deque[float] = deque()
        self.counts: Counter[str] = Counter()
        self._hand_over(Start())
        self._later(1.0, "heartbeat")
        self._later(1.0, "event")
        self._later(1.0, "trouble")

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.machine.state != "ended":
            tick_at = self.machine.next_at()
            event_at = self._queue[0][0] if self._queue else math.inf
            at = min(math.inf if tick_at is None else tick_at, event_at)
            if at > end:
                break
            self.now = max(self.now, at)
            if tick_at is not None and tick_at <= event_at:
                self._tick()
            else:
                what = heapq.heappop(self._queue)[2]
                if isinstance(what, str):
                    self._happen(what)
                else:
                    self._deliver(what)
        self.now = end if self.machine.state != "ended" else self.now

    def recover(self, seconds: float) -> bool:
        """Put an end to all troubles. Return whether a socket is live that brings the events after up to `seconds`."""
        self.evil = 0.0
        self._sockets = {slot: Socket() for slot in self._sockets}
        end = self.now + seconds
        while self.now < end and not self._is_well():
            self.run(0.25)
        return self._is_well()

    def _is_well(self) -> bool:
        return self.machine.state in ("live", "moving") and any(
            not socket.is_frozen and not socket.is_mute for socket in self._sockets.values()
        )

    def _later(self, seconds: float, what: Input | str) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), what))

    def _is_bad(self, weight: float = 1.0) -> bool:
        return self._chance.random() < self.evil * weight

    # The driver

    def _tick(self) -> None:
        actions = self.machine.tick(self.now)
        following = self.machine.next_at()
        assert actions or following is None or following > self.now, "time stands still"
        self._do(actions)

    def _hand_over(self, message: Input) -> None:
        self._do(self.machine.handle(message, self.now))

    def _deliver(self, message: Input) -> None:
        """Hand over an answer of the service, if the driver still waits for it. Some late ones slip through."""
        slot = getattr(message, "slot", None)
        if isinstance(message, CaughtUp | CatchUpFailed):
            assert self._is_catching_up
            self._is_catching_up = False
            if isinstance(message, CatchUpFailed):
                self._owes_catch_up = True
        elif isinstance(message, Subscribed | SubscribeFailed | SocketOpened | HandshakeFailed):
            if slot not in self._attempts and self._chance.random() < 0.5:
                return
            if isinstance(message, SocketOpened) and slot in self._attempts:
                self._sockets[slot] = Socket()
            self._attempts.discard(slot) if not isinstance(message, Subscribed) else None
        elif isinstance(message, MessageReceived | BytesReceived) and slot not in self._sockets:
            return
        self._hand_over(message)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self.counts[type(action).__name__] += 1
            match action:
                case Subscribe(slot=slot, channel=channel):
                    self._slots[slot] = channel
                    self._attempts.add(slot)
                    self.subscribed_at.append(self.now)
                    self._answer_subscribe(slot, channel)
                case OpenSocket(slot=slot):
                    assert slot in self._attempts
                    self._answer_open(slot)
                case Ping(slot=slot):
                    socket = self._sockets[slot]
                    if not socket.is_frozen and not self._is_bad(0.2):
                        self._later(self._chance.uniform(0.01, 0.3), MessageReceived(slot))
                case Close(slot=slot):
                    assert slot in self._sockets or slot in self._attempts, "it closes what it has closed"
                    self._sockets.pop(slot, None)
                    self._attempts.discard(slot)
                case CatchUp():
                    assert self.has_list
                    assert not self._is_catching_up, "two catch-ups at a time"
                    self._is_catching_up = True
                    self._owes_catch_up = False
                    self._answer_catch_up()
                case LookAtToken(slot=slot):
                    assert slot in self._sockets
                    if self._is_bad(0.02):
                        self._later(0.0, TokenChanged(slot))
                case ReportOpened(slot=slot) | ReportMoved(slot=slot):
                    assert slot in self._sockets
                    self._owes_catch_up = self.has_list
                case ReportGap(reason=reason, since=since):
                    assert since <= self.now
                    if reason in ("unreadable", "overflow"):
                        self._owes_catch_up = self.has_list
                case ReportLost() | Fail() | _:
                    pass
        self._check()

    def _check(self) -> None:
        """Check what holds at any time."""
        state, next_at = self.machine.state, self.machine.next_at()
        assert len(self._sockets) + len(self._attempts) <= 2, "at most two sockets"
        if state == "ended":
            assert not self._sockets
            assert not self._attempts
            assert next_at is None
            return
        if state == "waiting":
            assert not self._sockets
            assert not self._attempts
            assert next_at is not None
        if state in ("live", "moving"):
            assert self._sockets
            assert next_at is not None
        if state == "opening":
            assert len(self._attempts) == 1
        if state == "live":
            assert len(self._sockets) == 1
            assert not self._attempts
        if self._owes_catch_up and not self._is_catching_up:
            assert next_at is not None
            assert next_at <= self.now + 200

    # The service

    def _failure(self, slot: int, channel_exists: bool) -> SubscribeFailed:
        if channel_exists and self._chance.random() < 0.4:
            return SubscribeFailed(slot, "channel gone", ERROR)
        retry_after = self._chance.choice([None, None, None, 0.0, 5.0, 40.0])
        return SubscribeFailed(slot, "passing", ERROR, retry_after)

    def _answer_subscribe(self, slot: int, channel: int) -> None:
        delay = self._chance.uniform(0.02, 0.5) if not self._is_bad(0.2) else 15.0
        if channel not in self._created:
            if self.machine.is_ready and self._is_bad():
                self._later(delay, self._failure(slot, channel_exists=False))
                return
            self._created.add(channel)
            lifetime = 86_400.0 if not self._is_bad(0.1) else self._chance.choice([-1.0, 0.0, 300.0, 5000.0, 1e9])
            self._later(delay, ChannelCreated(slot, lifetime))
            delay += 0.1
        if self.machine.is_ready and self._is_bad(0.5):
            self._later(delay, self._failure(slot, channel_exists=True))
        else:
            self._later(delay, Subscribed(slot))

    def _answer_open(self, slot: int) -> None:
        delay = self._chance.uniform(0.02, 0.5) if not self._is_bad(0.2) else 10.0
        if self.machine.is_ready and self._is_bad():
            status = self._chance.choice([None, None, 301, 400, 403, 404, 429, 500, 503])
            retry_after = self._chance.choice([None, None, 3.0, 30.0])
            self._later(delay, HandshakeFailed(slot, ERROR, status, retry_after))
        else:
            self._later(delay, SocketOpened(slot))

    def _answer_catch_up(self) -> None:
        delay = self._chance.uniform(0.05, 1.0) if not self._is_bad(0.2) else 20.0
        if self.machine.is_ready and self._is_bad():
            self._later(delay, CatchUpFailed(ERROR, retry_after=self._chance.choice([None, None, 2.0])))
        else:
            found, self._missed = self._missed, set()
            self._later(delay, CaughtUp(found))

    def _happen(self, what: str) -> None:
        match what:
            case "heartbeat":
                for slot, socket in self._sockets.items():
                    if not socket.is_frozen:
                        self._later(0.0, BytesReceived(slot))
                        self._later(0.0, MessageReceived(slot))
                self._later(30.0, "heartbeat")
            case "event":
                id_ = f"n{next(self._ids)}"
                hearing = [slot for slot, socket in self._sockets.items() if not (socket.is_frozen or socket.is_mute)]
                for slot in hearing:
                    self._later(0.05, MessageReceived(slot, id_))
                if not hearing:
                    self._missed.add(id_)
                self._later(self._chance.expovariate(1 / 120), "event")
            case _:
                if self.machine.is_ready and self._sockets and self.evil:
                    self._trouble(self._chance.choice(list(self._sockets)))
                self._later(self._chance.expovariate(max(self.evil, 0.001) / 60), "trouble")

    def _trouble(self, slot: int) -> None:
        socket = self._sockets[slot]
        match self._chance.choices(range(9), [6, 4, 3, 2, 1, 0.3, 0.3, 2, 1])[0]:
            case 0 | 1:
                del self._sockets[slot]
                self._hand_over(SocketLost(slot, self._chance.choice(["closed", "lost", "too large", "invalid"])))
            case 2:
                self._hand_over(SocketClosing(slot))
            case 3:
                socket.is_frozen = True
            case 4:
                socket.is_mute = True
            case 5:
                self._hand_over(ChannelTakenAway(slot))
            case 6:
                self._hand_over(TokenRevoked(slot))
            case 7:
                self._hand_over(UnreadableFrame(slot))
            case _:
                self._hand_over(BufferFilled())
                self._later(self._chance.uniform(0, 30), BufferDrained(self.now))


def live_through(seed: int, degree: str, *, days: float, has_list: bool) -> None:
    """Run a world, with 24 recoveries. It may end earlier, because the channel was taken away again and again."""
    world = World(seed, DEGREES[degree], has_list=has_list)
    for _ in range(24):
        world.run(days * DAY / 24)
        if world.machine.state == "ended":
            return
        assert world.recover(75 + LATE)
        world.evil = DEGREES[degree]
