"""Credentials of a client: access tokens, the OAuth grants of Genesys Cloud, and stores of refresh tokens."""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import attrs

from coaching_async._refusals.arguments import has_async_methods, kind_of
from coaching_async._value import OwnCopy, Value, summary
from coaching_async.models.coercion import IdLike, has_blank_end, to_id

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
    "client_id_text",
    "hide_arguments",
    "is_shared_store",
    "load_refresh_token",
    "non_empty_string",
    "refresh_token_form",
    "save_refresh_token",
]

T = TypeVar("T")

logger: Final = logging.getLogger("coaching_async")


def hide_arguments(cls: type[T]) -> type[T]:
    """Decorate a class so that errors about bad arguments do not show them, nor hold them in the frames of the traceback."""
    original_init = cls.__init__

    @functools.wraps(original_init)
    def init(self: T, *args: Any, **kwargs: Any) -> None:
        message: str | None = None
        try:
            original_init(self, *args, **kwargs)
        except ValueError as error:
            message = "credentials are UTF-8 text" if isinstance(error, UnicodeError) else str(error)
        del self, args, kwargs
        if message is not None:
            raise ValueError(message)

    cls.__init__ = init  # type: ignore[assignment, method-assign]
    return cls


def _secret(text: str) -> Secret:
    if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("credentials are non-empty strings")
    text.encode()  # raises for a lone surrogate here, because a later UnicodeError would quote the text
    return Secret(text)


def _client_secret(text: str) -> Secret:
    secret = _secret(text)
    if has_blank_end(text):
        raise ValueError("client_secret begins or ends with a blank, a line end or an invisible character: strip it")
    return secret


def _client_secret_or_none(text: str | None) -> Secret | None:
    return None if text is None else _client_secret(text)


def client_id_text(value: IdLike) -> str:
    """Return the id of an OAuth client as text. Raise `ValueError` for anything that is no id."""
    if not value or not isinstance(value, IdLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("client_id is a non-empty string")
    text = to_id(value)
    text.encode()
    return text


def _secret_or_none(text: str | None) -> Secret | None:
    return None if text is None else _secret(text)


def non_empty_string(_: object, attribute: "attrs.Attribute[str]", text: str) -> None:
    if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{attribute.name} is a non-empty string")
    text.encode()


def _token_store_or_none(_: object, attribute: "attrs.Attribute[Any]", store: Any) -> None:
    # A store that is not awaited would lose the only refresh token that is valid, at the first refresh.
    if store is not None and not has_async_methods(store, "load", "save"):
        raise ValueError(
            f"{attribute.name} is an object with the async methods load and save, as a MemoryTokenStore is, not {kind_of(store)}"
        )


def _function_or_none(_: object, attribute: "attrs.Attribute[Any]", function: Any) -> None:
    if function is not None and (isinstance(function, type) or not callable(function)):
        raise ValueError(f"{attribute.name} is a function, not {kind_of(function)}")


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class AccessToken(OwnCopy, Value):
    """An access token that was obtained elsewhere. It cannot be refreshed: once it is rejected, calls raise `Unauthorized`."""

    _token: Secret = attrs.field(converter=_secret)

    def __attrs_post_init__(self) -> None:
        if not B64TOKEN.fullmatch(self._token.reveal()):
            raise ValueError("an access token has only letters, digits and -._~+/")

    @property
    def secret(self) -> Secret:
        """The token, as a text that does not show itself."""
        return self._token

    async def token(self, rejected: str | None = None) -> str:  # noqa: ARG002 # there is no other token
        """Return the token, even if it was rejected."""
        return self._token.reveal()


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class ClientCredentials(OwnCopy, Value):
    """The client credentials grant, for a backend: it has permissions of its own, and no user.

    Operations about the current user (`list_mine`, notifications) need the token of a user instead.
    """

    client_id: str = attrs.field(converter=client_id_text)
    """Id of the OAuth client, as Genesys Cloud shows it."""
    client_secret: Secret = attrs.field(converter=_client_secret)
    """Secret of the OAuth client. `reveal()` returns its text."""

    def form(self) -> Mapping[str, str]:
        """Return the form of the token request (RFC 6749 §4.4.2)."""
        return {"grant_type": "client_credentials"}


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class Saml2Bearer(OwnCopy, Value):
    """A user's SAML 2 assertion, for tokens of that user. When both a token and the assertion have expired, calls fail."""

    client_id: str = attrs.field(converter=client_id_text)
    """Id of the OAuth client, as Genesys Cloud shows it."""
    client_secret: Secret = attrs.field(converter=_client_secret)
    """Secret of the OAuth client. `reveal()` returns its text."""
    org_name: str = attrs.field(validator=non_empty_string)
    """Short name of the organization in Genesys Cloud."""
    assertion: Secret = attrs.field(converter=_secret)
    """The SAML 2 assertion of the user, in Base64."""

    def form(self) -> Mapping[str, str]:
        """Return the form of the token request, with the assertion and its organization."""
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer",
            "orgName": self.org_name,
            "assertion": self.assertion.reveal(),
        }


class TokenStore(Protocol):
    """A place that keeps the refresh token when the process ends. Each one is valid once, so the newest must not get lost.

    Processes may share a store. Each loads the refresh token that another one has saved.
    """

    async def load(self) -> str | None:
        """Return the refresh token, or None if there is none yet."""
        ...

    async def save(self, old: str | None, new: str) -> bool:
        """Replace `old` by `new`, and return True. Change nothing and return False if the store holds another token."""
        ...


class MemoryTokenStore(OwnCopy):
    """A `TokenStore` in memory. It does not outlive the process."""

    _token: Secret | None = None

    def __init__(self, token: str | None = None) -> None:
        self._token = _secret_or_none(token)

    def __repr__(self) -> str:
        return summary(self, "empty" if self._token is None else "a token")

    async def load(self) -> str | None:
        """Return the refresh token, or None if there is none yet."""
        return None if self._token is None else self._token.reveal()

    async def save(self, old: str | None, new: str) -> bool:
        """Replace `old` by `new`, and return True. Change nothing and return False if the store holds another token."""
        if await self.load() != old:
            return False
        self._token = Secret(new)
        return True


OnRotated: TypeAlias = Callable[[str], Awaitable[None]]
"""A function that is called with each new refresh token."""


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class RefreshToken(OwnCopy, Value):
    """The refresh token of an earlier sign-in, for access tokens of that user.

    Each refresh may return a new refresh token and invalidate the old one. The new one is saved in `store`, and
    `on_rotated` is called with it.
    """

    client_id: str = attrs.field(converter=client_id_text)
    """Id of the OAuth client, as Genesys Cloud shows it."""
    client_secret: Secret | None = attrs.field(converter=_client_secret_or_none)
    """Secret of the OAuth client; None for a public client (PKCE)."""
    refresh_token: Secret = attrs.field(converter=_secret)
    """The refresh token of the sign-in."""
    store: TokenStore | None = attrs.field(default=None, kw_only=True, repr=False, validator=_token_store_or_none)
    """Where new refresh tokens are kept; None keeps them in the client alone."""
    on_rotated: OnRotated | None = attrs.field(default=None, kw_only=True, repr=False, validator=_function_or_none)
    """Async function that is called with each new refresh token, after it was saved in `store`. A plain one is called, too."""

    def form(self) -> Mapping[str, str]:
        """Return the form of the token request (RFC 6749 §6)."""
        return refresh_token_form(self.refresh_token)

    @property
    def first_refresh_token(self) -> Secret:
        """The refresh token of this grant."""
        return self.refresh_token


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class AuthorizationCode(OwnCopy, Value):
    """The authorization code of a sign-in, see `AuthorizationRequest`. It is sent once, and then the refresh tokens it gave.

    A public client has `client_secret=None` and its `code_verifier` (PKCE). If `store` holds a refresh token already, that
    is sent instead of the code, because the code is valid once.
    """

    client_id: str = attrs.field(converter=client_id_text)
    """Id of the OAuth client, as Genesys Cloud shows it."""
    client_secret: Secret | None = attrs.field(converter=_client_secret_or_none)
    """Secret of the OAuth client; None for a public client (PKCE)."""
    code: Secret = attrs.field(converter=_secret)
    """The code that the callback brought. It is valid once."""
    redirect_uri: str = attrs.field(validator=non_empty_string)
    """Address of the callback, as in the authorization request."""
    code_verifier: Secret | None = attrs.field(default=None, kw_only=True, converter=_secret_or_none)
    """Secret of the authorization request that proves who started it (PKCE). None if it had none."""
    store: TokenStore | None = attrs.field(default=None, kw_only=True, repr=False, validator=_token_store_or_none)
    """Where new refresh tokens are kept; None keeps them in the client alone."""
    on_rotated: OnRotated | None = attrs.field(default=None, kw_only=True, repr=False, validator=_function_or_none)
    """Async function that is called with each new refresh token, after it was saved in `store`. A plain one is called, too."""

    def __attrs_post_init__(self) -> None:
        if self.client_secret is None and self.code_verifier is None:
            raise ValueError("a client without a secret needs the code_verifier of its authorization request")

    def form(self) -> Mapping[str, str]:
        """Return the form of the token request (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
        form = {
            "grant_type": "authorization_code",
            "code": self.code.reveal(),
            "redirect_uri": self.redirect_uri,
        }
        return form if self.code_verifier is None else form | {"code_verifier": self.code_verifier.reveal()}

    @property
    def first_refresh_token(self) -> None:
        """None: there is no refresh token before the code was sent."""


RotatingGrant: TypeAlias = RefreshToken | AuthorizationCode
"""Grants with a rotating refresh token: each response may have a new one, and invalidate the old one."""


Grant: TypeAlias = ClientCredentials | Saml2Bearer | RotatingGrant
"""OAuth grants: credentials for which the login host issues access tokens."""


def is_shared_store(store: TokenStore | None) -> bool:
    """Return whether a forked process and its parent see the same refresh token in the store."""
    return store is not None and not isinstance(store, MemoryTokenStore)


async def load_refresh_token(grant: RotatingGrant) -> Secret | None:
    """Return the refresh token in the store of the grant, or None if there is none."""
    stored = None if grant.store is None else await grant.store.load()
    return None if stored is None else _secret(stored)


async def save_refresh_token(grant: RotatingGrant, old: Secret | None, new: Secret) -> None:
    """Save a new refresh token in the store, and call `on_rotated`. Log their errors, because the token is valid anyway."""
    try:
        if grant.store is not None and not await grant.store.save(None if old is None else old.reveal(), new.reveal()):
            logger.warning("the token store holds another refresh token than was renewed: is it shared?")
        if grant.on_rotated is not None:
            called = grant.on_rotated(new.reveal())
            if inspect.isawaitable(called):  # a plain function has done its work
                await called
    except Exception as error:  # noqa: BLE001 # its message may quote the token
        logger.error("a new refresh token could not be kept: %s", type(error).__name__)  # noqa: TRY400 # nor its frames


def refresh_token_form(refresh_token: Secret) -> Mapping[str, str]:
    """Return the form of a refresh request (RFC 6749 §6)."""
    return {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
