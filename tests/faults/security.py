"""Clients and checks that several security tests share."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from coaching_async import (
    CoachingClient,
    RetryPolicy,
)
from tests.faults.support import (
    COOKIE,
    client_to,
)
from tests.support.fault_server import Authority, Conversation, FaultServer

SET_COOKIE = f"session={COOKIE}; Path=/; HttpOnly"
NO_RETRIES = RetryPolicy(attempts=1, throttle_waits=0, max_backoff=0.01)


@contextlib.asynccontextmanager
async def a_client(
    kind: str, server: FaultServer, authority: Authority | None, **options: Any
) -> AsyncIterator[CoachingClient]:
    if kind == "own":
        async with client_to(server.url, **options) as client:
            yield client
    else:
        http = httpx.AsyncClient(http2=False, verify=authority.client() if authority else True)
        async with http, client_to(server.url, http_client=http, **options) as client:
            yield client


def raw_answer(data: bytes) -> Callable[[Conversation], None]:
    def behave(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(data)

    return behave
