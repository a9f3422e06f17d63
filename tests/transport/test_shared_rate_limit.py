"""The laws of a rate limit that several processes share, on the virtual clock."""

import statistics

import anyio
import pytest

from coaching_async import RateLimit, RateLimited
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.shared_text import decode
from coaching_async._transport.rate_limit.shared_window import MAX_LEASE
from coaching_async.testing import MemorySharedState
from tests.support.cancelling import NATIVE, Way, by_scope, skip_where_unknown
from tests.support.effort import FULL, calls, combinations, on_one_backend
from tests.support.fleet import NAME, Fleet, Process, fleet_of

pytestmark = pytest.mark.anyio

LIMIT = RateLimit(60, per=20.0)
SHARE = LIMIT.per / LIMIT.requests
REAL = RateLimit(300, per=60.0)

WINDOWS = 5 if FULL else 3


async def run(fleet: Fleet, windows: float, *tasks: object) -> None:
    """Run tasks for some windows."""
    with anyio.move_on_after(windows * fleet.limit.per):
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(task)  # type: ignore[arg-type]


@pytest.mark.parametrize("processes, seed", combinations([1, 2, 8, 32] if FULL else [1, 5], range(3 if FULL else 1)))
@on_one_backend
async def test_bulks_use_the_limit_and_no_window_has_more(processes: int, seed: int):
    async with fleet_of(REAL if FULL else LIMIT, seed=seed) as fleet:
        await run(fleet, WINDOWS, *(fleet.process().bulk for _ in range(processes)))

        assert fleet.most() <= fleet.limit.requests
        assert fleet.used(fleet.limit.per, WINDOWS * fleet.limit.per) >= 0.97
        if processes > 4:
            sent = [process.sent[Priority.BULK] for process in fleet.processes]
            unfair = 0.25 if FULL else 0.5  # the burst at the start is a third of the requests of a short run
            assert max(sent) <= (1 + unfair) * statistics.mean(sent)
            assert min(sent) >= (1 - unfair) * statistics.mean(sent)


@on_one_backend
@pytest.mark.parametrize("seed", range(3 if FULL else 1))
async def test_beside_eight_bulks_a_direct_call_waits_for_a_few_even_shares(seed: int):
    async with fleet_of(REAL if FULL else LIMIT, seed=seed) as fleet:
        caller = fleet.process()
        share = fleet.limit.per / fleet.limit.requests

        async def direct() -> None:
            await caller.direct(every=5 * share)

        await run(fleet, WINDOWS, direct, *(fleet.process().bulk for _ in range(8)))

        assert caller.sent[Priority.INTERACTIVE] > 20
        assert max(caller.waits) <= 5 * share
        assert statistics.median(caller.waits) <= share
        assert fleet.most() <= fleet.limit.requests


@on_one_backend
async def test_looks_are_few_and_a_process_that_asks_for_nothing_looks_at_nothing():
    async with fleet_of(LIMIT) as fleet:
        await run(fleet, WINDOWS, *(fleet.process().bulk for _ in range(8)))
        assert fleet.looks() <= 5 * len(fleet.counted)

        await anyio.sleep(2)
        before = fleet.looks()
        await anyio.sleep(60)
        assert fleet.looks() == before


@on_one_backend
async def test_few_looks_are_repeated_because_processes_that_expect_the_same_permit_look_one_after_the_other():
    async with fleet_of(RateLimit(150, per=10.0)) as fleet:

        async def direct() -> None:
            await fleet.process().direct(every=0.25)

        await run(fleet, 2, direct, direct, *(fleet.process().bulk for _ in range(6)))

        assert sum(process.store.count["conflicts"] for process in fleet.processes) <= 0.1 * fleet.looks()


async def test_what_was_used_is_written_within_a_second_and_at_once_when_the_client_closes():
    async with fleet_of(LIMIT) as fleet:
        process = fleet.process()
        await process.send()
        await anyio.sleep(1.1)
        assert await written(fleet) == (0, 1)

        await process.send()
        at = anyio.current_time()
        await process.close()
        assert anyio.current_time() - at < 0.1
        assert await written(fleet) == (0, 2)


async def written(fleet: Fleet) -> tuple[int, int]:
    """Return how many permits are in flight and how many are used, as the shared state knows it."""
    text, now = await fleet.store.load(NAME)
    union = decode(text).union(now)
    return union.in_flight, len(union.expiry_times)


async def test_the_permits_of_a_killed_process_are_free_a_window_after_the_end_of_their_leases_and_not_before():
    async with fleet_of(RateLimit(10, per=20.0)) as fleet:
        killed, other = fleet.process(), fleet.process()
        for _ in range(10):
            await killed.acquire(Priority.INTERACTIVE)
        at = anyio.current_time()
        killed.kill()

        await other.acquire(Priority.INTERACTIVE)

        assert anyio.current_time() - at == pytest.approx(MAX_LEASE + 20, abs=1.5)


@on_one_backend
async def test_processes_that_die_with_permits_cost_no_more_than_those():
    limit = REAL if FULL else RateLimit(100, per=60.0)
    async with fleet_of(limit) as fleet:

        async def dying() -> None:
            for _ in range(12 if FULL else 4):
                process = fleet.process()
                async with anyio.create_task_group() as group:
                    group.start_soon(process.bulk, 1)
                    await anyio.sleep(5)
                    process.kill()

        await run(fleet, 2.5, dying, *(fleet.process().bulk for _ in range(3)))

        assert fleet.most() <= limit.requests
        assert fleet.used(limit.per, 2.5 * limit.per) >= 0.95


async def test_a_permit_that_came_to_nothing_is_free_at_once_for_others_too():
    async with fleet_of(RateLimit(1, per=20.0)) as fleet:
        one, other = fleet.process(), fleet.process()
        permit = await one.acquire(Priority.INTERACTIVE)
        asked_at = anyio.current_time()

        async with anyio.create_task_group() as group:
            group.start_soon(other.send)
            await anyio.sleep(1)
            one.limiter.release(permit, 0)

        assert anyio.current_time() - asked_at < 2.5


async def test_a_permit_that_is_given_back_while_another_one_is_taken_stays_given_back():
    async with fleet_of(RateLimit(3, per=20.0), store=MemorySharedState(latency=0.05)) as fleet:
        process = fleet.process()
        permits = [await process.acquire(Priority.INTERACTIVE) for _ in range(2)]

        async with anyio.create_task_group() as group:
            group.start_soon(process.acquire, Priority.INTERACTIVE)
            await anyio.sleep(0.12)  # while the texts are swapped
            process.limiter.release(permits[0], 1)
        await anyio.sleep(1.5)

        assert await written(fleet) == (2, 1)


@pytest.mark.parametrize("of_another_process", [False, True])
async def test_a_direct_call_whose_turn_comes_after_its_deadline_is_refused_at_once(of_another_process: bool):
    async with fleet_of(RateLimit(5, per=20.0)) as fleet:
        one = fleet.process()
        for _ in range(5):
            await one.send()
        caller = fleet.process() if of_another_process else one
        at = anyio.current_time()

        with anyio.fail_after(10), pytest.raises(RateLimited):
            await caller.acquire(Priority.INTERACTIVE)

        assert anyio.current_time() - at < 0.1
        with anyio.fail_after(30):
            await caller.acquire(Priority.INTERACTIVE)


@on_one_backend
async def test_direct_calls_that_ask_for_more_than_there_is_are_refused_in_every_process():
    async with fleet_of(LIMIT) as fleet:
        callers = [fleet.process() for _ in range(4)]

        async def direct(caller: Process) -> None:
            await caller.direct(every=2 * SHARE, within=5.0)  # twice as many as the limit allows

        await run(fleet, WINDOWS, *(lambda caller=caller: direct(caller) for caller in callers))

        assert fleet.most() <= LIMIT.requests
        assert fleet.used(LIMIT.per, WINDOWS * LIMIT.per) >= 0.95
        assert all(caller.refused for caller in callers)
        assert max(wait for caller in callers for wait in caller.waits) <= 5.0


async def test_after_a_429_nobody_sends_until_the_cooldown_is_over_and_then_few_at_a_time():
    async with fleet_of(RateLimit(300, per=20.0)) as fleet:
        processes = [fleet.process() for _ in range(4)]
        refuse_at = 3.0
        fleet.accepts = lambda now: not refuse_at <= now or bool(fleet.throttled)
        fleet.retry_after = 7.0

        await run(fleet, 1, *(process.bulk for process in processes))

        told_at = fleet.throttled[0] + 0.35  # when the answer has come, and others have looked
        assert not [time for time in fleet.counted if told_at < time < fleet.throttled[0] + 6.9]
        after = sorted(time for time in fleet.counted if time > fleet.throttled[0] + 6.9)
        assert sum(time < after[0] + 0.1 for time in after) <= 2, "one probe for the whole fleet"
        assert len(after) > 20


@on_one_backend
@pytest.mark.parametrize("seed", range(3 if FULL else 1))
async def test_a_service_that_allows_half_refuses_few_requests_of_the_whole_fleet(seed: int):
    limit = REAL if FULL else LIMIT
    async with fleet_of(limit, seed=seed) as fleet:
        fleet.allow(limit.requests // 2)

        await run(fleet, 6, *(fleet.process().bulk for _ in range(8)))

        first = [time for time in fleet.throttled if time < 1.5 * limit.per]
        assert len(first) <= 5
        assert len(fleet.throttled) - len(first) <= 4, "one a window, as the limit is tried again"
        assert fleet.used(2 * limit.per, 6 * limit.per) >= 0.38


@pytest.mark.parametrize("cancel", [by_scope, *NATIVE], ids=lambda way: way.__name__)
async def test_a_cancelled_acquire_takes_no_permit_and_stops_nobody(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    async with fleet_of(RateLimit(4, per=5.0), store=MemorySharedState(latency=0.01)) as fleet:
        one, other = fleet.process(), fleet.process()
        held = [await one.acquire(Priority.INTERACTIVE) for _ in range(2)]
        for number in range(calls(200)):
            priority = Priority.BULK if number % 2 else Priority.INTERACTIVE

            async def take(priority: Priority = priority) -> None:
                one.limiter.release(await one.acquire(priority), 0)

            async def moment(number: int = number) -> None:
                await anyio.sleep(0.0025 * (number % 25))

            await cancel(take, moment)
        await anyio.sleep(1)

        assert await written(fleet) == (2, 0)
        assert one.local.window.interactive_waiting == 0
        asked_at = anyio.current_time()
        await other.send()
        assert anyio.current_time() - asked_at < 1.5
        for permit in held:
            one.limiter.release(permit, 0)


async def test_a_process_with_another_limit_makes_all_keep_to_the_lower_one(caplog: pytest.LogCaptureFixture):
    async with fleet_of(LIMIT) as fleet:
        careful = fleet.process(RateLimit(30, per=20.0))

        await run(fleet, 4, careful.bulk, fleet.process().bulk)

        assert fleet.most() <= 31
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [
        "the processes that share this limit were given different ones: all keep to 30 requests in 20 s"
    ]


@pytest.mark.parametrize(
    "one, other, lowest",
    [
        (RateLimit(10, per=2.0), RateLimit(300, per=60.0), RateLimit(10, per=2.0)),
        (RateLimit(30, per=20.0), RateLimit(4, per=2.0), RateLimit(30, per=20.0)),
    ],
)
async def test_limits_with_different_periods_keep_all_to_the_lower_one(
    one: RateLimit, other: RateLimit, lowest: RateLimit
):
    async with fleet_of(lowest) as fleet:
        await run(fleet, 4, fleet.process(one).bulk, fleet.process(other).bulk)

        assert fleet.most() <= lowest.requests + 1, "one may be sent before a process knows of the other limit"
        assert fleet.most(since=lowest.per) <= lowest.requests
        assert fleet.used(lowest.per, 4 * lowest.per) >= 0.8
        assert all(process.sent[Priority.BULK] > 2 for process in fleet.processes)
