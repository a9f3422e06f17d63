"""The token endpoint: POST /oauth/token on the login host, and its responses (RFC 6749)."""

import base64
import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode

import anyio
import attrs

from coaching_async._events import TOKEN_OPERATION, Emit, TokenIssued
from coaching_async._exceptions import AuthError, OutcomeUnknown, redact
from coaching_async._serialization.json import parse_object
from coaching_async._transport.messages import CallContext, Request, Response, Send
from coaching_async._transport.retry_policy import RetryPolicy, Safety
from coaching_async._value import Value

from .grants import ClientCredentials, Grant, refresh_token_form
from .login_host import ADVICE_ON_GATEWAY, LoginHost, advice_on_refusal
from .secret import B64TOKEN, Secret

__all__ = ["REFRESH_RETRY_DELAY", "NormalizeThrottlingMiddleware", "Token", "TokenEndpoint"]


MAX_REFRESH_MARGIN: Final = 300.0
"""Longest time in seconds before its end at which a token is refreshed. For a short-lived token it is a tenth of its life."""


REFRESH_RETRY_DELAY: Final = 10.0
"""Seconds between attempts to refresh a token early."""


DEFAULT_LIFETIME: Final = 3600.0
"""Lifetime of a token in seconds if the response has no `expires_in` (optional in RFC 6749 §5.1)."""


DECIMAL: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")
"""A number of seconds that a gateway has written as text."""


@attrs.frozen(eq=False, repr=False)
class Token(Value):
    """An access token, with the times at which it should be refreshed and at which it expires."""

    value: Secret
    refresh_at: float
    expires_at: float

    def shifted(self, seconds: float) -> "Token":
        """Return it with the times of a clock that is `seconds` ahead."""
        return Token(self.value, self.refresh_at + seconds, self.expires_at + seconds)


@attrs.define(eq=False, repr=False)
class NormalizeThrottlingMiddleware:
    """Converts the rate limit error of the login host, a 400 with a text, to a 429."""

    send: Send

    async def __call__(self, request: Request) -> Response:
        """Send the request. Return a 429 for a rate limit error."""
        response = await self.send(request)
        if response.status == 400 and _is_rate_limit_error(response):
            return attrs.evolve(response, status=429)
        return response


@attrs.define(eq=False, repr=False)
class TokenEndpoint:
    """Requests access tokens for grants."""

    url: str
    send: Send
    emit: Emit
    retry: RetryPolicy
    host: LoginHost = attrs.field(default=attrs.Factory(lambda self: LoginHost(self.url), takes_self=True))

    def new_call_context(self) -> CallContext:
        """Return a context for one token request and its retries."""
        return CallContext(TOKEN_OPERATION, self.emit, self.retry)

    async def __call__(
        self, grant: Grant, call: CallContext, refresh_token: Secret | None = None
    ) -> tuple[Token, Secret | None]:
        """Return a new access token, and the refresh token that came with it. Raises `AuthError` or another `CoachingError`.

        Afterwards `call.processed` is "no" if the login host surely issued no token.
        """
        requested_at = anyio.current_time()  # the lifetime begins before the response arrives
        # Client credentials may be sent twice. A code or a refresh token is valid for one request.
        safety = Safety.SAFE if isinstance(grant, ClientCredentials) else Safety.WRITE
        request = self._request(grant, call, safety, refresh_token)
        response = await self._send(request)
        if response.status != 200:
            raise self._error(response, request, grant, is_refresh=refresh_token is not None)
        parsed = _parse_token_response(response)
        if isinstance(parsed, str):
            error = AuthError(f"the answer of the login host {self.host} is no token: {parsed}")
            raise error if response.is_from_service else self._gateway_error(response)
        self.emit(TokenIssued(parsed.expires_in))
        expires_at = requested_at + parsed.expires_in
        margin = min(MAX_REFRESH_MARGIN, parsed.expires_in / 10)
        return Token(parsed.token, refresh_at=expires_at - margin, expires_at=expires_at), parsed.refresh_token

    async def _send(self, request: Request) -> Response:
        try:
            return await self.send(request)
        except OutcomeUnknown as error:
            cause = error.__cause__
        raise AuthError.temporary(
            f"the answer of the login host {self.host} got lost, and with it perhaps a token"
        ) from cause

    def _error(self, response: Response, request: Request, grant: Grant, *, is_refresh: bool) -> AuthError:
        code, text = _oauth_error(response)
        if _echoes_credentials(text, request):
            text = ""
        if code is None and not response.is_from_service:
            error = self._gateway_error(response)
        else:
            answer = " ".join(filter(None, (str(response.status), code, redact(text))))
            error = AuthError(f"the login host {self.host} gives no token: {answer}")
            error.advice = advice_on_refusal(self.host, grant, response.status, code, is_refresh=is_refresh)
            error.is_temporary = response.status >= 500 or response.status in {408, 429}
        error.status, error.code = response.status, code
        return error

    def _gateway_error(self, response: Response) -> AuthError:
        error = AuthError.temporary(f"no token: {response.describe_foreign(str(self.host))}")
        error.is_from_gateway, error.advice = True, ADVICE_ON_GATEWAY
        return error

    def _request(self, grant: Grant, call: CallContext, safety: Safety, refresh_token: Secret | None) -> Request:
        form = grant.form() if refresh_token is None else refresh_token_form(refresh_token)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if grant.client_secret is None:
            form = {**form, "client_id": grant.client_id}
        else:
            headers["Authorization"] = _basic_auth(grant.client_id, grant.client_secret)
        return Request(call, "POST", self.url, safety, headers, urlencode(form).encode())


def _basic_auth(client_id: str, client_secret: Secret) -> str:
    """Return the Authorization header. Both parts are form-encoded before they are joined (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.reveal())}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


RATE_LIMIT: Final = re.compile(r"rate[\s_-]*limit|too many (?:token )?requests|slow_down", re.IGNORECASE)
"""What the login host's error about its rate limit says, in whatever case, and with whatever words around it."""


def _is_rate_limit_error(response: Response) -> bool:
    body = parse_object(response.content)
    texts = (body.get(name) for name in ("error", "error_description", "description", "message", "code"))
    return any(isinstance(text, str) and RATE_LIMIT.search(" ".join(text.split())) for text in texts)


def _echoes_credentials(text: str, request: Request) -> bool:
    """Return whether a text from the login host contains a credential that was sent to it."""
    basic = request.headers.get("Authorization", "").removeprefix("Basic ")
    pair = base64.b64decode(basic).decode().split(":")
    form = [value for name, value in parse_qsl((request.content or b"").decode()) if name != "grant_type"]
    return any(sent and sent in text for sent in (basic, *pair, *map(unquote_plus, pair), *form))


def _oauth_error(response: Response) -> tuple[str | None, str]:
    """Return the OAuth error code and description of a response: None and "" if they are missing or not printable."""
    body = parse_object(response.content)
    code, text = body.get("error"), body.get("error_description") or body.get("description")
    printable = text if isinstance(text, str) and text.isprintable() else ""
    return (code if isinstance(code, str) and code.replace("_", "").isalnum() else None), printable


class _TokenResponse(NamedTuple):
    token: Secret
    expires_in: float
    refresh_token: Secret | None


def _parse_token_response(response: Response) -> _TokenResponse | str:
    """Return the tokens in a response, or a description of what is wrong with it, without quoting it."""
    body = parse_object(response.content)
    token, token_type = body.get("access_token"), body.get("token_type", "bearer")
    if not isinstance(token, str) or not B64TOKEN.fullmatch(token):
        return "access_token is missing or not sendable"
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        return "token_type is not bearer"
    expires_in = body.get("expires_in")
    if expires_in is None:
        expires_in = DEFAULT_LIFETIME
    if isinstance(expires_in, str) and DECIMAL.fullmatch(expires_in.strip()):
        expires_in = float(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or not 0 < expires_in < 1e12:
        return "expires_in is no number of seconds"
    refresh_token = body.get("refresh_token")
    if refresh_token is not None and (not isinstance(refresh_token, str) or not refresh_token.isprintable()):
        return "refresh_token is no text"
    return _TokenResponse(Secret(token), float(expires_in), Secret(refresh_token) if refresh_token else None)
