"""The edges of pacing: answers that are long in coming, more in use than is allowed by now, the moment of the deadline."""

import random
from contextlib import suppress

import anyio
import pytest

from coaching_async import RateLimit, RateLimited
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit import Permit, RateLimiter, bulk_seconds
from tests.support.doubles import permit_of
from tests.transport.test_rate_limit import at_once, throttled, times, use

pytestmark = pytest.mark.anyio


# Answers that are long in coming


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("limit", [RateLimit(20, per=1.0), RateLimit(2, per=1.0)], ids=str)
async def test_however_long_answers_take_the_rate_is_99_percent_of_what_is_allowed(
    priority: Priority, limit: RateLimit, seconds: float
):
    """A permit is away for as long as the answer takes, and a window more. That they take long is seen in a few rounds."""
    first, last = 5, 15

    sent = await times(RateLimiter(limit), priority, (last + 2) * limit.requests, seconds, workers=limit.requests)

    counted = [at for at in sent if first * (limit.per + seconds) <= at < last * (limit.per + seconds)]
    assert len(counted) >= 0.99 * (last - first) * limit.requests


async def test_where_one_answer_is_slow_and_the_next_is_not_the_rate_of_bulk_is_99_percent_of_what_is_allowed():
    budget, limit, choices, rounds = RateLimiter(RateLimit(60, per=12.0)), 60, random.Random(1), 15
    start, sent, left = anyio.current_time(), list[float](), iter(range((rounds + 2) * limit))

    async def work() -> None:
        for _ in left:
            permit = await permit_of(budget, Priority.BULK)
            sent.append(permit.granted_at - start)
            await anyio.sleep(choices.choice([0.0, 0.48]))
            budget.release(permit, 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(limit):
            tasks.start_soon(work)

    assert len([at for at in sent if at < rounds * (12 + 0.24)]) >= 0.99 * rounds * limit


async def test_bulk_goes_on_beside_a_direct_call_whose_answer_does_not_come():
    budget = RateLimiter(RateLimit(4, per=4.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget, 60.0)
        await anyio.sleep(0.01)

        sent = await times(budget, Priority.BULK, 20)

        assert max(later - sooner for sooner, later in zip([0.0, *sent], sent, strict=False)) <= 2.001
        tasks.cancel_scope.cancel()


async def test_while_no_answer_comes_bulk_takes_the_rest_of_the_window_ever_more_slowly():
    sent = await times(RateLimiter(RateLimit(5, per=5.0)), Priority.BULK, 5, seconds=60.0)

    assert sent == pytest.approx([0, 1, 1 + 5 / 3, 1 + 5 / 3 + 5 / 2, 1 + 5 / 3 + 5 / 2 + 4])


async def test_bulk_goes_as_much_earlier_as_answers_take_because_what_it_takes_is_away_for_longer():
    budget = RateLimiter(RateLimit(10, per=10.0))
    await times(budget, Priority.INTERACTIVE, 60, seconds=1.0)
    await anyio.sleep(10)
    start = anyio.current_time()
    held = [await permit_of(budget) for _ in range(2)]
    for permit in held:
        budget.release(permit, 1)  # two answers that took no time at all, among ten

    assert await use(budget, 0.0, Priority.BULK) - start == pytest.approx(10 - 8 - 0.9**2, abs=0.01)


async def test_answers_to_what_hung_for_long_change_little_at_a_time():
    budget = RateLimiter(RateLimit(10, per=10.0))
    start = anyio.current_time()
    held = [await permit_of(budget) for _ in range(8)]
    await anyio.sleep(9)
    known = 0.0
    for permit in held:
        budget.release(permit, 1)
        known += (2 * known + 10 / 20 - known) / 10  # a tenth of a twentieth of the window, and of what is known

    assert known < 1
    assert await use(budget, 0.0, Priority.BULK) - start == pytest.approx(19 - 2 - known)


async def test_bulk_that_gave_way_to_a_direct_call_does_not_wait_for_its_answer():
    budget = RateLimiter(RateLimit(2, per=10.0))
    start, sent = anyio.current_time(), list[float]()
    await times(budget, Priority.INTERACTIVE, 2)

    async def ask() -> None:
        sent.append(await use(budget, 0.0, Priority.BULK) - start)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        await use(budget, seconds=60.0)  # both permits come free at 10, and it takes one

    assert sent == pytest.approx([15])


# What comes free, and the gaps in it


async def test_a_fifth_of_what_is_allowed_is_no_less_and_an_even_share_is_the_window_by_it():
    sent = await times(RateLimiter(RateLimit(30, per=15.0)), Priority.BULK, 40)

    assert sent == pytest.approx([*[0] * 6, 1, 2, 3, 4, 5, *[5.5 + nth / 2 for nth in range(29)]])


async def test_bulk_leaves_something_for_the_gap_behind_what_comes_free_first():
    budget = RateLimiter(RateLimit(10, per=5.0))
    start = anyio.current_time()
    await use(budget)
    await anyio.sleep(2.5)
    await use(budget)

    # Eight are free, one more comes free at 5 and the next at 7.5: nine shares of 0.5 before that.
    assert await use(budget, 0.0, Priority.BULK) - start == pytest.approx(3)


async def test_of_a_window_of_many_bulk_sees_the_gaps_too():
    budget = RateLimiter(RateLimit(200, per=200.0))
    start = anyio.current_time()
    await times(budget, Priority.INTERACTIVE, 50)
    await anyio.sleep(80)
    await times(budget, Priority.INTERACTIVE, 90)

    # 60 are free, 50 come free at 200 and the next at 280.
    assert await use(budget, 0.0, Priority.BULK) - start == pytest.approx(170)


# More in use than is allowed by now


@pytest.mark.parametrize("refused, turn", [(1, 14), (5, 12)])
async def test_what_is_in_use_beyond_a_lower_limit_comes_free_first(refused: int, turn: float):
    budget = RateLimiter(RateLimit(5, per=10.0))
    start, sent = anyio.current_time(), list[float]()

    async def ask() -> None:
        await anyio.sleep(1.5)
        sent.append(await use(budget) - start)

    permits = [await permit_of(budget) for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        for second, permit in enumerate(permits, 1):
            await anyio.sleep(1)
            budget.release(permit, 1, throttled=second == refused)

    assert sent == pytest.approx([turn])  # they come free at 11, 12, 13, 14, 15, and two are allowed, or four


async def test_a_call_that_has_time_until_its_turn_is_not_refused_because_more_is_in_use_than_is_allowed():
    budget = RateLimiter(RateLimit(5, per=10.0))
    start, sent = anyio.current_time(), list[float]()
    for permit in [await permit_of(budget) for _ in range(5)]:
        await anyio.sleep(1)
        budget.release(permit, 2)  # all were replayed: two come free at 11, two at 12, at 13, 14 and 15

    async def ask(seconds: float) -> None:
        with anyio.fail_after(seconds):
            sent.append(await use(budget) - start)

    async with anyio.create_task_group() as tasks:
        for turn in (13, 14, 14, 15, 15):
            with pytest.raises(RateLimited):
                await ask(turn - 5 - 0.5)
            tasks.start_soon(ask, turn - 5 + 0.5)
            await anyio.sleep(0.001)
        with pytest.raises(RateLimited, match=r"no room for 18\.0 s"):
            await ask(17.5)
        await ask(18.5)

    assert sent == pytest.approx([13, 14, 14, 15, 15, 23])


async def test_who_waits_is_woken_when_the_lower_limit_grows():
    budget = RateLimiter(RateLimit(2, per=10.0))
    start = anyio.current_time()
    await throttled(budget)
    await anyio.sleep(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget, 60.0)
        await anyio.sleep(0.01)
        assert await use(budget) - start == pytest.approx(20)
        tasks.cancel_scope.cancel()


async def test_what_windows_without_a_429_have_given_back_stays_given_back():
    budget = RateLimiter(RateLimit(100, per=10.0))
    early = await permit_of(budget)
    await throttled(budget)
    await anyio.sleep(35)
    budget.release(early, 1, throttled=True)  # nobody has asked for a permit since

    await anyio.sleep(11)
    assert await at_once(budget) == 60


async def test_one_429_halves_what_has_been_given_back_too():
    budget = RateLimiter(RateLimit(100, per=10.0))
    await throttled(budget)
    late = await later(budget, seconds=6)
    await anyio.sleep(29)
    budget.release(late, 1, throttled=True)

    await anyio.sleep(11)
    assert await at_once(budget) == 30


async def later(budget: RateLimiter, seconds: float) -> Permit:
    await anyio.sleep(seconds)
    return await permit_of(budget)


async def test_of_a_limit_however_often_refused_exactly_one_request_a_window_remains():
    budget = RateLimiter(RateLimit(3, per=1.0))
    for _ in range(5):
        await throttled(budget)
        await anyio.sleep(1)

    assert await at_once(budget) == 1


def test_a_part_of_a_request_is_refused_as_a_limit():
    with pytest.raises(TypeError, match="'requests' must be <class 'int'>"):
        RateLimit(2.5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


# The moment of the deadline


async def test_those_in_flight_are_not_free_before_a_window_has_passed():
    budget = RateLimiter(RateLimit(1, per=10.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget, 3.0)
        await anyio.sleep(0.01)
        with anyio.fail_after(9.9), pytest.raises(RateLimited, match=r"no room for 10\.0 s"):
            await use(budget)


async def test_a_turn_that_comes_with_the_deadline_is_not_refused():
    budget = RateLimiter(RateLimit(1, per=10.0))
    await use(budget)

    with suppress(TimeoutError), anyio.fail_after(10):
        await use(budget)

    assert anyio.current_time() >= 10


async def test_a_deadline_that_is_over_already_is_told_by_whose_it_is():
    budget = RateLimiter(RateLimit(1, per=10.0))
    await use(budget)

    with anyio.CancelScope() as scope:
        scope.deadline = anyio.current_time()
        await use(budget)

    assert scope.cancelled_caught


async def test_what_is_no_more_than_the_reserve_is_not_spread():
    budget = RateLimiter(RateLimit(30, per=30.0))
    start = anyio.current_time()
    await use(budget)
    await anyio.sleep(20)
    await times(budget, Priority.INTERACTIVE, 19)

    # Ten are free, just the reserve. At 30 it is one more, and the next comes free at 50: halfway from 20 to there.
    assert await use(budget, 0.0, Priority.BULK) - start == pytest.approx(35)


async def test_a_refusal_of_a_whole_window_ago_does_not_count_in_the_next_lesson():
    budget = RateLimiter(RateLimit(100, per=10.0))
    await throttled(budget)
    await anyio.sleep(10)
    await times(budget, Priority.INTERACTIVE, 40)
    await throttled(budget)
    await anyio.sleep(10)

    assert await at_once(budget) == 40


def test_the_seconds_of_a_bulk_are_none_for_a_burst_and_else_an_even_share_each():
    limit = RateLimit(10, per=60.0)

    assert [bulk_seconds(limit, requests) for requests in (0, 2, 3, 20)] == [0, 0, 18, 120]


async def test_a_hail_of_429s_halves_what_is_allowed_once_and_again_half_a_window_later():
    budget = RateLimiter(RateLimit(100, per=10.0))
    for _ in range(12):
        await throttled(budget)
        await anyio.sleep(0.4)
    await anyio.sleep(10)
    assert await at_once(budget) == 50

    await throttled(budget)
    await anyio.sleep(5.001)
    await throttled(budget)
    await anyio.sleep(10)
    assert await at_once(budget) == 12


async def test_half_a_window_after_a_lesson_is_not_yet_time_for_another():
    budget = RateLimiter(RateLimit(100, per=10.0))
    await throttled(budget)
    await anyio.sleep(5)
    await throttled(budget)

    await anyio.sleep(10)
    assert await at_once(budget) == 50
