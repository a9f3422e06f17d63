"""One token for a fleet: how many token requests there are, whatever processes, shared state and login host do."""

import json
from collections import Counter
from functools import partial

import anyio
import pytest

from coaching_async import AuthError, ClientCredentials, Saml2Bearer
from coaching_async._auth.grants import Grant
from coaching_async._transport.messages import Response
from coaching_async.testing import MemorySharedState
from tests.support.token_fleet import LOGIN, LoginHost, Process, all_of, fleet, tokens_of

pytestmark = pytest.mark.anyio

MANY = 50


def refusal(error: str, status: int = 400) -> Response:
    return Response(status, content=json.dumps({"error": error}).encode())


@pytest.mark.parametrize("latency", [0.0, 0.02])
async def test_fifty_cold_processes_request_one_token(latency: float):
    login = LoginHost()
    async with fleet(MANY, login, MemorySharedState(latency=latency)) as processes:
        assert await all_of(tokens_of(processes)) == ["t1"] * MANY

    assert len(login.asked_at) == 1


@pytest.mark.parametrize("stagger", [0.0, 0.02])
async def test_if_all_processes_meet_a_401_one_more_token_is_requested_however_staggered(stagger: float):
    login = LoginHost()
    async with fleet(MANY, login, MemorySharedState()) as processes:
        await all_of(tokens_of(processes))

        async def later(number: int, process: Process) -> str:
            await anyio.sleep(number * stagger)
            return await process.token("t1")

        assert await all_of([partial(later, *each) for each in enumerate(processes)]) == ["t2"] * MANY

        assert await all_of(tokens_of(processes, "t1")) == ["t2"] * MANY  # late 401s
    assert len(login.asked_at) == 2


async def test_a_process_whose_token_was_rejected_while_another_was_fetched_does_not_take_it_again():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(2, login, store) as (one, other):
        await all_of(tokens_of([one, other]))
        login.seconds = 5.0

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.token, "t1")
            await anyio.sleep(1)
            with anyio.move_on_after(1):
                await other.token("t1")  # its first caller gives up
            assert await other.token() == "t2"

    assert len(login.asked_at) == 2


async def test_nothing_is_asked_of_the_shared_state_while_the_token_is_good():
    login = LoginHost()
    async with fleet(2, login, MemorySharedState()) as processes:
        await all_of(tokens_of(processes))
        await anyio.sleep(1)
        asked = [len(process.reached.operations) for process in processes]

        for _ in range(100):
            await all_of(tokens_of(processes))
            await anyio.sleep(5)

        assert [len(process.reached.operations) for process in processes] == asked


async def test_the_token_is_refreshed_once_in_each_life_and_nobody_waits():
    login = LoginHost(life=600)
    waited = Counter[bool]()

    async def work(process: Process) -> None:
        for _ in range(360):
            before = anyio.current_time()
            await process.token()
            waited[anyio.current_time() > before] += 1
            await anyio.sleep(10)

    async with fleet(4, login, MemorySharedState()) as processes:
        await all_of([partial(work, process) for process in processes])

    assert [round(later - earlier) for earlier, later in zip(login.asked_at, login.asked_at[1:], strict=False)] == [
        540
    ] * 6
    assert waited[True] == 4 + 6  # each at its start, and the one that refreshes


async def test_a_process_that_starts_while_the_token_is_due_takes_it_and_does_not_wait():
    login = LoginHost(life=600, seconds=3.0)
    async with fleet(3, login, MemorySharedState()) as (first, second, third):
        await first.token()
        await anyio.sleep(550)

        started = anyio.current_time()
        assert await second.token() == "t1"
        assert anyio.current_time() == started
        assert await second.token() == "t2"  # it was due
        await anyio.sleep(0.1)
        assert await third.token() == "t2"
    assert len(login.asked_at) == 2


async def test_if_the_process_that_fetches_is_killed_another_one_fetches_15_seconds_later():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(5, login, store) as (victim, *others):
        with anyio.move_on_after(0.1):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(victim.token)
                await anyio.sleep(0.05)
                victim.kill()
                await anyio.sleep_forever()

        assert await all_of(tokens_of(others)) == ["t1"] * 4

    first, second = login.asked_at
    assert 15.0 <= second - first <= 15.2


async def test_a_process_that_waits_for_the_login_host_keeps_its_lease():
    login = LoginHost(seconds=20.0)
    async with fleet(3, login, MemorySharedState(latency=0.01)) as processes:
        assert await all_of(tokens_of(processes)) == ["t1"] * 3

    assert len(login.asked_at) == 1


async def test_if_the_login_host_refuses_each_process_tells_its_callers_and_one_at_a_time_posts():
    login = LoginHost()
    login.refusal = refusal("invalid_client", 401)
    async with fleet(8, login, MemorySharedState()) as processes:
        for _ in range(3):
            errors = await all_of([function for function in tokens_of(processes) for _ in range(3)])

            assert {(type(error), error.code) for error in errors} == {(AuthError, "invalid_client")}
            await anyio.sleep(3600)

    assert len(login.asked_at) == 8  # credentials that were refused are not offered again by the same process
    assert login.most_under_way == 1


async def test_while_the_login_host_is_down_no_caller_waits_until_all_other_processes_have_failed():
    login = LoginHost(seconds=10.0)
    login.refusal = refusal("server_error", 503)
    async with fleet(4, login, MemorySharedState()) as processes:
        errors = list[AuthError]()
        for _ in range(2):
            with anyio.fail_after(36):
                errors += await all_of(tokens_of(processes))
            assert {(type(error), error.is_temporary) for error in errors} == {(AuthError, True)}
        assert login.most_under_way == 1
        assert any("several processes" in str(error) for error in errors)

        login.refusal, login.seconds = None, 0.3
        await anyio.sleep(31)
        assert len(set(await all_of(tokens_of(processes)))) == 1


async def test_a_process_that_was_refused_takes_the_token_that_another_one_gets():
    login = LoginHost()
    login.mishaps = [refusal("invalid_client", 401)]
    async with fleet(2, login, MemorySharedState()) as (one, other):
        with pytest.raises(AuthError):
            await one.token()

        assert await other.token() == "t1"
        await anyio.sleep(0.1)

        assert await one.token() == "t1"
    assert len(login.asked_at) == 2


async def test_while_early_refreshes_fail_the_fleet_makes_one_each_ten_seconds():
    login = LoginHost(life=1000)
    async with fleet(8, login, MemorySharedState()) as processes:
        await all_of(tokens_of(processes))
        await anyio.sleep(901)
        login.refusal = refusal("server_error", 503)

        for _ in range(60):
            assert await all_of(tokens_of(processes)) == ["t1"] * 8
            await anyio.sleep(1)

    assert len(login.asked_at) - 1 <= 7


async def test_an_early_refresh_that_stalls_fails_no_call_in_any_process():
    login = LoginHost(life=1000)
    async with fleet(8, login, MemorySharedState()) as processes:
        await all_of(tokens_of(processes))
        await anyio.sleep(901)
        login.seconds = 3600

        started = anyio.current_time()
        assert await all_of(tokens_of(processes)) == ["t1"] * 8
        assert anyio.current_time() - started == 5
        assert login.most_under_way == 1


@pytest.mark.parametrize(
    "auth, url",
    [
        (ClientCredentials("id", "s3cret"), "https://login.elsewhere/oauth/token"),
        (ClientCredentials("another", "s3cret"), LOGIN),
        (ClientCredentials("id", "wrong"), LOGIN),
        (ClientCredentials("id:s3", "cret"), LOGIN),
        (Saml2Bearer("id", "s3cret", "org", "assertion"), LOGIN),
    ],
    ids=["login host", "client id", "client secret", "both", "grant"],
)
async def test_another_login_host_client_id_secret_or_grant_never_finds_the_token(auth: Grant, url: str):
    login, store = LoginHost(), MemorySharedState()
    async with fleet(1, login, store) as (one,):
        await one.token()
        stranger = Process(login, store, auth, url)

        assert await stranger.token() == "t2"
        assert await one.token() == "t1"
        await stranger.close()
