"""`Listener`: does what its state machine says. One task, with a child task for each request, WebSocket and catch-up."""

import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Protocol

import anyio
import attrs

from coaching_async._api.client import ApiClient
from coaching_async._concurrency.synchronization import Signal
from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._events import (
    ChannelClosed,
    ChannelLost,
    ChannelMoved,
    ChannelOpened,
    FillFailed,
    FramesDropped,
    FrameUnreadable,
    GapFilled,
)
from coaching_async._exceptions import ChannelTaken, CoachingError, NotFound, TransportError
from coaching_async.models.channels import ChannelEvent

from .catch_up import CatchUpResult, will_pass
from .channels import Channels
from .frames import PING, Frame, FrameKind, read_frame
from .machine.messages import (
    Action,
    BufferDrained,
    BytesReceived,
    CatchUp,
    CatchUpFailed,
    CaughtUp,
    ChannelCreated,
    ChannelTakenAway,
    Close,
    DiscardToken,
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
from .machine.state_machine import State, StateMachine
from .reports import CHANNEL_LIMIT, Counts, GapReason
from .socket.connect_uri import http_origin
from .socket.websocket import HandshakeRefused, WebSocket, WebSocketClosed

__all__ = ["Listener", "Receiver"]


class Receiver(Protocol):
    """What becomes of the events of a listener. Nothing but `catch_up` waits."""

    has_list: bool
    """Whether there is a list to catch up from."""
    counts: Counts

    def receive(self, event: ChannelEvent[Any], slot: int, text: str, *, is_overlap: bool) -> str | None:
        """Take an event, which came as `text`. Return its notification's id, if that may be in the list."""
        ...

    async def catch_up(self) -> CatchUpResult:
        """Read the list and take what is new."""
        ...

    def tell_gaps(self) -> None:
        """Tell the reader of the gaps that were filled."""
        ...

    def report_gap(self, reason: GapReason, since: float) -> None:
        """Take a gap that began at `since` and is over."""
        ...

    def resume(self) -> int:
        """Accept events again after the buffer was full. Return how many were dropped."""
        ...


@attrs.frozen
class Message:
    """A whole message that arrived on a WebSocket."""

    slot: int
    text: str


@attrs.define(eq=False)
class Slot:
    """An attempt to open a WebSocket, or an open one, with the scope of its task."""

    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    socket: WebSocket | None = None


class Listener:
    """Driver of a state machine. Child tasks only put inputs into its inbox, so that one task decides.

    It raises nothing: `failure` is the error that has ended it. `changed` is notified whenever anything may have changed.
    """

    def __init__(self, api: ApiClient, channels: Channels, receiver: Receiver, changed: Signal) -> None:
        self.failure: Exception | None = None
        self.is_ended = False
        self.heard_at: float | None = None
        """When the service was last heard."""
        self._api = api
        self._channels: Final = channels
        self._receiver: Final = receiver
        self._changed: Final = changed
        self._machine: Final = StateMachine(random.random, has_list=receiver.has_list)
        self._inbox: Final = deque[Input | Message]()
        self._wakeup = anyio.Event()
        self._tasks = ErrorCollectingTaskGroup()
        self._slots: Final[dict[int, Slot]] = {}
        self._channel_of: dict[int, int] = {}
        self._is_open = False
        """Whether a WebSocket is live, by the events."""
        self._was_open = False

    @property
    def state(self) -> State:
        """What it does at the moment."""
        return "ended" if self.is_ended else self._machine.state

    @property
    def is_ready(self) -> bool:
        """Whether a WebSocket has been live, and the list was read after that."""
        return self._machine.is_ready

    def put(self, message: Input | Message) -> None:
        """Put an input into the inbox."""
        self._inbox.append(message)
        self._wakeup.set()

    async def run(self) -> None:
        """Listen until an error ends it, or this task is cancelled. Closing the client does that, too."""
        session = self._api.get_session()
        with anyio.CancelScope() as scope:
            session.add_call(scope)
            try:
                async with self._tasks:
                    await self._take_inputs()
                    self._tasks.cancel_scope.cancel()
            except Exception as error:  # noqa: BLE001 # raised by the stream
                self.failure = error
            finally:
                session.remove_call(scope)
                self.is_ended = True
                self._slots.clear()
                if self._is_open:
                    self._api.emit(ChannelClosed())
                self._changed.notify_all()

    async def _take_inputs(self) -> None:
        self._perform(self._machine.handle(Start(), anyio.current_time()))
        while self._machine.state != "ended":
            due = self._machine.next_at()
            with anyio.CancelScope(deadline=math.inf if due is None else due):
                await self._wakeup.wait()
            self._wakeup = anyio.Event()
            while self._inbox:
                self._take(self._inbox.popleft())
            if due is not None and anyio.current_time() >= due:
                self._perform(self._machine.tick(anyio.current_time()))
            self._changed.notify_all()

    def _take(self, message: Input | Message) -> None:
        match message:
            case Message():
                message = self._read(message)
            case BufferDrained():
                self._api.emit(FramesDropped(self._receiver.resume()))
            case _:
                pass
        self._perform(self._machine.handle(message, anyio.current_time()))

    def _read(self, message: Message) -> Input:
        """Hand out the event of a message. Return what the state machine has to know of it."""
        frame: Frame = read_frame(message.text)
        match frame:
            case ChannelEvent():
                is_overlap = len(self._slots) > 1
                id_ = self._receiver.receive(frame, message.slot, message.text, is_overlap=is_overlap)
                return MessageReceived(message.slot, id_)
            case FrameKind.HEARD:
                return MessageReceived(message.slot)
            case FrameKind.CLOSING:
                return SocketClosing(message.slot)
            case FrameKind.CHANNEL_TAKEN:
                return ChannelTakenAway(message.slot)
            case FrameKind.TOKEN_REVOKED:
                return TokenRevoked(message.slot)
            case FrameKind.UNREADABLE:
                self._api.emit(FrameUnreadable())
                return UnreadableFrame(message.slot)

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Subscribe():
                    self._channel_of[action.slot] = action.channel
                    self._start(self._subscribe, action, self._new_slot(action.slot))
                case OpenSocket():
                    self._start(self._use_socket, action, self._new_slot(action.slot))
                case Ping():
                    self._start(self._ping, action.slot)
                case Close():
                    self._close(action)
                case CatchUp():
                    self._start(self._catch_up, action.reason)
                case LookAtToken():
                    self._start(self._look_at_token, action.slot)
                case DiscardToken():
                    self._start(self._discard_token, action.slot)
                case Fail():
                    self.failure = action.error or _channel_taken()
                case ReportOpened() | ReportLost() | ReportMoved() | ReportGap():
                    self._report(action)

    def _start(self, function: Callable[..., Awaitable[None]], *args: object) -> None:
        self._tasks.start_soon(function, *args)

    def _new_slot(self, number: int) -> Slot:
        """Return a slot whose task is about to start. It can be closed before that."""
        slot = self._slots[number] = Slot()
        self._channel_of = {used: self._channel_of[used] for used in self._slots}
        self._channels.keep(self._channel_of.values())
        return slot

    async def _subscribe(self, action: Subscribe, slot: Slot) -> None:
        number, channel = action.slot, action.channel
        existed = channel in self._channels
        with slot.scope:
            try:
                if not existed:
                    self.put(ChannelCreated(number, await self._channels.create(channel)))
                await self._channels.subscribe(channel)
            except CoachingError as error:
                self._slots.pop(number, None)
                _forget_frames(error)
                retry_after = getattr(error, "retry_after", None)
                self.put(SubscribeFailed(number, _failure_kind(error, existed=existed), error, retry_after))
            else:
                self.put(Subscribed(number))

    async def _use_socket(self, action: OpenSocket, slot: Slot) -> None:
        number = action.slot
        uri = self._channels.connect_uri(action.channel)
        origin, clients = http_origin(uri), self._api.get_session().socket_clients
        heard = BytesReceived(number)

        def on_heard() -> None:
            self.heard_at = anyio.current_time()
            self.put(heard)

        socket = WebSocket(
            uri,
            lambda: clients.new_client(origin),
            owns_client=clients.borrowed is None,
            on_heard=on_heard,
        )
        del uri  # the frames of an error must not show it
        with slot.scope:
            try:
                async with socket:
                    slot.socket = socket
                    self.put(SocketOpened(number))
                    while True:
                        self.put(Message(number, await socket.receive()))
            except HandshakeRefused as error:
                self.put(HandshakeFailed(number, _handshake_error(error), error.status, error.retry_after))
            except WebSocketClosed as error:
                if slot.socket is None:
                    failure = TransportError(f"listening: {error} during the handshake")
                    self.put(HandshakeFailed(number, failure))
                else:
                    self.put(SocketLost(number, error.reason, error.code))
            finally:
                self._slots.pop(number, None)

    async def _ping(self, number: int) -> None:
        slot = self._slots.get(number)
        if slot is not None and slot.socket is not None:
            with suppress(WebSocketClosed):  # the task that reads learns of it, too
                await slot.socket.send(PING)

    def _close(self, action: Close) -> None:
        slot = self._slots.get(action.slot)
        if slot is not None and slot.socket is not None:
            self._start(slot.socket.close, action.code)  # its task ends then
        elif slot is not None:
            del self._slots[action.slot]
            slot.scope.cancel()

    async def _catch_up(self, reason: str) -> None:
        started = anyio.current_time()
        try:
            result = await self._receiver.catch_up()
        except CoachingError as error:
            self._receiver.counts.failures += 1
            self._api.emit(FillFailed(reason, type(error).__name__))
            is_fatal = not will_pass(error, is_strict=self._api.strict)
            self.put(CatchUpFailed(error, is_fatal=is_fatal, retry_after=getattr(error, "retry_after", None)))
            return
        self._api.emit(GapFilled(reason, len(result.found), result.pages, anyio.current_time() - started))
        self._receiver.tell_gaps()
        self.put(CaughtUp(result.found))

    async def _look_at_token(self, slot: int) -> None:
        with suppress(Exception):  # the next request raises it
            if await self._channels.has_other_token(self._channel_of[slot]):
                self.put(TokenChanged(slot))

    async def _discard_token(self, slot: int) -> None:
        with suppress(Exception):  # as above
            await self._channels.discard_token(self._channel_of[slot])

    def _report(self, action: ReportOpened | ReportLost | ReportMoved | ReportGap) -> None:
        counts, emit = self._receiver.counts, self._api.emit
        match action:
            case ReportOpened():
                emit(ChannelOpened(self._channels.topic_count, action.away, action.attempts, not self._was_open))
                counts.reconnects += self._was_open
                self._is_open = self._was_open = True
            case ReportLost():
                emit(ChannelLost(action.reason, action.code, action.lived))
                self._is_open = False
            case ReportMoved():
                emit(ChannelMoved(action.reason, action.overlap))
                counts.reconnects += 1
            case ReportGap():
                counts.gaps += 1
                self._receiver.report_gap(action.reason, action.since)


def _failure_kind(error: CoachingError, *, existed: bool) -> Literal["passing", "channel gone", "fatal"]:
    if isinstance(error, NotFound):  # a new channel may not be known everywhere yet
        return "channel gone" if existed else "passing"
    return "passing" if will_pass(error) else "fatal"


def _channel_taken() -> ChannelTaken:
    return ChannelTaken(
        "listening: other listeners took the channel again and again within ten minutes. A user and OAuth client has "
        f"{CHANNEL_LIMIT} channels: run fewer listeners, or give them an OAuth client of their own"
    )


def _forget_frames(error: BaseException | None) -> None:
    """Remove the frames of an error and its causes, because their variables hold the channel's id and the token."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _handshake_error(refusal: HandshakeRefused) -> TransportError:
    error = TransportError(f"listening: {refusal}")
    error.__cause__ = refusal.__cause__
    return error
