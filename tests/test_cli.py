"""The command line as a user runs it: processes, signals, files."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-W", "error", "-c", "from coaching_async.cli import main; main()"]


@contextmanager
def started(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout
    return next(line for line in process.stdout if text in line)


@pytest.mark.timeout(60)
def test_the_demo_exports_everything_and_says_what_it_took(tmp_path: Path):
    with started("demo", cwd=tmp_path) as process:
        said, errors = process.communicate()

    assert (process.returncode, errors) == (0, "")
    assert "appointments.jsonl: 0 lost, 0 doubled, 0 altered" in said
    figures = dict(re.findall(r"│ ([\w ]+?) +│ +(\S+) │", said))
    assert figures.keys() == {"items", "pages", "requests", "retries", "429s", "tokens minted", "seconds"}
    assert (figures["items"], figures["pages"]) == ("5000", "50")
    assert int(figures["429s"]) >= 1
    assert int(figures["tokens minted"]) >= 2
    lines = (tmp_path / "appointments.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == 5000
    assert [file.name for file in tmp_path.iterdir()] == ["appointments.jsonl"]


def test_an_interrupted_demo_leaves_nothing(tmp_path: Path):
    with started("demo", cwd=tmp_path) as process:
        line_with(process, "1000 of 5000 items")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()

    assert (process.returncode, errors) == (130, "coaching-async: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_cannot_write_says_so(tmp_path: Path):
    with started("demo", "--out", "no/such/folder/x.jsonl", cwd=tmp_path) as process:
        _, errors = process.communicate()

    assert process.returncode == 2
    assert errors == "coaching-async: cannot write no/such/folder/x.jsonl: No such file or directory\n"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_runs_until_it_is_told_to_stop(stop: signal.Signals, tmp_path: Path):
    with started("sandbox", "--port", "0", "--appointments", "5", cwd=tmp_path) as process:
        url = re.search(r"http://\S+(?=,)", line_with(process, "sandbox at"))[0]  # type: ignore[index]
        token = httpx.post(
            f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("sandbox-id", "sandbox-secret")
        ).json()["access_token"]
        answer = httpx.get(
            f"{url}/api/v2/coaching/appointments",
            params={"userIds": "11111111-1111-4111-8111-111111111111"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200
        process.send_signal(stop)
        _, errors = process.communicate()

    assert (process.returncode, errors) == (0, "stopped\n")


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path):
    with started("sandbox", "--port", "0", cwd=tmp_path) as first:
        port = re.search(r":(\d+),", line_with(first, "sandbox at"))[1]  # type: ignore[index]
        with started("sandbox", "--port", port, cwd=tmp_path) as second:
            _, errors = second.communicate()

    assert second.returncode == 2
    assert errors.startswith(f"coaching-async: cannot run at 127.0.0.1:{port}: ")
    assert errors.count("\n") == 1


def test_help_names_the_commands(tmp_path: Path):
    with started("--help", cwd=tmp_path) as process:
        said, _ = process.communicate()

    assert process.returncode == 0
    assert "demo" in said
    assert "sandbox" in said
