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
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""


@attrs.frozen(eq=False, repr=False)
class RequestSent(Value):
    """A request is sent."""

    operation: str
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""
    attempt: int
    """Number of the request within its call, from 1."""
    waited: float = 0.0
    """Seconds that the call has waited so far: for permits of the rate limit, `max_concurrency` slots, and after 429s."""


@attrs.frozen(eq=False, repr=False)
class RequestAnswered(Value):
    """A response was received, with any status."""

    operation: str
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""
    attempt: int
    """Number of the request within its call, from 1."""
    status: int
    """HTTP status."""
    elapsed: float
    """Seconds from the request to the complete response."""
    correlation_id: str | None
    """Id of the request at the service, for the vendor's support. None if the response has none."""


@attrs.frozen(eq=False, repr=False)
class RequestFailed(Value):
    """A request failed without a response."""

    operation: str
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""
    attempt: int
    """Number of the request within its call, from 1."""
    error: str
    """Name of the exception's class."""
    elapsed: float
    """Seconds from the request to the failure."""


@attrs.frozen(eq=False, repr=False)
class RetryScheduled(Value):
    """The request will be retried."""

    operation: str
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""
    attempt: int
    """Number of the request that failed, from 1."""
    wait: float
    """Seconds until the next request."""
    reason: str
    """HTTP status, or name of the exception's class."""


@attrs.frozen(eq=False, repr=False)
class RowsLeftOut(Value):
    """A page of a list was read without the rows that cannot be read. If it is read again, it has another event."""

    operation: str
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""
    page: int
    """Number of the page, from 1."""
    indexes: tuple[int, ...]
    """Indexes of those rows on the page, from 0."""
    rows: int
    """Number of all rows of the page."""
    reason: str
    """What is wrong with the first of them."""


@attrs.frozen(eq=False, repr=False)
class TokenIssued(Value):
    """The login host issued a token."""

    expires_in: float
    """Seconds for which the token is valid."""


@attrs.frozen(eq=False, repr=False)
class CallFinished(Value):
    """A call ended."""

    operation: str
    """Operation of the call, for example `appointments.get`; `oauth.token` for a token."""
    attempts: int
    """Number of requests that the call sent."""
    elapsed: float
    """Seconds that the call took, waiting included."""
    error: str | None
    """Name of the exception's class. None after a success."""
    processed: Literal["no", "maybe", "yes"] = "no"
    """Whether the service has carried the call out. For a cancelled call no exception carries this."""
    is_cancelled: bool = False
    """Whether the caller was cancelled, or interrupted."""
    waited: float = 0.0
    """Seconds of `elapsed` in which the call waited, as in `RequestSent`."""


@attrs.frozen(eq=False, repr=False)
class ChannelOpened(Value):
    """A listener has an open WebSocket again, or for the first time."""

    topics: int
    """Number of the listener's topics."""
    away: float
    """Seconds for which the listener had no WebSocket."""
    attempts: int
    """Attempts to open one, this one included."""
    is_first: bool = False
    """Whether it is the listener's first one."""


@attrs.frozen(eq=False, repr=False)
class ChannelLost(Value):
    """A listener lost its WebSocket. It opens another one."""

    reason: str
    """Why, as in `Gap`."""
    code: int | None
    """Close code of the WebSocket. None if there is none."""
    lived: float
    """Seconds for which the WebSocket had been open."""


@attrs.frozen(eq=False, repr=False)
class ChannelMoved(Value):
    """A listener has replaced its WebSocket by another one. Both were open for a time, so nothing was missed."""

    reason: str
    """Why it was replaced.

    "closing": the service announced that it will close the WebSocket. "rotation": the channel expires soon. "token": the
    client has another token. "deaf": a notification in the list had not come over the WebSocket.
    """
    overlap: float
    """Seconds for which both were open."""


@attrs.frozen(eq=False, repr=False)
class ChannelClosed(Value):
    """A listener has ended, and with it its open WebSocket."""


@attrs.frozen(eq=False, repr=False)
class GapFilled(Value):
    """A listener has read the list of notifications, to find those that no event had brought."""

    reason: str
    """Why the list was read.

    "opened", "moved": another WebSocket is open. "unreadable": a frame was. "overflow": events were dropped because the
    buffer was full. "audit": every ten minutes, because a WebSocket may have become deaf. "poll": every minute without one.
    """
    found: int
    """Number of notifications that were new."""
    pages: int
    """Number of pages that were read."""
    elapsed: float
    """Seconds that it took."""


@attrs.frozen(eq=False, repr=False)
class FillFailed(Value):
    """A listener or a watch could not read the list of notifications. It tries again."""

    reason: str
    """Why the list was read, as in `GapFilled`, or "watch"."""
    error: str
    """Name of the exception's class."""


@attrs.frozen(eq=False, repr=False)
class FramesDropped(Value):
    """A listener has dropped events because its buffer was full. The reader has emptied it now."""

    count: int
    """Number of events."""


@attrs.frozen(eq=False, repr=False)
class FrameUnreadable(Value):
    """A message came over the WebSocket of a listener that cannot be read."""


@attrs.frozen(eq=False, repr=False)
class SharedStateLost(Value):
    """The shared state cannot be used. Until it is back, the client goes on with its share of the limit, and its own token."""

    reason: str
    """Name of an exception's class, or a sentence. It quotes nothing that is stored."""


@attrs.frozen(eq=False, repr=False)
class SharedStateFound(Value):
    """The shared state is back."""

    lost_for: float
    """Seconds for which it could not be used."""


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
    """Calls that were started."""
    requests: int = 0
    """Requests to the API host. Requests to the login host are not included."""
    retries: int = 0
    """Requests that were repeated."""
    throttled: int = 0
    """Responses with status 429."""
    waited: float = 0.0
    """Seconds that all ended calls together waited for permits, slots and cooldowns."""
    tokens: int = 0
    """Access tokens that the login host issued."""
    failed_calls: int = 0
    """Calls that ended with an error."""
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
