"""What decoding, calls and walks cost, counted in instructions: see benchmarks/guard.py."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RECORDS: dict[str, Any] = json.loads((ROOT / "benchmarks" / "guard.json").read_text())
SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"


def guard(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what counts instructions does not go together with what measures coverage."""
    command = [sys.executable, "-m", "benchmarks.guard", *arguments]
    environ = os.environ | {"PYTHONASYNCIODEBUG": "1"}  # which may be set, and makes an event loop take twice as many
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_nothing_costs_a_tenth_more_than_was_recorded():
    done = guard()

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.skipif(SERIES not in RECORDS, reason="nothing is recorded for this Python")
def test_what_costs_a_tenth_more_is_named(tmp_path: Path):
    file = tmp_path / "guard.json"
    assert guard("--record", file).returncode == 0
    record: dict[str, Any] = json.loads(file.read_text())
    costs = record[SERIES]["costs"]
    costs["a call"] = {kind: round(count / 1.11) for kind, count in costs["a call"].items()}
    file.write_text(json.dumps(record))

    done = guard(file)

    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.endswith("TOO MUCH") for line in lines[:-1]] == [line.startswith("a call:") for line in lines[:-1]]
    assert all(", +0.0%" in line for line in lines[:-1] if not line.startswith("a call:"))
    assert "make record" in lines[-1]
