"""The cost of decoding, calls and walks, counted in instructions by benchmarks/guard.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import guard

ROOT = Path(__file__).parents[2]


def test_no_cost_is_more_than_ten_percent_above_its_record():
    """Run in a process of its own, because counting instructions and measuring coverage exclude each other."""
    command = [sys.executable, "-m", "benchmarks.guard"]
    environ = os.environ | {
        "PYTHONASYNCIODEBUG": "1"
    }  # as a user may have set it: it doubles the instructions of an event loop
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_a_regression_of_ten_percent_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "guard.json"
    found = {"a call": guard.Cost(100, 10, 1000), "a walk": guard.Cost(200, 20, 2000)}

    async def measure() -> dict[str, guard.Cost]:
        return found

    def run(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["guard", *map(str, arguments)])
        return guard.main()

    monkeypatch.setattr(guard, "measure", measure)
    assert run("--record", file) == 0
    assert run(file) == 0
    capsys.readouterr()

    found["a call"] = guard.Cost(*(round(1.11 * count) for count in found["a call"]))
    assert run(file) == 1

    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.endswith("TOO MUCH") for line in lines] == [line.startswith("a call:") for line in lines]
    assert all(", +0.0%" in line for line in lines if not line.startswith("a call:"))
    assert "make record" in last
