"""The WebSockets that are open, and the orders of a test to them."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, overload

import attrs
from starlette.types import Receive, Send

from . import frames
from .channels import Channel, Channels

MAX_WAITING = 100_000
"""Frames that may wait for a peer that does not read; with more, the connection is aborted."""

Close: TypeAlias = tuple[int, str]


class _Deaf(asyncio.Protocol):
    """Takes the place of a connection's protocol: it ignores what the peer sends, and learns only that it has left."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


@attrs.define(eq=False)
class Socket:
    """A WebSocket that is open. Its methods are orders: from any thread, carried out in order, at once."""

    number: int
    channel: Channel = attrs.field(repr=False)
    is_frozen: bool = attrs.field(default=False, init=False)
    is_muted: bool = attrs.field(default=False, init=False)
    _channels: Channels = attrs.field(repr=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(repr=False)
    _transport: asyncio.Transport = attrs.field(repr=False)
    _outgoing: "asyncio.Queue[str | Close]" = attrs.field(factory=asyncio.Queue, init=False, repr=False)
    _timers: list[asyncio.TimerHandle] = attrs.field(factory=list[asyncio.TimerHandle], init=False, repr=False)
    _last: str | None = attrs.field(default=None, init=False, repr=False)

    @property
    def topics(self) -> tuple[str, ...]:
        """The names that its channel is subscribed to."""
        return tuple(self.channel.topics)

    # orders

    def drop(self) -> None:
        """Abort the connection."""
        self._channels.detach(self)
        self._do(self._transport.abort)

    def close(self, code: int = 1001, reason: str = "") -> None:
        """Close the WebSocket with a code; the channel stays."""
        self._channels.detach(self)
        self._do(self._enqueue, (code, reason))

    def freeze(self) -> None:
        """Fall silent with the connection open: nothing is sent any more, and nothing is read."""
        with self._channels.lock:
            self.is_frozen = True
        self._do(self._stop_reading)

    def mute(self) -> None:
        """Lose all events from now on; heartbeats and answers to pings go on."""
        with self._channels.lock:
            self.is_muted = True

    def say_closing(self, after: float | None = None) -> None:
        """Announce the end with `v2.system.socket_closing`, and close after `closing_notice` or this many seconds."""
        seconds = self._channels.options.closing_notice if after is None else after
        self.say(frames.socket_closing(seconds))
        self._do(self._later, seconds, self.close)

    def evict(self) -> None:
        """Remove the channel, as another one of the same user and client would, and tell so."""
        self._channels.evict(self.channel)

    def double(self) -> None:
        """Send the last event again, if there was one."""
        with self._channels.lock:
            if self._last is not None:
                self.say(self._last)

    def garble(self) -> None:
        """Send a text that is not JSON."""
        self.say(frames.GARBAGE)

    def say(self, text: str) -> None:
        """Send this text."""
        self._do(self._enqueue, text)

    # what the sandbox does

    def tell(self, event: str) -> bool:
        """Send an event; return False if it is lost. Called with the lock held."""
        if self.is_frozen or self.is_muted:
            return False
        self._last = event
        self.say(event)
        return True

    async def serve(
        self, receive: Receive, send: Send, start: "Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]"
    ) -> None:
        """Serve the peer until it leaves, or is made to leave. `start` starts a task that the server can cancel."""
        self._schedule_ends()
        tasks = [start(self._write(send)), start(self._beat())]
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if frames.is_ping(message.get("text") or ""):
                    self._enqueue(frames.PONG)
        finally:
            self._channels.detach(self)
            for task in tasks:
                task.cancel()
            for timer in self._timers:
                timer.cancel()

    async def _write(self, send: Send) -> None:
        with contextlib.suppress(OSError):  # the peer has left
            while True:
                item = await self._outgoing.get()
                if self.is_frozen:
                    continue
                if isinstance(item, str):
                    await send({"type": "websocket.send", "text": item})
                else:
                    await send({"type": "websocket.close", "code": item[0], "reason": item[1]})
                    return

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._channels.options.heartbeat)
            self._enqueue(frames.HEARTBEAT)

    def _do(self, action: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the sandbox has stopped
            self._loop.call_soon_threadsafe(action, *arguments)

    # in the event loop of the server

    def _enqueue(self, item: "str | Close") -> None:
        if self._outgoing.qsize() >= MAX_WAITING:
            self._transport.abort()
        else:
            self._outgoing.put_nowait(item)

    def _stop_reading(self) -> None:
        # Reading is not paused, because then nothing would tell that the peer has left.
        protocol = self._transport.get_protocol()
        if not self._transport.is_closing() and not isinstance(protocol, _Deaf):
            self._transport.set_protocol(_Deaf(protocol))  # type: ignore[arg-type]
            self._transport.resume_reading()

    def _later(self, seconds: float, action: Callable[..., object], *arguments: object) -> None:
        self._timers.append(self._loop.call_later(seconds, action, *arguments))

    def _schedule_ends(self) -> None:
        options, channel = self._channels.options, self.channel
        left = self._channels.seconds_left(channel)
        notice = min(options.closing_notice, options.life / 2, left)
        if notice > 0:
            self._later(left - notice, self.say, frames.socket_closing(notice))
        self._later(left, self._channels.expire, channel)
        self._later(self._channels.token_life(channel.token), self._channels.expire, channel)


@attrs.frozen
class Refusal:
    """How a handshake is refused: with this status, and this Retry-After in seconds."""

    status: int
    retry_after: float | None


@attrs.define(eq=False)
class Sockets(Sequence[Socket]):
    """The WebSockets that are open, oldest first. An order to this object is one to each of them."""

    _channels: Channels = attrs.field(repr=False)
    _opened: list[Socket] = attrs.field(factory=list[Socket], init=False, repr=False)
    _refusals: deque[Refusal] = attrs.field(factory=deque[Refusal], init=False, repr=False)
    _numbers: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)

    @property
    def lost(self) -> int:
        """The number of events that were published on a channel without a socket, or with a muted or frozen one."""
        return self._channels.lost

    def __len__(self) -> int:
        return len(self._open())

    @overload
    def __getitem__(self, index: int) -> Socket: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Socket]: ...
    def __getitem__(self, index: int | slice) -> Socket | Sequence[Socket]:
        return self._open()[index]

    def __iter__(self) -> Iterator[Socket]:
        return iter(self._open())

    # orders

    def drop(self) -> None:
        """Abort each connection."""
        for socket in self:
            socket.drop()

    def close(self, code: int = 1001, reason: str = "") -> None:
        """Close each WebSocket with a code; the channels stay."""
        for socket in self:
            socket.close(code, reason)

    def freeze(self) -> None:
        """Fall silent with the connections open: nothing is sent any more, and nothing is read."""
        for socket in self:
            socket.freeze()

    def mute(self) -> None:
        """Lose all events from now on; heartbeats and answers to pings go on."""
        for socket in self:
            socket.mute()

    def say_closing(self, after: float | None = None) -> None:
        """Announce the end with `v2.system.socket_closing`, and close after `closing_notice` or this many seconds."""
        for socket in self:
            socket.say_closing(after)

    def evict(self) -> None:
        """Remove each channel, as another one of the same user and client would, and tell so."""
        for socket in self:
            socket.evict()

    def double(self) -> None:
        """Send the last event of each socket again."""
        for socket in self:
            socket.double()

    def garble(self) -> None:
        """Send a text that is not JSON."""
        for socket in self:
            socket.garble()

    def say(self, text: str) -> None:
        """Send this text."""
        for socket in self:
            socket.say(text)

    def publish(self, topic: str, body: Mapping[str, object]) -> int:
        """Publish an event of this topic to all channels that have it, and return how many sockets it is sent on."""
        return self._channels.publish(topic, body)

    def refuse_handshakes(self, *statuses: int, retry_after: float | None = None) -> None:
        """Refuse the next handshakes with these statuses, one each."""
        for status in statuses:
            if not 200 <= status <= 599:
                raise ValueError(f"a status must be between 200 and 599, not {status}")
        self._refusals.extend(Refusal(status, retry_after) for status in statuses)

    # what the sandbox does

    def take_refusal(self) -> Refusal | None:
        with contextlib.suppress(IndexError):
            return self._refusals.popleft()
        return None

    def open(self, channel: Channel, transport: asyncio.Transport) -> Socket:
        """Return a new socket of a channel, to which events are sent from now on."""
        socket = Socket(next(self._numbers), channel, self._channels, asyncio.get_running_loop(), transport)
        self._channels.attach(channel, socket)
        self._opened = [*self._open(), socket]  # forgets those that were closed
        return socket

    def _open(self) -> list[Socket]:
        with self._channels.lock:
            return [socket for socket in self._opened if socket.channel.socket is socket]
