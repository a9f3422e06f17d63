import anyio
import anyio.lowlevel
import pytest

from coaching_async import RateLimited
from coaching_async._transport.priority import Priority
from coaching_async._transport.throttling import ConcurrencyLimiter, Cooldown

pytestmark = pytest.mark.anyio


async def test_the_gate_lets_its_width_through_and_no_more():
    gate, inside, most = ConcurrencyLimiter(2), 0, 0

    async def pass_through() -> None:
        nonlocal inside, most
        with await gate.acquire(Cooldown()):
            inside += 1
            most = max(most, inside)
            await anyio.sleep(1)
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(pass_through)

    assert most == 2


async def test_a_direct_call_waits_for_a_slot_behind_one_of_bulk_and_not_behind_all_of_it():
    gate, order = ConcurrencyLimiter(1), list[Priority]()

    async def send(priority: Priority) -> None:
        with await gate.acquire(Cooldown(), priority):
            order.append(priority)
            await anyio.sleep(1)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(send, Priority.BULK)
        await anyio.sleep(0.5)
        for _ in range(2):
            tasks.start_soon(send, Priority.INTERACTIVE)

    assert order == [
        Priority.BULK,
        Priority.BULK,
        Priority.INTERACTIVE,
        Priority.INTERACTIVE,
        Priority.BULK,
        Priority.BULK,
    ]


async def test_in_a_pause_the_gate_lets_nobody_through_not_even_who_waits_for_a_slot():
    gate, pause, start, passed = ConcurrencyLimiter(1), Cooldown(), anyio.current_time(), list[float]()

    async def pass_through() -> None:
        with await gate.acquire(pause):
            passed.append(anyio.current_time() - start)
            await anyio.sleep(1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(pass_through)
        await anyio.sleep(0.5)
        pause.start(10)
        pause.start(2)  # the longer one stays

        with await gate.acquire(Cooldown()):  # another token's, and while the pause lasts the slot is free
            passed.append(anyio.current_time() - start)

    assert passed == pytest.approx([0, 1, 10.5, 11.5])


async def test_a_pause_that_ends_after_the_deadline_is_told_at_once():
    pause = Cooldown()
    pause.start(10)

    with anyio.fail_after(5), pytest.raises(RateLimited) as caught:
        await ConcurrencyLimiter(1).acquire(pause)

    assert caught.value.retry_after == pytest.approx(10)


class Served:
    """Sends what it is given, one second each, and remembers when how many were under way."""

    def __init__(self) -> None:
        self.gate, self.pause = ConcurrencyLimiter(1000), Cooldown()
        self.sent: list[float] = []

    async def send(self, *, well: bool = True) -> None:
        with await self.gate.acquire(self.pause) as turn:
            self.sent.append(anyio.current_time())
            await anyio.sleep(1)
            turn.succeeded = well

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
    served.pause.start(5)

    assert await served.seconds_of(200) == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 137]


async def test_a_probe_that_fails_is_followed_by_another_and_one_that_is_told_to_wait_by_a_pause():
    served = Served()
    served.pause.start(0)
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
        served.pause.start(10)  # what is on its way since before says nothing about what comes after
        for _ in range(3):
            tasks.start_soon(served.send)
    assert [sent - served.sent[0] for sent in served.sent] == pytest.approx([0, 10.5, 11.5, 11.5])


async def test_a_probe_that_is_cancelled_makes_room_for_another():
    served = Served()
    served.pause.start(0)

    with anyio.move_on_after(0.5):
        await served.send()
    with anyio.fail_after(2):
        await served.send()
