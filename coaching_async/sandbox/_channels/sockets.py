"""The WebSockets that are open, as a test sees them, and its orders to them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from . import frames
from .connections import Connection, Connections, Refusal


class Orders:
    """Orders to one WebSocket, or to each that is open. They may be given in any thread, and are carried out at once."""

    def _all(self) -> Sequence[Connection]:
        raise NotImplementedError

    def drop(self) -> None:
        """Abort the connection."""
        for each in self._all():
            each.drop()

    def close(self, code: int = 1001, reason: str = "") -> None:
        """Close the WebSocket with this code. The channel stays.

        Raises: `ValueError` if no server may send the code.
        """
        if not (code in _CODES or 3000 <= code <= 4999):
            raise ValueError(f"no server closes a WebSocket with the code {code}")
        for each in self._all():
            each.close(code, reason)

    def freeze(self) -> None:
        """Fall silent with the connection open: nothing is sent any more, and what the peer sends is ignored."""
        for each in self._all():
            each.freeze()

    def mute(self) -> None:
        """Lose all events from now on. Heartbeats, and answers to pings, are still sent."""
        for each in self._all():
            each.mute()

    def say_closing(self, after: float | None = None) -> None:
        """Announce the end, and close after this many seconds, by default `closing_notice`. Until then events are sent."""
        for each in self._all():
            each.say_closing(after)

    def evict(self) -> None:
        """Remove the channel, as another one of the same user and OAuth client would, say so, and close the WebSocket."""
        for each in self._all():
            each.evict()

    def double(self) -> None:
        """Send the last event again, if there was one."""
        for each in self._all():
            each.double()

    def garble(self) -> None:
        """Send a text that is not JSON."""
        self.say(frames.GARBAGE)

    def say(self, text: str) -> None:
        """Send this text."""
        for each in self._all():
            each.say(text)


class Socket(Orders):
    """A WebSocket that is open, or was. An order to one that is closed does nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _all(self) -> Sequence[Connection]:
        return (self._connection,) if self.is_open else ()

    @property
    def number(self) -> int:
        """Its number. Each WebSocket of a sandbox has a higher one than those before."""
        return self._connection.number

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self._connection.is_open

    @property
    def is_frozen(self) -> bool:
        """Whether it was frozen."""
        return self._connection.is_frozen

    @property
    def is_muted(self) -> bool:
        """Whether it was muted."""
        return self._connection.is_muted

    @property
    def topics(self) -> tuple[str, ...]:
        """The names of the topics that its channel is subscribed to."""
        return tuple(self._connection.channel.topics)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Socket) and other._connection is self._connection

    def __hash__(self) -> int:
        return hash(self._connection)

    def __repr__(self) -> str:
        marks = [name for name in ("is_open", "is_frozen", "is_muted") if getattr(self, name)]
        return f"<Socket {self.number}: {', '.join(mark.removeprefix('is_') for mark in marks) or 'closed'}>"


class Sockets(Orders, Sequence[Socket]):
    """The WebSockets that are open, oldest first. An order is given to each of them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def _all(self) -> Sequence[Connection]:
        return self._connections.all()

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> Socket: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Socket]: ...
    def __getitem__(self, index: int | slice) -> Socket | Sequence[Socket]:
        return list(self)[index]

    def __iter__(self) -> Iterator[Socket]:
        return map(Socket, self._all())

    def __repr__(self) -> str:
        return f"<Sockets: {len(self)} open>"

    @property
    def lost(self) -> int:
        """The number of events that a channel had a topic for, but no WebSocket, or one that was frozen or muted."""
        return self._connections.channels.lost

    def publish(self, topic: str, body: Mapping[str, object]) -> int:
        """Publish an event of this topic to the channels that have it, and return on how many WebSockets it is sent."""
        return self._connections.channels.publish(topic, body)

    def refuse_handshakes(self, *statuses: int, retry_after: float | None = None) -> None:
        """Refuse the next handshakes, one with each status, and with `Retry-After` in seconds if it is given.

        Raises: `ValueError` if a status is not in the range 200 to 599.
        """
        for status in statuses:
            if not 200 <= status <= 599:
                raise ValueError(f"a status must be between 200 and 599, not {status!r}")
        self._connections.refuse(*(Refusal(status, retry_after) for status in statuses))


_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
