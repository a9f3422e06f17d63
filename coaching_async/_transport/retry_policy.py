"""Whether and when a request is sent again: one table and pure functions, no clock, no I/O."""

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final, NamedTuple

import attrs

from coaching_async._exceptions import Processed
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
    "parse_retry_after",
]


class Safety(enum.Enum):
    """What sending an operation twice would do."""

    SAFE = "reads only"
    DELETE = "the second time finds nothing"
    WRITE = "may do it twice"


class Fault(enum.Enum):
    """What went wrong with one request, as far as its repetition is concerned."""

    NOT_SENT = "the connection could not be made"
    NOT_CONNECTABLE = "the connection will never be made: certificate, proxy login"
    CONNECTION_LOST = "the connection broke after the request may have left"
    INVALID_HTTP = "what came is no HTTP"
    BODY_TRUNCATED = "the service did it, its answer was cut"
    BODY_CORRUPT = "the service did it, its answer is whole as far as one can see, and yet broken"
    THROTTLED = "429"
    UNAVAILABLE = "the service or its gateway failed"
    UNEXPECTED_STATUS = "an answer that the API does not know"


class Action(enum.Enum):
    """What follows."""

    RETRY = "send again"
    RETRY_ONCE = "send again, unless something went wrong before"
    RAISE = "raise"
    TREAT_AS_DONE = "count it as done"


class Decision(NamedTuple):
    """One cell of the table: what follows, and whether the service may have carried the request out."""

    action: Action
    processed: Processed


RETRY_TABLE: Final[Mapping[Fault, Mapping[Safety, Decision]]] = {
    Fault.NOT_SENT: dict.fromkeys(Safety, Decision(Action.RETRY, "no")),
    Fault.NOT_CONNECTABLE: dict.fromkeys(Safety, Decision(Action.RAISE, "no")),
    Fault.THROTTLED: dict.fromkeys(Safety, Decision(Action.RETRY, "no")),
    Fault.UNAVAILABLE: {
        Safety.SAFE: Decision(Action.RETRY, "no"),
        Safety.DELETE: Decision(Action.RETRY, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
    Fault.CONNECTION_LOST: {
        Safety.SAFE: Decision(Action.RETRY, "no"),
        Safety.DELETE: Decision(Action.RETRY, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
    Fault.INVALID_HTTP: {
        Safety.SAFE: Decision(Action.RETRY_ONCE, "no"),
        Safety.DELETE: Decision(Action.RETRY_ONCE, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
    Fault.BODY_TRUNCATED: {
        Safety.SAFE: Decision(Action.RETRY, "no"),
        Safety.DELETE: Decision(Action.TREAT_AS_DONE, "yes"),
        Safety.WRITE: Decision(Action.RAISE, "yes"),
    },
    Fault.BODY_CORRUPT: {
        Safety.SAFE: Decision(Action.RETRY_ONCE, "no"),
        Safety.DELETE: Decision(Action.TREAT_AS_DONE, "yes"),
        Safety.WRITE: Decision(Action.RAISE, "yes"),
    },
    Fault.UNEXPECTED_STATUS: {
        Safety.SAFE: Decision(Action.RAISE, "no"),
        Safety.DELETE: Decision(Action.RAISE, "maybe"),
        Safety.WRITE: Decision(Action.RAISE, "maybe"),
    },
}


DEFAULT_RETRY_AFTER: Final = 3.0
"""Seconds to wait after a 429 that names none: what the vendor's own clients do."""


def fault_from_status(status: int) -> Fault | None:
    """The fault that an HTTP status stands for; None where the answer is final and plain (2xx, most of 4xx)."""
    if status == 429:
        return Fault.THROTTLED
    if status in {408, 500, 502, 503, 504}:
        return Fault.UNAVAILABLE
    return None if 200 <= status < 300 or 400 <= status < 500 else Fault.UNEXPECTED_STATUS


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds from a Retry-After header, as a number or as a date; None where it is absent or nonsense.

    A date is measured from the answer's own Date header, so a wrong clock on either side does not matter.
    """
    if value is None:
        return None
    if (number := value.strip()).isdecimal():
        return float(number)
    try:
        then = parsedate_to_datetime(value)
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError, OverflowError):  # no date, one of the two without a zone, or beyond all time
        return None


def cooldown_seconds(retry_after: float | None) -> float:
    """Seconds for which a 429 stops everybody who uses the token, however long the one call may wait."""
    return min(DEFAULT_RETRY_AFTER if retry_after is None else retry_after, MAX_COOLDOWN)


MAX_COOLDOWN: Final = 180.0
"""A limit of one endpoint's for a day is no reason to stop all the others for a day."""


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """How often and how long a client tries again. Times are in seconds.

    `attempts` counts the first one too; waits for a 429 are counted apart, by `throttle_waits`. A Retry-After above
    `max_retry_after` is not waited for: the error comes at once and carries it.
    """

    attempts: int = attrs.field(default=4, validator=attrs.validators.ge(1))
    max_backoff: float = attrs.field(default=20.0, validator=attrs.validators.ge(0))
    throttle_waits: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    max_retry_after: float = attrs.field(default=180.0, validator=attrs.validators.ge(0))

    def wait(
        self, fault: Fault, *, failures: int, throttles: int, retry_after: float | None, random: Callable[[], float]
    ) -> float | None:
        """Seconds until the next attempt, or None for no more.

        `failures` and `throttles` count what went wrong so far, this time included; `random` gives a number in [0, 1).
        """
        if fault is Fault.THROTTLED:
            exhausted = throttles > self.throttle_waits
            wait = DEFAULT_RETRY_AFTER if retry_after is None else retry_after
        else:
            exhausted = failures >= self.attempts
            # Full jitter: clients that failed together do not come back together.
            wait = random() * min(self.max_backoff, 2.0 ** (failures - 1)) if retry_after is None else retry_after
        return None if exhausted or wait > self.max_retry_after else wait


@attrs.define(eq=False, repr=False)
class RetryBudget:
    """Keeps retries from multiplying the load of a service that is down: they stop when too few requests go well.

    A failure costs `COST`, a success gives `REFUND` back, and what is left has to be above half of `FULL`. 429s do not
    count: they are waited for, and the service counts them itself.
    """

    left: float = attrs.field(init=False)

    FULL: ClassVar[float] = 20.0
    COST: ClassVar[float] = 1.0
    REFUND: ClassVar[float] = 0.1

    def __attrs_post_init__(self) -> None:
        self.left = self.FULL

    def failed(self) -> bool:
        """Charge one failure; whether another attempt may be made."""
        self.left = max(0.0, self.left - self.COST)
        return self.left > self.FULL / 2

    def succeeded(self) -> None:
        """Give something back."""
        self.left = min(self.FULL, self.left + self.REFUND)
