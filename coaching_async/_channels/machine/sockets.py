"""Sockets of a listener: which to open, which to close, when to replace one, and when to ping.

At most two exist at a time. The live one is used. For a move, the next one is opened beside it, to a channel of its own.
When the next one has received a message, it is the live one. The previous one is closed `OVERLAP` seconds later, because what it
still has on the way may arrive after that message.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

from .backoff import Backoff
from .messages import (
    Action,
    BytesReceived,
    ChannelCreated,
    ChannelTakenAway,
    Close,
    DiscardToken,
    EndReason,
    Fail,
    HandshakeFailed,
    LossReason,
    MessageReceived,
    MoveReason,
    OpenSocket,
    Ping,
    ReportGap,
    ReportLost,
    ReportMoved,
    ReportOpened,
    SlotInput,
    SocketClosing,
    SocketLost,
    SocketOpened,
    Subscribe,
    Subscribed,
    SubscribeFailed,
    TokenChanged,
    TokenRevoked,
    UnreadableFrame,
)
from .slots import ChannelState, Slot, Slots
from .timers import Timers
from .timings import ATTEMPTS_BEFORE_READY, CLOSING_SPREAD, MAX_TAKEN, OVERLAP, STEADY_AFTER, TAKEN_WINDOW

__all__ = ["Sockets"]

_Timer: TypeAlias = Literal["retry", "move", "rotate", "close previous"]

_CHANNEL_GONE = (400, 401, 403, 404, 410)
"""Statuses of a handshake that only another channel helps against."""


class Sockets:
    """Decides about the sockets. Each method adds to `actions`. Inputs that come too late for their slot are ignored."""

    def __init__(self, random: Callable[[], float]) -> None:
        self.actions: list[Action] = []
        self.is_ready = False
        """Whether the block was entered. Before that, failures are the caller's."""
        self.live: Slot | None = None
        """The socket that is used, or the attempt to open it."""
        self._next: Slot | None = None
        self._previous: Slot | None = None
        self._channel: ChannelState | None = None
        """What the next attempt without a live socket uses."""
        self._spare: ChannelState | None = None
        """What the next move uses: the channel of a move that failed."""
        self._random = random
        self._slots = Slots()
        self._timers: Timers[_Timer] = Timers()
        self._backoff = Backoff(random)
        self._attempts = 0
        self._lost_at = math.inf
        self._gap: ReportGap | None = None
        self._move_reason: MoveReason = "rotation"
        self._taken_at: deque[float] = deque(maxlen=MAX_TAKEN)

    @property
    def state(self) -> Literal["opening", "live", "moving", "waiting"]:
        """What happens with the sockets at the moment."""
        if self.live is None:
            return "waiting"
        if not self.live.is_open:
            return "opening"
        return "moving" if self._next or self._previous else "live"

    def next_at(self) -> float:
        """Return when `tick` has to be called; infinity if only an input changes anything."""
        silences = [slot.silence_at for slot in (self.live, self._next) if slot and slot.is_open]
        return min(*silences, self._timers.next_at(), math.inf)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for slot in (self.live, self._next):
            if slot and slot.is_open and slot.silence_at <= now:
                self._silent(slot, now)
        while timer := self._timers.pop_due(now):
            match timer:
                case "retry":
                    self._open(now)
                case "move":
                    self._begin_move(now)
                case "rotate":
                    self.move("rotation", now)
                case "close previous":
                    self._close_previous()

    def close(self) -> None:
        """Close all sockets."""
        self.actions += [Close(slot.number) for slot in (self.live, self._next, self._previous) if slot]
        self.live = self._next = self._previous = None

    def start(self, now: float) -> None:
        """Begin to open the first socket."""
        self._lost_at = now
        self._open(now)

    def handle(self, message: SlotInput, now: float) -> None:
        """React to an input."""
        slots = (self.live, self._next, self._previous)
        slot = next((slot for slot in slots if slot and slot.number == message.slot), None)
        if slot is None:
            return
        match slot.step, message:
            case "subscribing", ChannelCreated(lifetime=lifetime):
                slot.channel.created(now, lifetime, self._random())
            case "subscribing", Subscribed():
                slot.step = "connecting"
                slot.channel.openings += 1
                self.actions.append(OpenSocket(slot.number, slot.channel.number))
            case "subscribing", SubscribeFailed(kind=kind, error=error, retry_after=retry_after):
                if kind == "fatal" or (kind == "passing" and not self.is_ready):
                    self.fail("refused", error)
                else:
                    self._not_opened(slot, now, error, retry_after, is_channel_gone=kind == "channel gone")
            case "connecting", SocketOpened():
                self._opened(slot, now)
            case "connecting", HandshakeFailed(status=status, error=error, retry_after=retry_after):
                self._not_opened(slot, now, error, retry_after, is_channel_gone=status in _CHANNEL_GONE)
            case "connecting", SocketLost():
                self._try_again(slot, now)
            case "open", _:
                self._handle_open(slot, message, now)
            case _:
                pass

    def _handle_open(self, slot: Slot, message: SlotInput, now: float) -> None:
        match message:
            case BytesReceived():
                slot.heard(now)
            case UnreadableFrame():
                slot.heard(now)
                self.actions.append(ReportGap("unreadable", now))
            case MessageReceived():
                slot.heard(now)
                if slot is self._next:
                    self._finish_move(slot, now)
            case SocketClosing():
                if slot is self.live and not slot.is_closing:
                    self.move("closing", now)
                slot.is_closing = True
            case TokenChanged():
                if slot is self.live:
                    self.move("token", now)
            case ChannelTakenAway():
                self._taken_away(slot, now)
            case TokenRevoked():
                self._spare = None
                self.actions += [DiscardToken(slot.number), Close(slot.number)]
                self._lost(slot, "token revoked", now, is_channel_gone=True)
            case SocketLost(reason=reason, code=code):
                self._lost(slot, reason, now, code)
            case _:
                pass

    # Opening

    def _open(self, now: float) -> None:
        channel, self._channel = self._channel, None
        if channel is None or not channel.is_usable(now):
            channel = self._take_spare(now)
        self._attempts += 1
        self.live = self._subscribe(channel)

    def _subscribe(self, channel: ChannelState | None) -> Slot:
        slot = self._slots.create(channel)
        self.actions.append(Subscribe(slot.number, slot.channel.number))
        return slot

    def _take_spare(self, now: float) -> ChannelState | None:
        spare, self._spare = self._spare, None
        return spare if spare and spare.is_usable(now) else None

    def _not_opened(
        self, slot: Slot, now: float, error: Exception, retry_after: float | None, *, is_channel_gone: bool
    ) -> None:
        if not self.is_ready and self._attempts >= ATTEMPTS_BEFORE_READY:
            self.fail("refused", error)
        else:
            self._try_again(slot, now, retry_after, is_channel_gone=is_channel_gone)

    def _try_again(
        self, slot: Slot, now: float, retry_after: float | None = None, *, is_channel_gone: bool = False
    ) -> None:
        channel = None if is_channel_gone else slot.channel
        again_at = now + self._backoff.pause(retry_after)
        if slot is self._next:
            self._next, self._spare = None, channel
            self._timers["move"] = again_at
        else:
            self.live, self._channel = None, channel
            self._timers["retry"] = again_at

    def _opened(self, slot: Slot, now: float) -> None:
        slot.opened(now)
        self.actions.append(Ping(slot.number))
        if slot is self.live:
            self.actions.append(ReportOpened(slot.number, now - self._lost_at, self._attempts))
            self._attempts = 0
            if self._gap:
                self.actions.append(self._gap)
                self._gap = None
            self._is_live(slot, now)

    def _is_live(self, slot: Slot, now: float) -> None:
        self._timers["rotate"] = slot.channel.replace_at
        if slot.is_closing:
            self.move("closing", now)

    # Moving

    def move(self, reason: MoveReason, now: float) -> None:
        """Replace the live socket, unless that is done already."""
        live = self.live
        if live is None or not live.is_open:
            return
        if reason != "closing":
            live.channel.is_spent = True
        if reason == "token":
            self._spare = None
        if self._next:
            return
        at = now + CLOSING_SPREAD * self._random() if reason == "closing" else now
        if live.lived(now) < STEADY_AFTER:
            at = max(at, now + self._backoff.pause())
        elif "move" not in self._timers:
            self._backoff.reset()
        if at < self._timers.get("move", math.inf):
            self._timers["move"] = at
            self._move_reason = reason

    def _begin_move(self, now: float) -> None:
        self._close_previous()
        self._next = self._subscribe(self._take_spare(now))

    def _finish_move(self, following: Slot, now: float) -> None:
        self._previous = self.live
        self._timers["close previous"] = now + OVERLAP
        if self._previous and self._previous.lived(now) >= STEADY_AFTER:
            self._backoff.reset()
        self._replace_live(following, now)

    def _replace_live(self, following: Slot, now: float) -> None:
        self.live, self._next = following, None
        self.actions.append(ReportMoved(following.number, self._move_reason, following.lived(now)))
        self._is_live(following, now)

    def _close_previous(self) -> None:
        if self._previous:
            self.actions.append(Close(self._previous.number))
            self._previous = None

    # Losing

    def _silent(self, slot: Slot, now: float) -> None:
        if slot.pinged_at is None:
            slot.pinged_at = now
            self.actions.append(Ping(slot.number))
        else:
            self.actions.append(Close(slot.number, 1001))
            self._lost(slot, "silent", now)

    def _taken_away(self, slot: Slot, now: float) -> None:
        # The service may take the topics from the channel of the live socket because a move has subscribed to them.
        is_own_doing = slot is self._previous or (slot is self.live and self._next is not None)
        if not is_own_doing:
            if len(self._taken_at) == MAX_TAKEN and now - self._taken_at[0] < TAKEN_WINDOW:
                self.fail("channel taken")
                return
            self._taken_at.append(now)
        self.actions.append(Close(slot.number))
        self._lost(slot, "channel taken", now, is_channel_gone=True)

    def _lost(
        self, slot: Slot, reason: LossReason, now: float, code: int | None = None, *, is_channel_gone: bool = False
    ) -> None:
        if slot is self._previous:
            self._previous = None
        elif slot is self._next:
            self._try_again(slot, now, is_channel_gone=is_channel_gone)
        elif self._next and self._next.is_open:
            if slot.heard_at < self._next.opened_at:
                self.actions.append(ReportGap(reason, slot.heard_at))
            self._replace_live(self._next, now)
        else:
            self._gap = ReportGap(reason, slot.heard_at)
            self._lost_at = now
            self.actions.append(ReportLost(slot.number, reason, code, slot.lived(now)))
            self._close_previous()
            self._timers.clear()
            if slot.lived(now) >= STEADY_AFTER:
                self._backoff.reset()
            if self._next:
                self.live, self._next, self._attempts = self._next, None, 1
            else:
                self._try_again(slot, now, is_channel_gone=is_channel_gone)

    def fail(self, reason: EndReason, error: Exception | None = None) -> None:
        """Close all sockets, because nothing helps."""
        self.close()
        self.actions.append(Fail(reason, error))
