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
    "Counters",
    "Emit",
    "Event",
    "RequestAnswered",
    "RequestFailed",
    "RequestSent",
    "RetryScheduled",
    "RowsLeftOut",
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


Event: TypeAlias = (
    CallStarted
    | RequestSent
    | RequestAnswered
    | RequestFailed
    | RetryScheduled
    | RowsLeftOut
    | TokenIssued
    | CallFinished
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
            case _:
                pass

    def snapshot(self) -> Stats:
        """Return the counts so far."""
        return Stats(**self._counts, waited=self._waited)
