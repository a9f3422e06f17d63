"""The client with each HTTP library."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from benchmarks.engines import ENGINES
from benchmarks.service import Service
from coaching_async import AccessToken, CoachingClient, RateLimit
from coaching_async._serialization import json as _json

__all__ = ["UNLIMITED", "ours"]

ORJSON: Final = _json.orjson
UNLIMITED: Final = RateLimit(10**9, per=1.0)
"""A rate limit that is never reached, because the client always has one."""


@asynccontextmanager
async def ours(
    service: Service,
    engine: str = "httpx",
    *,
    rate_limit: RateLimit = UNLIMITED,
    max_concurrency: int = 10,
    by_orjson: bool = False,
) -> AsyncIterator[CoachingClient]:
    """Open a client with the HTTP library `engine`, borrowed unless it is httpx, and with orjson if requested."""
    _json.orjson = ORJSON if by_orjson else None  # type: ignore[assignment]
    borrowed = nullcontext() if engine == "httpx" else ENGINES[engine](max_concurrency + 1)
    async with (
        borrowed as http,
        CoachingClient(
            AccessToken(service.token),
            base_url=service.url,
            rate_limit=rate_limit,
            max_concurrency=max_concurrency,
            http_client=http,
        ) as client,
    ):
        yield client
