"""`client.sharing()` tells who shares the rate limit of a client, and what they use of it."""

import math
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    RateLimit,
    RefreshToken,
    SharedStateLost,
    Sharing,
)
from coaching_async.testing import MemorySharedState
from tests.support.doubles import TOKEN

pytestmark = pytest.mark.anyio

GRANT = ClientCredentials("the-id-of-the-client", "the-secret-of-the-client")
LIMIT = RateLimit(60, per=60.0)


@asynccontextmanager
async def clients(store: Any, count: int, *, status: int = 200, **options: Any) -> AsyncIterator[list[CoachingClient]]:
    """Clients of one OAuth client, whose requests take 0.2 s."""

    async def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 86_399})
        await anyio.sleep(0.2)
        headers = {"Retry-After": "30"} if status == 429 else None
        return httpx.Response(status, headers=headers, json={"entities": [], "total": 0})

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
        made = [
            CoachingClient(
                GRANT, base_url="https://api.test", http_client=http, shared_state=store, rate_limit=LIMIT, **options
            )
            for _ in range(count)
        ]
        yield made
        for client in made:
            await client.aclose()


async def call(client: CoachingClient) -> None:
    await client.request("GET", "/api/v2/users")


async def sharing(client: CoachingClient) -> Sharing:
    found = await client.sharing()
    assert found is not None
    return found


async def test_it_counts_the_processes_and_their_requests_in_the_last_window():
    async with clients(MemorySharedState(latency=0.01), 3) as (one, two, idle):
        await call(one)
        for _ in range(2):
            await call(two)
        await anyio.sleep(2)  # what was answered is written within a second

        found = await sharing(idle)

        assert attributes_of(found) == {
            "processes": 2,
            "limit": LIMIT,
            "learned_limit": 60,
            "used": 3,
            "in_flight": 0,
            "cooldown": 0,
        }
        assert found.round_trip == pytest.approx(0.01)
        assert found == await sharing(one)
        await anyio.sleep(62)
        assert attributes_of(await sharing(idle)) == {
            "processes": 0,
            "limit": LIMIT,
            "learned_limit": 60,
            "used": 0,
            "in_flight": 0,
            "cooldown": 0,
        }


def attributes_of(found: Sharing) -> dict[str, object]:
    assert found.lost is None
    return {
        name: getattr(found, name) for name in ("processes", "limit", "learned_limit", "used", "in_flight", "cooldown")
    }


async def test_it_tells_what_is_in_flight():
    async with clients(MemorySharedState(), 2) as (one, idle), anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(call, one)
        await anyio.sleep(0.1)

        assert (await sharing(idle)).in_flight == 4


async def test_it_takes_no_permit_and_writes_nothing():
    store = MemorySharedState()
    async with clients(store, 1) as (client,):
        await sharing(client)

        assert not store._texts


async def test_it_tells_the_cooldown_and_the_lowered_limit_after_a_429():
    async with clients(MemorySharedState(), 2, status=429, timeout=5.0) as (one, idle):
        with pytest.raises(Exception, match="429"):
            await call(one)
        await anyio.sleep(2)

        found = await sharing(idle)

        assert 20 < found.cooldown < 30
        assert found.learned_limit == 30 < found.limit.requests


async def test_the_lowest_limit_that_a_process_was_given_counts():
    store = MemorySharedState()
    async with clients(store, 1) as (one,):
        lower = one.with_auth(GRANT, rate_limit=RateLimit(20, per=60.0))
        await call(one)
        await call(lower)
        await anyio.sleep(2)

        assert (await sharing(one)).limit == RateLimit(20, per=60.0)


async def test_a_lost_state_is_told_with_its_reason_and_what_was_seen_last(caplog: pytest.LogCaptureFixture):
    store, events = MemorySharedState(), list[object]()
    async with clients(store, 2, on_event=events.append) as (one, two):
        await call(one)
        await anyio.sleep(2)
        await call(two)
        await anyio.sleep(2)
        store.down = True

        for _ in range(2):
            found = await sharing(two)
            assert (found.lost, found.processes, found.used) == ("ConnectionError", 2, 2)
        assert [event.reason for event in events if isinstance(event, SharedStateLost)] == ["ConnectionError"]
        assert (
            "cannot be used (ConnectionError): this process goes on with its share of the rate limit; `coaching-async doctor"
            in caplog.text
        )

        store.down = False
        await anyio.sleep(2)
        assert (await sharing(two)).lost is None


async def test_a_hanging_state_delays_it_by_half_a_second():
    async with clients(MemorySharedState(latency=math.inf), 1) as (client,):
        found = await sharing(client)

        assert (found.lost, found.round_trip) == ("no answer in time", pytest.approx(0.5))


async def test_a_client_that_shares_nothing_has_none():
    async with clients(None, 1) as (alone,), clients(MemorySharedState(), 1) as (client,):
        assert await alone.sharing() is None
        assert await client.with_auth(RefreshToken("an-id", "a-secret", "a-token")).sharing() is None
        assert await client.with_auth(AccessToken("a-token")).sharing() is not None


async def test_a_closed_client_refuses_it():
    async with clients(MemorySharedState(), 1) as (client,):
        await client.aclose()

        with pytest.raises(ClientMisuse, match="closed"):
            await client.sharing()


async def test_it_shows_no_secret_and_can_be_pickled():
    async with clients(MemorySharedState(), 1) as (client,):
        await call(client)
        await anyio.sleep(2)

        found = await sharing(client)

        assert "client" not in repr(found)
        assert pickle.loads(pickle.dumps(found)) == found
