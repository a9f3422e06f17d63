"""Exports that are killed again and again while the list changes have all lasting items, each once.

LONG_KILLS is the number of kills for each form.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from coaching_async.export import FORMS
from coaching_async.sandbox import Sandbox
from tests.support.cli import environment, exported, killed, killed_while_rendering, of_all_users
from tests.support.export import ids

KILLS = int(os.environ.get("LONG_KILLS", "100"))
SEED = 20261124
PAGE = 20

OPTIONS = {
    "jsonl": ["--names"],
    "csv": ["--names", "--timezone", "Europe/Berlin"],
    "xlsx": ["--names", "--emails"],
    "parquet": ["--columns", "name,facilitator_name,id"],
    "with annotations": ["--annotations"],
    "verified": ["--verify"],
}

pytestmark = pytest.mark.timeout(120 + 10 * KILLS)


@attrs.define
class Figures:
    exports: int = 0
    kills: int = 0
    items: int = 0
    lost: int = 0
    doubled: int = 0


def change(sandbox: Sandbox, chance: random.Random, lasting: set[str]) -> None:
    """Delete and add equally many appointments, so that the total does not change."""
    state, several = sandbox.state, chance.randint(0, 5)
    for appointment_id in chance.sample(sorted(state.appointments), several):
        state.delete(appointment_id, None)
        lasting.discard(appointment_id)
    for twin in chance.sample(sorted(state.appointments), several):
        new_id = state.new_id()
        state.appointments[new_id] = state.appointments[twin] | {"id": new_id}


def killed_once(sandbox: Sandbox, chance: random.Random, path: Path, *options: str) -> bool:
    """Kill an export at any moment, for a third of those that render a file while they do."""
    if path.suffix in {".xlsx", ".parquet"} and chance.random() < 0.33:
        return killed_while_rendering(chance, path, *options, cwd=path.parent)
    return killed(sandbox, chance, *options, cwd=path.parent)


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_export_that_is_killed_often_loses_and_repeats_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, show: Callable[[str], None]
):
    chance, figures, started = random.Random(f"{SEED} {kind}"), Figures(), time.monotonic()
    pages = 5 if kind == "with annotations" else 20  # the rate limit allows a burst of 60 requests
    with Sandbox(appointments=pages * PAGE, users=3, page_cap=PAGE, latency=0.002, requests_kept=10**7) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        while figures.kills < KILLS:
            path = tmp_path / f"{figures.exports}.{kind if kind in FORMS else 'jsonl'}"
            options = [*of_all_users(sandbox), *OPTIONS[kind], "--out", path.name]
            note, lasting = path.with_name(f"{path.name}.part.checkpoint"), set(sandbox.state.appointments)
            while killed_once(sandbox, chance, path, *options, *(["--resume"] if note.exists() else [])):
                figures.kills += 1
                change(sandbox, chance, lasting)
                if path.exists() or figures.kills >= KILLS:
                    break
            if not path.exists():
                assert exported(*options, *(["--resume"] if note.exists() else []), cwd=tmp_path)[0] == 0
            found = ids(path)
            figures.exports += 1
            figures.items += len(found)
            figures.lost += len(lasting - set(found))
            figures.doubled += len(found) - len(set(found))

    show(f"{kind}: {attrs.asdict(figures)}, {time.monotonic() - started:.0f} s")
    assert (figures.lost, figures.doubled) == (0, 0)
