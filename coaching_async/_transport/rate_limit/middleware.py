"""Rate limit middleware: requests wait for a permit."""

import attrs

from coaching_async._transport.messages import Request, Response, Send

from .limiter import Limiter

__all__ = ["RateLimitMiddleware"]


@attrs.define(eq=False, repr=False)
class RateLimitMiddleware:
    """Keeps the requests of one token under its rate limit."""

    send: Send
    limiter: Limiter

    async def __call__(self, request: Request) -> Response:
        """Wait for a permit and send the request."""
        call = request.call
        permit = self.limiter.acquire_nowait(call.priority)
        if permit is None:
            with call.waiting():
                permit = await self.limiter.acquire(call.priority)
        attempts_before, throttled, retry_after = call.attempts, False, None
        try:
            response = await self.send(request)
            if response.status == 429:
                throttled, retry_after = True, response.retry_after
            return response
        finally:
            self.limiter.release(permit, call.attempts - attempts_before, throttled=throttled, retry_after=retry_after)
