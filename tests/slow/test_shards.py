"""Exports in 16 shards on a cluster of four processes, of which some are killed, with one token and one rate limit."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coaching_async import RateLimit
from coaching_async.sandbox import Sandbox
from tests.support.shards import Fleet, a_fleet, sharing

KILLS = 20
SEED = 20261130
REQUESTS, SECONDS = 150, 5.0

LOW = 40
"""A limit that the clients keep to, and that they reach on a busy machine, too."""

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    sandbox = Sandbox(appointments=2000, users=12, rate_limit=REQUESTS, rate_window=SECONDS, requests_kept=10**6)
    with a_fleet(sandbox, workers=4, shards=16) as fleet:
        yield fleet


def most_in_a_window(times: list[float]) -> int:
    """Return the largest number of requests in any window."""
    return max(sum(start <= each < start + SECONDS for each in times) for start in times)


def test_shards_share_one_token_and_one_rate_limit(fleet: Fleet, tmp_path: Path, show: Callable[[str], None]):
    before, started, folder = len(fleet.sandbox.requests), time.monotonic(), tmp_path / "shards"
    folder.mkdir()

    done = fleet.export(folder, client=sharing(tmp_path, rate_limit=RateLimit(LOW, per=SECONDS)))

    fleet.assert_exact(folder)
    requests = fleet.sandbox.requests[before:]
    statuses = Counter(each.status for each in requests)
    mints = sum(each.path.endswith("/oauth/token") for each in requests)
    most = most_in_a_window([each.at.timestamp() for each in requests if not each.path.endswith("/oauth/token")])
    show(
        f"{sum(each.items for each in done)} appointments, {len(requests)} requests in {time.monotonic() - started:.1f} s, "
        f"{dict(statuses)}, {mints} mint, {most} at most in a window of {LOW}"
    )
    assert (mints, set(statuses)) == (1, {200})
    assert LOW * 0.9 <= most <= LOW


def test_workers_that_are_killed_cost_no_appointment_and_double_none(
    fleet: Fleet, tmp_path: Path, show: Callable[[str], None]
):
    chance, started, resumed = random.Random(SEED), time.monotonic(), 0
    for number in range(KILLS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        before = len(fleet.sandbox.requests)
        futures = fleet.submit(
            fleet.dask, folder, page_size=20, client=sharing(tmp_path, rate_limit=RateLimit(REQUESTS, per=SECONDS))
        )
        fleet.wait_for_requests(before + chance.randint(1, 100))
        time.sleep(chance.uniform(0, 0.05))

        fleet.kill_worker(chance)

        resumed += sum(each.resumed_from is not None for each in fleet.dask.gather(futures))
        fleet.assert_exact(folder)
    show(f"{KILLS} kills, {resumed} shards resumed, {time.monotonic() - started:.0f} s")
