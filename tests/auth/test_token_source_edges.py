"""Edge cases of token sources: exact times, another process, a store that fails, an exhausted sign-in."""

import anyio
import httpx
import pytest

from coaching_async import AuthError, MemoryTokenStore, RetryPolicy
from coaching_async._auth.failure_cache import FailureCache
from tests.auth.test_token_source import SlowTokenEndpoint, new_token_source, token_response
from tests.auth.test_token_source_properties import (
    CANARY,
    FIRST,
    GRANTS,
    LIFE,
    Platform,
    Work,
    both_token_sources,
    client_of,
    get,
    lost_on_the_way,
    outage,
    refresh,
)
from tests.faults.support import failing
from tests.support.doubles import answer

pytestmark = pytest.mark.anyio

EXHAUSTED = "^the sign-in is used up, or its last renewal got lost: let the user sign in again$"


# Exact times


async def test_a_failure_is_cached_for_one_second_then_two_and_up_to_thirty():
    failure = FailureCache()

    async def check_ttl(seconds: float) -> None:
        failure.store(AuthError("no"))
        await anyio.sleep(seconds - 0.125)
        assert failure.is_active()
        await anyio.sleep(0.125)
        assert not failure.is_active()

    for seconds in (1, 2, 4, 8, 16, 30, 30):
        await check_ttl(seconds)
    failure.clear()
    await check_ttl(1)


@both_token_sources
async def test_a_failed_early_refresh_is_tried_again_ten_seconds_later(grant: str):
    platform = Platform(life=LIFE, seconds=0)
    async with client_of(platform, GRANTS[grant](), retry=RetryPolicy(attempts=1)) as client:
        await get(client)
        platform.mishaps = [outage] * 100
        await anyio.sleep(0.9 * LIFE)
        for _ in range(4 * 35):
            await get(client)
            await anyio.sleep(0.25)

    assert platform.asked_at == [0, 900, 910, 920, 930]


async def test_only_one_of_several_concurrent_callers_waits_for_an_early_refresh():
    source, tokens = (
        new_token_source(SlowTokenEndpoint(token_response("t1", expires_in=100), token_response("t2"))),
        list[tuple[str, float]](),
    )
    await source.token()
    await anyio.sleep(90)
    started = anyio.current_time()

    async def get_token() -> None:
        tokens.append((await source.token(), anyio.current_time() - started))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(get_token)

    assert sorted(tokens) == [("t1", 0)] * 9 + [("t2", 1)]


async def test_if_the_new_token_equals_the_rejected_one_there_is_one_request_for_all_callers():
    script = SlowTokenEndpoint(token_response("t1"))
    source, tokens = new_token_source(script), list[str]()
    await source.token()

    async def get_token() -> None:
        tokens.append(await source.token(rejected="t1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(get_token)

    assert tokens == ["t1"] * 100
    assert len(script.sent) == 2


# Another process


@pytest.mark.parametrize("error, is_used", [("invalid_grant", True), ("unauthorized_client", False)])
async def test_a_refresh_token_that_another_process_stored_is_used_if_the_old_one_is_refused(error: str, is_used: bool):
    store = MemoryTokenStore(FIRST)

    async def refreshed_by_another_process(work: Work) -> httpx.Response:
        work()
        await store.save(FIRST, platform.newest)
        return answer({"error": error}, 400)

    platform = Platform(refreshed_by_another_process)
    async with client_of(platform, refresh(store=store)) as client:
        if is_used:
            await get(client)
        else:
            with failing(AuthError, error):
                await get(client)

    assert platform.posted == ([FIRST, f"{CANARY}-refresh-1"] if is_used else [FIRST])
    assert platform.reused == []


async def test_an_exception_of_the_store_is_not_quoted_and_the_next_call_reads_it_again():
    class Locked(MemoryTokenStore):
        is_locked = True

        async def load(self) -> str | None:
            if self.is_locked:
                raise OSError(CANARY)
            return await super().load()

    platform, store = Platform(), Locked(FIRST)
    async with client_of(platform, refresh(store=store)) as client:
        with failing(AuthError, "^the store of the refresh token failed: OSError$"):
            await get(client)
        store.is_locked = False
        await get(client)

    assert platform.posted == [FIRST]


# An exhausted sign-in


async def test_an_exhausted_sign_in_raises_until_another_process_stores_a_refresh_token():
    again, store = f"{CANARY}-of-another-sign-in", MemoryTokenStore(FIRST)
    platform = Platform(lost_on_the_way, lost_on_the_way)
    async with client_of(platform, refresh(store=store)) as client:
        for _ in range(2):
            with failing(AuthError, r"the answer of the login host \S+( \(.*\))? got lost"):
                await get(client)
            await anyio.sleep(30)
        for _ in range(3):
            with failing(AuthError, EXHAUSTED):
                await get(client)
            await anyio.sleep(3600)
        platform.newest = again
        await store.save(FIRST, again)

        await get(client)

    assert platform.posted == [FIRST, FIRST, again]


async def test_a_code_without_a_refresh_token_is_exhausted_when_its_token_expires():
    platform = Platform(life=LIFE, rotates=False)
    async with client_of(platform, GRANTS["code"]()) as client:
        await get(client)
        await anyio.sleep(LIFE)
        with failing(AuthError, EXHAUSTED):
            await get(client)

    assert len(platform.forms) == 1
