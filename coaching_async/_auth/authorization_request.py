"""The first step of a user's sign-in with OAuth: the authorization request (PKCE, state) and its callback."""

import base64
import hashlib
import hmac
import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

import attrs

from coaching_async._exceptions import AuthError, ConfigurationError
from coaching_async._refusals.arguments import kind_of
from coaching_async._regions import resolve_hosts
from coaching_async._value import Value

from .grants import AuthorizationCode, OnRotated, TokenStore, client_id_text, hide_arguments, non_empty_string
from .login_host import LoginHost
from .secret import Secret

__all__ = ["AuthorizationRequest"]


def _random() -> str:
    return secrets.token_urlsafe(48)  # 64 characters of 384 bits


@hide_arguments
@attrs.frozen(eq=False, repr=False)
class AuthorizationRequest(Value):
    """The start of a sign-in: the URL to send the user's browser to, and the check of the callback.

    Keep `state` and `code_verifier` in the user's session, where no other user can read or set them. By default both are
    random, from `secrets`. `region` and `login_url` are as for a client.
    """

    client_id: str = attrs.field(converter=client_id_text)
    """Id of the OAuth client, as Genesys Cloud shows it."""
    redirect_uri: str = attrs.field(validator=non_empty_string)
    """Address of your callback, one of those that the OAuth client names."""
    region: str | None = attrs.field(default=None, kw_only=True)
    """Region of the organization, for example `eu-west-1`. None for the default."""
    login_url: str | None = attrs.field(default=None, kw_only=True)
    """Address of the login host, in place of a region: that of a sandbox, for example."""
    state: str = attrs.field(factory=_random, kw_only=True, repr=False, validator=non_empty_string)
    """Random text that the callback has to bring back."""
    code_verifier: str = attrs.field(factory=_random, kw_only=True, repr=False, validator=non_empty_string)
    """Random text that proves who started the sign-in (PKCE)."""

    @property
    def code_challenge(self) -> str:
        """S256 code challenge of the verifier (RFC 7636 §4.2)."""
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    @property
    def url(self) -> str:
        """URL of the login page to send the user to. Raises `ConfigurationError`."""
        login = self._login_host().url
        query = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": self.code_challenge,
            "code_challenge_method": "S256",
        }
        return f"{login}/oauth/authorize?{urlencode(query)}"

    def _login_host(self) -> LoginHost:
        if self.region is not None and self.login_url is not None:
            raise ConfigurationError("region and login_url contradict each other: give one of them")
        login = resolve_hosts(self.region, self.login_url, self.login_url).login
        return LoginHost(login, is_default=self.region is None and self.login_url is None)

    def _parse_callback(self, callback_url: str) -> Secret | AuthError | TypeError:
        """Return the code, or the error if there is none: the frames of one that is raised would show the code."""
        if not isinstance(callback_url, str):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
            return TypeError(f"callback_url is a str, such as str(request.url), not {kind_of(callback_url)}")
        query = parse_qs(urlsplit(callback_url).query or callback_url.lstrip("?"))
        state, code, error = ((query.get(name) or [""])[0] for name in ("state", "code", "error"))
        if not hmac.compare_digest(state.encode(), self.state.encode()):
            failure = AuthError("the callback's state is not this request's")
        elif code and not error:
            return Secret(code)
        elif error:
            failure = AuthError(f"the login host {self._login_host()} refused the sign-in")
            failure.code = error if error.replace("_", "").isalnum() else None
        else:
            failure = AuthError("the callback has no code")
        failure.advice = "let the user begin it again"
        return failure

    def grant(
        self,
        callback_url: str,
        *,
        client_secret: str | None = None,
        store: TokenStore | None = None,
        on_rotated: OnRotated | None = None,
    ) -> AuthorizationCode:
        """Return the grant in a callback, given as the URL that the browser came back to, or its query alone.

            grant = request.grant(callback_url, client_secret=secret)
            mine = client.with_auth(grant)

        Raises `AuthError` if the sign-in was refused, and if `state` is not that of this request, because then another
        session started the sign-in; `TypeError` for a URL that is no text; `ValueError` for a `store` that is none.
        """
        code = self._parse_callback(callback_url)
        del callback_url  # an error's frames must not show it
        try:
            if not isinstance(code, Secret):
                raise code
            return AuthorizationCode(
                self.client_id,
                client_secret,
                code.reveal(),
                self.redirect_uri,
                code_verifier=self.code_verifier,
                store=store,
                on_rotated=on_rotated,
            )
        finally:
            del client_secret
