"""What can go wrong, as classes.

CoachingError                 .processed .attempts .operation .partial .cursor
├── ConfigurationError        also a ValueError: the client was set up wrongly
├── ClientMisuse              also a RuntimeError: a good client used wrongly (closed, say)
├── TransportError            no usable answer: connect, certificate, protocol
│   └── OutcomeUnknown        a write that may have been carried out (.reference)
├── DeadlineExceeded          also a TimeoutError: out of time, surely nothing done
├── AuthError                 the login host refuses
├── DecodeError               2xx, but not what the API promises
└── ResponseError             .status .code .message .correlation_id .details .retry_after
    ├── BadRequest 400 · Unauthorized 401 · Forbidden 403 · NotFound 404 · Conflict 409
    ├── RateLimited 429
    └── ServerError 5xx, 408

All of them pickle and copy. None holds a secret, a request or a foreign traceback.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from .models.common import AppointmentReference
from .models.errors import ErrorDetail

__all__ = [
    "AuthError",
    "BadRequest",
    "ClientMisuse",
    "CoachingError",
    "ConfigurationError",
    "Conflict",
    "DeadlineExceeded",
    "DecodeError",
    "Forbidden",
    "NotFound",
    "OutcomeUnknown",
    "Processed",
    "RateLimited",
    "ResponseError",
    "ServerError",
    "TransportError",
    "Unauthorized",
    "check_before_retrying",
    "redact",
    "worst_processed",
]


Processed: TypeAlias = Literal["no", "maybe", "yes"]
"""Whether the service carried the call out. "no" means: sending it again does nothing twice."""


class CoachingError(Exception):
    """Anything that this library raises on purpose, except `ValueError` and `TypeError` for bad arguments."""

    processed: Processed = "no"
    attempts: int = 0
    """Requests sent for the call, the failing one included."""
    operation: str | None = None
    """The method called, for example "appointments.get"."""
    partial: Sequence[object] = ()
    """What `Listing.collect` had read before it failed, the job as `schedule_slots.find` last saw it, or the outcomes of a
    bulk whose input failed."""
    cursor: str | None = None
    """Where a walk that failed goes on, in this process or another: `appointments.list(..., cursor=...)`."""

    def __init__(self, message: str, *, processed: Processed = "no") -> None:
        super().__init__(message)
        self.processed = processed

    # An exception pickles as cls(*args); ours carry more than their text.
    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__.copy())


def _revive(cls: type[CoachingError], args: tuple[object, ...], state: dict[str, object]) -> CoachingError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(CoachingError, ValueError):
    """The client cannot be made from what it was given. The text names what is wrong or missing."""


class ClientMisuse(CoachingError, RuntimeError):
    """The client, or a walk, is used in a way that cannot work: after it was closed, say."""


class TransportError(CoachingError):
    """No usable answer came. `__cause__` is what the HTTP library said, without its request."""


class OutcomeUnknown(TransportError):
    """A write that may have been carried out: look before you send it again.

    `processed` is "yes" where the service said that it did it but its answer could not be read. `reference` points to
    the new appointment where the service accepted it (202) and it has not been seen yet.
    """

    reference: AppointmentReference | None = None


class DeadlineExceeded(CoachingError, TimeoutError):
    """The call's `timeout` ran out before anything could have been done: it may be sent again."""


class AuthError(CoachingError):
    """The login host gives no token. `status` and `code` are its HTTP status and OAuth error code, where it sent them."""

    status: int | None = None
    code: str | None = None


class DecodeError(CoachingError):
    """A 2xx answer that is not what the API promises. The text names the place in the JSON."""

    status: int | None = None
    correlation_id: str | None = None


class ResponseError(CoachingError):
    """The service answered with an error.

    `str()` is for logs and leaves out whatever looks like an id or an address; `message` is the service's own text.
    """

    status: int = 0
    code: str | None = None
    message: str | None = None
    correlation_id: str | None = None
    """Quote it to Genesys support."""
    details: tuple[ErrorDetail, ...] = ()
    retry_after: float | None = None
    """Seconds that the service asked to wait."""

    @classmethod
    def of_status(cls, status: int) -> type["ResponseError"]:
        """The class for an HTTP status."""
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        return ServerError if status >= 500 else ResponseError


class BadRequest(ResponseError):
    """400: the request is malformed, or a value is not allowed; `details` may name the field."""


class Unauthorized(ResponseError):
    """401: the token is not accepted, also after it was renewed."""


class Forbidden(ResponseError):
    """403: the token is good but lacks the permission."""


class NotFound(ResponseError):
    """404: nothing under that id, or nothing that this token may see."""


class Conflict(ResponseError):
    """409: the change clashes with the present state; a completed appointment cannot be changed, say."""


class RateLimited(ResponseError):
    """429 that may not be waited for: too long, too often, or past the deadline. Nothing was done.

    Without `status` the call was not sent at all, because its turn would have come after its deadline.
    """


class ServerError(ResponseError):
    """5xx or 408: the service failed. A write may have been carried out: see `processed`."""


_BY_STATUS: Final[dict[int, type[ResponseError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    409: Conflict,
    429: RateLimited,
}


def worst_processed(one: Processed, other: Processed) -> Processed:
    """Which of two says that more may have been done."""
    order: tuple[Processed, ...] = ("no", "maybe", "yes")
    return order[max(order.index(one), order.index(other))]


def check_before_retrying(operation: str) -> str:
    """What to do about a write that may have been carried out."""
    how = ": appointments.find_created(body, since=...) finds it" if operation == "appointments.create" else ""
    return f"Look before you send it again{how}"


PERSONAL_DATA: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\S+@\S+")
"""What has no business in a log: ids and addresses that the service's text may quote."""


def redact(text: str) -> str:
    """One short line without ids and addresses."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return PERSONAL_DATA.sub("…", " ".join(printable.split()))[:200]
