"""Retry policy: whether a request is retried, and after which delay (exponential backoff, jitter, Retry-After). No I/O."""

import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final, NamedTuple

import attrs

from coaching_async._exceptions import Processed
from coaching_async._refusals.arguments import number_of_seconds, true_or_false, whole_number
from coaching_async._refusals.suggestions import choices
from coaching_async._value import Value

__all__ = [
    "RETRY_TABLE",
    "Action",
    "Decision",
    "Fault",
    "RetryBudget",
    "RetryPolicy",
    "Safety",
    "cooldown_seconds",
    "fault_from_status",
    "parse_http_date",
    "parse_retry_after",
    "safety_of",
]


class Safety(enum.Enum):
    """What sending a request twice would do: whether it is safe, idempotent or neither (RFC 9110, section 9.2)."""

    SAFE = "only reads"
    DELETE = "idempotent: the second one finds nothing"
    UPDATE = "idempotent: the second one sets the same values"
    WRITE = "may be carried out twice"


METHODS: Final = {
    "GET": Safety.SAFE,
    "POST": Safety.WRITE,
    "PUT": Safety.WRITE,
    "PATCH": Safety.WRITE,
    "DELETE": Safety.DELETE,
    "HEAD": Safety.SAFE,
    "OPTIONS": Safety.WRITE,
}
"""HTTP method → what sending a request of it twice would do, if nothing else is known of it."""


def safety_of(method: str, *, changes_nothing: bool) -> Safety:
    """Return the safety of a request. Raise `ValueError` for an unknown method."""
    if method not in METHODS:
        raise ValueError(f"method {method!r} does not exist: {choices(method, METHODS)}")
    return Safety.SAFE if changes_nothing else METHODS[method]


class Fault(enum.Enum):
    """A kind of failure of one attempt, by which `RETRY_TABLE` decides."""

    NOT_SENT = "no connection could be opened"
    NOT_CONNECTABLE = "no connection can ever be opened: certificate, proxy login"
    CONNECTION_LOST = "the connection broke after the request may have been sent"
    INVALID_HTTP = "the response is no HTTP"
    BODY_TRUNCATED = "carried out, but the response was cut off"
    BODY_CORRUPT = "carried out, but the response is corrupt although it seems complete"
    THROTTLED = "429"
    UNAVAILABLE = "the service or its gateway failed"
    UNEXPECTED_STATUS = "a status that the API does not use"


class Action(enum.Enum):
    """What to do after a failed attempt."""

    RETRY = "retry"
    RETRY_ONCE = "retry if this is the first failure"
    RAISE = "raise"
    TREAT_AS_DONE = "treat as done"


class Decision(NamedTuple):
    """One cell of the table: what to do, and whether the service may have carried the request out."""

    action: Action
    processed: Processed


RETRY_TABLE: Final[Mapping[Fault, Mapping[Safety, Decision]]] = {
    Fault.NOT_SENT: dict.fromkeys(Safety, Decision(Action.RETRY, "no")),
    Fault.NOT_CONNECTABLE: dict.fromkeys(Safety, Decision(Action.RAISE, "no")),
    Fault.THROTTLED: dict.fromkeys(Safety, Decision(Action.RETRY, "no")),
    Fault.UNAVAILABLE: {
        Safety.SAFE: Decision(Action.RETRY, "no"),
        Safety.DELETE: Decision(Action.RETRY, "maybe"),
        Safety.UPDATE: Decision(Action.RETRY, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
    Fault.CONNECTION_LOST: {
        Safety.SAFE: Decision(Action.RETRY, "no"),
        Safety.DELETE: Decision(Action.RETRY, "maybe"),
        Safety.UPDATE: Decision(Action.RETRY, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
    Fault.INVALID_HTTP: {
        Safety.SAFE: Decision(Action.RETRY_ONCE, "no"),
        Safety.DELETE: Decision(Action.RETRY_ONCE, "maybe"),
        Safety.UPDATE: Decision(Action.RETRY_ONCE, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
    Fault.BODY_TRUNCATED: {
        Safety.SAFE: Decision(Action.RETRY, "no"),
        Safety.DELETE: Decision(Action.TREAT_AS_DONE, "yes"),
        Safety.UPDATE: Decision(Action.RETRY, "yes"),
        Safety.WRITE: Decision(Action.RAISE, "yes"),
    },
    Fault.BODY_CORRUPT: {
        Safety.SAFE: Decision(Action.RETRY_ONCE, "no"),
        Safety.DELETE: Decision(Action.TREAT_AS_DONE, "yes"),
        Safety.UPDATE: Decision(Action.RETRY_ONCE, "yes"),
        Safety.WRITE: Decision(Action.RAISE, "yes"),
    },
    Fault.UNEXPECTED_STATUS: {
        Safety.SAFE: Decision(Action.RAISE, "no"),
        Safety.DELETE: Decision(Action.RAISE, "maybe"),
        Safety.UPDATE: Decision(Action.RAISE, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
}


DEFAULT_RETRY_AFTER: Final = 3.0
"""Seconds to wait after a 429 without Retry-After. The vendor's own clients do the same."""


def fault_from_status(status: int) -> Fault | None:
    """Return the fault of an HTTP status; None if the response is final (2xx, most of 4xx)."""
    if status == 429:
        return Fault.THROTTLED
    if status in {408, 500, 502, 503, 504}:
        return Fault.UNAVAILABLE
    return None if 200 <= status < 300 or 400 <= status < 500 else Fault.UNEXPECTED_STATUS


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Return the seconds of a Retry-After header, numbers or dates; None if it is absent or invalid.

    A fraction is rounded up. Of several values the longest counts. A date is compared with the response's own Date header,
    so clock skew does not matter.
    """
    found = (_seconds(part.strip(), date) for part in SEPARATOR.split(value or ""))
    longest = max((seconds for seconds in found if seconds is not None), default=None)
    return None if longest is None else float(math.ceil(min(longest, MAX_RETRY_AFTER)))


SEPARATOR: Final = re.compile(r"(?<!Mon)(?<!Tue)(?<!Wed)(?<!Thu)(?<!Fri)(?<!Sat)(?<!Sun)(?<!day),", re.IGNORECASE)
"""The comma between values. Within a date there is one after the day of the week."""


MAX_RETRY_AFTER: Final = 1e9
"""Longest time in seconds that is returned: thirty years."""


def _seconds(value: str, date: str | None) -> float | None:
    if re.fullmatch(r"[0-9]+\.?[0-9]*|\.[0-9]+", value):
        return float(value)
    retry_at, now = parse_http_date(value), parse_http_date(date) if date else datetime.now(UTC)
    return None if retry_at is None or now is None else max(0.0, (retry_at - now).total_seconds())


def parse_http_date(value: str) -> datetime | None:
    """Return the time of an HTTP date, which is in GMT, in any of its three forms; None if it is invalid."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def cooldown_seconds(retry_after: float | None) -> float:
    """Return the seconds for which a 429 stops all requests of the token, whatever the policy of the one call.

    0 names no time: then the backoff of the call counts.
    """
    return min(DEFAULT_RETRY_AFTER if retry_after is None else retry_after, MAX_COOLDOWN)


MAX_COOLDOWN: Final = 180.0
"""Seconds, because the Retry-After of one endpoint may be a day, and the token serves the others too."""


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """How often a client retries, and how long it waits before."""

    attempts: int = attrs.field(default=4, validator=whole_number(at_least=1))
    """Requests of a call at most, the first one included. 429s do not count."""
    max_backoff: float = attrs.field(default=20.0, validator=number_of_seconds(is_zero_allowed=True))
    """Longest backoff, in seconds."""
    throttle_waits: int = attrs.field(default=5, validator=whole_number(at_least=0))
    """Waits of a call after 429s at most."""
    max_retry_after: float = attrs.field(default=180.0, validator=number_of_seconds(is_zero_allowed=True))
    """Longest Retry-After, in seconds, that is waited for.

    A longer one raises the error at once, whose `retry_after` has the seconds. If it is 0, or shorter than the backoff after
    another fault than a 429, the client waits for the backoff.
    """
    repeat_updates: bool = attrs.field(default=False, validator=true_or_false, kw_only=True)
    """Whether an update whose outcome is unknown is repeated, as a read is.

    These are `appointments.update` without a `status`, `annotations.update` and `notifications.mark_read`: they set fields to
    values, so a second request sets the same values again. It may overwrite a change that was made in between, and attendees
    may be notified twice. A change of the status is never repeated, because the service keeps a history of it, and neither is a
    PATCH of `CoachingClient.request`.
    """

    def wait(
        self, fault: Fault, *, failures: int, throttles: int, retry_after: float | None, random: Callable[[], float]
    ) -> float | None:
        """Return the seconds until the next attempt, or None if there is none.

        `throttles` counts the 429s of the call so far and `failures` its other faults, the current one included. `random`
        returns a number in [0, 1).
        """
        if fault is Fault.THROTTLED:
            exhausted = throttles > self.throttle_waits
            wait = DEFAULT_RETRY_AFTER if retry_after is None else retry_after or self.backoff(throttles, random)
        else:
            exhausted = failures >= self.attempts
            if retry_after is None:
                # Full jitter, because clients that failed together must not retry together.
                wait = random() * self._max_delay(failures)
            else:
                wait = max(retry_after, self.backoff(failures, random))
        return None if exhausted or wait > self.max_retry_after else wait

    def backoff(self, failures: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait at least after a response that names a shorter time, or 0.

        Half of it is certain, because full jitter may be next to nothing.
        """
        return self._max_delay(failures) * (1 + random()) / 2

    def _max_delay(self, failures: int) -> float:
        return min(self.max_backoff, 2.0 ** (failures - 1))


@attrs.define(eq=False, repr=False)
class RetryBudget:
    """Stops retries when too few requests succeed, because retries would multiply the load of a service that is down.

    A failure takes `COST` from the budget and a success returns `REFUND`. A retry is allowed while more than half of `FULL`
    is left. 429s do not count, because the service limits them itself.
    """

    left: float = attrs.field(init=False)

    FULL: ClassVar[float] = 20.0
    COST: ClassVar[float] = 1.0
    REFUND: ClassVar[float] = 0.1

    def __attrs_post_init__(self) -> None:
        self.left = self.FULL

    def failed(self) -> bool:
        """Charge one failure. Return whether a retry is allowed."""
        self.left = max(0.0, self.left - self.COST)
        return self.left > self.FULL / 2

    def succeeded(self) -> None:
        """Refund part of a failure."""
        self.left = min(self.FULL, self.left + self.REFUND)
