import asyncio
import math
import random
from collections import deque
from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import RateLimit, RateLimited
from coaching_async._concurrency.deadlines import checkpoint_if_past_deadline, is_past_deadline
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit import Permit, RateLimiter
from tests.support.doubles import on, permit_of

pytestmark = pytest.mark.anyio


async def use(budget: RateLimiter, seconds: float = 0.0, priority: Priority = Priority.INTERACTIVE) -> float:
    """When it was sent."""
    permit = await permit_of(budget, priority)
    try:
        await anyio.sleep(seconds)
    finally:
        budget.release(permit, 1)
    return permit.granted_at


async def test_a_burst_goes_out_at_once_and_the_rest_when_the_window_has_passed():
    budget = RateLimiter(RateLimit(3, per=10.0))
    start = anyio.current_time()

    sent = [await use(budget) - start for _ in range(7)]

    assert sent == pytest.approx([0, 0, 0, 10, 10, 10, 20])


async def test_a_permit_is_free_again_a_window_after_its_answer():
    budget = RateLimiter(RateLimit(1, per=10.0))
    start = anyio.current_time()

    await use(budget, seconds=4.0)

    assert await use(budget) - start == pytest.approx(14)


async def test_while_all_permits_are_in_flight_the_next_waits_for_an_answer():
    budget = RateLimiter(RateLimit(1, per=10.0))
    start = anyio.current_time()
    sent: list[float] = []

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget, 5.0)
        await anyio.sleep(1)
        sent.append(await use(budget) - start)

    assert sent == pytest.approx([15])


@pytest.mark.parametrize("priority", Priority)
async def test_permits_are_given_in_the_order_of_asking(priority: Priority):
    budget = RateLimiter(RateLimit(1, per=1.0))
    order: list[int] = []

    async def ask(number: int) -> None:
        permit = await permit_of(budget, priority)
        order.append(number)
        budget.release(permit, 1)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, number)
            await anyio.sleep(0.01)

    assert order == [0, 1, 2, 3, 4]


async def test_a_cancelled_waiter_takes_no_permit():
    budget = RateLimiter(RateLimit(1, per=10.0))
    start = anyio.current_time()
    await use(budget)

    with anyio.move_on_after(100) as scope:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(use, budget)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()

    assert not scope.cancelled_caught
    assert await use(budget) - start == pytest.approx(10)


async def test_a_turn_that_comes_after_the_deadline_is_refused_at_once():
    budget = RateLimiter(RateLimit(1, per=10.0))
    await use(budget)
    await anyio.sleep(4)

    with anyio.fail_after(5), pytest.raises(RateLimited, match=r"leaves no room for 6\.0 s") as caught:
        await use(budget)

    assert caught.value.retry_after == pytest.approx(6)
    assert (caught.value.processed, caught.value.status) == ("no", 0)


async def test_a_turn_behind_others_is_counted_from_theirs():
    budget = RateLimiter(RateLimit(1, per=10.0))
    await use(budget)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget)
        await anyio.sleep(1)
        with anyio.fail_after(12), pytest.raises(RateLimited):
            await use(budget)  # after the one that waits already, so not before second 20


async def test_a_permit_that_was_not_used_is_free_at_once_and_a_replay_takes_two():
    budget = RateLimiter(RateLimit(2, per=10.0))
    start = anyio.current_time()
    for _ in range(5):
        permit = await permit_of(budget)
        budget.release(permit, 0)
    permit = await permit_of(budget)
    budget.release(permit, 2)

    assert await use(budget) - start == pytest.approx(10)


async def test_who_waits_behind_a_permit_that_was_not_used_goes_at_once():
    budget = RateLimiter(RateLimit(2, per=100.0))
    start = anyio.current_time()
    await use(budget)
    permit = await permit_of(budget)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget)
        await anyio.sleep(5)
        budget.release(permit, 0)

    assert anyio.current_time() - start == pytest.approx(5)


async def test_a_refused_turn_leaves_the_others_alone():
    budget = RateLimiter(RateLimit(2, per=10.0))
    start = anyio.current_time()
    await use(budget)
    await use(budget)
    with anyio.fail_after(1), pytest.raises(RateLimited):
        await use(budget)

    assert await use(budget) - start == pytest.approx(10)


@attrs.frozen
class Use:
    """What one caller does."""

    delay: float
    priority: Priority
    patience: float
    seconds: float
    sent: int
    refused: bool


uses = st.builds(
    Use,
    delay=st.floats(0, 200),
    priority=st.sampled_from(Priority),
    patience=st.sampled_from([0.0, 1.0, 30.0, math.inf]),
    seconds=st.floats(0, 90),
    sent=st.sampled_from([0, 1, 1, 1, 2]),
    refused=st.booleans(),
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_whatever_happens_no_window_has_more_requests_than_the_limit_and_everybody_gets_a_turn(backend: str):
    """Callers of both lanes come, lose patience, send nothing, once or twice, and are answered with a 429 or well."""

    @settings(max_examples=150, deadline=None)
    @given(
        limit=st.integers(1, 8), per=st.sampled_from([1.0, 7.5, 60.0]), callers=st.lists(uses, min_size=1, max_size=40)
    )
    def law(limit: int, per: float, callers: list[Use]) -> None:
        counted = list[tuple[float, float, int]]()
        served, gone = 0, 0

        async def one(budget: RateLimiter, use: Use) -> None:
            nonlocal served, gone
            await anyio.sleep(use.delay)
            try:
                with anyio.fail_after(use.patience):
                    permit = await permit_of(budget, use.priority)
            except (RateLimited, TimeoutError):
                gone += 1
                return
            try:
                with anyio.move_on_after(use.patience):
                    await anyio.sleep(use.seconds)
            finally:
                counted.append((permit.granted_at, anyio.current_time(), use.sent))
                budget.release(permit, use.sent, throttled=use.refused and use.sent > 0)
            served += 1

        async def main() -> None:
            budget = RateLimiter(RateLimit(limit, per=per))
            with anyio.fail_after(201 + len(callers) * (per + 91) * 2):  # nobody waits for ever
                async with anyio.create_task_group() as tasks:
                    for use in callers:
                        tasks.start_soon(one, budget, use)
            assert await permit_of(budget) is not None
            assert (budget._in_flight, budget._interactive_waiting) == (1, 0)

        anyio.run(main, **on(backend))
        assert served + gone == len(callers)
        # The service may count a request anywhere between sending and answer, so take the worst: any two sent-or-counted
        # moments within one window. One that was replayed is over by one at most, and that is charged afterwards.
        for _, answered, _ in counted:
            inside = [1 for sent, done, times in counted if times and done >= answered and sent < answered + per]
            assert len(inside) <= limit

    law()


@pytest.mark.parametrize("wrong", [(0, 60.0), (300, 0.0), (-1, 60.0)])
def test_a_limit_that_makes_no_sense_is_refused(wrong: tuple[int, float]):
    with pytest.raises(ValueError, match="must be"):
        RateLimit(wrong[0], per=wrong[1])


# Two lanes


async def times(
    budget: RateLimiter, priority: Priority, count: int, seconds: float = 0.0, workers: int = 10
) -> list[float]:
    """When each of so many was sent, counted from now."""
    start, sent, left = anyio.current_time(), list[float](), iter(range(count))

    async def work() -> None:
        for _ in left:
            sent.append(await use(budget, seconds, priority) - start)

    async with anyio.create_task_group() as tasks:
        for _ in range(workers):
            tasks.start_soon(work)
    return sent


async def test_bulk_takes_a_fifth_of_the_window_at_once_and_spreads_the_rest_over_it_without_a_stop():
    sent = await times(RateLimiter(RateLimit(20, per=20.0)), Priority.BULK, 60)

    steps = [after - before for before, after in pairwise(sent)]
    assert steps[:3] == pytest.approx([0] * 3)
    assert max(steps[3:]) < 2
    assert min(steps[3:]) >= 1 - 0.001
    assert sent[19] < 20
    assert sent[20:] == pytest.approx(list(range(20, 60)), abs=0.5)


async def test_after_idleness_direct_calls_go_out_at_once_and_of_bulk_a_fifth():
    budget = RateLimiter(RateLimit(10, per=10.0))
    for priority, burst in ((Priority.INTERACTIVE, 10), (Priority.BULK, 2)):
        await times(budget, priority, 10)
        await anyio.sleep(10)

        sent = await times(budget, priority, 10)

        assert len([at for at in sent if at == pytest.approx(0)]) == burst


async def test_a_direct_call_goes_before_all_bulk_that_waits():
    budget = RateLimiter(RateLimit(1, per=10.0))
    start, order = anyio.current_time(), list[tuple[str, float]]()

    async def go(priority: Priority) -> None:
        order.append((priority.name, await use(budget, 0.0, priority) - start))

    async with anyio.create_task_group() as tasks:
        for priority in (Priority.BULK, Priority.BULK, Priority.BULK, Priority.INTERACTIVE):
            tasks.start_soon(go, priority)
            await anyio.sleep(1)

    assert order == [("BULK", 0), ("INTERACTIVE", 10), ("BULK", 20), ("BULK", 30)]


@pytest.mark.parametrize("every", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("seconds", [0.02, 0.2])
async def test_beside_a_bulk_of_2000_a_direct_call_waits_for_one_permit_to_come_free_and_those_before_it(
    every: float, seconds: float
):
    """0.2 s at 300 a minute; and as long as an answer takes, because permits come free after it."""
    budget, choices, waits = RateLimiter(RateLimit(300, per=60.0)), random.Random(1), list[float]()
    share = 60 / 300
    last: deque[float] = deque([-math.inf] * 4, maxlen=4)
    """When the direct calls before went out."""

    async def ask() -> None:
        while True:
            await anyio.sleep(choices.expovariate(1 / every))
            asked = anyio.current_time()
            before = len([at for at in last if asked - at < 4 * share])
            sent = await use(budget, seconds, Priority.INTERACTIVE)
            last.append(sent)
            waits.append(sent - asked - before * share)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await times(budget, Priority.BULK, 2000, seconds)
        tasks.cancel_scope.cancel()

    assert len(waits) > 60
    assert max(waits) <= share + seconds


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("limit", [RateLimit(300, per=60.0), RateLimit(20, per=1.0), RateLimit(1, per=0.2)], ids=str)
async def test_where_there_is_work_the_rate_is_99_percent_of_what_is_allowed(priority: Priority, limit: RateLimit):
    answer = limit.per / 1000

    sent = await times(RateLimiter(limit), priority, 20 * limit.requests, answer)

    windows = 19  # of the last one only the beginning is seen
    assert len([at for at in sent if at < windows * limit.per]) >= 0.99 * windows * limit.requests


async def test_bulk_that_waits_is_not_held_to_a_deadline_of_direct_calls():
    budget = RateLimiter(RateLimit(1, per=10.0))
    await use(budget)

    with anyio.move_on_after(5) as scope:
        await use(
            budget, 0.0, Priority.BULK
        )  # its own time does not run yet: whoever set this one has their own reasons

    assert scope.cancelled_caught
    assert await use(budget) > 0


# A lower limit


async def throttled(budget: RateLimiter, since: Permit | None = None) -> None:
    permit = await permit_of(budget)
    budget.release(since or permit, 1, throttled=True)


async def at_once(budget: RateLimiter) -> int:
    """How many may go now."""
    permits = list[Permit]()
    with anyio.move_on_after(0.001), suppress(RateLimited):
        while True:
            permits.append(await permit_of(budget))
    for permit in permits:
        budget.release(permit, 0)
    return len(permits)


async def test_a_429_shows_that_no_more_is_allowed_than_was_taken_in_this_window():
    budget = RateLimiter(RateLimit(100, per=10.0))
    await times(budget, Priority.INTERACTIVE, 60)
    await throttled(budget)
    assert await at_once(budget) == 0

    await anyio.sleep(10)
    assert await at_once(budget) == 60


async def test_one_429_does_not_more_than_halve_what_is_allowed_and_those_of_the_same_moment_teach_nothing_more():
    budget = RateLimiter(RateLimit(100, per=10.0))
    together = [await permit_of(budget) for _ in range(5)]
    await anyio.sleep(1)
    for permit in together:
        budget.release(permit, 1, throttled=True)
    await anyio.sleep(10)
    assert await at_once(budget) == 50

    await throttled(budget)
    await anyio.sleep(10)
    assert await at_once(budget) == 25


async def test_in_windows_without_a_429_the_lower_limit_is_forgotten_a_twentieth_at_a_time():
    budget = RateLimiter(RateLimit(100, per=10.0))
    await throttled(budget)
    seen = list[int]()
    for _ in range(12):
        await anyio.sleep(10)
        seen.append(await at_once(budget))

    assert seen == [50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 100]


async def test_however_often_it_is_refused_one_request_a_window_remains():
    budget = RateLimiter(RateLimit(3, per=1.0))
    for _ in range(5):
        await throttled(budget)
        await anyio.sleep(1)

    with anyio.fail_after(1):
        await use(budget)


async def test_a_permit_given_before_the_last_lesson_teaches_nothing_but_puts_off_forgetting():
    budget = RateLimiter(RateLimit(100, per=10.0))
    early = await permit_of(budget)
    await throttled(budget)
    await anyio.sleep(15)
    budget.release(early, 1, throttled=True)

    await anyio.sleep(19)
    assert await at_once(budget) == 50
    await anyio.sleep(2)
    assert await at_once(budget) == 55


@pytest.mark.parametrize("priority", Priority)
async def test_where_the_service_allows_half_of_what_was_thought_few_requests_are_refused(priority: Priority):
    """Its window is a sliding one, and what it refuses does not count."""
    budget, taken, answers = RateLimiter(RateLimit(300, per=60.0)), deque[float](), list[tuple[float, bool]]()
    left = iter(range(1500))

    async def ask() -> None:
        is_refused = True
        while is_refused:
            permit = await permit_of(budget, priority)
            await anyio.sleep(0.05)
            now = anyio.current_time()
            while taken and taken[0] <= now - 60:
                taken.popleft()
            if not (is_refused := len(taken) >= 150):
                taken.append(now)
            answers.append((now - start, is_refused))
            await anyio.sleep(0.05)
            budget.release(permit, 1, throttled=is_refused)
            if is_refused:
                await anyio.sleep(taken[0] + 60 - now)

    async def work() -> None:
        for _ in left:
            await ask()

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(work)

    later = [is_refused for at, is_refused in answers if at > 60]
    assert len([1 for _, is_refused in answers if not is_refused]) == 1500
    assert later.count(True) <= 0.05 * len(later)


@pytest.mark.parametrize("priority", Priority)
async def test_what_is_free_is_given_at_once(priority: Priority):
    assert RateLimiter(RateLimit(10, per=10.0)).acquire_nowait(priority) is not None


async def test_what_is_left_to_direct_calls_is_given_at_once_to_no_other():
    budget = RateLimiter(RateLimit(10, per=10.0))
    for _ in range(3):
        await use(budget, priority=Priority.BULK)

    assert budget.acquire_nowait(Priority.BULK) is None
    assert budget.acquire_nowait(Priority.INTERACTIVE) is not None


async def test_nothing_is_given_at_once_where_somebody_waits():
    budget, order = RateLimiter(RateLimit(1, per=10.0)), list[str]()
    held = budget.acquire_nowait(Priority.INTERACTIVE)
    assert held is not None

    async def wait() -> None:
        await permit_of(budget)
        order.append("who waited")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(1)
        budget.release(held, 0)  # it came to nothing, so it is free again
        assert budget.acquire_nowait(Priority.INTERACTIVE) is None

    assert order == ["who waited"]


async def test_who_is_at_the_deadline_is_over_and_told_so_though_the_loop_was_busy(
    anyio_backend: tuple[str, dict[str, Any]],
):
    name, options = anyio_backend
    with anyio.CancelScope(deadline=anyio.current_time() + 1) as scope:
        await checkpoint_if_past_deadline()  # not yet
        if name == "trio":
            options["clock"].jump(1)
        else:
            asyncio.get_running_loop()._jumping.now += 1  # type: ignore[attr-defined]
        assert is_past_deadline()
        await checkpoint_if_past_deadline()
        raise AssertionError
    assert scope.cancelled_caught
