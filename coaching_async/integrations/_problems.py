"""Errors of the client as problem details, RFC 9457."""

import math
from http import HTTPStatus

import attrs

from coaching_async import (
    AuthError,
    BadRequest,
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
    """An answer that tells of an error."""

    status: int
    body: dict[str, object]
    headers: dict[str, str]


def problem(error: CoachingError) -> Problem | None:
    """What to answer; None for what is the application's own mistake: a client that is closed, or wrongly set up."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), None)
    if status is None:
        return None
    told: dict[str, object] = {
        "code": getattr(error, "code", None),
        "correlationId": getattr(error, "correlation_id", None),
        "processed": None if error.processed == "no" else error.processed,
    }
    body: dict[str, object] = {"title": status.phrase, "status": int(status), "detail": str(error)}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, ResponseError) and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return Problem(int(status), body | {name: value for name, value in told.items() if value is not None}, headers)


STATUSES: tuple[tuple[type[CoachingError], HTTPStatus], ...] = (
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (RateLimited, HTTPStatus.SERVICE_UNAVAILABLE),  # it is not the browser that asked too often
    (DeadlineExceeded, HTTPStatus.GATEWAY_TIMEOUT),
    (ResponseError, HTTPStatus.BAD_GATEWAY),
    (TransportError, HTTPStatus.BAD_GATEWAY),
    (AuthError, HTTPStatus.BAD_GATEWAY),
    (DecodeError, HTTPStatus.BAD_GATEWAY),
)
"""The first that fits."""
