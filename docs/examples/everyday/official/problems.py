"""Problem responses (RFC 9457) for the errors of the official SDK, shared by both applications in this folder."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from PureCloudPlatformClientV2.rest import ApiException
from urllib3.exceptions import HTTPError

PASSED_ON = {400, 401, 403, 404, 409}


def add_problem_responses(app: FastAPI) -> None:
    """Answer the errors that no handler catches with problem responses."""
    app.add_exception_handler(ApiException, refused)
    app.add_exception_handler(HTTPError, unanswered)


def refused(_: Request, error: ApiException) -> JSONResponse:
    """Answer an error response of the service."""
    received = error.headers or {}
    status = error.status if error.status in PASSED_ON else 502
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if error.status == 429:
        status, headers = 503, {"Retry-After": received.get("Retry-After", "3")}
    return problem(status, error.reason, headers, received.get("ININ-Correlation-Id"))


def unanswered(_: Request, error: HTTPError) -> JSONResponse:
    """Answer the absence of a response."""
    return problem(502, type(error).__name__, {}, None)


def problem(status: int, detail: str, headers: dict[str, str], correlation_id: str | None) -> JSONResponse:
    """Return a problem response."""
    body = {"status": status, "detail": detail, "correlationId": correlation_id}
    return JSONResponse(body, status, headers, "application/problem+json")
