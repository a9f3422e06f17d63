"""A client holds as many resources after a long time with many faults as at the beginning.

SOAK_SECONDS is the total duration, half of it on each backend. The service is in another process: see `peer.py`.
"""

import asyncio
import logging
import os
import random
import statistics
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import attrs
import pytest

from coaching_async import (
    AppointmentCreate,
    AppointmentUpdate,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    RateLimit,
    RetryPolicy,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET
from tests.support.doubles import http_of
from tests.support.fault_server import HANG, tasks_now
from tests.support.memory import traced_memory

SECONDS = float(os.environ.get("SOAK_SECONDS", "1200")) / 2
SEED = 20261124
TASKS = 8
EVERY = 5.0
"""Seconds from one sample to the next."""
WARM_UP = 0.2
"""The share of the samples that is ignored."""
DRIFT = 100_000
"""Bytes that traced memory may grow by, along the regression line from the first sample to the last."""

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.timeout(4 * SECONDS + 120)]

Call = Callable[[], Awaitable[object]]


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.slow.peer", str(SEED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        assert peer.stdin is not None
        yield peer.stdout.readline().strip()
        peer.stdin.close()
        peer.wait(30)


def client_of(url: str) -> CoachingClient:
    return CoachingClient(
        ClientCredentials(CLIENT_ID, CLIENT_SECRET),
        base_url=url,
        timeout=1.0,
        retry=RetryPolicy(max_backoff=0.05),
        rate_limit=RateLimit(1_000_000, per=1.0),  # it remembers the requests of one window
        max_concurrency=6,  # fewer than the tasks, so that some wait for a slot
    )


ME = "11111111-1111-4111-8111-111111111111"


async def walk(client: CoachingClient, choices: random.Random) -> None:
    left = choices.randrange(1, 120)
    async for _ in client.appointments.list(ME, page_size=25):
        left -= 1
        if not left:
            break


async def ask(client: CoachingClient, choices: random.Random) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(quietly, client.appointments.list(ME, sort_order="Desc").first)
        tasks.start_soon(quietly, client.appointments.list(ME).total)
        tasks.start_soon(quietly, lambda: client.appointments.get("no-such-appointment"))


async def write(client: CoachingClient, choices: random.Random) -> None:
    created = await client.appointments.create(
        AppointmentCreate(
            name="soak",
            description="d",
            date_start=datetime.now(UTC) + timedelta(days=1),
            length_in_minutes=30,
            attendee_ids=ME,
        )
    )
    try:
        await client.appointments.update(created.id, AppointmentUpdate(location="Room 4"))
        note = await client.annotations.create(created.id, "Slow down.", access_type="Public")
        await client.annotations.update(created.id, note.id, "Slower.")
        await client.appointments.set_status(created.id, "Completed")
        await client.appointments.list_statuses(created.id).collect()
    finally:
        await client.appointments.delete(created.id)


async def with_a_deadline(client: CoachingClient, choices: random.Random) -> None:
    brief = client.with_options(timeout=choices.choice([0.001, 0.01, 0.1]))
    await choices.choice([walk, write])(brief, choices)


async def closed_in_the_middle(url: str) -> None:
    """Close a client of its own while calls are in flight."""
    client = client_of(url)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(quietly, lambda: client.appointments.list(ME).collect())
        await anyio.sleep(0.05)
        await client.aclose()


# Ways to end a call after some seconds


async def stay(call: Call, _: float) -> None:
    await call()


async def by_scope(call: Call, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await call()


async def by_fail_after(call: Call, seconds: float) -> None:
    with suppress(TimeoutError), anyio.fail_after(seconds):
        await call()


async def by_asyncio_timeout(call: Call, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await call()


async def by_wait_for(call: Call, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(call(), seconds)


async def by_cancel(call: Call, seconds: float, times: int = 1) -> None:
    task = asyncio.ensure_future(call())
    await asyncio.sleep(seconds)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with suppress(asyncio.CancelledError):
        await task


async def by_cancelling_twice(call: Call, seconds: float) -> None:
    await by_cancel(call, seconds, times=2)


WAYS = {
    "trio": [by_scope, by_fail_after],
    "asyncio": [by_scope, by_fail_after, by_asyncio_timeout, by_wait_for, by_cancel, by_cancelling_twice],
}


async def quietly(call: Call) -> str:
    """Run a call and return its outcome: the name of its CoachingError, or "well"."""
    try:
        await call()
    except CoachingError as error:
        return type(error).__name__
    return "well"


# Samples


@attrs.frozen
class Sample:
    """The resources of this process while no call is in flight."""

    at: float
    descriptors: int
    """Without those of connections in the client's pool."""
    connections: int
    tasks: int
    threads: int
    traced: int

    @property
    def constant(self) -> tuple[int, int, int]:
        """What is the same in every sample."""
        return self.descriptors, self.tasks, self.threads

    @classmethod
    def now(cls, client: CoachingClient) -> "Sample":
        traced = traced_memory()
        pool = http_of(client)._transport._pool.connections
        held = len(list(Path("/proc/self/fd").iterdir()))
        return cls(anyio.current_time(), held - len(pool), len(pool), tasks_now(), threading.active_count(), traced)


async def sampled(client: CoachingClient, before: Sample | None) -> Sample:
    """Return a sample once all connections are idle and it is like the one before: a busy machine takes its time to close some."""
    end = anyio.current_time() + HANG
    while True:
        await anyio.sleep(0.2)
        sample, pool = Sample.now(client), http_of(client)._transport._pool.connections
        is_idle = all(each.is_idle() or each.is_closed() for each in pool)
        if is_idle and (before is None or sample.constant == before.constant):
            return sample
        if anyio.current_time() > end:
            assert is_idle, pool
            return sample


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("coaching_async"), "disabled", True)  # pytest keeps every record
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_descriptors_tasks_threads_and_memory_do_not_grow(
    anyio_backend_name: str, url: str, tracing: None, monkeypatch: pytest.MonkeyPatch, show: Callable[[str], None]
):
    choices, met, samples = random.Random(SEED), Counter[str](), list[Sample]()
    every = min(EVERY, SECONDS / 20)
    async with client_of(url) as client:

        async def use_until(moment: float) -> None:
            while anyio.current_time() < moment:
                work = choices.choice([walk, walk, ask, write, write, with_a_deadline])
                way = choices.choice([stay, choices.choice(WAYS[anyio_backend_name])])
                call = partial(work, client, choices)
                came = await quietly(partial(way, call, choices.expovariate(1 / 0.05)))
                met[came if way is stay else way.__name__] += 1

        patient, end = client.with_options(timeout=10.0), anyio.current_time() + SECONDS
        while anyio.current_time() < end:
            next_ = anyio.current_time() + every
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(closed_in_the_middle, url)
                for _ in range(TASKS):
                    tasks.start_soon(use_until, next_ - 0.2)
            with anyio.fail_after(HANG):  # some calls still succeed
                while await quietly(patient.appointments.list(ME).total) != "well":
                    pass
            is_judged = len(samples) > WARM_UP * SECONDS / every
            samples.append(await sampled(client, samples[-1] if is_judged else None))
        stats = client.stats()

    judged = samples[int(WARM_UP * len(samples)) :]
    line = statistics.linear_regression([each.at for each in judged], [each.traced for each in judged])
    drift = line.slope * (judged[-1].at - judged[0].at)
    show(f"{SECONDS:.0f} s on {anyio_backend_name}, seed {SEED}, {len(samples)} samples, {len(judged)} judged; {stats}")
    show(f"met: {', '.join(f'{count} {what}' for what, count in met.most_common())}")
    for name in ("descriptors", "connections", "tasks", "threads", "traced"):
        values = [getattr(each, name) for each in judged]
        show(f"{name:12} first {values[0]:,}, last {values[-1]:,}, least {min(values):,}, most {max(values):,}")
    show(f"traced memory drifts by {drift:,.0f} bytes along its line")

    assert met["well"]
    assert {each.constant for each in judged} == {judged[0].constant}
    assert drift < DRIFT
