"""The connections of WebSockets: what is sent on each, and how each ends."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import attrs
from starlette.types import Receive, Send

from . import frames
from .channels import Channel, Channels

MAX_WAITING = 100_000
"""Frames that may wait for a peer that does not read; with more, the connection is aborted."""

Close: TypeAlias = tuple[int, str]
StartTask: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


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
class Connection:
    """The connection of an open WebSocket. Its methods may be called from any thread, and are carried out in order."""

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
    def is_open(self) -> bool:
        """Whether events are still sent on it, or lost on it."""
        return self.channel.connection is self

    def leave(self) -> None:
        """Be no longer the connection of the channel."""
        self._channels.detach(self.channel, self)

    def drop(self) -> None:
        self.leave()
        self._do(self._transport.abort)

    def close(self, code: int, reason: str = "") -> None:
        self.leave()
        self._do(self._enqueue, (code, reason))

    def freeze(self) -> None:
        with self._channels.lock:
            self.is_frozen = True
            self._channels.on_change()
        self._do(self._stop_reading)

    def mute(self) -> None:
        with self._channels.lock:
            self.is_muted = True
            self._channels.on_change()

    def say_closing(self, after: float | None) -> None:
        seconds = self._channels.options.closing_notice if after is None else after
        self.say(frames.socket_closing(seconds))
        self._do(self._later, seconds, self.close, 1001)

    def evict(self) -> None:
        self._channels.evict(self.channel)

    def double(self) -> None:
        with self._channels.lock:
            if self._last is not None:
                self.say(self._last)

    def say(self, text: str) -> None:
        self._do(self._enqueue, text)

    def tell(self, event: str) -> bool:
        """Send an event; return False if it is lost. Called with the lock held."""
        if self.is_frozen or self.is_muted:
            return False
        self._last = event
        self.say(event)
        return True

    def _do(self, action: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the sandbox has stopped
            self._loop.call_soon_threadsafe(action, *arguments)

    # in the event loop of the server

    async def serve(self, receive: Receive, send: Send, start: StartTask) -> None:
        """Serve the peer until it leaves, or is made to leave. `start` starts a task that the server can cancel."""
        self._schedule_ends()
        tasks = [start(self._write(send)), start(self._beat())]
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if frames.is_ping(message.get("text") or ""):
                    self._enqueue(frames.PONG)
        finally:
            self.leave()
            for task in tasks:
                task.cancel()
            for timer in self._timers:
                timer.cancel()

    async def _write(self, send: Send) -> None:
        with contextlib.suppress(OSError):  # the peer has left
            while True:
                item = await self._outgoing.get()
                if self._transport.is_closing():
                    return
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
class Connections:
    """The connections that are open, oldest first, and how the next handshakes are refused."""

    channels: Channels
    _opened: list[Connection] = attrs.field(factory=list[Connection], init=False, repr=False)
    _refusals: deque[Refusal] = attrs.field(factory=deque[Refusal], init=False, repr=False)
    _numbers: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)

    def all(self) -> Sequence[Connection]:
        with self.channels.lock:
            return [connection for connection in self._opened if connection.is_open]

    def open(self, channel: Channel, transport: asyncio.Transport) -> Connection:
        """Return a new connection of a channel, on which events are sent from now on."""
        with self.channels.lock:
            loop = asyncio.get_running_loop()
            connection = Connection(next(self._numbers), channel, self.channels, loop, transport)
            # Those that are not open any more are forgotten here.
            self._opened = [*self.all(), connection]
            self.channels.attach(channel, connection)
            return connection

    def refuse(self, *refusals: Refusal) -> None:
        self._refusals.extend(refusals)

    def take_refusal(self) -> Refusal | None:
        with contextlib.suppress(IndexError):
            return self._refusals.popleft()
        return None
