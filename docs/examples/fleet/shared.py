"""What the web application and the export have in common: the place that they share, and their limit."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from coaching_async import CoachingClient, FileSharedState, RateLimit, SharedState
from coaching_async.integrations.redis import RedisSharedState

LIMIT = RateLimit(50, per=5.0)  # of a real org: 300 in 60 s, which is the default


@asynccontextmanager
async def open_shared_state() -> AsyncGenerator[SharedState]:
    """Connect to Redis if REDIS_URL is set, else use the file that SHARED_STATE names."""
    if url := os.environ.get("REDIS_URL"):
        async with RedisSharedState.from_url(url) as shared_state:
            yield shared_state
    else:
        yield FileSharedState(os.environ["SHARED_STATE"])


def make_client(shared_state: SharedState) -> CoachingClient:
    """Return a client of the org that the environment names."""
    return CoachingClient.from_env(shared_state=shared_state, rate_limit=LIMIT)
