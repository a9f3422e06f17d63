"""Bearer authentication of requests: adds the access token, and replaces a rejected one."""

from typing import Final

import anyio
import attrs

from coaching_async._exceptions import AuthError
from coaching_async._transport.messages import Request, Response, Send

from .rejected_tokens import RejectedTokens
from .secret import B64TOKEN, Secret
from .token_source import TokenSource

__all__ = ["BearerAuthMiddleware"]


SAYS_NOTHING: Final = frozenset({401, 408, 429, *range(500, 600)})
"""Statuses of responses that do not show that the API has accepted the token."""


@attrs.define(eq=False, repr=False)
class BearerAuthMiddleware:
    """Adds the access token to a request. After a 401 it gets another token and sends the request once more.

    Any request may be repeated then, because a 401 means that it was not processed. If the API rejects new tokens, too, the
    401 is the response for some seconds.
    """

    send: Send
    tokens: TokenSource
    rejected: RejectedTokens = attrs.field(factory=RejectedTokens)

    async def __call__(self, request: Request) -> Response:
        """Send the request with an access token."""
        token = _validated(await self.tokens.token())
        response = await self.send(_with_bearer(request, token))
        if response.status == 401 and self._may_replace(token, response):
            old, token = token, _validated(await self.tokens.token(rejected=token.reveal()))
            if token != old:
                response = await self.send(_with_bearer(request, token))
            if response.status == 401 and response.is_from_service:
                self.rejected.replacement_rejected(token, anyio.current_time())
        if self.rejected.latest is not None and response.status not in SAYS_NOTHING and response.is_from_service:
            self.rejected.accepted(token)
        return response

    def _may_replace(self, token: Secret, response: Response) -> bool:
        return response.is_from_service and self.rejected.may_replace(token, anyio.current_time())


def _validated(token: object) -> Secret:
    """Return the token as a secret. An invalid one is rejected here, because the exception about a bad header would quote it."""
    secret = Secret(token) if isinstance(token, str) and B64TOKEN.fullmatch(token) else None
    del token
    if secret is None:
        raise AuthError("the token source gave no access token: it has only letters, digits and -._~+/")
    return secret


def _with_bearer(request: Request, token: Secret) -> Request:
    return request.with_header("Authorization", f"Bearer {token.reveal()}")
