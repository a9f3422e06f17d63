import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import RateLimit, RateLimited
from coaching_async._gate import Gate, Pause
from coaching_async._rate import Budget

from .conftest import VirtualLoop

pytestmark = pytest.mark.anyio


async def use(budget: Budget, seconds: float = 0.0) -> float:
    await budget.acquire()
    sent = anyio.current_time()
    try:
        await anyio.sleep(seconds)
    finally:
        budget.release(1)
    return sent


async def test_a_burst_goes_out_at_once_and_the_rest_when_the_window_has_passed():
    budget = Budget(RateLimit(3, per=10.0))
    start = anyio.current_time()

    sent = [await use(budget) - start for _ in range(7)]

    assert sent == pytest.approx([0, 0, 0, 10, 10, 10, 20])


async def test_a_permit_is_free_again_a_window_after_its_answer():
    budget = Budget(RateLimit(1, per=10.0))
    start = anyio.current_time()

    await use(budget, seconds=4.0)

    assert await use(budget) - start == pytest.approx(14)


async def test_while_all_permits_are_in_flight_the_next_waits_for_an_answer():
    budget = Budget(RateLimit(1, per=10.0))
    start = anyio.current_time()
    sent: list[float] = []

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget, 5.0)
        await anyio.sleep(1)
        sent.append(await use(budget) - start)

    assert sent == pytest.approx([15])


async def test_permits_are_given_in_the_order_of_asking():
    budget = Budget(RateLimit(1, per=1.0))
    order: list[int] = []

    async def ask(number: int) -> None:
        await budget.acquire()
        order.append(number)
        budget.release(1)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, number)
            await anyio.sleep(0.01)

    assert order == [0, 1, 2, 3, 4]


async def test_a_cancelled_waiter_takes_no_permit():
    budget = Budget(RateLimit(1, per=10.0))
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
    budget = Budget(RateLimit(1, per=10.0))
    await use(budget)
    await anyio.sleep(4)

    with anyio.fail_after(5), pytest.raises(RateLimited, match=r"leaves no room for 6\.0 s") as caught:
        await use(budget)

    assert caught.value.retry_after == pytest.approx(6)
    assert (caught.value.processed, caught.value.status) == ("no", 0)


async def test_a_turn_behind_others_is_counted_from_theirs():
    budget = Budget(RateLimit(1, per=10.0))
    await use(budget)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget)
        await anyio.sleep(1)
        with anyio.fail_after(12), pytest.raises(RateLimited):
            await use(budget)  # after the one that waits already, so not before second 20


async def test_a_permit_that_was_not_used_is_free_at_once_and_a_replay_takes_two():
    budget = Budget(RateLimit(2, per=10.0))
    start = anyio.current_time()
    for _ in range(5):
        await budget.acquire()
        budget.release(0)
    await budget.acquire()
    budget.release(2)

    assert await use(budget) - start == pytest.approx(10)


async def test_who_waits_behind_a_permit_that_was_not_used_goes_at_once():
    budget = Budget(RateLimit(2, per=100.0))
    start = anyio.current_time()
    await use(budget)
    await budget.acquire()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, budget)
        await anyio.sleep(5)
        budget.release(0)

    assert anyio.current_time() - start == pytest.approx(5)


async def test_a_refused_turn_leaves_the_others_alone():
    budget = Budget(RateLimit(2, per=10.0))
    start = anyio.current_time()
    await use(budget)
    await use(budget)
    with anyio.fail_after(1), pytest.raises(RateLimited):
        await use(budget)

    assert await use(budget) - start == pytest.approx(10)


def test_no_window_has_more_requests_than_the_limit_however_long_the_answers_take():
    @settings(max_examples=100, deadline=None)
    @given(
        limit=st.integers(1, 5),
        per=st.sampled_from([1.0, 7.5, 60.0]),
        calls=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 90)), min_size=1, max_size=25),
    )
    def law(limit: int, per: float, calls: list[tuple[float, float]]) -> None:
        counted: list[tuple[float, float]] = []

        async def one(budget: Budget, delay: float, seconds: float) -> None:
            await anyio.sleep(delay)
            sent = await use(budget, seconds)
            counted.append((sent, anyio.current_time()))

        async def main() -> None:
            budget = Budget(RateLimit(limit, per=per))
            async with anyio.create_task_group() as tasks:
                for delay, seconds in calls:
                    tasks.start_soon(one, budget, delay, seconds)

        anyio.run(main, backend_options={"loop_factory": VirtualLoop})
        # The service may count a request anywhere between sending and answer, so take the worst: any two sent-or-counted
        # moments within one window.
        assert len(counted) == len(calls)
        for _, answered in counted:
            inside = [1 for sent, done in counted if done >= answered and sent < answered + per]
            assert len(inside) <= limit

    law()


async def test_the_gate_lets_its_width_through_and_no_more():
    gate, inside, most = Gate(2), 0, 0

    async def pass_through() -> None:
        nonlocal inside, most
        async with gate.slot(Pause()):
            inside += 1
            most = max(most, inside)
            await anyio.sleep(1)
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(pass_through)

    assert most == 2


async def test_in_a_pause_the_gate_lets_nobody_through_not_even_who_waits_for_a_slot():
    gate, pause, start, passed = Gate(1), Pause(), anyio.current_time(), list[float]()

    async def pass_through() -> None:
        async with gate.slot(pause):
            passed.append(anyio.current_time() - start)
            await anyio.sleep(1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(pass_through)
        await anyio.sleep(0.5)
        pause.last(10)
        pause.last(2)  # the longer one stays

        async with gate.slot(Pause()):  # another token's, and while the pause lasts the slot is free
            passed.append(anyio.current_time() - start)

    assert passed == pytest.approx([0, 1, 10.5, 11.5])


async def test_a_pause_that_ends_after_the_deadline_is_told_at_once():
    pause = Pause()
    pause.last(10)

    with anyio.fail_after(5), pytest.raises(RateLimited) as caught:
        async with Gate(1).slot(pause):
            pass

    assert caught.value.retry_after == pytest.approx(10)


@pytest.mark.parametrize("wrong", [(0, 60.0), (300, 0.0), (-1, 60.0)])
def test_a_limit_that_makes_no_sense_is_refused(wrong: tuple[int, float]):
    with pytest.raises(ValueError, match="must be"):
        RateLimit(wrong[0], per=wrong[1])


class Served:
    """Sends what it is given, one second each, and remembers when how many were under way."""

    def __init__(self) -> None:
        self.gate, self.pause = Gate(1000), Pause()
        self.sent: list[float] = []

    async def send(self, *, well: bool = True) -> None:
        async with self.gate.slot(self.pause) as turn:
            self.sent.append(anyio.current_time())
            await anyio.sleep(1)
            turn.went_well = well

    async def seconds_of(self, count: int) -> list[int]:
        """How many were sent in each second."""
        start = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(self.send)
        seconds = [int(sent - start + 0.001) for sent in self.sent]
        return [seconds.count(second) for second in range(max(seconds) + 1)]


async def test_after_a_pause_one_probes_and_the_others_follow_in_a_ramp():
    served = Served()
    served.pause.last(5)

    assert await served.seconds_of(200) == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 137]


async def test_a_probe_that_fails_is_followed_by_another_and_one_that_is_told_to_wait_by_a_pause():
    served = Served()
    served.pause.last(0)
    start = anyio.current_time()

    async with anyio.create_task_group() as tasks:
        for well in (False, False, True):
            tasks.start_soon(lambda well=well: served.send(well=well))
            await anyio.lowlevel.checkpoint()
    assert [sent - start for sent in served.sent] == pytest.approx([0, 1, 2])

    served.sent.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(served.send)
        await anyio.sleep(0.5)
        served.pause.last(10)  # what is on its way since before says nothing about what comes after
        for _ in range(3):
            tasks.start_soon(served.send)
    assert [sent - served.sent[0] for sent in served.sent] == pytest.approx([0, 10.5, 11.5, 11.5])


async def test_a_probe_that_is_cancelled_makes_room_for_another():
    served = Served()
    served.pause.last(0)

    with anyio.move_on_after(0.5):
        await served.send()
    with anyio.fail_after(2):
        await served.send()
