"""The token endpoint: clients, grants, and the access tokens that were issued.

The constants are credentials that the sandbox always accepts, any number of times; its documentation names them.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from urllib.parse import unquote_plus

import attrs

from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.errors import OAuthError
from coaching_async.sandbox._wire.formats import JsonObject

from .access import ALL_PERMISSIONS, Caller

CLIENT_ID = "sandbox-id"
CLIENT_SECRET = "sandbox-secret"
REFRESH_TOKEN = "sandbox-refresh"
CODE = "sandbox-code"
ORG_NAME = "sandbox-org"
ASSERTION = "sandbox-assertion"

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@attrs.frozen
class Client:
    """An OAuth client."""

    secret: str = attrs.field(repr=False)
    """Secret of the client."""
    permissions: frozenset[str] = attrs.field(default=ALL_PERMISSIONS, converter=frozenset)
    """Permissions of its client-credentials tokens: all of them, unless some are named."""


@attrs.frozen
class UserGrant:
    """The grant of a refresh token."""

    client_id: str
    """OAuth client that may use the refresh token."""
    user_id: str
    """User of its access tokens."""
    permissions: frozenset[str] = frozenset()
    """Permissions of its access tokens."""
    standing: bool = False
    """Whether the token may be used any number of times."""
    public: bool = False
    """Whether the grant was made without the client's secret."""
    family: str | None = None
    """Text that the tokens of one sign-in have in common. None before the first refresh."""


@attrs.frozen
class _IssuedToken:
    caller: Caller
    expires_at: float
    family: str | None


@attrs.define(eq=False)
class OAuth:
    """The token endpoint. Clients and refresh tokens may be added at any time, from any thread.

    No lock is needed, because each change is one operation on a dictionary. `on_revoked` is called with the access
    tokens that were revoked.
    """

    first_user_id: str
    """Id of the user of the refresh token `REFRESH_TOKEN`."""
    token_life: int
    """Seconds for which an access token is valid."""
    now: Callable[[], float]
    """Returns the time in seconds, from any start."""
    clients: dict[str, Client] = attrs.field(factory=lambda: {CLIENT_ID: Client(CLIENT_SECRET)}, init=False)
    """OAuth clients by their id."""
    refresh_tokens: dict[str, UserGrant] = attrs.field(init=False)
    """Refresh tokens that are valid, with what they grant."""
    on_revoked: Callable[[Collection[str]], None] = attrs.field(default=lambda _: None, init=False, repr=False)
    """Function that is called with the access tokens that were revoked."""
    _used: dict[str, UserGrant] = attrs.field(factory=dict, init=False, repr=False)
    _issued: dict[str, _IssuedToken] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.refresh_tokens = {REFRESH_TOKEN: UserGrant(CLIENT_ID, self.first_user_id, standing=True)}

    def revoke_all(self) -> None:
        """Revoke all access tokens issued so far; refresh tokens stay valid."""
        self._revoke(lambda _: True)

    def user_token(self, user_id: str, permissions: frozenset[str]) -> str:
        token: str = self._issue(CLIENT_ID, permissions, user_id)["access_token"]
        return token

    def seconds_left(self, token: str) -> float:
        """Return how long an access token is still valid; for one that is not, 0 or less."""
        issued = self._issued.get(token)
        return issued.expires_at - self.now() if issued else 0

    def caller(self, authorization: str | None) -> Caller:
        if authorization is None:
            raise errors.authentication_required()
        scheme, _, token = authorization.partition(" ")
        issued = self._issued.get(token.strip())
        if scheme.lower() != "bearer" or issued is None or issued.expires_at <= self.now():
            raise errors.bad_credentials()
        return issued.caller

    def grant(self, authorization: str | None, form: Mapping[str, str]) -> JsonObject:
        public = authorization is None and "client_id" in form
        client_id = self._public_client(form) if public else self._authenticate(authorization)
        match form.get("grant_type"):
            case None | "":
                raise OAuthError("invalid_request", "grant_type is missing")
            case "refresh_token":
                return self._refresh(client_id, form.get("refresh_token", ""), public)
            case "authorization_code":
                return self._authorization_code(client_id, form, public)
            case "client_credentials" | "urn:ietf:params:oauth:grant-type:saml2-bearer" if public:
                raise OAuthError("invalid_client", "client credentials are missing")
            case "client_credentials":
                return self._issue(client_id, self.clients[client_id].permissions)
            case "urn:ietf:params:oauth:grant-type:saml2-bearer":
                return self._saml_assertion(client_id, form)
            case other:
                raise OAuthError("unsupported_grant_type", f"unsupported grant type {other}")

    def _authenticate(self, authorization: str | None) -> str:
        client_id, secret = _basic_credentials(authorization or "")
        client = self.clients.get(client_id)
        if client is None or not secrets.compare_digest(client.secret.encode(), secret.encode()):
            raise OAuthError("invalid_client", "unknown client")
        return client_id

    def _public_client(self, form: Mapping[str, str]) -> str:
        if form["client_id"] not in self.clients:
            raise OAuthError("invalid_client", "unknown client")
        return form["client_id"]

    def _authorization_code(self, client_id: str, form: Mapping[str, str], public: bool) -> JsonObject:
        if form.get("code") != CODE:
            raise OAuthError("invalid_grant", "unknown code")
        if not form.get("redirect_uri"):
            raise OAuthError("invalid_request", "redirect_uri is missing")
        if (public or "code_verifier" in form) and not _VERIFIER.fullmatch(form.get("code_verifier", "")):
            raise OAuthError("invalid_request", "code_verifier must be 43 to 128 unreserved characters")
        return self._sign_in(UserGrant(client_id, self.first_user_id, public=public))

    def _saml_assertion(self, client_id: str, form: Mapping[str, str]) -> JsonObject:
        if (form.get("orgName"), form.get("assertion")) != (ORG_NAME, ASSERTION):
            raise OAuthError("invalid_grant", "unknown organisation or assertion")
        return self._issue(client_id, frozenset(), self.first_user_id)

    def _refresh(self, client_id: str, token: str, public: bool) -> JsonObject:
        grant = self.refresh_tokens.get(token)
        if grant is None and (used := self._used.get(token)) and used.client_id == client_id:
            # Two parties hold this token, and one of them has stolen it: the sign-in ends for both (RFC 9700, 4.14.2).
            self._revoke_family(used.family)
        if grant is None or grant.client_id != client_id or (public and not grant.public):
            raise OAuthError("invalid_grant", "unknown refresh token")
        if not grant.standing:
            grant = self._used[token] = attrs.evolve(grant, family=grant.family or token)
            del self.refresh_tokens[token]
        return self._sign_in(grant)

    def _sign_in(self, grant: UserGrant) -> JsonObject:
        refresh_token = secrets.token_urlsafe(32)
        grant = attrs.evolve(grant, standing=False, family=grant.family or refresh_token)
        self.refresh_tokens[refresh_token] = grant
        return self._issue(grant.client_id, grant.permissions, grant.user_id, grant.family) | {
            "refresh_token": refresh_token
        }

    def _revoke_family(self, family: str | None) -> None:
        for refresh_token in [token for token, grant in list(self.refresh_tokens.items()) if grant.family == family]:
            del self.refresh_tokens[refresh_token]
        self._revoke(lambda issued: issued.family == family)

    def _issue(
        self, client_id: str, permissions: frozenset[str], user_id: str | None = None, family: str | None = None
    ) -> JsonObject:
        now = self.now()
        self._remove(lambda issued: issued.expires_at <= now)
        token = secrets.token_urlsafe(48)
        caller = Caller(token, permissions, client_id, user_id)
        self._issued[token] = _IssuedToken(caller, now + self.token_life, family)
        return {"access_token": token, "token_type": "bearer", "expires_in": self.token_life}

    def _revoke(self, matches: Callable[[_IssuedToken], bool]) -> None:
        self.on_revoked(self._remove(matches))

    def _remove(self, matches: Callable[[_IssuedToken], bool]) -> Collection[str]:
        found = [token for token, issued in list(self._issued.items()) if matches(issued)]
        for token in found:
            self._issued.pop(token, None)
        return found


def _basic_credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError("invalid_client", "client credentials are missing")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise OAuthError("invalid_client", "client credentials are unreadable") from error
    client_id, _, secret = decoded.partition(":")
    # RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
    return unquote_plus(client_id), unquote_plus(secret)
