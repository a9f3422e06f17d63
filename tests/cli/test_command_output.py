"""`coaching-async` with an output that cannot be written: at most one line about it, and the documented exit code."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.support.cli import COMMAND, environment, line_with
from tests.support.effort import FULL, combinations

ROOT = Path(__file__).parent.parent
ME = "11111111-1111-4111-8111-111111111111"
REFUSED = "coaching-async: cannot write to the output: "

ON_STDOUT = {
    "--help": "",
    "--version": "",
    "export --help": "",
    "demo --out {folder}/x.jsonl": "",
    "doctor": "",
    "doctor --json": "",
    "doctor --probe": "asking up to 22 times, without changing anything\n",
    "sandbox --port 0": "",
}
"""Commands that write to standard output, and a pattern of what they write to standard error before."""

ON_STDERR = {
    "export --user-id {me} --out {folder}/x.jsonl": (0, ""),
    "export --user-id {me} --out {folder}/x.jsonl --interval november": (2, ""),
    "export --user-id {me} --out {folder}/no/x.jsonl": (2, ""),
    "demo --out {folder}/no/x.jsonl": (2, r"sandbox at .*: 5000 appointments of 40 users\n"),
    "doctor --operation nonsense": (2, ""),
    "doctor --probe": (0, r"# .*(?s:.*)"),
    "sandbox --latency=-1": (2, ""),
    "nonsense": (2, ""),
}
"""Commands that write to standard error: exit code, and a pattern of what they write to standard output."""


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """An environment that names a sandbox, without other variables that Python or the command reads."""
    with Sandbox(appointments=30, users=3) as sandbox:
        yield {name: os.environ[name] for name in ("HOME", "PATH", "PYTHONPATH") if name in os.environ} | environment(
            sandbox
        )


@pytest.fixture
def gone() -> Iterator[int]:
    """A pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def command(line: str, folder: Path, redirected: str = "") -> list[str]:
    """Return the command, started by a shell, because a shell can close an output of its child."""
    arguments = line.format(folder=folder, me=ME).split()
    return ["sh", "-c", f'exec "$@" {redirected}', "sh", *COMMAND, *arguments]


def ran(arguments: list[str], variables: dict[str, str], **streams: Any) -> subprocess.CompletedProcess[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(arguments, cwd=ROOT, env=variables, check=False, text=True, **streams)


UNWRITABLE = {
    "full disk": (">/dev/full", {}, "No space left on device"),
    "closed": (">&-", {}, "Bad file descriptor"),
    "full disk, unbuffered": (">/dev/full", {"PYTHONUNBUFFERED": "1"}, "No space left on device"),
}


@pytest.mark.parametrize("line, output", combinations(ON_STDOUT, UNWRITABLE))
def test_an_output_that_cannot_be_written_is_reported_in_one_line(
    line: str, output: str, variables: dict[str, str], tmp_path: Path
):
    redirected, more, reason = UNWRITABLE[output]

    done = ran(command(line, tmp_path, redirected), variables | more)

    assert (done.returncode, done.stderr) == (2, f"{ON_STDOUT[line]}{REFUSED}{reason}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ON_STDOUT if FULL else ["--help", "demo --out {folder}/x.jsonl", "doctor"])
def test_a_pipe_without_a_reader_ends_the_command_silently(
    line: str, gone: int, variables: dict[str, str], tmp_path: Path
):
    done = ran(command(line, tmp_path), variables, stdout=gone)

    assert (done.returncode, done.stderr) == (141, ON_STDOUT[line])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line, redirected", combinations(ON_STDERR, ["2>/dev/full", "2>&-", "gone"]))
def test_a_standard_error_that_cannot_be_written_changes_nothing(
    line: str, redirected: str, gone: int, variables: dict[str, str], tmp_path: Path
):
    code, written = ON_STDERR[line]
    if redirected == "gone":
        done = ran(command(line, tmp_path), variables, stderr=gone)
    else:
        done = ran(command(line, tmp_path, redirected), variables)

    assert done.returncode == code
    assert re.fullmatch(written, done.stdout), done.stdout
    assert not done.stderr
    assert [file.name for file in tmp_path.iterdir()] == (["x.jsonl"] if code == 0 and "x.jsonl" in line else [])


@pytest.mark.parametrize(
    "redirected, line",
    combinations([">/dev/full 2>/dev/full", ">/dev/full 2>&-", ">&- 2>&-"], ["--help", "doctor --probe"]),
)
def test_if_neither_stream_can_be_written_the_exit_code_alone_reports_the_failure(
    line: str, redirected: str, variables: dict[str, str], tmp_path: Path
):
    done = ran(command(line, tmp_path, redirected), variables)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-"])
def test_a_sandbox_stops_normally_if_standard_error_cannot_be_written(
    redirected: str, variables: dict[str, str], tmp_path: Path
):
    arguments = command("sandbox --port 0 --state {folder}/state.json", tmp_path, redirected)
    with subprocess.Popen(arguments, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        line_with(process, "sandbox at")
        process.send_signal(signal.SIGINT)
        process.communicate()

    assert process.returncode == 0
    assert (tmp_path / "state.json").exists()


def test_a_sandbox_saves_its_data_if_its_usage_cannot_be_written(variables: dict[str, str], tmp_path: Path):
    done = ran(command("sandbox --port 0 --state {folder}/state.json", tmp_path, ">/dev/full"), variables)

    assert (done.returncode, done.stderr) == (2, f"{REFUSED}No space left on device\n")
    assert (tmp_path / "state.json").exists()


@pytest.mark.parametrize("line", ["--help", "doctor", "doctor --json"])
def test_characters_that_the_output_encoding_lacks_are_replaced(line: str, variables: dict[str, str], tmp_path: Path):
    plain = variables | {"PYTHONIOENCODING": "latin-1", "GENESYSCLOUD_OAUTHCLIENT_SECRET": "wrong"}

    done = subprocess.run(
        command(line, tmp_path), cwd=ROOT, env=plain, check=False, capture_output=True, encoding="latin-1"
    )

    assert (done.returncode, done.stderr) == (0 if line == "--help" else 1, "")
    assert done.stdout
