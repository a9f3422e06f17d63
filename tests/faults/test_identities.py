"""Row 59, and views: clients and views of different identities share no token and no rate limit."""

import gc
import random
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    ClientCredentials,
    CoachingClient,
    RateLimit,
    RefreshToken,
)
from tests.auth.test_token_source_properties import (
    Platform,
    all_of,
    client_of,
    get,
    token_source_of,
)
from tests.faults.grants import basic, each_of, failures_of, token, user
from tests.faults.support import APPOINTMENT, CANARY, CLIENT_ID, SECRET, credentials
from tests.support.doubles import Service, answer, http_of

pytestmark = pytest.mark.anyio


# Tenants


async def test_row_59_two_clients_of_two_tenants_share_nothing():
    def both(request: httpx.Request) -> httpx.Response:
        tenant = request.url.host.split(".")[1]
        return answer({"access_token": f"{CANARY}-of-{tenant}"} if request.url.path == "/oauth/token" else APPOINTMENT)

    service = Service(both)
    clients = [
        CoachingClient(
            ClientCredentials(f"id-{tenant}", f"{SECRET}-{tenant}"),
            base_url=f"https://api.{tenant}.test",
            http_client=service.http,
        )
        for tenant in ("one", "two")
    ]
    await all_of([partial(get, client) for client in clients] * 5)
    await all_of([client.aclose for client in clients])
    await service.http.aclose()

    assert {(each.url.host, each.headers["Authorization"]) for each in service.requests} == {
        (f"login.{tenant}.test", basic(f"id-{tenant}:{SECRET}-{tenant}")) for tenant in ("one", "two")
    } | {(f"api.{tenant}.test", f"Bearer {CANARY}-of-{tenant}") for tenant in ("one", "two")}
    assert len(service.requests) == 12


# Views of other identities


def bearers(service: Service) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in service.requests]


async def test_a_view_has_its_own_token_and_the_same_connections():
    service = Service([answer(APPOINTMENT)])
    async with service.client(AccessToken("of-the-backend")) as client:
        mine = client.with_auth(AccessToken("of-a-user"))
        brief = mine.with_options(timeout=1.0)

        for each in (client, mine, brief, client):
            await get(each)

        assert http_of(mine) is http_of(client) is service.http
        assert token_source_of(brief) is token_source_of(mine) is not token_source_of(client)
    await service.http.aclose()
    assert bearers(service) == ["of-the-backend", "of-a-user", "of-a-user", "of-the-backend"]
    assert client.stats().calls == mine.stats().calls == 4


@pytest.mark.parametrize("limit, passes", [(None, 3), (RateLimit(5, per=60.0), 5)], ids=["as wide", "of its own"])
async def test_a_view_has_a_rate_limit_of_its_own(limit: RateLimit | None, passes: int):
    service = Service([answer(APPOINTMENT)])
    async with service.client(
        AccessToken("of-the-backend"), rate_limit=RateLimit(3, per=60.0), timeout=100.0
    ) as client:
        mine = client.with_auth(AccessToken("of-a-user"), rate_limit=limit)
        started = anyio.current_time()
        await all_of([partial(get, client)] * 3 + [partial(get, mine)] * passes)
        assert anyio.current_time() == started

        await get(mine)

        assert anyio.current_time() - started == pytest.approx(60)
    await service.http.aclose()


async def test_each_user_of_many_simultaneous_ones_gets_their_own_token():
    """A token contains the name of its user, and so does the id of each call."""

    async def serve(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(random.random())
        if request.url.path == "/oauth/token":
            whom = request.content.decode().rpartition("refresh-of-")[2]
            return answer({"access_token": f"token-of-{whom}", "expires_in": 50, "refresh_token": f"refresh-of-{whom}"})
        crossed = not request.url.path.endswith(f"/{request.headers['Authorization'].removeprefix('Bearer token-of-')}")
        return answer({"id": "crossed"} if crossed else APPOINTMENT)

    service, got = Service(serve), list[str]()

    async def call(view: CoachingClient, name: str) -> None:
        got.append((await view.appointments.get(name)).id)

    async with service.client(rate_limit=RateLimit(10_000)) as client:
        views = {
            f"user-{n}": client.with_auth(RefreshToken(CLIENT_ID, SECRET, f"refresh-of-user-{n}")) for n in range(20)
        }
        for _ in range(3):
            await all_of([partial(call, view, name) for name, view in views.items()] * 5)
            await anyio.sleep(50)
    await service.http.aclose()

    assert got == [APPOINTMENT["id"]] * 300
    assert sum(each.url.path == "/oauth/token" for each in service.requests) == 60


async def test_the_cooldown_of_one_identity_does_not_delay_another():
    def serve(request: httpx.Request) -> httpx.Response:
        told = request.headers["Authorization"] == "Bearer of-one" and len(service.requests) == 1
        return answer({}, 429, Retry_After="30") if told else answer(APPOINTMENT)

    service, took = Service(serve), dict[str, float]()

    async def measured(name: str, view: CoachingClient) -> None:
        started = anyio.current_time()
        await get(view)
        took[name] = anyio.current_time() - started

    async with service.client() as client:
        one, other = (client.with_auth(AccessToken(f"of-{each}")) for each in ("one", "other"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(measured, "one", one)
            await anyio.sleep(1)
            tasks.start_soon(measured, "one, later", one.with_options(timeout=50.0))
            tasks.start_soon(measured, "other", other)
            tasks.start_soon(measured, "backend", client)
    await service.http.aclose()

    assert took == pytest.approx({"one": 30, "one, later": 29, "other": 0, "backend": 0})


@each_of(credentials, user, lambda: AccessToken("t"))
async def test_a_dropped_view_leaves_nothing(grant: Callable[[], Any]):
    platform = Platform()
    async with client_of(platform, AccessToken("of-the-backend")) as client:
        left = list[weakref.ref[Any]]()
        for _ in range(10):
            view = client.with_auth(grant())
            await failures_of([partial(get, view)])
            left += [weakref.ref(each) for each in (view, view.appointments, token_source_of(view))]
            del view
        gc.collect()

        assert [each for each in left if each() is not None] == []
        assert len(client._sessions.value._pipelines) <= 1


async def test_a_call_of_a_view_that_is_dropped_meanwhile_completes():
    platform = Platform()
    async with client_of(platform, AccessToken("of-the-backend")) as client:
        got = await client.with_auth(user()).appointments.get("1")

    assert got.id == APPOINTMENT["id"]
    assert platform.seen == [token(1)]
