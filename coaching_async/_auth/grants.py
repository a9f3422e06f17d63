"""What a client can log in with: the grants of OAuth that Genesys Cloud knows, and what goes with them."""

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import attrs

from coaching_async._value import Value

from .secret import B64TOKEN, Secret

__all__ = [
    "AccessToken",
    "AuthorizationCode",
    "ClientCredentials",
    "Grant",
    "MemoryTokenStore",
    "OnRotated",
    "RefreshToken",
    "RotatingGrant",
    "Saml2Bearer",
    "TokenStore",
    "hide_arguments",
    "load_refresh_token",
    "non_empty_string",
    "refresh_token_form",
    "save_refresh_token",
]

T = TypeVar("T")

logger: Final = logging.getLogger("coaching_async")


def hide_arguments(cls: type[T]) -> type[T]:
    """Refuse bad arguments without showing them: the frames of an error must not hold a secret either."""
    make = cls.__init__

    @functools.wraps(make)
    def init(self: T, *args: Any, **kwargs: Any) -> None:
        problem: str | None = None
        try:
            make(self, *args, **kwargs)
        except ValueError as error:
            problem = "credentials are UTF-8 text" if isinstance(error, UnicodeError) else str(error)
        del self, args, kwargs
        if problem is not None:
            raise ValueError(problem)

    cls.__init__ = init  # type: ignore[assignment, method-assign]
    return cls


def _secret(text: str) -> Secret:
    if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("credentials are non-empty strings")
    text.encode()  # raises where it has half a character: what encodes it later would quote it
    return Secret(text)


def _secret_or_none(text: str | None) -> Secret | None:
    return None if text is None else _secret(text)


def non_empty_string(_: object, attribute: "attrs.Attribute[str]", text: str) -> None:
    if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{attribute.name} is a non-empty string")
    text.encode()


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class AccessToken(Value):
    """A token that somebody else obtained. It is used as it is; once it is rejected, calls raise `Unauthorized`."""

    _token: Secret = attrs.field(converter=_secret)

    def __attrs_post_init__(self) -> None:
        if not B64TOKEN.fullmatch(self._token.reveal()):
            raise ValueError("an access token has only letters, digits and -._~+/")

    async def token(self, rejected: str | None = None) -> str:  # noqa: ARG002 # there is no other
        """The token."""
        return self._token.reveal()


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class ClientCredentials(Value):
    """The OAuth client of a backend: its own permissions, no user.

    What speaks of *me* (`list_mine`, notifications) needs a user's token instead.
    """

    client_id: str = attrs.field(validator=non_empty_string)
    client_secret: Secret = attrs.field(converter=_secret)

    def form(self) -> Mapping[str, str]:
        """RFC 6749 §4.4.2."""
        return {"grant_type": "client_credentials"}


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class Saml2Bearer(Value):
    """A user's SAML 2 assertion, for that user's token. When the token ends, and the assertion has too, so does it all."""

    client_id: str = attrs.field(validator=non_empty_string)
    client_secret: Secret = attrs.field(converter=_secret)
    org_name: str = attrs.field(validator=non_empty_string)
    assertion: Secret = attrs.field(converter=_secret)

    def form(self) -> Mapping[str, str]:
        """The assertion, and the organisation that it is for."""
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer",
            "orgName": self.org_name,
            "assertion": self.assertion.reveal(),
        }


class TokenStore(Protocol):
    """Where a refresh token outlives the process: each one is good for one renewal, so the newest must not get lost.

    Several processes may share one: a token that another of them has renewed is taken from here.
    """

    async def load(self) -> str | None:
        """The refresh token, None where there is none yet."""
        ...

    async def save(self, old: str | None, new: str) -> bool:
        """Put `new` in the place of `old`, and only of `old`; whether that is what was there."""
        ...


class MemoryTokenStore:
    """A `TokenStore` that lives as long as the process does."""

    def __init__(self, token: str | None = None) -> None:
        self._token = _secret_or_none(token)

    async def load(self) -> str | None:
        """The refresh token, None where there is none yet."""
        return None if self._token is None else self._token.reveal()

    async def save(self, old: str | None, new: str) -> bool:
        """Put `new` in the place of `old`, and only of `old`; whether that is what was there."""
        if await self.load() != old:
            return False
        self._token = Secret(new)
        return True


OnRotated: TypeAlias = Callable[[str], Awaitable[None]]
"""Told each new refresh token."""


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class RefreshToken(Value):
    """A refresh token of an earlier sign-in, for that user's tokens from now on.

    Each renewal may bring a new refresh token, and end the old one: `store` keeps it, and `on_rotated` is told of it.
    """

    client_id: str = attrs.field(validator=non_empty_string)
    client_secret: Secret | None = attrs.field(converter=_secret_or_none)
    refresh_token: Secret = attrs.field(converter=_secret)
    store: TokenStore | None = attrs.field(default=None, kw_only=True, repr=False)
    on_rotated: OnRotated | None = attrs.field(default=None, kw_only=True, repr=False)

    def form(self) -> Mapping[str, str]:
        """RFC 6749 §6."""
        return refresh_token_form(self.refresh_token)

    @property
    def first_refresh_token(self) -> Secret:
        """The one that was given."""
        return self.refresh_token


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class AuthorizationCode(Value):
    """The code of a sign-in, once; afterwards the refresh tokens that came of it. See `AuthorizationRequest`.

    A public client has `client_secret=None` and its `code_verifier` (PKCE). A `store` that holds a refresh token already
    stands instead of the code, which is good for one request.
    """

    client_id: str = attrs.field(validator=non_empty_string)
    client_secret: Secret | None = attrs.field(converter=_secret_or_none)
    code: Secret = attrs.field(converter=_secret)
    redirect_uri: str = attrs.field(validator=non_empty_string)
    code_verifier: Secret | None = attrs.field(default=None, kw_only=True, converter=_secret_or_none)
    store: TokenStore | None = attrs.field(default=None, kw_only=True, repr=False)
    on_rotated: OnRotated | None = attrs.field(default=None, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.client_secret is None and self.code_verifier is None:
            raise ValueError("a client without a secret needs the code_verifier of its authorization request")

    def form(self) -> Mapping[str, str]:
        """RFC 6749 §4.1.3, RFC 7636 §4.5."""
        form = {
            "grant_type": "authorization_code",
            "code": self.code.reveal(),
            "redirect_uri": self.redirect_uri,
        }
        return form if self.code_verifier is None else form | {"code_verifier": self.code_verifier.reveal()}

    @property
    def first_refresh_token(self) -> None:
        """There is none before the code was posted."""


RotatingGrant: TypeAlias = RefreshToken | AuthorizationCode
"""Grants whose every answer may carry the refresh token for the next request, and end the last one."""


Grant: TypeAlias = ClientCredentials | Saml2Bearer | RotatingGrant
"""Ways to ask the login host for a token."""


async def load_refresh_token(grant: RotatingGrant) -> Secret | None:
    """The refresh token in its store, None where there is none."""
    kept = None if grant.store is None else await grant.store.load()
    return None if kept is None else _secret(kept)


async def save_refresh_token(grant: RotatingGrant, old: Secret | None, new: Secret) -> None:
    """Hand a new refresh token to who has to know. What fails there is logged: the token is good all the same."""
    try:
        if grant.store is not None and not await grant.store.save(None if old is None else old.reveal(), new.reveal()):
            logger.warning("the token store holds another refresh token than was renewed: is it shared?")
        if grant.on_rotated is not None:
            await grant.on_rotated(new.reveal())
    except Exception as error:  # noqa: BLE001 # its text may quote the token
        logger.error("a new refresh token could not be kept: %s", type(error).__name__)  # noqa: TRY400 # nor its frames


def refresh_token_form(refresh_token: Secret) -> Mapping[str, str]:
    """RFC 6749 §6."""
    return {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
