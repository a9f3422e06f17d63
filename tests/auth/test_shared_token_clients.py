"""Clients that share their token: which of them do, what they show, and what remains when they are closed."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthError,
    ClientCredentials,
    CoachingClient,
    FileSharedState,
    RateLimit,
    RefreshToken,
    Saml2Bearer,
)
from coaching_async._shared_state import connection
from coaching_async.testing import MemorySharedState
from tests.auth.test_token_source_properties import CANARY, Platform, get, refuse, stall
from tests.concurrency.test_identity_over_event_loops import in_child
from tests.faults.support import failing
from tests.support.doubles import Service, answer, pipeline_of
from tests.support.fault_server import HANG
from tests.support.secrets_logged import SecretsLogged, logging_everything
from tests.support.token_fleet import Reached, all_of

pytestmark = pytest.mark.anyio

CLIENT_ID = "the-id-of-the-client"
GRANT = ClientCredentials(CLIENT_ID, CANARY)


@asynccontextmanager
async def clients_of(
    platform: Platform, store: Any, *auths: Any, **options: Any
) -> AsyncIterator[list[CoachingClient]]:
    service = Service(platform)
    options = {"rate_limit": RateLimit(100_000), "max_concurrency": 1000, "shared_state": store} | options
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(service.client(auth, **options)) for auth in auths]
    await service.http.aclose()


class Reachable(Platform):
    """A platform that answers the request of `warmup`, which has no token."""

    async def _api(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(204) if request.method == "HEAD" else await super()._api(request)


def token_texts(store: MemorySharedState) -> list[str]:
    return [name for name in store._texts if name.endswith("/token")]


async def test_clients_of_one_oauth_client_share_one_token_and_replace_a_revoked_one_once():
    platform, store = Platform(seconds=0.3), MemorySharedState()
    async with clients_of(platform, store, *[GRANT] * 8) as clients:
        await all_of([partial(get, client) for client in clients])
        platform.revoke()
        await all_of([partial(get, client) for client in clients])

        assert sum(client.stats().tokens for client in clients) == 2
    assert len(platform.forms) == 2


async def test_warmup_takes_the_token_that_is_shared():
    platform, store = Reachable(), MemorySharedState()
    async with clients_of(platform, store, GRANT, GRANT) as clients:
        for client in clients:
            await client.warmup()
            await anyio.sleep(0.1)

    assert len(platform.forms) == 1


async def test_a_view_shares_the_token_of_its_own_credentials():
    platform, store = Platform(), MemorySharedState()
    other = ClientCredentials("another", CANARY)
    async with clients_of(platform, store, GRANT, other) as (one, another):
        for client in (one, another, one.with_auth(other), another.with_auth(GRANT), one.with_options(timeout=9)):
            await get(client)
            await anyio.sleep(0.1)

    assert len(platform.forms) == len(token_texts(store)) == 2


class OwnSource:
    async def token(self, rejected: str | None = None) -> str:
        return "of-its-own"


@pytest.mark.parametrize(
    "auth",
    [
        AccessToken("a-users"),
        RefreshToken("id", CANARY, f"{CANARY}-refresh-0"),
        Saml2Bearer("id", CANARY, "org", CANARY),
        OwnSource(),
    ],
    ids=lambda auth: type(auth).__name__,
)
async def test_other_credentials_share_no_token(auth: Any):
    platform, store = Platform(), MemorySharedState()
    platform._good |= {"a-users": 1e9, "of-its-own": 1e9}
    async with clients_of(platform, store, auth) as (client,):
        await get(client)

    assert token_texts(store) == []


async def test_without_a_shared_state_each_client_has_its_own_token():
    platform = Platform()
    async with clients_of(platform, None, GRANT, GRANT) as clients:
        await all_of([partial(get, client) for client in clients])

    assert len(platform.forms) == 2


async def test_closing_ends_a_fetch_and_gives_its_lease_back():
    platform, store = Platform(stall), MemorySharedState()
    async with clients_of(platform, store, GRANT) as (client,):
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                with failing(Exception):
                    await get(client)

            tasks.start_soon(call)
            await platform.asked.wait()
            await client.aclose()
        started = anyio.current_time()
        async with clients_of(platform, store, GRANT) as (following,):
            await get(following)

    assert anyio.current_time() - started < 1
    assert len(platform.forms) == 2


async def test_a_token_that_came_is_shared_when_the_client_is_closed_at_once():
    platform, store = Reachable(), MemorySharedState(latency=0.1)
    for _ in range(3):
        async with clients_of(platform, store, GRANT) as (client,):
            await client.warmup()

    assert len(platform.forms) == 1


async def test_secrets_are_in_no_name_event_record_or_error():
    with logging_everything(), SecretsLogged(CANARY).watching(), SecretsLogged(CLIENT_ID).watching():
        await use_and_fail()


async def use_and_fail() -> None:
    platform, store, events, names = Platform(), MemorySharedState(), list[object](), list[str]()

    class Named(Reached):
        async def load(self, name: str) -> tuple[str | None, float]:
            names.append(name)
            return await super().load(name)

    async with clients_of(platform, Named(store), GRANT, GRANT, GRANT, on_event=events.append) as (one, two, three):
        await get(one)
        await get(two)
        await anyio.sleep(0.1)
        platform.revoke()
        platform.mishaps = [refuse("invalid_client")]
        with failing(AuthError, "invalid_client"):
            await get(one)
        platform.mishaps = [stall]
        with failing(Exception):
            await get(two.with_options(timeout=2))
        await get(two)

        for name in token_texts(store):
            text, _ = await store.load(name)
            assert text is not None
            assert CANARY in text
            store._texts[name] = text.replace('"version":1', '"version":99'), 1e9
        platform.revoke()
        platform.mishaps = [refuse("server_error", 503)] * 99
        for _ in range(3):
            with failing(AuthError):
                await get(three)
            await anyio.sleep(3)
        platform.mishaps = []
        await anyio.sleep(60)
        await get(three)

    shown = " ".join(map(repr, [*events, *names, one, two, three, store]))
    assert "SharedStateLost" in shown
    assert CANARY not in shown
    assert CLIENT_ID not in shown


async def test_after_a_call_that_was_refused_no_client_is_called_again_by_that_process():
    requests = list[str]()

    def refusing(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.path)
        return httpx.Response(401, json={"error": "invalid_client"})

    async with AsyncExitStack() as stack:
        service, store = Service(refusing), MemorySharedState()
        clients = [
            await stack.enter_async_context(service.client(GRANT, shared_state=store, rate_limit=RateLimit(1000)))
            for _ in range(3)
        ]
        for _ in range(3):
            for client in clients:
                with failing(AuthError, "invalid_client"):
                    await get(client)

    assert requests == ["/oauth/token"] * 3


@pytest.mark.real_time
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_client_whose_event_loop_has_ended_shares_its_token_with_processes_that_are_forked(
    anyio_backend_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "OPERATION_TIMEOUT", HANG)
    posts = tmp_path / "posts"
    posts.touch()

    def platform(request: httpx.Request) -> httpx.Response:
        """Issues a token for each post, and rejects the first one in the children."""
        if request.url.path == "/oauth/token":
            with posts.open("a") as file:
                file.write("post\n")
            return answer({"access_token": f"t{len(posts.read_text().split())}", "expires_in": 600})
        is_revoked = os.getpid() != parent and request.headers["Authorization"] == "Bearer t1"
        return answer({"code": "bad.credentials"}, 401) if is_revoked else answer({"id": "1"})

    async def use() -> None:
        with anyio.fail_after(HANG):
            await client.appointments.get("1")
            cache = pipeline_of(client).send.send.tokens.shared
            while (await cache._load()).value.lease is not None:  # noqa: ASYNC110 # it is written in the background
                await anyio.sleep(0.01)

    parent, state = os.getpid(), FileSharedState(tmp_path / "state")
    client = Service(platform).client(GRANT, shared_state=state)
    backend: Any = {"backend": anyio_backend_name}
    anyio.run(use, **backend)

    raised = [in_child(lambda: anyio.run(use, **backend)) for _ in range(3)]

    assert raised == ["", "", ""]
    assert posts.read_text().split() == ["post"] * 2
