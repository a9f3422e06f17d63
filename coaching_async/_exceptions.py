"""The exceptions, all of them subclasses of `CoachingError`.

CoachingError                 .processed .attempts .operation .partial .cursor .is_from_gateway
├── ConfigurationError        also a ValueError: invalid or missing configuration
├── ClientMisuse              also a RuntimeError: a client used wrongly (after aclose, for example)
├── TransportError            no usable response: connection, certificate, protocol
│   └── OutcomeUnknown        a write that may have been carried out (.reference)
├── DeadlineExceeded          also a TimeoutError: deadline exceeded, nothing was changed
├── AuthError                 the login host issued no token
├── ChannelTaken              other listeners take the channels of this one
├── DecodeError               a 2xx response that does not match the API's schema
└── ResponseError             .status .code .message .correlation_id .details .retry_after
    ├── BadRequest 400 · Unauthorized 401 · Forbidden 403 · NotFound 404 · Conflict 409
    ├── RateLimited 429
    └── ServerError 5xx, 408

All of them can be pickled and copied. None holds a secret, a request, or a traceback of an HTTP library.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from .models.common import AppointmentReference
from .models.errors import ErrorDetail

__all__ = [
    "AuthError",
    "BadRequest",
    "ChannelTaken",
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
"""Whether the service carried the call out. After "no" it is safe to retry, idempotent or not."""


class CoachingError(Exception):
    """Base of all errors of this library, except `ValueError` and `TypeError` for invalid arguments."""

    processed: Processed = "no"
    """Whether the service may have carried the call out: "no", "maybe" or "yes"."""
    attempts: int = 0
    """Number of requests sent for the call, the failed one included."""
    operation: str | None = None
    """The method that was called, for example "appointments.get"."""
    partial: Sequence[object] = ()
    """The items that `Listing.collect` had read before it failed, the users that `users.get_many` had found, the last known state
    of the job of `schedule_slots.find`, or the outcomes of a bulk if its input failed."""
    cursor: str | None = None
    """Resumes a failed iteration, also in another process: `appointments.list(..., cursor=...)`."""
    is_from_gateway: bool = False
    """Whether the response did not come from the service, but from a gateway, proxy or captive portal on the way."""

    def __init__(self, message: str, *, processed: Processed = "no") -> None:
        super().__init__(message)
        self.processed = processed

    # By default an exception is pickled as cls(*args), without its other attributes.
    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__.copy())


def _revive(cls: type[CoachingError], args: tuple[object, ...], state: dict[str, object]) -> CoachingError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(CoachingError, ValueError):
    """The configuration of a client is invalid. The text names what is wrong or missing."""


class ClientMisuse(CoachingError, RuntimeError):
    """A client or an iterator was used wrongly: after it was closed, for example."""


class TransportError(CoachingError):
    """No usable response was received. `__cause__` is the error of the HTTP library, without its request."""


class OutcomeUnknown(TransportError):
    """A write may have been carried out. Check its result before you retry it.

    `processed` is "yes" if the service reported success but its response could not be read.
    """

    reference: AppointmentReference | None = None
    """Appointment that the service accepted (202) and that could not be read yet. None for any other cause."""


class DeadlineExceeded(CoachingError, TimeoutError):
    """The `timeout` of the call was exceeded, and nothing was changed: it is safe to retry."""


class AuthError(CoachingError):
    """The login host issued no token."""

    status: int | None = None
    """HTTP status of the login host. None if it sent no response."""
    code: str | None = None
    """OAuth error code of the login host, for example `invalid_client`. None if it sent none."""
    is_temporary: bool = False
    """Whether another attempt may get one: the login host, or the store of the refresh token, failed. So a listener waits."""
    advice: str = ""
    """What to do about it. It is the end of the text."""

    def __str__(self) -> str:
        return ": ".join(filter(None, (super().__str__(), self.advice)))

    @classmethod
    def temporary(cls, message: str) -> "AuthError":
        """Return an error that another attempt may not get."""
        error = cls(message)
        error.is_temporary = True
        return error


class ChannelTaken(CoachingError):
    """Other listeners of the same user and OAuth client have taken the channel of this one several times in a few minutes."""


class DecodeError(CoachingError):
    """Deserialization of a 2xx response failed, because it does not match the API's schema. The text names the JSON path."""

    status: int | None = None
    """HTTP status of the response. None for a message of a WebSocket."""
    correlation_id: str | None = None
    """Id of the request at the service, for the vendor's support. None if the response has none."""


class ResponseError(CoachingError):
    """The service returned an error status, or something between the client and the service did (`is_from_gateway`).

    The subclasses for 400 to 409 are statements of the API. A gateway's error with these statuses is a plain `ResponseError`.
    `str()` is for logs: ids and addresses in it are redacted.
    """

    status: int = 0
    """HTTP status. 0 if the call was not sent."""
    code: str | None = None
    """What is wrong, for programs, for example `not.found`. None if the response has no error body."""
    message: str | None = None
    """What is wrong, for people, as the service says it. It may quote ids and addresses."""
    correlation_id: str | None = None
    """Id of the request at the service, for the vendor's support. None if the response has none."""
    details: tuple[ErrorDetail, ...] = ()
    """What is wrong with single fields."""
    retry_after: float | None = None
    """Seconds that the service asked to wait (Retry-After)."""

    @classmethod
    def of_status(cls, status: int) -> type["ResponseError"]:
        """Return the class for an HTTP status."""
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        return ServerError if status >= 500 else ResponseError


class BadRequest(ResponseError):
    """400: the request is malformed, or a value is not allowed. `details` may name the field."""


class Unauthorized(ResponseError):
    """401: the token was rejected, also after it was refreshed."""


class Forbidden(ResponseError):
    """403: the token is valid but lacks the permission."""


class NotFound(ResponseError):
    """404: the id does not exist, or the token may not view it."""


class Conflict(ResponseError):
    """409: the change conflicts with the current state. A completed appointment cannot be changed, for example."""


class RateLimited(ResponseError):
    """429, and a retry is not possible: the wait is too long, or the retries are exhausted. Nothing was changed.

    A `status` of 0 means that the call was not sent, because the rate limit has no permit for it before its deadline.
    """


class ServerError(ResponseError):
    """5xx or 408: the service failed. A write may have been carried out: check `processed`."""


_BY_STATUS: Final[dict[int, type[ResponseError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    409: Conflict,
    429: RateLimited,
}


def worst_processed(first: Processed, second: Processed) -> Processed:
    """Return the later of the two in the order "no", "maybe", "yes"."""
    order: tuple[Processed, ...] = ("no", "maybe", "yes")
    return order[max(order.index(first), order.index(second))]


def check_before_retrying(operation: str) -> str:
    """Return the advice for a write that may have been carried out."""
    how = ": appointments.find_created(body, since=...) finds it" if operation == "appointments.create" else ""
    return f"Look before you send it again{how}"


PERSONAL_DATA: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\S+@\S+")
"""Ids and addresses, which the service's texts may quote and logs must not contain."""


def redact(text: str) -> str:
    """Return up to 200 characters of `text` in one line, with ids and addresses replaced by "…"."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return PERSONAL_DATA.sub("…", " ".join(printable.split()))[:200]
