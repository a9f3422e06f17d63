"""Where access tokens come from, and the keeper that fetches each of them once."""

import base64
import contextlib
import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode

import anyio
import attrs

from ._errors import AuthError, CoachingError
from ._events import TOKEN_OPERATION, Emit, TokenIssued
from ._hints import showable
from ._pipeline import Call, Request, Response, Send
from ._retry import RetryPolicy, Safety
from ._types import B64TOKEN, Secret
from ._wire import parse_object

__all__ = ["AccessToken", "ClientCredentials", "Grant", "LoginLimit", "TokenKeeper"]


MAX_MARGIN: Final = 300.0
"""A token is renewed when a tenth of its life is left, or this many seconds."""

RENEWAL_PAUSE: Final = 10.0
"""Seconds until the next try, when renewing ahead of time failed."""

RENEWAL_PATIENCE: Final = 5.0
"""Seconds that the one call that renews ahead of time spends on it."""

FAILURE_MEMORY: Final = 3.0
"""Seconds for which a failure to get a token is told to everybody without asking again."""

LASTING: Final = {"invalid_client", "invalid_grant", "unauthorized_client"}
"""Refusals that the same credentials will meet again: they are not offered a second time."""

DEFAULT_LIFE: Final = 3600.0
"""Seconds a token lives when the login host does not tell (RFC 6749 §5.1 lets it)."""


def _secret(text: str) -> Secret:
    if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("credentials are non-empty strings")
    return Secret(text)


class Grant(ABC):
    """A way to ask the login host for a token."""

    @abstractmethod
    def form(self) -> Mapping[str, str]:
        """The fields to post."""

    @abstractmethod
    def basic(self) -> tuple[str, Secret] | None:
        """Client id and secret, where they travel as HTTP Basic."""


@attrs.frozen
class ClientCredentials(Grant):
    """The OAuth client of a backend: its own permissions, no user.

    What speaks of *me* (`list_mine`, notifications) needs a user's token instead.
    """

    client_id: str = attrs.field(validator=attrs.validators.min_len(1))
    client_secret: Secret = attrs.field(converter=_secret)

    def form(self) -> Mapping[str, str]:
        """RFC 6749 §4.4.2."""
        return {"grant_type": "client_credentials"}

    def basic(self) -> tuple[str, Secret]:
        """RFC 6749 §2.3.1."""
        return self.client_id, self.client_secret


@attrs.frozen
class AccessToken:
    """A token that somebody else obtained. It is used as it is; once it is rejected, calls raise `Unauthorized`."""

    _token: Secret = attrs.field(converter=_secret)

    def __attrs_post_init__(self) -> None:
        if not B64TOKEN.fullmatch(self._token.reveal()):
            raise ValueError("an access token has only letters, digits and -._~+/")

    async def token(self, rejected: str | None = None) -> str:  # noqa: ARG002 # there is no other
        """The token."""
        return self._token.reveal()


@attrs.frozen
class _Token:
    text: Secret
    renew_at: float
    expires_at: float


@attrs.define
class LoginLimit:
    """Makes the login host speak HTTP: it tells its own rate limit as 400 with a text."""

    send: Send

    async def __call__(self, request: Request) -> Response:
        """Send; a disguised 429 comes back as one."""
        response = await self.send(request)
        if response.status == 400 and _refusal(response)[1].startswith("rate limit exceeded"):
            return attrs.evolve(response, status=429)
        return response


@attrs.define
class TokenKeeper:
    """Keeps one token for everybody; whoever comes first when it is due fetches the next, the others wait for it.

    The fetch runs in that caller's own task and time. When that caller is cancelled the next in line takes over.
    """

    grant: Grant
    url: str
    send: Send
    emit: Emit
    retry: RetryPolicy
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    _current: _Token | None = attrs.field(default=None, init=False)
    _failure: tuple[CoachingError | None, float] = attrs.field(default=(None, 0.0), init=False)

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now: the current one unless it is `rejected` or due."""
        bad = None if rejected is None else Secret(rejected)
        del rejected  # an error's frames must not show it
        token = self._usable(bad)
        # While one task renews ahead of time, the others go on with what still works.
        if token is None or (_is_due(token) and not self._lock.locked()):
            async with self._lock:
                token = self._usable(bad)  # somebody else may have been here first
                if token is None or _is_due(token):
                    token = await self._renewed(token)
        return token.text.reveal()

    def _usable(self, bad: Secret | None) -> _Token | None:
        # A late 401 names an older token than the current one, and then discards nothing.
        if self._current is not None and self._current.text == bad:
            self._current = None
        if self._current is not None and anyio.current_time() >= self._current.expires_at:
            self._current = None
        return self._current

    async def _renewed(self, old: _Token | None) -> _Token:
        if old is None:
            self._current = await self._fetch_once()
            return self._current
        # Ahead of time nothing depends on it: a login host that stalls or refuses must not cost a call.
        self._current = attrs.evolve(old, renew_at=anyio.current_time() + RENEWAL_PAUSE)
        with anyio.move_on_after(RENEWAL_PATIENCE), contextlib.suppress(CoachingError):
            self._current = await self._fetch()
        return self._current

    async def _fetch_once(self) -> _Token:
        """Fetch, unless that failed a moment ago: those who waited for it all get that answer."""
        failure, until = self._failure
        if failure is not None and anyio.current_time() < until:
            raise copy.copy(failure)
        try:
            return await self._fetch()
        except CoachingError as error:
            lasting = isinstance(error, AuthError) and (error.status == 401 or error.code in LASTING)
            self._failure = copy.copy(error), math.inf if lasting else anyio.current_time() + FAILURE_MEMORY
            raise

    async def _fetch(self) -> _Token:
        asked = anyio.current_time()  # before the request: the life of a token starts before its answer comes
        request = self._request()
        response = await self.send(request)
        if response.status != 200:
            raise _auth_error(response, request)
        life = _parsed(response)
        if isinstance(life, str):
            raise AuthError(f"the login host's answer is no token: {life}")
        text, seconds = life
        self.emit(TokenIssued(seconds))
        margin = min(MAX_MARGIN, seconds / 10)
        return _Token(text, renew_at=asked + seconds - margin, expires_at=asked + seconds)

    def _request(self) -> Request:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if (basic := self.grant.basic()) is not None:
            headers["Authorization"] = _basic(*basic)
        content = urlencode(self.grant.form()).encode()
        return Request(Call(TOKEN_OPERATION, self.emit, self.retry), "POST", self.url, Safety.SAFE, headers, content)


def _is_due(token: _Token) -> bool:
    return anyio.current_time() >= token.renew_at


def _basic(client_id: str, client_secret: Secret) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.reveal())}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _auth_error(response: Response, request: Request) -> AuthError:
    code, text = _refusal(response)
    if _is_quoting(text, request):
        text = ""
    error = AuthError(f"the login host gives no token: {response.status} {code or ''} {showable(text)}".rstrip())
    error.status, error.code = response.status, code
    return error


def _is_quoting(text: str, request: Request) -> bool:
    """Whether a text of the login host's repeats something that it was sent."""
    basic = request.headers.get("Authorization", "").removeprefix("Basic ")
    pair = base64.b64decode(basic).decode().split(":")
    form = [value for name, value in parse_qsl((request.content or b"").decode()) if name != "grant_type"]
    return any(sent and sent in text for sent in (basic, *pair, *map(unquote_plus, pair), *form))


def _refusal(response: Response) -> tuple[str | None, str]:
    """OAuth error code and text of a refusal, as far as they can be shown: short and printable."""
    answer = parse_object(response.content)
    code, text = answer.get("error"), answer.get("error_description") or answer.get("description")
    printable = text if isinstance(text, str) and text.isprintable() else ""
    return (code if isinstance(code, str) and code.replace("_", "").isalnum() else None), printable


def _parsed(response: Response) -> tuple[Secret, float] | str:
    """Token and life in seconds, or what is wrong with the answer; never the answer itself."""
    answer = parse_object(response.content)
    text, kind, life = answer.get("access_token"), answer.get("token_type", "bearer"), answer.get("expires_in")
    if not isinstance(text, str) or not B64TOKEN.fullmatch(text):
        return "access_token is missing or not sendable"
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "token_type is not bearer"
    if life is None:
        life = DEFAULT_LIFE
    if isinstance(life, bool) or not isinstance(life, int | float) or not 0 < life < 1e12:
        return "expires_in is no number of seconds"
    return Secret(text), float(life)
