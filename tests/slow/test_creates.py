"""Plans whose `coaching-async create` is killed again and again, under faults of the service, create each row once.

LONG_KILLS is five times the number of kills.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import route
from tests.support.cli import environment, started

KILLS = max(1, int(os.environ.get("LONG_KILLS", "100")) // 5)
SEED = 20261129
ROWS = 40

pytestmark = pytest.mark.timeout(120 + 60 * KILLS)

CREATES = route("appointments.create")


def order_faults(sandbox: Sandbox, choices: random.Random) -> None:
    sandbox.faults.clear()
    sandbox.faults.add(
        Fault("drop_after", *CREATES, times=2, after=choices.randrange(10)),
        Fault("status", *CREATES, times=1, after=choices.randrange(20), status=503),
        Fault("accepted", *CREATES, times=2, after=choices.randrange(20), delay=choices.uniform(0, 1)),
        Fault("drip", *CREATES, times=100, delay=choices.uniform(0, 0.002)),
    )


def created(*, kill_after: int | None, sandbox: Sandbox, choices: random.Random, cwd: Path) -> int:
    """Run the command, kill it after some creates, and return its exit code."""
    before = len(sandbox.requests)
    with started("create", "--from", "plan.csv", "--out", "result.csv", cwd=cwd) as process:
        if kill_after is not None:
            while len(sandbox.requests) < before + kill_after and process.poll() is None:
                time.sleep(0.001)
            time.sleep(choices.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
        process.communicate()
    return process.returncode


def test_each_row_is_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: Callable[[str], None]):
    choices, kills, plans = random.Random(SEED), 0, 0
    with Sandbox(appointments=0, users=6) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        (person, *_) = (user["id"] for user in sandbox.state.users.values() if user["state"] == "active")
        wanted = Counter[str]()
        while kills < KILLS:
            plans += 1
            names = [f"{plans}.{choices.randrange(ROWS // 2)}" for _ in range(ROWS)]
            rows = [
                f"{name},d,2027-01-{11 + int(name.partition('.')[2]) % 5} 14:00Z,30,{person}" for name in sorted(names)
            ]
            (tmp_path / "plan.csv").write_text("\n".join(["name,description,start,length,attendees", *rows]))
            (tmp_path / "plan.csv.journal").unlink(missing_ok=True)
            wanted += Counter(names)
            for _ in range(3):
                order_faults(sandbox, choices)
                code = created(kill_after=choices.randrange(4, 60), sandbox=sandbox, choices=choices, cwd=tmp_path)
                kills += code == -signal.SIGKILL
            sandbox.faults.clear()
            assert created(kill_after=None, sandbox=sandbox, choices=choices, cwd=tmp_path) == 0
            assert Counter(row["name"] for row in sandbox.state.appointments.values()) == wanted
    show(f"{plans} plans of {ROWS} rows, {kills} kills, seed {SEED}: each row created once")
