"""The command line as a user runs it: processes, signals, files."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import click
import httpx
import pytest
from click.testing import CliRunner
from rich.console import Console

from coaching_async.cli import main
from coaching_async.cli._demo import export_all
from coaching_async.cli._main import COMMANDS
from coaching_async.sandbox import Fault, Sandbox
from tests.support.cli import environment, exported, line_with, of_all_users, started

ME = "11111111-1111-4111-8111-111111111111"


def figures_in(text: str) -> dict[str, str]:
    return dict(re.findall(r"│ ([\w ]+?) +│ +(\S+) │", text))


def test_the_demo_exports_everything_and_prints_its_figures(tmp_path: Path):
    with started("demo", cwd=tmp_path) as process:
        said, errors = process.communicate()

    assert (process.returncode, errors) == (0, "")
    assert "appointments.jsonl: 0 lost, 0 doubled, 0 altered" in said
    figures = figures_in(said)
    assert figures.keys() == {"items", "pages", "requests", "retries", "429s", "tokens minted", "seconds"}
    assert (figures["items"], figures["pages"]) == ("5000", "50")
    assert int(figures["tokens minted"]) >= 2
    lines = (tmp_path / "appointments.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == 5000
    assert [file.name for file in tmp_path.iterdir()] == ["appointments.jsonl"]


def test_the_figures_of_the_demo_count_its_429s(tmp_path: Path):
    shown = io.StringIO()
    console = Console(file=shown, width=80)
    with Sandbox(appointments=20, users=2) as sandbox:
        sandbox.faults.add(Fault("status", "GET", status=429, retry_after=0, times=2))
        console.print(anyio.run(export_all, sandbox, tmp_path / "x.jsonl", console))

    assert figures_in(shown.getvalue())["429s"] == "2"


def test_an_interrupted_demo_leaves_nothing(tmp_path: Path):
    with started("demo", cwd=tmp_path) as process:
        line_with(process, " of 5000 items")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()

    assert (process.returncode, errors) == (130, "coaching-async: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_cannot_write_reports_it(tmp_path: Path):
    with started("demo", "--out", "no/such/folder/x.jsonl", cwd=tmp_path) as process:
        _, errors = process.communicate()

    assert process.returncode == 2
    assert errors == "coaching-async: cannot write no/such/folder/x.jsonl: No such file or directory\n"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the environment points to."""
    with Sandbox(appointments=300, users=3) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


def test_an_export_writes_every_appointment_as_a_line_of_json(sandbox: Sandbox, tmp_path: Path):
    code, said = exported(*of_all_users(sandbox), "--out", "all.jsonl", cwd=tmp_path)

    assert (code, said.splitlines()[-1]) == (0, "all.jsonl: 300 appointments")
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == set(sandbox.state.appointments)
    assert [file.name for file in tmp_path.iterdir()] == ["all.jsonl"]


def test_an_export_can_be_filtered_and_written_as_csv(sandbox: Sandbox, tmp_path: Path):
    options = ["--user-id", ME, "--interval", "2026-11", "--status", "Completed", "--format", "csv", "--out", "n.csv"]

    assert exported(*options, cwd=tmp_path)[0] == 0

    with (tmp_path / "n.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["status"] for row in rows} == {"Completed"}
    assert all(row["date_start"].startswith("2026-11-") for row in rows)
    assert set(rows[0]["attendee_ids"].split()) <= set(sandbox.state.user_ids)


MY_EXPORT = ["--user-id", ME, "--out", "x.jsonl"]


@pytest.mark.parametrize(
    "arguments, environment, says",
    [
        (MY_EXPORT, {"GENESYSCLOUD_REGION": "nowhere"}, "unknown region 'nowhere': use one of us-east-1"),
        (MY_EXPORT, {"GENESYSCLOUD_OAUTHCLIENT_ID": ""}, "the environment lacks GENESYSCLOUD_OAUTHCLIENT_ID"),
        (MY_EXPORT, {"GENESYSCLOUD_OAUTHCLIENT_SECRET": "wrong"}, "gives no token: 400 invalid_client"),
        ([*MY_EXPORT, "--interval", "november"], {}, "--interval november: an interval is a month (2026-11), a week"),
        ([*MY_EXPORT, "--interval", "2026-13"], {}, "--interval 2026-13: month must be in 1..12"),
        ([*MY_EXPORT, "--interval", "2026-11-02T00:00Z/2026-11-01T00:00Z"], {}, "has to end after it starts"),
        ([*MY_EXPORT, "--interval", "2026-11-01T00:00/2026-11-02T00:00"], {}, "has no time zone"),
        ([*MY_EXPORT, "--status", "Gone"], {}, "'Gone' is no AppointmentStatus: choose one of Scheduled"),
        (["--user-id", ME, "--out", "no/such/x.jsonl"], {}, "cannot write no/such/x.jsonl: No such file or directory"),
        (["--user-id", "", "--out", "x.jsonl"], {}, "every id has to be a non-empty str"),
    ],
)
def test_an_error_of_an_export_is_reported_in_one_line(
    arguments: list[str],
    environment: dict[str, str],
    says: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(main, ["export", *arguments])

    assert done.exit_code == 2
    assert done.output == done.stderr
    assert done.stderr.startswith("coaching-async: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_interrupted_before_its_first_page_leaves_nothing(sandbox: Sandbox, tmp_path: Path):
    sandbox.faults.add(Fault("stall", path="pageNumber=1"))

    with started("export", "--user-id", ME, "--out", "x.jsonl", cwd=tmp_path) as process:
        while not any("pageNumber=1" in arrival.query for arrival in sandbox.requests):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()

    assert (process.returncode, errors) == (130, "coaching-async: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_runs_until_it_gets_a_signal(stop: signal.Signals, tmp_path: Path):
    options = ("--port", "0", "--appointments", "5", "--today", "2024-02-29")
    with started("sandbox", *options, cwd=tmp_path) as process:
        url = re.search(r"http://\S+(?=,)", line_with(process, "sandbox at"))[0]  # type: ignore[index]
        assert re.search(rf"^  {ME}  Billing +\S.* <\S+@corp\.example>$", line_with(process, ME))
        assert line_with(process, "more") == "  ... and 5 more\n"
        token = httpx.post(
            f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("sandbox-id", "sandbox-secret")
        ).json()["access_token"]
        answer = httpx.get(
            f"{url}/api/v2/coaching/appointments",
            params={"userIds": "11111111-1111-4111-8111-111111111111"},
            headers={"Authorization": f"Bearer {token}"},
        )
        starts = [appointment["dateStart"] for appointment in answer.json()["entities"]]
        assert "2024-01" < min(starts) < max(starts) < "2024-06"
        process.send_signal(stop)
        _, errors = process.communicate()

    assert (process.returncode, errors) == (0, "stopped\n")


@pytest.mark.parametrize("tool", ["curl", "python3"])
def test_the_commands_that_the_sandbox_prints_work_as_printed(tool: str, tmp_path: Path):
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool} here")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with started("sandbox", "--port", "0", cwd=tmp_path) as process:
        line = line_with(process, f"  {tool} -")
        tried = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=os.environ | {"PATH": path})

    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.count(ME) >= 3


@pytest.mark.parametrize(
    "option, says",
    [
        ("--page-cap=0", "page_cap must be 1 or more, not 0"),
        ("--latency=-1", "latency must be 0 or more, not -1.0"),
        ("--today=0001-01-01", "today must be in one of the years 3 to 9998, not 1"),
    ],
)
def test_an_invalid_option_is_reported_in_one_line(option: str, says: str):
    done = CliRunner().invoke(main, ["sandbox", option])

    assert (done.exit_code, done.stderr) == (2, f"coaching-async: {says}\n")


def test_a_sandbox_keeps_its_data_in_a_file(tmp_path: Path):
    options = ["sandbox", "--port", "0", "--state", "state.json", "--appointments", "3", "--seed"]
    contents: list[bytes] = []
    for seed in ("1", "2"):
        with started(*options, seed, cwd=tmp_path) as process:
            line_with(process, "sandbox at")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "stopped\n")
        contents.append((tmp_path / "state.json").read_bytes())
    assert contents[0] == contents[1]

    (tmp_path / "state.json").write_text("{}")
    with started(*options, "1", cwd=tmp_path) as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert "state.json" in errors
    assert errors.count("\n") == 1


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path):
    with started("sandbox", "--port", "0", cwd=tmp_path) as first:
        port = re.search(r":(\d+),", line_with(first, "sandbox at"))[1]  # type: ignore[index]
        with started("sandbox", "--port", port, cwd=tmp_path) as second:
            _, errors = second.communicate()

    assert second.returncode == 2
    assert errors.startswith(f"coaching-async: cannot run at 127.0.0.1:{port}: ")
    assert errors.count("\n") == 1


def test_help_lists_the_commands_without_importing_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coaching_async.cli._main.import_module", None)

    done = CliRunner().invoke(main, ["--help"])

    assert done.exit_code == 0
    assert set(COMMANDS) <= set(done.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_beginning_of_the_help_of_each(name: str):
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert (command.help or "").startswith(COMMANDS[name].removesuffix("."))
