"""The channels that exist: their topics, their limits, and the frames that are published on them."""

import itertools
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

from coaching_async.sandbox._auth.access import Caller
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject

from . import frames
from .topics import MAX_LENGTH, coaching_topic, find_topic, job_topic, single_names

Owner: TypeAlias = tuple[str | None, str]
"""The user (None for client credentials) and the OAuth client."""

EVICTED = 1000
EXPIRED = 1001


class Outlet(Protocol):
    """The connection of a channel, as far as its channel knows it. `tell` sends an event, or returns False if it is lost."""

    def tell(self, event: str, /) -> bool: ...
    def say(self, text: str, /) -> None: ...
    def close(self, code: int, /) -> None: ...


@attrs.define(eq=False)
class Channel:
    """A channel. `topics` are the single topics of each name that was subscribed to; `used` orders channels by use."""

    id: str = attrs.field(repr=False)
    token: str = attrs.field(repr=False)
    owner: Owner
    ends_at: float
    used: int
    topics: dict[str, Sequence[str]] = attrs.field(factory=dict)
    connection: Outlet | None = None

    def listens_to(self, topic: str) -> bool:
        return any(topic in names for names in self.topics.values())


@attrs.frozen
class ChannelOptions:
    """Times in seconds, and limits: of the channels of an owner, and of the topics of a channel."""

    heartbeat: float
    life: float
    closing_notice: float
    limit: int
    topic_limit: int


@attrs.define(eq=False)
class Channels:
    """All channels. Each method may be called from any thread; `lock` is the state's.

    A channel belongs to the token that created it, and ends with it; no request prolongs its life. `token_life` is the
    number of seconds that a token is still valid. `lost` counts events that no socket could be sent. `on_change` is
    called whenever a channel gets other topics, or gets or loses its connection.
    """

    options: ChannelOptions
    lock: threading.RLock
    now: Callable[[], float]
    token_life: Callable[[str], float]
    on_change: Callable[[], None] = attrs.field(default=lambda: None, init=False, repr=False)
    lost: int = attrs.field(default=0, init=False)
    _by_id: dict[str, Channel] = attrs.field(factory=dict, init=False, repr=False)
    _uses: "itertools.count[int]" = attrs.field(factory=itertools.count, init=False, repr=False)

    # requests

    def create(self, caller: Caller) -> Channel:
        with self.lock:
            owner = (caller.user_id, caller.client_id)
            own = [channel for channel in self._existing() if channel.owner == owner]
            if len(own) >= self.options.limit:
                self.evict(min(own, key=lambda channel: (channel.connection is not None, channel.used)))
            channel = Channel(str(uuid.uuid4()), caller.token, owner, self.now() + self.options.life, next(self._uses))
            self._by_id[channel.id] = channel
            return channel

    def get(self, channel_id: str, caller: Caller) -> Channel:
        with self.lock:
            channel = self.find(channel_id)
            if channel is None or channel.token != caller.token:
                raise errors.not_found("channel", channel_id)
            return channel

    def of(self, caller: Caller) -> Sequence[Channel]:
        """Return the channels of a caller's user and OAuth client, also of other tokens."""
        with self.lock:
            owner = (caller.user_id, caller.client_id)
            return [channel for channel in self._existing() if channel.owner == owner]

    def subscribe(
        self, channel: Channel, caller: Caller, names: Sequence[str], *, replace: bool, ignore_errors: bool
    ) -> Sequence[JsonObject]:
        """Add topics to a channel, or replace all of them, and return the result for each name."""
        with self.lock:
            permitted, results = _examine(names, caller, ignore_errors=ignore_errors)
            topics = permitted if replace else channel.topics | permitted
            if sum(map(len, topics.values())) > self.options.topic_limit:
                raise errors.bad_request(f"A channel has up to {self.options.topic_limit} topics.")
            channel.topics, channel.used = topics, next(self._uses)
            self.on_change()
            return results

    # the WebSocket

    def find(self, channel_id: str) -> Channel | None:
        with self.lock:
            return next((channel for channel in self._existing() if channel.id == channel_id), None)

    def attach(self, channel: Channel, connection: Outlet) -> None:
        """Make a connection the one of its channel, and close the one before."""
        with self.lock:
            if channel.connection is not None:
                channel.connection.close(EVICTED)
            self._connect(channel, connection)
            if channel.id not in self._by_id:  # it has ended since the handshake was looked at
                connection.close(EVICTED)

    def detach(self, channel: Channel, connection: Outlet) -> None:
        with self.lock:
            if channel.connection is connection:
                self._connect(channel, None)

    def _connect(self, channel: Channel, connection: Outlet | None) -> None:
        channel.connection, channel.used = connection, next(self._uses)
        self.on_change()

    def seconds_left(self, channel: Channel) -> float:
        """Return how long the channel exists yet, as far as its own end is concerned."""
        return channel.ends_at - self.now()

    # ends

    def evict(self, channel: Channel) -> None:
        self._end(channel, EVICTED, frames.no_longer_subscribed(channel.id, channel.owner))

    def expire(self, channel: Channel) -> None:
        self._end(channel, EXPIRED, None)

    def revoke(self, tokens: Collection[str]) -> None:
        """End the channels of tokens that were revoked."""
        with self.lock:
            for channel in [each for each in self._by_id.values() if each.token in tokens]:
                self._end(channel, EVICTED, frames.token_revoked(channel.id, channel.owner))

    def _end(self, channel: Channel, code: int, frame: str | None) -> None:
        with self.lock:
            self._by_id.pop(channel.id, None)
            if (connection := channel.connection) is not None:
                if frame is not None:
                    connection.say(frame)
                connection.close(code)

    def _existing(self) -> Iterator[Channel]:
        """Yield the channels that exist, and forget those whose time is over."""
        for channel in list(self._by_id.values()):
            if self.seconds_left(channel) > 0 and self.token_life(channel.token) > 0:
                yield channel
            else:
                self.expire(channel)

    # frames

    def notify(self, row: JsonObject) -> None:
        """Publish a notification that was made or marked."""
        self.publish(coaching_topic(row["user"]["id"]), frames.notification_body(row))

    def tell_of_job(self, job: JsonObject) -> None:
        """Publish the state of a job that has changed."""
        self.publish(job_topic(job["id"]), frames.job_body(job))

    def publish(self, topic: str, body: Mapping[str, object]) -> int:
        """Send an event to all channels with this topic, and return how many sockets it is sent on."""
        with self.lock:
            sent = 0
            text = None
            for channel in self._existing():
                if channel.listens_to(topic):
                    text = text or frames.event(topic, dict(body))
                    if channel.connection is not None and channel.connection.tell(text):
                        sent += 1
                    else:
                        self.lost += 1
            return sent


def _examine(
    names: Sequence[str], caller: Caller, *, ignore_errors: bool
) -> tuple[dict[str, Sequence[str]], Sequence[JsonObject]]:
    """Return the permitted topics by name, and the result for each name.

    A combined name is answered as a whole, with an entry of its own for each of its topics that is rejected.
    """
    permitted: dict[str, Sequence[str]] = {}
    results: list[JsonObject] = []
    for name in dict.fromkeys(names):
        if len(name) > MAX_LENGTH:
            raise errors.bad_request(f"The name of a topic has up to {MAX_LENGTH} characters.")
        allowed: list[str] = []
        rejected: list[JsonObject] = []
        for single in single_names(name):
            if (topic := find_topic(single)) is None:
                raise errors.bad_request(f"There is no topic {single}.")
            missing = topic.missing_permissions(single, caller)
            if missing and not ignore_errors:
                raise errors.missing_permissions(missing)
            if missing:
                rejected.append(
                    {
                        "id": single,
                        "state": "Rejected",
                        "rejectionReason": "missing permissions",
                        "missingPermissions": [*missing],
                    }
                )
            else:
                allowed.append(single)
        if allowed:
            permitted[name] = allowed
            results.append({"id": name, "state": "Permitted"})
        results += rejected
    return permitted, results
