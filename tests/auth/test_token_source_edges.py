"""The edges of keeping tokens: the last moment, the other process, the store that fails, the sign-in that is used up."""

import anyio
import httpx
import pytest

from coaching_async import AuthError, MemoryTokenStore, RetryPolicy
from coaching_async._auth.token_source import FailureCache
from tests.auth.test_token_source import Login, keeper, token_answer
from tests.auth.test_token_source_properties import (
    CANARY,
    FIRST,
    GRANTS,
    LIFE,
    Platform,
    Work,
    both_keepers,
    client_of,
    get,
    lost_on_the_way,
    outage,
    refresh,
)
from tests.faults.support import failing
from tests.support.doubles import answer

pytestmark = pytest.mark.anyio

USED_UP = "^the sign-in is used up, or its last renewal got lost: let the user sign in again$"


# The last moment


async def test_a_failure_is_told_for_a_second_then_two_up_to_thirty_and_not_a_moment_longer():
    failure = FailureCache()

    async def counts_for(seconds: float) -> None:
        failure.store(AuthError("no"))
        await anyio.sleep(seconds - 0.125)
        assert failure.is_active()
        await anyio.sleep(0.125)
        assert not failure.is_active()

    for seconds in (1, 2, 4, 8, 16, 30, 30):
        await counts_for(seconds)
    failure.clear()
    await counts_for(1)


@both_keepers
async def test_a_renewal_ahead_of_time_that_failed_is_tried_again_ten_seconds_later(grant: str):
    platform = Platform(life=LIFE, seconds=0)
    async with client_of(platform, GRANTS[grant](), retry=RetryPolicy(attempts=1)) as client:
        await get(client)
        platform.mishaps = [outage] * 100
        await anyio.sleep(0.9 * LIFE)
        for _ in range(4 * 35):
            await get(client)
            await anyio.sleep(0.25)

    assert platform.asked_at == [0, 900, 910, 920, 930]


async def test_of_all_who_come_in_the_moment_of_a_renewal_one_waits_for_it():
    shared, got = keeper(Login(token_answer("t1", expires_in=100), token_answer("t2"))), list[tuple[str, float]]()
    await shared.token()
    await anyio.sleep(90)
    started = anyio.current_time()

    async def ask() -> None:
        got.append((await shared.token(), anyio.current_time() - started))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask)

    assert sorted(got) == [("t1", 0)] * 9 + [("t2", 1)]


async def test_a_login_host_that_gives_the_rejected_token_again_is_asked_once_for_all_who_wait():
    script = Login(token_answer("t1"))
    shared, got = keeper(script), list[str]()
    await shared.token()

    async def ask() -> None:
        got.append(await shared.token(rejected="t1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(ask)

    assert got == ["t1"] * 100
    assert len(script.sent) == 2


# The other process


@pytest.mark.parametrize("error, is_tried", [("invalid_grant", True), ("unauthorized_client", False)])
async def test_a_refresh_token_that_another_process_renews_meanwhile_is_tried_where_the_old_one_is_refused(
    error: str, is_tried: bool
):
    store = MemoryTokenStore(FIRST)

    async def renewed_elsewhere(work: Work) -> httpx.Response:
        work()
        await store.save(FIRST, platform.newest)
        return answer({"error": error}, 400)

    platform = Platform(renewed_elsewhere)
    async with client_of(platform, refresh(store=store)) as client:
        if is_tried:
            await get(client)
        else:
            with failing(AuthError, error):
                await get(client)

    assert platform.posted == ([FIRST, f"{CANARY}-refresh-1"] if is_tried else [FIRST])
    assert platform.reused == []


async def test_a_store_that_cannot_be_read_is_told_without_its_text_and_read_again_for_the_next_call():
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


# The sign-in that is used up


async def test_a_sign_in_that_is_used_up_says_so_and_goes_on_with_what_another_process_stores():
    again, store = f"{CANARY}-of-another-sign-in", MemoryTokenStore(FIRST)
    platform = Platform(lost_on_the_way, lost_on_the_way)
    async with client_of(platform, refresh(store=store)) as client:
        for _ in range(2):
            with failing(AuthError, "the login host's answer got lost"):
                await get(client)
            await anyio.sleep(30)
        for _ in range(3):
            with failing(AuthError, USED_UP):
                await get(client)
            await anyio.sleep(3600)
        platform.newest = again
        await store.save(FIRST, again)

        await get(client)

    assert platform.posted == [FIRST, FIRST, again]


async def test_a_code_that_brought_no_refresh_token_is_used_up_when_its_token_ends():
    platform = Platform(life=LIFE, rotates=False)
    async with client_of(platform, GRANTS["code"]()) as client:
        await get(client)
        await anyio.sleep(LIFE)
        with failing(AuthError, USED_UP):
            await get(client)

    assert len(platform.forms) == 1
