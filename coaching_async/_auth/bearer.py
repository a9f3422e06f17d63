"""Middleware that signs requests with a bearer token."""

import attrs

from coaching_async._exceptions import AuthError
from coaching_async._transport.messages import Request, Response, Send

from .secret import B64TOKEN, Secret
from .token_source import TokenSource

__all__ = ["BearerAuthMiddleware"]


@attrs.define(eq=False, repr=False)
class BearerAuthMiddleware:
    """Signs requests; replaces a token that the service rejects, and sends once more.

    A 401 means that nothing was done, so any request may be replayed.
    """

    send: Send
    tokens: TokenSource

    async def __call__(self, request: Request) -> Response:
        """Sign and send."""
        token = _validated(await self.tokens.token())
        response = await self.send(_with_bearer(request, token))
        if response.status == 401:
            fresh = _validated(await self.tokens.token(rejected=token.reveal()))
            if fresh != token:
                response = await self.send(_with_bearer(request, fresh))
        return response


def _validated(token: object) -> Secret:
    """Keep out what a header cannot carry: the error about it would quote it."""
    secret = Secret(token) if isinstance(token, str) and B64TOKEN.fullmatch(token) else None
    del token
    if secret is None:
        raise AuthError("the token source gave no access token: it has only letters, digits and -._~+/")
    return secret


def _with_bearer(request: Request, token: Secret) -> Request:
    return request.with_header("Authorization", f"Bearer {token.reveal()}")
