"""HTTP libraries, the client over each of them, and what somebody writes by hand over the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

import httpx
import httpx2
from httpx_aiohttp import HttpxAiohttpClient

from benchmarks import handwritten
from benchmarks.processes import Service
from coaching_async import AccessToken, CoachingClient, RateLimit

__all__ = ["ENGINES", "UNLIMITED", "by_hand", "ours"]

UNLIMITED: Final = RateLimit(10**9, per=1.0)
"""The client has no way to go without a limit."""

ENGINES: Final[dict[str, Callable[[int], Any]]] = {
    "httpx": lambda width: httpx.AsyncClient(limits=wide(httpx, width), trust_env=False, timeout=60),
    "httpx2": lambda width: httpx2.AsyncClient(limits=wide(httpx2, width), trust_env=False, timeout=60),
    "httpx + aiohttp": lambda width: HttpxAiohttpClient(limits=wide(httpx, width), trust_env=False, timeout=60),
}
"""Makers of HTTP clients with so many connections."""


def wide(library: Any, width: int) -> Any:
    """Room for so many connections, all of them kept."""
    return library.Limits(max_connections=width, max_keepalive_connections=width)


@asynccontextmanager
async def ours(
    service: Service, engine: str = "httpx", *, rate_limit: RateLimit = UNLIMITED, max_concurrency: int = 10
) -> AsyncIterator[CoachingClient]:
    """The client as it comes, over an engine: httpx is its own, the others are borrowed."""
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


async def by_hand(http: Any, service: Service, pages: int, size: int, concurrency: int) -> list[Any]:
    """Read so many pages with so many workers. It retries nothing, and knows neither deadlines nor limits."""
    found: dict[int, tuple[handwritten.Appointment, ...]] = {}
    numbers = iter(range(1, pages + 1))

    async def work() -> None:
        for number in numbers:
            response = await http.get(
                f"{service.url}/api/v2/coaching/appointments",
                params={"userIds": service.user_ids, "pageSize": size, "pageNumber": number},
                headers={"Authorization": f"Bearer {service.token}"},
            )
            response.raise_for_status()
            found[number] = handwritten.page(response.json()).entities

    async with asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(work())
    return [item for number in sorted(found) for item in found[number]]
