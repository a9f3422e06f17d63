"""Listeners in a service that goes wrong all the time: nothing is lost, nothing comes twice, nothing is left, nothing grows.

LONG_NOTIFICATIONS is the number of notifications of each run, LONG_LEAVES the number of listeners that are left in each way,
LISTEN_SECONDS the duration of the soak on both backends together. Times of the state machine are a hundredth there. LONG_SEEDS
is the number of worlds of each degree, of three days each, in which the state machine is alone.
"""

import logging
import os
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import anyio
import pytest

from coaching_async import AccessToken, CoachingClient, RateLimit, RetryPolicy
from coaching_async._channels import catch_up, known
from coaching_async._channels.machine import sockets
from tests.support.chaos import PATIENCE, Chaos, chaotic_sandbox, client_of, sockets_closed
from tests.support.fast_machine import hurry
from tests.support.fault_server import tasks_now
from tests.support.leaving import WAYS, descriptors, leave_again_and_again
from tests.support.listener_world import DEGREES, live_through
from tests.support.memory import traced_memory

COUNT = int(os.environ.get("LONG_NOTIFICATIONS", "10000"))
LEAVES = int(os.environ.get("LONG_LEAVES", "300"))
SEEDS = int(os.environ.get("LONG_SEEDS", "60"))
SECONDS = float(os.environ.get("LISTEN_SECONDS", "120")) / 2
RATE = 150.0
SAMPLES = 40
DRIFT = 150_000
"""Bytes that traced memory may grow by, along the regression line from the first sample to the last."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_time,
    pytest.mark.timeout(PATIENCE + 8 * COUNT / RATE + 2 * LEAVES + 4 * SECONDS),
]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(sockets, "MAX_TAKEN", 1_000_000)
    monkeypatch.setattr(catch_up, "SECONDS_BETWEEN_READINGS", 9.0)
    monkeypatch.setattr(logging.getLogger("coaching_async"), "disabled", True)  # pytest keeps every record


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_laws_of_the_state_machine_hold(seed: int, degree: str):
    live_through(seed, degree, days=3, has_list=seed % 2 == 0)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_listen_gives_each_notification_once(newest_first: bool, show: Callable[[str], None]):
    async with chaotic_sandbox(newest_first=newest_first) as sandbox, client_of(sandbox) as client:
        chaos = Chaos(sandbox, seed=20261130, count=COUNT, rate=RATE, standstill=0.8)
        async with client.notifications.listen(buffer=50) as stream:
            await chaos.run(stream)
        await sockets_closed(sandbox)

    show(f"{dict(chaos.given)}; {stream.report}")
    chaos.check()


async def test_nothing_is_left_of_listeners_that_were_left(anyio_backend_name: str):
    await leave_again_and_again(WAYS[anyio_backend_name], rounds=LEAVES, seed=20261130)


@pytest.fixture
def service() -> Iterator[tuple[str, str]]:
    """The URL of a service in another process, and a token for it."""
    command = [sys.executable, "-m", "tests.slow.listening_peer", "20261130"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        assert peer.stdin is not None
        url, token = peer.stdout.readline().split()
        yield url, token
        peer.stdin.close()
        peer.wait(30)


async def test_what_a_listener_holds_does_not_grow(
    service: tuple[str, str], show: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(known, "MAX_UNLISTED", 100)
    url, token = service
    samples: list[tuple[float, int, int, int]] = []
    retry, limit = RetryPolicy(max_backoff=0.05), RateLimit(1_000_000, per=1.0)
    tracemalloc.start()
    async with CoachingClient(AccessToken(token), base_url=url, retry=retry, rate_limit=limit) as client:
        received = 0
        async with client.notifications.listen(buffer=50) as stream:
            end = anyio.current_time() + SECONDS
            next_ = anyio.current_time()
            while anyio.current_time() < end:
                await anext(stream)
                received += 1
                if anyio.current_time() >= next_:
                    next_ += SECONDS / SAMPLES
                    samples.append((anyio.current_time(), descriptors(), tasks_now(), traced_memory()))
    tracemalloc.stop()

    judged = samples[len(samples) // 4 :]
    line = statistics.linear_regression([each[0] for each in judged], [each[3] for each in judged])
    drift = line.slope * (judged[-1][0] - judged[0][0])
    show(f"{received} notifications in {SECONDS:.0f} s; {stream.report}")
    show(f"descriptors {sorted({each[1] for each in judged})}, tasks {sorted({each[2] for each in judged})}")
    show(f"traced memory drifts by {drift:,.0f} bytes along its line, to {judged[-1][3]:,}")
    assert drift < DRIFT
    half = len(judged) // 2
    for column in (1, 2):  # they vary with what is under way
        assert max(each[column] for each in judged[half:]) <= max(each[column] for each in judged[:half]) + 2
