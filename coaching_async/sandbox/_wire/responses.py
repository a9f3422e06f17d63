"""Answers as Starlette sends them."""

import json
from http.client import responses
from typing import Any

from starlette.responses import Response

from coaching_async.sandbox._auth.oauth import OAuthError

from .errors import ApiError

_CODES = {
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


class Json(Response):
    """UTF-8; escapes only where they have to be, so that every string that JSON can hold can be sent back."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:  # half a character, which nothing but an escape can say
            return json.dumps(content, separators=(",", ":")).encode()


def refused(why: ApiError, context_id: str) -> Response:
    return Json(why.body(context_id), why.status, why.headers)


def login_refused(why: OAuthError) -> Response:
    return Json(why.body(), why.status)


def failure(status: int, body: Any, context_id: str, *, oauth: bool) -> Response:
    """Answer with this body; text goes out as it is, as from a gateway, and nothing becomes what the API would say."""
    if isinstance(body, (str, bytes)):
        return Response(body, status, media_type="text/html")
    if body is not None:
        return Json(body, status)
    if status < 400:
        return Response(status_code=status)
    text = responses.get(status, "Failed")
    if oauth:
        return login_refused(OAuthError("server_error" if status >= 500 else "invalid_request", text, status))
    return refused(ApiError(status, _CODES.get(status, "client.failed.request"), text), context_id)
