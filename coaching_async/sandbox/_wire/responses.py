"""Responses with JSON bodies, and error responses."""

import json
from http.client import responses
from typing import Any

from starlette.responses import Response

from .errors import ApiError, OAuthError

_ERROR_CODES = {
    400: "bad.request",
    401: "bad.credentials",
    403: "not.authorized",
    404: "not.found",
    408: "client.timeout",
    409: "general.conflict",
    413: "request.entity.too.large",
    415: "unsupported.media.type",
    429: "too.many.requests.retry.after",
    500: "internal.server.error",
    503: "service.unavailable",
    504: "request.timeout",
}


class JsonResponse(Response):
    """A JSON response in UTF-8. Only what UTF-8 cannot encode is escaped, so that every JSON string can be sent back."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:  # a lone surrogate, which can only be sent as an escape
            return json.dumps(content, separators=(",", ":")).encode()


def error_response(error: ApiError, context_id: str) -> Response:
    return JsonResponse(error.body(context_id), error.status, error.headers)


def oauth_error_response(error: OAuthError) -> Response:
    return JsonResponse(error.body(), error.status)


def status_response(status: int, body: Any, context_id: str, *, oauth: bool) -> Response:
    """Return a response with this status. Text is sent unchanged; without a body an error is in the API's format."""
    if isinstance(body, (str, bytes)):
        return Response(body, status, media_type="text/html")
    if body is not None:
        return JsonResponse(body, status)
    if status < 400:
        return Response(status_code=status)
    text = responses.get(status, "Failed")
    if oauth:
        return oauth_error_response(OAuthError("server_error" if status >= 500 else "invalid_request", text, status))
    return error_response(ApiError(status, _ERROR_CODES.get(status, "client.failed.request"), text), context_id)
