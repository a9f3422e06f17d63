"""Events of calls, for observability. Statistics and log records are made from them.

An event holds no secret and no personal data: no path, no query, no body.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import attrs

from ._value import Value

__all__ = [
    "TOKEN_OPERATION",
    "CallFinished",
    "CallStarted",
    "ChannelClosed",
    "ChannelLost",
    "ChannelMoved",
    "ChannelOpened",
    "Counters",
    "Emit",
    "Event",
    "FillFailed",
    "FrameUnreadable",
    "FramesDropped",
    "GapFilled",
    "RequestAnswered",
    "RequestFailed",
    "RequestSent",
    "RetryScheduled",
    "RowsLeftOut",
    "SharedStateFound",
    "SharedStateLost",
    "Stats",
    "TokenIssued",
]


TOKEN_OPERATION: Final = "oauth.token"
"""The operation of requests to the login host."""


@attrs.frozen(eq=False, repr=False)
class CallStarted(Value):
    """A method of the client was called."""

    operation: str


@attrs.frozen(eq=False, repr=False)
class RequestSent(Value):
    """A request is sent. `attempt` counts from 1 within its call.

    `waited` is how many seconds the call has waited so far: for a permit of the rate limit, for one of `max_concurrency`
    slots, or for the end of the cooldown after a 429.
    """

    operation: str
    attempt: int
    waited: float = 0.0


@attrs.frozen(eq=False, repr=False)
class RequestAnswered(Value):
    """A response was received, with any status. `elapsed` is in seconds."""

    operation: str
    attempt: int
    status: int
    elapsed: float
    correlation_id: str | None


@attrs.frozen(eq=False, repr=False)
class RequestFailed(Value):
    """A request failed without a response. `error` is the name of the exception's class, `elapsed` is in seconds."""

    operation: str
    attempt: int
    error: str
    elapsed: float


@attrs.frozen(eq=False, repr=False)
class RetryScheduled(Value):
    """The request will be retried after `wait` seconds."""

    operation: str
    attempt: int
    wait: float
    reason: str


@attrs.frozen(eq=False, repr=False)
class RowsLeftOut(Value):
    """A page of a list was read without the rows that cannot be read.

    `indexes` are their indexes on the page, from 0, and `rows` is the number of all its rows. `reason` says what is wrong with
    the first of them. If a page is read again, it has another event.
    """

    operation: str
    page: int
    indexes: tuple[int, ...]
    rows: int
    reason: str


@attrs.frozen(eq=False, repr=False)
class TokenIssued(Value):
    """The login host issued a token that is valid for `expires_in` seconds."""

    expires_in: float


@attrs.frozen(eq=False, repr=False)
class CallFinished(Value):
    """A call ended. `error` is the name of the exception's class; None after a success.

    `processed` says whether the service has carried the call out. For a call that `is_cancelled`, or interrupted, no
    exception carries this. `waited` is the part of the `elapsed` seconds in which the call waited, as in `RequestSent`.
    """

    operation: str
    attempts: int
    elapsed: float
    error: str | None
    processed: Literal["no", "maybe", "yes"] = "no"
    is_cancelled: bool = False
    waited: float = 0.0


@attrs.frozen(eq=False, repr=False)
class ChannelOpened(Value):
    """A listener has an open WebSocket again, or for the first time. `topics` is the number of its topics.

    It had none for `away` seconds, in which it made `attempts` to open one, this one included.
    """

    topics: int
    away: float
    attempts: int
    is_first: bool = False


@attrs.frozen(eq=False, repr=False)
class ChannelLost(Value):
    """A listener lost its WebSocket, which had been open for `lived` seconds. It opens another one.

    `reason` is one of `GapReason`. `code` is the close code of the WebSocket, if there is one.
    """

    reason: str
    code: int | None
    lived: float


@attrs.frozen(eq=False, repr=False)
class ChannelMoved(Value):
    """A listener has replaced its WebSocket by another one. For `overlap` seconds both were open, so nothing was missed.

    `reason` is "closing" (the service announced that it will close the WebSocket), "rotation" (the channel expires soon),
    "token" (the client has another token) or "deaf" (a notification in the list had not come over the WebSocket).
    """

    reason: str
    overlap: float


@attrs.frozen(eq=False, repr=False)
class ChannelClosed(Value):
    """A listener has ended, and with it its open WebSocket."""


@attrs.frozen(eq=False, repr=False)
class GapFilled(Value):
    """A listener has read `pages` of the list of notifications within `elapsed` seconds, and `found` so many new ones.

    `reason` is "opened" or "moved" (another WebSocket is open), "unreadable" (a frame was), "overflow" (events were dropped
    because the buffer was full), "audit" (every ten minutes, because a WebSocket may have become deaf), or "poll" (every minute
    without a WebSocket).
    """

    reason: str
    found: int
    pages: int
    elapsed: float


@attrs.frozen(eq=False, repr=False)
class FillFailed(Value):
    """A listener or a watch could not read the list of notifications. It tries again. `error` is the name of the exception's class.

    `reason` is why it was read, as in `GapFilled`, or "watch".
    """

    reason: str
    error: str


@attrs.frozen(eq=False, repr=False)
class FramesDropped(Value):
    """A listener has dropped `count` events because its buffer was full. The reader has emptied it now."""

    count: int


@attrs.frozen(eq=False, repr=False)
class FrameUnreadable(Value):
    """A message came over the WebSocket of a listener that cannot be read."""


@attrs.frozen(eq=False, repr=False)
class SharedStateLost(Value):
    """The shared state cannot be used. Until it is back, the client goes on with its share of the limit, and its own token.

    `reason` is the name of an exception's class, or a sentence. It quotes nothing that is stored.
    """

    reason: str


@attrs.frozen(eq=False, repr=False)
class SharedStateFound(Value):
    """The shared state is back after `lost_for` seconds."""

    lost_for: float


Event: TypeAlias = (
    CallStarted
    | RequestSent
    | RequestAnswered
    | RequestFailed
    | RetryScheduled
    | RowsLeftOut
    | TokenIssued
    | CallFinished
    | ChannelOpened
    | ChannelLost
    | ChannelMoved
    | ChannelClosed
    | GapFilled
    | FillFailed
    | FramesDropped
    | FrameUnreadable
    | SharedStateLost
    | SharedStateFound
)


Emit: TypeAlias = Callable[[Event], None]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Stats(Value):
    """Statistics of a client since it was made."""

    calls: int = 0
    requests: int = 0
    """Requests to the API host. Requests to the login host are not included."""
    retries: int = 0
    throttled: int = 0
    """Responses with status 429."""
    waited: float = 0.0
    """Seconds that all ended calls together waited for permits, slots and cooldowns."""
    tokens: int = 0
    failed_calls: int = 0
    rows_left_out: int = 0
    """Rows of lists that cannot be read. A row counts each time that its page is read."""
    sockets: int = 0
    """WebSockets of listeners that are open now."""
    reconnects: int = 0
    """WebSockets that were opened in place of another one."""
    gaps: int = 0
    """Times in which a listener had no WebSocket, unreadable messages, and times in which events were dropped."""
    filled: int = 0
    """Notifications that listeners found in the list, because no event had brought them."""
    dropped: int = 0
    """Events that were dropped because the buffer of a listener was full."""
    shared_state_lost: int = 0
    """Times in which the shared state could not be used."""


class Counters:
    """An event handler that counts events."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._waited = 0.0

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case CallStarted():
                self._counts["calls"] += 1
            case RequestSent():
                self._counts["requests"] += event.operation != TOKEN_OPERATION
            case RequestAnswered(status=429):
                self._counts["throttled"] += 1
            case RetryScheduled():
                self._counts["retries"] += 1
            case RowsLeftOut():
                self._counts["rows_left_out"] += len(event.indexes)
            case TokenIssued():
                self._counts["tokens"] += 1
            case CallFinished():
                self._counts["failed_calls"] += event.error is not None
                self._waited += event.waited
            case SharedStateLost():
                self._counts["shared_state_lost"] += 1
            case _:
                self._count_channels(event)

    def _count_channels(self, event: Event) -> None:
        match event:
            case ChannelOpened():
                self._counts["sockets"] += 1
                self._counts["reconnects"] += not event.is_first
            case ChannelMoved():
                self._counts["reconnects"] += 1
            case ChannelLost():
                self._counts["sockets"] -= 1
                self._counts["gaps"] += 1
            case ChannelClosed():
                self._counts["sockets"] -= 1
            case FramesDropped():
                self._counts["dropped"] += event.count
                self._counts["gaps"] += 1
            case FrameUnreadable():
                self._counts["gaps"] += 1
            case GapFilled():
                self._counts["filled"] += event.found
            case _:
                pass

    def snapshot(self) -> Stats:
        """Return the counts so far."""
        return Stats(**self._counts, waited=self._waited)
