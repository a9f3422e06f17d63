"""The login host: posting what a grant has to say, and understanding the answer."""

import base64
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode

import anyio
import attrs

from coaching_async._events import TOKEN_OPERATION, Emit, TokenIssued
from coaching_async._exceptions import AuthError, OutcomeUnknown, redact
from coaching_async._serialization.json import parse_object
from coaching_async._transport.messages import CallContext, Request, Response, Send
from coaching_async._transport.retry_policy import RetryPolicy, Safety

from .grants import ClientCredentials, Grant, refresh_token_form
from .secret import B64TOKEN, Secret

__all__ = ["NormalizeThrottlingMiddleware", "Token", "TokenEndpoint"]


MAX_REFRESH_MARGIN: Final = 300.0
"""A token is renewed when a tenth of its life is left, or this many seconds."""


DEFAULT_LIFETIME: Final = 3600.0
"""Seconds a token lives when the login host does not tell (RFC 6749 §5.1 lets it)."""


@attrs.frozen(eq=False, repr=False)
class Token:
    """An access token, and when it is to be renewed and ends."""

    value: Secret
    refresh_at: float
    expires_at: float


@attrs.define(eq=False, repr=False)
class NormalizeThrottlingMiddleware:
    """Makes the login host speak HTTP: it tells its own rate limit as 400 with a text."""

    send: Send

    async def __call__(self, request: Request) -> Response:
        """Send; a disguised 429 comes back as one."""
        response = await self.send(request)
        if response.status == 400 and _oauth_error(response)[1].startswith("rate limit exceeded"):
            return attrs.evolve(response, status=429)
        return response


@attrs.define(eq=False, repr=False)
class TokenEndpoint:
    """Posts a form to the login host, and understands the answer."""

    url: str
    send: Send
    emit: Emit
    retry: RetryPolicy

    def new_call_context(self) -> CallContext:
        """What will be known of one use of this."""
        return CallContext(TOKEN_OPERATION, self.emit, self.retry)

    async def __call__(
        self, grant: Grant, call: CallContext, refresh_token: Secret | None = None
    ) -> tuple[Token, Secret | None]:
        """A new token, and the refresh token that came with it. Raises what getting no token means.

        Afterwards `call.processed` tells whether the login host may have given one.
        """
        asked = anyio.current_time()  # before the request: the life of a token starts before its answer comes
        # Client credentials may be posted twice; a code or a refresh token is good for one answer.
        safety = Safety.SAFE if isinstance(grant, ClientCredentials) else Safety.WRITE
        request = self._request(grant, call, safety, refresh_token)
        response = await self._posted(request)
        if response.status != 200:
            raise _auth_error(response, request)
        answer = _parse_token_response(response)
        if isinstance(answer, str):
            raise AuthError(f"the login host's answer is no token: {answer}")
        self.emit(TokenIssued(answer.life))
        expires_at = asked + answer.life
        margin = min(MAX_REFRESH_MARGIN, answer.life / 10)
        return Token(answer.token, refresh_at=expires_at - margin, expires_at=expires_at), answer.refresh_token

    async def _posted(self, request: Request) -> Response:
        try:
            return await self.send(request)
        except OutcomeUnknown as error:
            cause = error.__cause__
        raise AuthError("the login host's answer got lost, and with it perhaps a token") from cause

    def _request(self, grant: Grant, call: CallContext, safety: Safety, refresh_token: Secret | None) -> Request:
        form = grant.form() if refresh_token is None else refresh_token_form(refresh_token)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if grant.client_secret is None:
            form = {**form, "client_id": grant.client_id}
        else:
            headers["Authorization"] = _basic_auth(grant.client_id, grant.client_secret)
        return Request(call, "POST", self.url, safety, headers, urlencode(form).encode())


def _basic_auth(client_id: str, client_secret: Secret) -> str:
    """RFC 6749 §2.3.1: both are form-encoded before they are joined."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.reveal())}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _auth_error(response: Response, request: Request) -> AuthError:
    code, text = _oauth_error(response)
    if _echoes_credentials(text, request):
        text = ""
    error = AuthError(f"the login host gives no token: {response.status} {code or ''} {redact(text)}".rstrip())
    error.status, error.code = response.status, code
    return error


def _echoes_credentials(text: str, request: Request) -> bool:
    """Whether a text of the login host's repeats something that it was sent."""
    basic = request.headers.get("Authorization", "").removeprefix("Basic ")
    pair = base64.b64decode(basic).decode().split(":")
    form = [value for name, value in parse_qsl((request.content or b"").decode()) if name != "grant_type"]
    return any(sent and sent in text for sent in (basic, *pair, *map(unquote_plus, pair), *form))


def _oauth_error(response: Response) -> tuple[str | None, str]:
    """OAuth error code and text of a refusal, as far as they can be shown: short and printable."""
    answer = parse_object(response.content)
    code, text = answer.get("error"), answer.get("error_description") or answer.get("description")
    printable = text if isinstance(text, str) and text.isprintable() else ""
    return (code if isinstance(code, str) and code.replace("_", "").isalnum() else None), printable


class _TokenResponse(NamedTuple):
    token: Secret
    life: float
    refresh_token: Secret | None


def _parse_token_response(response: Response) -> _TokenResponse | str:
    """What the login host gave, or what is wrong with it; never the answer itself."""
    answer = parse_object(response.content)
    text, kind, life = answer.get("access_token"), answer.get("token_type", "bearer"), answer.get("expires_in")
    if not isinstance(text, str) or not B64TOKEN.fullmatch(text):
        return "access_token is missing or not sendable"
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "token_type is not bearer"
    if life is None:
        life = DEFAULT_LIFETIME
    if isinstance(life, bool) or not isinstance(life, int | float) or not 0 < life < 1e12:
        return "expires_in is no number of seconds"
    renewing = answer.get("refresh_token")
    if renewing is not None and (not isinstance(renewing, str) or not renewing.isprintable()):
        return "refresh_token is no text"
    return _TokenResponse(Secret(text), float(life), Secret(renewing) if renewing else None)
