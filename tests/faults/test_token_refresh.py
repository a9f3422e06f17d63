"""Rows 42 to 47, 56 and 63: access tokens that expire, are rejected, or cannot be obtained."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from coaching_async import (
    AuthError,
    CoachingClient,
    CoachingError,
    RetryPolicy,
    Unauthorized,
)
from tests.auth.test_token_source_properties import (
    FIRST,
    Mishap,
    Platform,
    all_of,
    client_of,
    down,
    get,
    outage,
    refuse,
    token_source_of,
)
from tests.faults.grants import LIFE, every_grant, every_renewable, failures_of, token, user
from tests.faults.support import NEW, failing

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)


async def create(client: CoachingClient) -> None:
    await client.appointments.create(NEW)


@pytest.mark.parametrize("call", [get, create], ids=["GET", "POST"])
@every_renewable
async def test_row_42_a_rejected_token_is_replaced_and_the_call_repeated(
    grant: Callable[[], Any], call: Callable[[CoachingClient], Awaitable[None]]
):
    platform = Platform()
    async with client_of(platform, grant()) as client:
        await get(client)
        platform.revoke()

        await call(client)

    assert len(platform.forms) == 2
    assert platform.seen == [token(1), token(1), token(2)]
    assert platform.stored == (call is create)


@pytest.mark.parametrize("call", [get, create], ids=["GET", "POST"])
@every_renewable
async def test_row_43_repeated_401s_are_an_error_after_one_new_token(
    grant: Callable[[], Any], call: Callable[[CoachingClient], Awaitable[None]]
):
    platform = Platform(life=LIFE)
    async with client_of(platform, grant()) as client:
        await get(client)
        platform.is_locked = True

        with failing(Unauthorized) as caught:
            await call(client)

    assert (caught.value.status, caught.value.attempts, caught.value.processed) == (401, 2, "no")
    assert platform.seen == [token(1), token(1), token(2)]
    assert len(platform.forms) == 2
    assert platform.stored == 0


async def hundred_401s(grant: Any, spread: float) -> None:
    """Let 100 calls in flight get their 401s within `spread` seconds after the token was revoked."""
    platform = Platform(seconds=0.1)
    async with client_of(platform, grant) as client:
        await get(client)
        platform.revoke()
        platform.delays = [0.5 + number * spread / 100 for number in range(100)]

        await all_of([partial(get, client)] * 100)

    assert len(platform.forms) == 2
    assert Counter(platform.seen) == {token(1): 101, token(2): 100}


@every_renewable
async def test_row_44_a_hundred_simultaneous_401s_request_one_new_token(grant: Callable[[], Any]):
    await hundred_401s(grant(), spread=0)


@every_renewable
async def test_row_45_late_401s_of_the_old_token_request_no_other_token(grant: Callable[[], Any]):
    await hundred_401s(grant(), spread=1)


# Refusals and failures of the token endpoint


@pytest.mark.parametrize(
    "error, status", [("invalid_client", 400), ("invalid_grant", 400), ("unauthorized_client", 400), ("odd", 401)]
)
@every_grant
async def test_row_46_all_waiting_and_all_later_calls_raise_the_refusal_of_the_token_endpoint(
    grant: Callable[[], Any], error: str, status: int
):
    platform = Platform(refuse(error, status))
    async with client_of(platform, grant()) as client:
        failures = await failures_of([partial(get, client)] * 100)
        for seconds in (10, 3600):
            await anyio.sleep(seconds)
            with failing(AuthError) as caught:
                await get(client)
            failures.append(caught.value)

    assert {(type(failure), failure.code, failure.status, failure.processed) for failure in failures} == {
        (AuthError, error, status, "no")
    }
    assert len(failures) == 102
    assert len(platform.forms) == 1
    assert platform.seen == []


@pytest.mark.parametrize("mishap", [down, outage], ids=["503", "no connection"])
@every_renewable
async def test_row_47_after_failures_the_next_token_request_waits_a_second_then_two_and_so_on(
    grant: Callable[[], Any], mishap: Mishap
):
    platform = Platform(*[mishap] * 100, seconds=0)
    async with client_of(platform, grant(), retry=ONCE) as client:
        for _ in range(4 * 122):
            with failing(CoachingError) as caught:
                await get(client)
            assert caught.value.processed == "no"
            await anyio.sleep(0.25)

    waits = [after - before for before, after in zip(platform.asked_at, platform.asked_at[1:], strict=False)]
    # A 503 may have used up the refresh token, so it is posted once more only.
    once_more = grant is user and mishap is down
    assert waits == pytest.approx([1] if once_more else [1, 2, 4, 8, 16, 30, 30, 30])


@every_renewable
async def test_row_47_a_success_resets_the_wait(grant: Callable[[], Any]):
    platform = Platform(*[outage] * 3, life=LIFE, seconds=0)
    async with client_of(platform, grant(), retry=ONCE) as client:
        for seconds in (1, 2, 4):
            with failing(CoachingError):
                await get(client)
            await anyio.sleep(seconds)
        await get(client)
        platform.mishaps = [outage]
        await anyio.sleep(LIFE)
        with failing(CoachingError):
            await get(client)
        await anyio.sleep(1)

        await get(client)


@pytest.mark.parametrize("days", [-1, 1])
@every_renewable
async def test_row_56_setting_the_system_clock_changes_nothing(
    grant: Callable[[], Any], days: int, monkeypatch: pytest.MonkeyPatch
):
    platform, right = Platform(life=3.0, seconds=0), time.time
    async with client_of(platform, grant()) as client:
        await get(client)
        monkeypatch.setattr(time, "time", lambda: right() + 86400 * days)
        for _ in range(59):
            await anyio.sleep(0.1)
            await get(client)

    assert platform.asked_at == pytest.approx([platform.asked_at[0] + each for each in (0, 2.7, 5.4)], abs=0.101)


# A task that is cancelled from outside


@pytest.mark.parametrize("has_begun", [False, True])
async def test_row_63_a_refresh_that_was_cancelled_from_outside_starts_again(has_begun: bool, anyio_backend_name: str):
    if anyio_backend_name == "trio":
        pytest.skip("trio's system tasks cannot be cancelled")
    platform, before = Platform(), asyncio.all_tasks()
    async with client_of(platform, user()) as client:
        keeper = token_source_of(client)
        send_off = keeper.spawn

        def cancel() -> None:
            for task in asyncio.all_tasks() - before:
                if task is not waiting:
                    task.cancel()

        def send_off_and_cancel(*errand: Any) -> None:
            keeper.spawn = send_off
            send_off(*errand)
            cancel()

        async def wait() -> None:
            with failing(AuthError, "call again"):
                await keeper.token()

        with anyio.fail_after(1):
            if not has_begun:
                keeper.spawn = send_off_and_cancel
            waiting = asyncio.ensure_future(wait())
            if has_begun:
                await platform.asked.wait()
                platform.newest = FIRST  # the service had not carried the refresh out
                cancel()
            await waiting

        with anyio.fail_after(1):
            await get(client)

    assert platform.seen == [token(platform.issued)]
    assert len(platform.posted) == (2 if has_begun else 1)
