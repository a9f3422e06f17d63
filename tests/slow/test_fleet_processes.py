"""Real processes at a limit, over each kind of shared state: a token and a limit for all, whatever happens to the place."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coaching_async import RateLimit
from tests.support.fleet_processes import Fleet, Service
from tests.support.redis_server import RedisServer

SECONDS = float(os.environ.get("FLEET_REAL_SECONDS", "65"))

ROLES = [*["bulk/asyncio", "bulk/trio"] * 3, "direct/asyncio", "direct/trio"]


@contextmanager
def place(store: str, folder: Path) -> Iterator[str]:
    """Yield the address of a store."""
    if store == "file":
        yield str(folder / "state")
    else:
        with RedisServer() as server:
            yield server.url


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", ["file", "coredis"])
def test_eight_processes_use_the_whole_limit_with_one_token_and_no_429(
    store: str, tmp_path: Path, show: Callable[[str], None]
):
    limit = RateLimit(300, per=20.0)
    with (
        place(store, tmp_path) as address,
        Service(rate_limit=limit.requests, rate_window=limit.per) as service,
        Fleet(service.url, service.appointment_id, store, address, limit, ROLES, is_patient=True) as fleet,
    ):
        fleet.wait_for("answered")
        time.sleep(SECONDS)

    asked = service.asked
    windows = int(SECONDS // limit.per)
    used = asked.between(limit.per, windows * limit.per) / (windows - 1) / limit.requests
    most, longest = asked.most_in(limit.per), max(fleet.waits)
    show(f"{store}: {used:.3f} used, most {most} of {limit.requests}, longest direct call {longest:.2f} s")
    assert set(fleet.total) == {"answered", "ended"}
    assert (asked.tokens, asked.refused) == (1, 0)
    assert most <= limit.requests
    assert used >= 0.95


@pytest.mark.timeout(1800)
def test_a_redis_that_dies_hangs_and_forgets_fails_no_call(show: Callable[[str], None]):
    limit = RateLimit(150, per=10.0)
    with (
        RedisServer() as server,
        Service() as service,
        Fleet(service.url, service.appointment_id, "coredis", server.url, limit, ROLES) as fleet,
    ):
        fleet.wait_for("answered")
        begin = time.monotonic()
        time.sleep(10)
        server.kill()
        time.sleep(3)
        server.restart()
        time.sleep(10)
        server.hang()
        time.sleep(5)
        server.resume()
        time.sleep(10)
        server.command("FLUSHALL")
        time.sleep(10)
        server.command("SCRIPT", "FLUSH")
        time.sleep(10)
        seconds = time.monotonic() - begin

    asked = service.asked
    used = asked.between(limit.per, seconds) / (seconds - limit.per) * limit.per / limit.requests
    most = asked.most_in(limit.per)
    show(f"{used:.3f} used, most {most} of {limit.requests}, {fleet.total['lost']} losses, {asked.tokens} tokens")
    assert set(fleet.total) == {"answered", "lost", "found", "ended"}
    assert most <= limit.requests * 1.05
    assert used >= 0.9
