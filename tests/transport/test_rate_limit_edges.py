"""Edges of the rate limiter: long latencies, gaps in the window, a lowered limit, and the deadline."""

import random
from contextlib import suppress

import anyio
import pytest

from coaching_async import RateLimit, RateLimited
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.limit import bulk_seconds
from coaching_async._transport.rate_limit.limiter import Permit, RateLimiter
from tests.support.doubles import permit_of
from tests.transport.test_rate_limit import free_permits, get_429, send, send_times

pytestmark = pytest.mark.anyio


# Latency


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("limit", [RateLimit(20, per=1.0), RateLimit(2, per=1.0)], ids=str)
async def test_at_any_latency_the_rate_is_99_percent_of_the_limit(priority: Priority, limit: RateLimit, seconds: float):
    """A permit is in use for the latency and a window. The limiter learns the latency in a few rounds."""
    first, last = 5, 15

    sent = await send_times(RateLimiter(limit), priority, (last + 2) * limit.requests, seconds, workers=limit.requests)

    counted = [time for time in sent if first * (limit.per + seconds) <= time < last * (limit.per + seconds)]
    assert len(counted) >= 0.99 * (last - first) * limit.requests


async def test_at_varying_latency_the_rate_of_bulk_is_99_percent_of_the_limit():
    limiter, limit, rng, rounds = RateLimiter(RateLimit(60, per=12.0)), 60, random.Random(1), 15
    start, sent, left = anyio.current_time(), list[float](), iter(range((rounds + 2) * limit))

    async def work() -> None:
        for _ in left:
            permit = await permit_of(limiter, Priority.BULK)
            sent.append(permit.granted_at - start)
            await anyio.sleep(rng.choice([0.0, 0.48]))
            limiter.release(permit, 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(limit):
            tasks.start_soon(work)

    assert len([time for time in sent if time < rounds * (12 + 0.24)]) >= 0.99 * rounds * limit


async def test_bulk_continues_while_an_interactive_request_gets_no_response():
    limiter = RateLimiter(RateLimit(4, per=4.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, limiter, 60.0)
        await anyio.sleep(0.01)

        sent = await send_times(limiter, Priority.BULK, 20)

        assert max(later - sooner for sooner, later in zip([0.0, *sent], sent, strict=False)) <= 2.001
        tasks.cancel_scope.cancel()


async def test_without_any_response_bulk_takes_the_rest_of_the_window_more_and_more_slowly():
    sent = await send_times(RateLimiter(RateLimit(5, per=5.0)), Priority.BULK, 5, seconds=60.0)

    assert sent == pytest.approx([0, 1, 1 + 5 / 3, 1 + 5 / 3 + 5 / 2, 1 + 5 / 3 + 5 / 2 + 4])


async def test_bulk_starts_earlier_by_the_mean_latency():
    limiter = RateLimiter(RateLimit(10, per=10.0))
    await send_times(limiter, Priority.INTERACTIVE, 60, seconds=1.0)
    await anyio.sleep(10)
    start = anyio.current_time()
    held = [await permit_of(limiter) for _ in range(2)]
    for permit in held:
        limiter.release(permit, 1)  # two responses without latency

    assert await send(limiter, 0.0, Priority.BULK) - start == pytest.approx(10 - 8 - 0.9**2, abs=0.01)


async def test_one_late_response_changes_the_mean_latency_little():
    limiter = RateLimiter(RateLimit(10, per=10.0))
    start = anyio.current_time()
    held = [await permit_of(limiter) for _ in range(8)]
    await anyio.sleep(9)
    mean = 0.0
    for permit in held:
        limiter.release(permit, 1)
        mean += (2 * mean + 10 / 20 - mean) / 10  # capped at a twentieth of the window and twice the mean

    assert mean < 1
    assert await send(limiter, 0.0, Priority.BULK) - start == pytest.approx(19 - 2 - mean)


async def test_bulk_that_let_an_interactive_request_go_first_does_not_wait_for_its_response():
    limiter = RateLimiter(RateLimit(2, per=10.0))
    start, sent = anyio.current_time(), list[float]()
    await send_times(limiter, Priority.INTERACTIVE, 2)

    async def ask() -> None:
        sent.append(await send(limiter, 0.0, Priority.BULK) - start)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        await send(limiter, seconds=60.0)  # both permits come free at 10 s, and this takes one of them

    assert sent == pytest.approx([15])


# Gaps in the window


async def test_the_burst_is_exactly_a_fifth_and_an_even_share_is_the_window_divided_by_the_limit():
    sent = await send_times(RateLimiter(RateLimit(30, per=15.0)), Priority.BULK, 40)

    assert sent == pytest.approx([*[0] * 6, 1, 2, 3, 4, 5, *[5.5 + nth / 2 for nth in range(29)]])


async def test_bulk_keeps_permits_for_the_gap_after_the_first_one_that_comes_free():
    limiter = RateLimiter(RateLimit(10, per=5.0))
    start = anyio.current_time()
    await send(limiter)
    await anyio.sleep(2.5)
    await send(limiter)

    # Eight permits are free, one more comes free at 5 s and the next at 7.5 s: nine shares of 0.5 s before that.
    assert await send(limiter, 0.0, Priority.BULK) - start == pytest.approx(3)


async def test_bulk_sees_the_gaps_of_a_large_window_too():
    limiter = RateLimiter(RateLimit(200, per=200.0))
    start = anyio.current_time()
    await send_times(limiter, Priority.INTERACTIVE, 50)
    await anyio.sleep(80)
    await send_times(limiter, Priority.INTERACTIVE, 90)

    # Of 60 free permits bulk leaves one. 50 come free at 200 s and the next at 280 s.
    assert await send(limiter, 0.0, Priority.BULK) - start == pytest.approx(280 - 109 * 200 / 199)


async def test_bulk_spreads_the_permits_above_the_reserve_where_an_even_pace_would_pause():
    """The worked example of `Window._paced_at`."""
    limiter = RateLimiter(RateLimit(60, per=60.0))
    start = anyio.current_time()
    await send_times(limiter, Priority.INTERACTIVE, 20)

    assert await send(limiter, 0.0, Priority.BULK) - start == pytest.approx(60 / 21)


# More permits in use than a lowered limit allows


@pytest.mark.parametrize("throttled, permit_at", [(1, 14), (5, 12)])
async def test_permits_above_a_lowered_limit_expire_first(throttled: int, permit_at: float):
    limiter = RateLimiter(RateLimit(5, per=10.0))
    start, sent = anyio.current_time(), list[float]()

    async def ask() -> None:
        await anyio.sleep(1.5)
        sent.append(await send(limiter) - start)

    permits = [await permit_of(limiter) for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        for second, permit in enumerate(permits, 1):
            await anyio.sleep(1)
            limiter.release(permit, 1, throttled=second == throttled)

    assert sent == pytest.approx([permit_at])  # they expire at 11, 12, 13, 14 and 15 s, and the limit is two, or four


async def test_a_request_with_enough_time_is_not_refused_while_more_is_in_use_than_the_limit():
    limiter = RateLimiter(RateLimit(5, per=10.0))
    start, sent = anyio.current_time(), list[float]()
    for permit in [await permit_of(limiter) for _ in range(5)]:
        await anyio.sleep(1)
        limiter.release(permit, 2)  # each was sent twice: two expire at 11 s, two at 12, 13, 14 and 15 s

    async def ask(seconds: float) -> None:
        with anyio.fail_after(seconds):
            sent.append(await send(limiter) - start)

    async with anyio.create_task_group() as tasks:
        for permit_at in (13, 14, 14, 15, 15):
            with pytest.raises(RateLimited):
                await ask(permit_at - 5 - 0.5)
            tasks.start_soon(ask, permit_at - 5 + 0.5)
            await anyio.sleep(0.001)
        with pytest.raises(RateLimited, match=r"no room for 18\.0 s"):
            await ask(17.5)
        await ask(18.5)

    assert sent == pytest.approx([13, 14, 14, 15, 15, 23])


async def test_a_waiter_wakes_when_a_lowered_limit_grows():
    limiter = RateLimiter(RateLimit(2, per=10.0))
    start = anyio.current_time()
    await get_429(limiter)
    await anyio.sleep(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, limiter, 60.0)
        await anyio.sleep(0.01)
        assert await send(limiter) - start == pytest.approx(20)
        tasks.cancel_scope.cancel()


async def test_a_late_429_does_not_undo_the_recovery():
    limiter = RateLimiter(RateLimit(100, per=10.0))
    early = await permit_of(limiter)
    await get_429(limiter)
    await anyio.sleep(35)
    limiter.release(early, 1, throttled=True)  # no permit was requested since

    await anyio.sleep(11)
    assert await free_permits(limiter) == 58
    await anyio.sleep(10)
    assert await free_permits(limiter) == 59


async def test_a_429_halves_the_recovered_limit_too():
    limiter = RateLimiter(RateLimit(100, per=10.0))
    await get_429(limiter)
    late = await permit_after(limiter, seconds=6)
    await anyio.sleep(29)
    limiter.release(late, 1, throttled=True)

    await anyio.sleep(11)
    assert await free_permits(limiter) == 29


async def permit_after(limiter: RateLimiter, seconds: float) -> Permit:
    await anyio.sleep(seconds)
    return await permit_of(limiter)


async def test_after_many_429s_exactly_one_request_a_window_remains():
    limiter = RateLimiter(RateLimit(3, per=1.0))
    for _ in range(5):
        await get_429(limiter)
        await anyio.sleep(1)

    assert await free_permits(limiter) == 1


# The deadline


async def test_a_permit_in_flight_is_expected_in_a_window_at_the_earliest():
    limiter = RateLimiter(RateLimit(1, per=10.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, limiter, 3.0)
        await anyio.sleep(0.01)
        with anyio.fail_after(9.9), pytest.raises(RateLimited, match=r"no room for 10\.0 s"):
            await send(limiter)


async def test_a_permit_that_comes_exactly_at_the_deadline_is_not_refused():
    limiter = RateLimiter(RateLimit(1, per=10.0))
    await send(limiter)

    with suppress(TimeoutError), anyio.fail_after(10):
        await send(limiter)

    assert anyio.current_time() >= 10


async def test_a_deadline_that_has_passed_already_is_left_to_its_scope():
    limiter = RateLimiter(RateLimit(1, per=10.0))
    await send(limiter)

    with anyio.CancelScope() as scope:
        scope.deadline = anyio.current_time()
        await send(limiter)

    assert scope.cancelled_caught


async def test_permits_within_the_reserve_are_not_spread():
    limiter = RateLimiter(RateLimit(30, per=30.0))
    start = anyio.current_time()
    await send(limiter)
    await anyio.sleep(20)
    await send_times(limiter, Priority.INTERACTIVE, 19)

    # Ten permits are free, just the reserve. At 30 s it is one more, and the next ones come free at 50 s: halfway from 20 s.
    assert await send(limiter, 0.0, Priority.BULK) - start == pytest.approx(35)


async def test_a_429_a_whole_window_ago_does_not_count_in_the_next_decrease():
    limiter = RateLimiter(RateLimit(100, per=10.0))
    await get_429(limiter)
    await anyio.sleep(10)
    await send_times(limiter, Priority.INTERACTIVE, 40)
    await get_429(limiter)
    await anyio.sleep(10)

    assert await free_permits(limiter) == 40


def test_bulk_seconds_are_zero_for_a_burst_and_an_even_share_for_each_request_of_more():
    limit = RateLimit(10, per=60.0)

    assert [bulk_seconds(limit, requests) for requests in (0, 2, 3, 20)] == [0, 0, 18, 120]


async def test_many_429s_halve_the_limit_once_and_again_half_a_window_later():
    limiter = RateLimiter(RateLimit(100, per=10.0))
    for _ in range(12):
        await get_429(limiter)
        await anyio.sleep(0.4)
    await anyio.sleep(10)
    assert await free_permits(limiter) == 50

    await get_429(limiter)
    await anyio.sleep(5.001)
    await get_429(limiter)
    await anyio.sleep(10)
    assert await free_permits(limiter) == 12


async def test_exactly_half_a_window_after_a_decrease_the_limit_is_not_lowered_again():
    limiter = RateLimiter(RateLimit(100, per=10.0))
    await get_429(limiter)
    await anyio.sleep(5)
    await get_429(limiter)

    await anyio.sleep(10)
    assert await free_permits(limiter) == 50
