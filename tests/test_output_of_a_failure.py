"""What a failing test prints helps, and is short."""

import subprocess
import sys
from pathlib import Path

from tests.support.excerpts import excerpt
from tests.support.fault_server import HANG
from tests.support.markdown import ROOT

FAILS = """
import pytest

@pytest.fixture
def server():
    yield
    for number in range(1000):
        print("stopped", number)

def test_a_server(server):
    for number in range(1000):
        print("served", number)
    raise LookupError
"""


def test_a_failing_test_shows_the_begin_and_the_end_of_what_it_has_printed(tmp_path: Path):
    path = tmp_path / "test_fails.py"
    path.write_text(FAILS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)

    lines = done.stdout.splitlines()
    assert {"served 0", "served 999", "stopped 0", "stopped 999"} <= set(lines)
    assert lines.count("[940 lines left out]") == 2
    assert len(lines) < 160


def test_an_excerpt_leaves_out_no_single_line():
    text = "".join(f"{number}\n" for number in range(61))

    assert excerpt(text) == text
    assert excerpt(text + "61\n").splitlines()[39:42] == ["39", "[2 lines left out]", "42"]
