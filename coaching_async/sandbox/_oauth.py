"""The login host: clients, grants and the tokens given out."""

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import unquote_plus

import attrs

from . import _errors as errors
from ._access import EVERY_PERMISSION, Caller
from ._wire import JsonObject

CLIENT_ID = "sandbox-id"
CLIENT_SECRET = "sandbox-secret"  # the sandbox prints it in its own documentation
REFRESH_TOKEN = "sandbox-refresh"


@attrs.frozen
class Client:
    """An OAuth client and what its own tokens may do."""

    secret: str = attrs.field(repr=False)
    permissions: frozenset[str] = attrs.field(default=EVERY_PERMISSION, converter=frozenset)


@attrs.frozen
class UserGrant:
    """What a refresh token stands for; a standing one may be used again and again."""

    client_id: str
    user_id: str
    permissions: frozenset[str] = frozenset()
    standing: bool = False


@attrs.define(eq=False)
class OAuthError(Exception):
    """A failure in the form of RFC 6749, which is not that of the API."""

    error: str
    description: str
    status: int = 400

    def body(self) -> JsonObject:
        return {"error": self.error, "description": self.description, "error_description": self.description}


@attrs.frozen
class _Issued:
    caller: Caller
    expires: float


@attrs.define(eq=False)
class OAuth:
    """Clients and refresh tokens may be added at any time; every dictionary step is atomic, so no lock is needed."""

    first_user_id: str
    token_life: int
    now: Callable[[], float]
    clients: dict[str, Client] = attrs.field(factory=lambda: {CLIENT_ID: Client(CLIENT_SECRET)}, init=False)
    refresh_tokens: dict[str, UserGrant] = attrs.field(init=False)
    _issued: dict[str, _Issued] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.refresh_tokens = {REFRESH_TOKEN: UserGrant(CLIENT_ID, self.first_user_id, standing=True)}

    def revoke_all(self) -> None:
        """Make every access token given out so far useless; refresh tokens stay good."""
        self._issued.clear()

    def caller(self, authorization: str | None) -> Caller:
        if authorization is None:
            raise errors.authentication_required()
        scheme, _, token = authorization.partition(" ")
        issued = self._issued.get(token.strip())
        if scheme.lower() != "bearer" or issued is None or issued.expires <= self.now():
            raise errors.bad_credentials()
        return issued.caller

    def grant(self, authorization: str | None, form: Mapping[str, str]) -> JsonObject:
        client_id = self._client(authorization)
        match form.get("grant_type"):
            case None | "":
                raise OAuthError("invalid_request", "grant_type is missing")
            case "client_credentials":
                return self._issue(self.clients[client_id].permissions)
            case "refresh_token":
                return self._refresh(client_id, form.get("refresh_token", ""))
            case other:
                raise OAuthError("unsupported_grant_type", f"unsupported grant type {other}")

    def _client(self, authorization: str | None) -> str:
        client_id, secret = _basic(authorization or "")
        client = self.clients.get(client_id)
        if client is None or not secrets.compare_digest(client.secret.encode(), secret.encode()):
            raise OAuthError("invalid_client", "unknown client")
        return client_id

    def _refresh(self, client_id: str, refresh_token: str) -> JsonObject:
        grant = self.refresh_tokens.get(refresh_token)
        if grant is None or grant.client_id != client_id:
            raise OAuthError("invalid_grant", "unknown refresh token")
        if not grant.standing:
            del self.refresh_tokens[refresh_token]
        rotated = secrets.token_urlsafe(32)
        self.refresh_tokens[rotated] = attrs.evolve(grant, standing=False)
        return self._issue(grant.permissions, grant.user_id) | {"refresh_token": rotated}

    def _issue(self, permissions: frozenset[str], user_id: str | None = None) -> JsonObject:
        token = secrets.token_urlsafe(48)
        self._issued[token] = _Issued(Caller(token, permissions, user_id), self.now() + self.token_life)
        return {"access_token": token, "token_type": "bearer", "expires_in": self.token_life}


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError("invalid_client", "client credentials are missing")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise OAuthError("invalid_client", "client credentials are unreadable") from error
    client_id, _, secret = decoded.partition(":")
    # RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
    return unquote_plus(client_id), unquote_plus(secret)
