"""One token for a fleet: how many token requests there are, whatever processes, shared state and login host do."""

import json
from collections import Counter
from functools import partial
from typing import Any

import anyio
import pytest

from coaching_async import AuthError, ClientCredentials, Saml2Bearer, SharedStateFound, SharedStateLost
from coaching_async._auth.grants import Grant
from coaching_async._transport.messages import Response
from coaching_async.testing import MemorySharedState
from tests.support.token_fleet import LOGIN, LoginHost, Process, all_of, fleet

pytestmark = pytest.mark.anyio

MANY = 50


def refusal(error: str, status: int = 400) -> Response:
    return Response(status, content=json.dumps({"error": error}).encode())


def tokens_of(processes: list[Process], rejected: str | None = None) -> list[Any]:
    return [partial(process.token, rejected) for process in processes]


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


async def test_while_the_shared_state_is_lost_each_process_has_its_own_token():
    login, store = LoginHost(), MemorySharedState()
    store.down = True
    async with fleet(MANY, login, store) as processes:
        tokens = await all_of(tokens_of(processes))

        assert len(set(tokens)) == len(login.asked_at) == MANY
        assert [type(event).__name__ for event in processes[0].events] == ["SharedStateLost", "TokenIssued"]


async def test_a_token_in_memory_serves_on_until_it_expires_while_the_shared_state_is_lost():
    login, store = LoginHost(life=600), MemorySharedState()
    async with fleet(4, login, store) as processes:
        await all_of(tokens_of(processes))
        store.down = True

        await anyio.sleep(599)
        assert await all_of(tokens_of(processes)) == ["t1"] * 4
        await anyio.sleep(1)

        assert len(set(await all_of(tokens_of(processes)))) == 4
    assert len(login.asked_at) == 5


async def test_when_the_shared_state_is_found_a_token_that_came_meanwhile_is_shared():
    login, store = LoginHost(), MemorySharedState()
    store.down = True
    async with fleet(3, login, store) as processes:
        await all_of(tokens_of(processes[:2]))
        store.down = False
        await anyio.sleep(3)

        assert {type(event) for event in processes[0].events} >= {SharedStateLost, SharedStateFound}
        assert await processes[2].token() in {"t1", "t2"}
    assert len(login.asked_at) == 2


async def test_a_token_that_was_rejected_while_the_shared_state_was_lost_is_not_shared_afterwards():
    login, store = LoginHost(), MemorySharedState()
    store.down = True
    async with fleet(1, login, store) as (process,):
        assert await process.token() == "t1"
        assert await process.token("t1") == "t2"
        store.down = False
        await anyio.sleep(3)

    assert [text for text in process.reached.texts if '"t1"' in text] == []
    assert [text for text in process.reached.texts if '"t2"' in text] != []


async def test_a_login_host_that_gives_a_rejected_token_again_is_asked_once_in_each_life():
    class Stubborn(LoginHost):
        async def __call__(self, request: Any) -> Response:
            self.issued = 0
            return await super().__call__(request)

    login = Stubborn(life=1000)
    async with fleet(2, login, MemorySharedState()) as (one, other):
        assert await one.token() == "t1"
        assert await one.token("t1") == "t1"
        await anyio.sleep(901)
        assert await other.token() == "t1"
        assert await other.token() == "t1"  # it was due
        await anyio.sleep(0.1)
        assert len(login.asked_at) == 3

        await one.token()
        assert len(login.asked_at) == 3


async def test_a_newer_token_of_another_process_stays_when_the_shared_state_is_found():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(3, login, store) as (early, late, third):
        early.reached.step = down
        await early.token()
        await anyio.sleep(5)
        await late.token()

        early.reached.step = up
        await anyio.sleep(5)

        assert await third.token() == "t2"
        assert await early.token() == "t1"  # it serves on
        assert await early.token("t1") == "t2"
    assert len(login.asked_at) == 2


async def down(_: str) -> None:
    raise ConnectionError("down")


async def up(_: str) -> None:
    """Let the operation happen."""


async def hanging(_: str) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("lost", [down, hanging])
@pytest.mark.parametrize("moment", range(8))
async def test_a_shared_state_that_is_lost_at_any_operation_fails_no_call(moment: int, lost: Any):
    login = LoginHost()
    async with fleet(2, login, MemorySharedState()) as (one, other):
        count = 0

        async def step(where: str) -> None:
            nonlocal count
            count += 1
            if count > moment:
                await lost(where)

        one.reached.step = step
        assert await one.token() == "t1"
        await anyio.sleep(20)  # a lease that it may have left has ended
        assert await other.token() == ("t1" if moment >= 7 else "t2")
        one.reached.step = up
        await anyio.sleep(3)
        assert await one.token() == "t1"


async def test_processes_that_had_tokens_of_their_own_get_one_token_when_theirs_are_due():
    login, store = LoginHost(life=600), MemorySharedState()
    store.down = True
    async with fleet(4, login, store) as processes:
        await all_of(tokens_of(processes))
        store.down = False

        for _ in range(120):
            await anyio.sleep(5)
            await all_of(tokens_of(processes))

        assert len(set(await all_of(tokens_of(processes)))) == 1
    assert len(login.asked_at) == 4 + 1


async def test_a_shared_state_that_goes_back_to_an_older_token_costs_one_more_if_that_was_revoked():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(3, login, store) as (one, other, third):
        await all_of(tokens_of([one, other]))
        await anyio.sleep(0.1)
        older = dict(store._texts)
        await all_of(tokens_of([one, other], "t1"))
        await anyio.sleep(0.1)
        store._texts |= older

        assert await third.token() == "t1"
        assert await third.token("t1") == "t3"
        assert await all_of(tokens_of([one, other])) == ["t2"] * 2


async def test_a_swap_that_was_carried_out_although_the_answer_says_not_costs_no_waiting():
    """A library or a proxy may repeat a command whose answer was lost."""
    login = LoginHost()
    async with fleet(2, login, MemorySharedState()) as (one, other):
        swap, answers = one.reached.swap, [False, True, False]

        async def repeated(*arguments: Any) -> bool:
            return await swap(*arguments) and (answers.pop(0) if answers else True)

        one.reached.swap = repeated  # type: ignore[method-assign]
        with anyio.fail_after(1):
            assert await one.token() == "t1"
        await anyio.sleep(0.1)

        assert await other.token() == "t1"


async def test_a_text_of_another_version_is_as_a_lost_shared_state():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(2, login, store) as processes:
        await processes[0].token()
        await anyio.sleep(0.1)
        (name,) = store._texts
        text, _ = await store.load(name)
        assert text is not None
        await store.swap(name, text, text.replace('"version":1', '"version":2'), 3600)

        assert await processes[1].token() == "t2"

        assert (await store.load(name))[0] == text.replace('"version":1', '"version":2')
        assert isinstance(processes[1].events[0], SharedStateLost)


async def test_a_shared_state_that_forgets_the_token_costs_one_more_and_the_others_use_theirs():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(4, login, store) as processes:
        await all_of(tokens_of(processes[:3]))
        store.forget()

        assert await processes[3].token() == "t2"
        assert await all_of(tokens_of(processes[:3])) == ["t1"] * 3
    assert len(login.asked_at) == 2


@pytest.mark.parametrize("jump", [-3600.0, -3.0, 3.0, 3600.0])
async def test_a_clock_of_the_shared_state_that_jumps_costs_at_most_one_token(jump: float):
    login, store = LoginHost(), MemorySharedState()
    async with fleet(4, login, store) as processes:
        await all_of(tokens_of(processes[:3]))
        store.ahead += jump

        await processes[3].token()
        await all_of(tokens_of(processes, "t1"))

    assert len(login.asked_at) <= 3
    assert len(set(await all_of(tokens_of(processes)))) == 1


async def test_a_clock_that_is_set_back_does_not_prolong_the_lease_of_a_killed_process():
    login, store = LoginHost(), MemorySharedState()
    async with fleet(2, login, store) as (victim, other):
        with anyio.move_on_after(0.1):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(victim.token)
                await anyio.sleep(0.05)
                victim.kill()
                await anyio.sleep_forever()
        store.ahead -= 3600

        with anyio.fail_after(31):
            assert await other.token() == "t1"


async def test_clocks_of_processes_do_not_matter_as_times_are_those_of_the_shared_state():
    login, store = LoginHost(life=600), MemorySharedState(latency=0.1)
    store.ahead = 1e9
    async with fleet(2, login, store) as (one, other):
        await one.token()
        await anyio.sleep(100)
        assert await other.token() == "t1"

        token = other.state.current
        assert token is not None
        # It was requested after a load and a swap. The times err by a round trip or two, to the safe side.
        assert token.expires_at == pytest.approx(600.2, abs=0.21)
        assert token.expires_at <= 600.2


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
