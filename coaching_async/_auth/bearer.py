"""Bearer authentication of requests: adds the access token, and replaces a rejected one."""

import attrs

from coaching_async._exceptions import AuthError
from coaching_async._transport.messages import Request, Response, Send

from .secret import B64TOKEN, Secret
from .token_source import TokenSource

__all__ = ["BearerAuthMiddleware"]


@attrs.define(eq=False, repr=False)
class BearerAuthMiddleware:
    """Adds the access token to a request. After a 401 it gets another token and sends the request once more.

    Any request may be repeated then, because a 401 means that it was not processed.
    """

    send: Send
    tokens: TokenSource

    async def __call__(self, request: Request) -> Response:
        """Send the request with an access token."""
        token = _validated(await self.tokens.token())
        response = await self.send(_with_bearer(request, token))
        if response.status == 401 and response.is_from_service:
            new_token = _validated(await self.tokens.token(rejected=token.reveal()))
            if new_token != token:
                response = await self.send(_with_bearer(request, new_token))
        return response


def _validated(token: object) -> Secret:
    """Return the token as a secret. An invalid one is rejected here, because the exception about a bad header would quote it."""
    secret = Secret(token) if isinstance(token, str) and B64TOKEN.fullmatch(token) else None
    del token
    if secret is None:
        raise AuthError("the token source gave no access token: it has only letters, digits and -._~+/")
    return secret


def _with_bearer(request: Request, token: Secret) -> Request:
    return request.with_header("Authorization", f"Bearer {token.reveal()}")
