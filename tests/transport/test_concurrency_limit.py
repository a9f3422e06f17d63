import anyio
import anyio.lowlevel
import pytest

from coaching_async import RateLimited
from coaching_async._transport.concurrency_limit import ConcurrencyLimiter
from coaching_async._transport.cooldown import Cooldown
from coaching_async._transport.priority import Priority

pytestmark = pytest.mark.anyio


async def test_no_more_exchanges_than_the_limit_run_at_once():
    limiter, running, most = ConcurrencyLimiter(2), 0, 0

    async def exchange() -> None:
        nonlocal running, most
        with await limiter.acquire(Cooldown()):
            running += 1
            most = max(most, running)
            await anyio.sleep(1)
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(exchange)

    assert most == 2


async def test_an_interactive_request_waits_for_a_slot_behind_one_of_bulk_at_most():
    limiter, order = ConcurrencyLimiter(1), list[Priority]()

    async def send(priority: Priority) -> None:
        with await limiter.acquire(Cooldown(), priority):
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


async def test_during_a_cooldown_no_request_starts_not_even_one_that_waits_for_a_slot():
    limiter, cooldown, start, started = ConcurrencyLimiter(1), Cooldown(), anyio.current_time(), list[float]()

    async def exchange() -> None:
        with await limiter.acquire(cooldown):
            started.append(anyio.current_time() - start)
            await anyio.sleep(1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(exchange)
        await anyio.sleep(0.5)
        cooldown.start(10)
        cooldown.start(2)  # the longer one stays

        with await limiter.acquire(Cooldown()):  # of another token: during the cooldown the slot is free
            started.append(anyio.current_time() - start)

    assert started == pytest.approx([0, 1, 10.5, 11.5])


async def test_a_cooldown_that_ends_after_the_deadline_raises_at_once():
    cooldown = Cooldown()
    cooldown.start(10)

    with anyio.fail_after(5), pytest.raises(RateLimited) as caught:
        await ConcurrencyLimiter(1).acquire(cooldown)

    assert caught.value.retry_after == pytest.approx(10)


class Exchanges:
    """Runs exchanges of one second each, and records when each starts."""

    def __init__(self) -> None:
        self.limiter, self.cooldown = ConcurrencyLimiter(1000), Cooldown()
        self.started: list[float] = []

    async def run(self, *, succeeded: bool = True) -> None:
        with await self.limiter.acquire(self.cooldown) as slot:
            self.started.append(anyio.current_time())
            await anyio.sleep(1)
            slot.succeeded = succeeded

    async def starts_by_second(self, count: int) -> list[int]:
        """Run `count` exchanges. Return how many start in each second."""
        start = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(self.run)
        seconds = [int(started - start + 0.001) for started in self.started]
        return [seconds.count(second) for second in range(max(seconds) + 1)]


async def test_after_a_cooldown_one_request_probes_and_the_others_follow_in_a_slow_start():
    exchanges = Exchanges()
    exchanges.cooldown.start(5)

    assert await exchanges.starts_by_second(200) == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 137]


async def test_a_failed_probe_is_followed_by_another_and_a_429_by_a_new_cooldown():
    exchanges = Exchanges()
    exchanges.cooldown.start(0)
    start = anyio.current_time()

    async with anyio.create_task_group() as tasks:
        for succeeded in (False, False, True):
            tasks.start_soon(lambda succeeded=succeeded: exchanges.run(succeeded=succeeded))
            await anyio.lowlevel.checkpoint()
    assert [started - start for started in exchanges.started] == pytest.approx([0, 1, 2])

    exchanges.started.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exchanges.run)
        await anyio.sleep(0.5)
        exchanges.cooldown.start(10)  # the request in flight does not count in the slow start after it
        for _ in range(3):
            tasks.start_soon(exchanges.run)
    assert [started - exchanges.started[0] for started in exchanges.started] == pytest.approx([0, 10.5, 11.5, 11.5])


async def test_a_cancelled_probe_allows_another():
    exchanges = Exchanges()
    exchanges.cooldown.start(0)

    with anyio.move_on_after(0.5):
        await exchanges.run()
    with anyio.fail_after(2):
        await exchanges.run()


async def test_a_cooldown_that_ends_while_the_clock_is_read_stops_no_request(monkeypatch: pytest.MonkeyPatch):
    cooldown, now = Cooldown(), anyio.current_time()
    cooldown.start(1)
    readings = iter([now + 0.999999])  # and the next reading is the end or later
    monkeypatch.setattr("coaching_async._transport.cooldown.anyio.current_time", lambda: next(readings, now + 1))

    with anyio.move_on_after(10) as too_long:
        await cooldown.wait()

    assert not too_long.cancelled_caught
