"""Errors of the client as problem details, RFC 9457."""

import math
from http import HTTPStatus

import attrs

from coaching_async import (
    AuthError,
    BadRequest,
    ChannelTaken,
    CoachingError,
    Conflict,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    NotFound,
    RateLimited,
    ResponseError,
    TransportError,
    Unauthorized,
)

__all__ = ["PROBLEM_TYPE", "Problem", "problem"]

PROBLEM_TYPE = "application/problem+json"


@attrs.frozen
class Problem:
    """A problem response."""

    status: int
    body: dict[str, object]
    headers: dict[str, str]


def problem(error: CoachingError) -> Problem | None:
    """Return the response to an error; None for a mistake of the application, such as a closed client."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), None)
    if status is None:
        return None
    extensions: dict[str, object] = {
        "code": getattr(error, "code", None),
        "correlationId": getattr(error, "correlation_id", None),
        "processed": None if error.processed == "no" else error.processed,
    }
    body: dict[str, object] = {"title": status.phrase, "status": int(status), "detail": str(error)}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, ResponseError) and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return Problem(
        int(status), body | {name: value for name, value in extensions.items() if value is not None}, headers
    )


STATUSES: tuple[tuple[type[CoachingError], HTTPStatus], ...] = (
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (
        RateLimited,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),  # not 429, because the limit is the application's and not the browser's
    (ChannelTaken, HTTPStatus.SERVICE_UNAVAILABLE),
    (DeadlineExceeded, HTTPStatus.GATEWAY_TIMEOUT),
    (ResponseError, HTTPStatus.BAD_GATEWAY),
    (TransportError, HTTPStatus.BAD_GATEWAY),
    (AuthError, HTTPStatus.BAD_GATEWAY),
    (DecodeError, HTTPStatus.BAD_GATEWAY),
)
"""Status of each error. The first matching class counts."""
