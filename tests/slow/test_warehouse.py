"""Loads into a warehouse that are killed again and again leave it as the service is, after a run that ends.

A fifth of LONG_KILLS is the number of kills.
"""

import os
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from coaching_async import AppointmentUpdate, Interval
from coaching_async.integrations.dlt import coaching
from coaching_async.sandbox import Sandbox
from tests.support.dlt_settings import surroundings
from tests.support.warehouse import Clients, Warehouse, of_users, running

KILLS = max(1, int(os.environ.get("LONG_KILLS", "100")) // 5)
SEED = 20261130
PAGES = 8


@pytest.fixture(autouse=True)
def kept_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in surroundings(tmp_path).items():
        monkeypatch.setenv(name, value)


def change(sandbox: Sandbox, clients: Clients, rng: random.Random) -> None:
    """Rename some appointments."""
    ids = rng.sample(
        sorted(row["id"] for row in sandbox.state.appointments.values() if row["status"] == "Scheduled"), 3
    )

    async def rename() -> None:
        async with clients() as client:
            for id_ in ids:
                await client.appointments.update(id_, AppointmentUpdate(name=f"Renamed {rng.random()}"))

    anyio.run(rename)


@pytest.mark.timeout(120 + 60 * KILLS)
@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")  # dlt's, about what is pending
def test_a_load_that_is_killed_at_any_moment_is_repeated_and_exact(tmp_path: Path, show: Callable[[str], None]):
    rng = random.Random(SEED)
    loaded = 0
    with Sandbox(appointments=PAGES * 10, users=3, page_cap=10) as sandbox:
        clients, users = Clients(sandbox), list(sandbox.state.user_ids)
        for kill in range(KILLS):
            folder = tmp_path / str(kill // 5)  # a warehouse is killed five times, the first time when it is empty
            change(sandbox, clients, rng)
            arrived, last = len(sandbox.requests), rng.choice([rng.randint(1, PAGES), PAGES + 1])
            with running(sandbox, folder, users) as process:
                while len(sandbox.requests) < arrived + last and process.poll() is None:
                    time.sleep(0.005)
                time.sleep(rng.uniform(0.0, 0.02 if last <= PAGES else 2.5))
            loaded += process.returncode == 0
            warehouse = Warehouse(folder)
            for _ in range(2):  # the first one may only load what the killed one has extracted
                warehouse.run(coaching(users, client=clients, lookback=timedelta.max))
            rows, _ = warehouse.look()
            expected = {row["id"]: row["name"] for row in sandbox.state.appointments.values()}
            assert len(rows["appointments"]) == len(expected)
            assert {row["id"]: row["name"] for row in rows["appointments"]} == expected
            attendees = sum(len(row["attendees"]) for row in sandbox.state.appointments.values())
            assert len(rows["appointments__attendees"]) == attendees
    show(f"{KILLS} kills, {loaded} of them after the end of the run")


def test_a_history_that_is_loaded_month_by_month_is_the_whole_of_it_and_goes_on(tmp_path: Path):
    with Sandbox(appointments=200, users=4) as sandbox:
        clients, warehouse = Clients(sandbox), Warehouse(tmp_path)
        first, second, *_ = sandbox.state.user_ids

        def load(*users: str, **how: Any) -> int:
            before = len(sandbox.requests)
            warehouse.run(coaching(users, client=clients, with_users=True, **how))
            return len(sandbox.requests) - before

        def missing(*users: str) -> set[str]:
            return {row["id"] for row in of_users(sandbox, *users)} - set(
                warehouse.column("select id from appointments")
            )

        months = Interval.parse("2026-09/2027-02").months()
        for month in months:
            load(first, interval=month)
        assert missing(first) == set()
        assert load(first, interval=months[0]) <= 2  # a token, and the names of users
        load(first, second)
        assert missing(first, second) == set()
        everyone = coaching(lambda client: client.users.list(state="any"), client=clients)
        warehouse.run(everyone, write_disposition="replace")
        assert warehouse.column("select id from appointments") == sorted(sandbox.state.appointments)


def test_tables_exist_where_there_is_nothing_to_load(tmp_path: Path):
    warehouse = Warehouse(tmp_path)
    with Sandbox(appointments=0, users=1) as sandbox:
        warehouse.run(coaching(sandbox.state.user_ids, client=Clients(sandbox), with_users=True))

    rows, _ = warehouse.look()
    assert {name: len(found) for name, found in rows.items()} == {"appointments": 0, "left_out": 0, "users": 1}
