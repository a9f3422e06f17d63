"""`coaching-async report`: its page, its exit codes, and what it refuses before a request is sent."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from coaching_async.cli import main
from coaching_async.sandbox import Fault, Sandbox
from tests.support.cli import environment
from tests.support.fault_server import HANG

NOVEMBER = ("--interval", "2026-11")


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(appointments=200, users=10) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that the environment points to; without charts, because drawing takes nearly all of the time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("coaching_async.report._page.bar_chart", lambda *_: {})
    for name, value in environment(running).items():
        monkeypatch.setenv(name, value)
    running.faults.clear()
    yield running
    running.faults.clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments])


def test_the_report_of_a_team_names_its_members(sandbox: Sandbox, tmp_path: Path):
    team_id, team = next(iter(sandbox.state.teams.items()))

    ran = run("--team", team["name"].upper(), *NOVEMBER, "--timezone", "Europe/Berlin", "--out", "team.html")

    assert ran.exit_code == 0, ran.output
    members = sandbox.state.members[team_id]
    assert ran.output.startswith("team.html: ")
    assert ran.output.endswith(f" appointments of {len(members)} people\n")
    page = (tmp_path / "team.html").read_text()
    assert f"<h1><bdi>{team['name'].upper()}</bdi></h1>" in page
    for user_id in members:
        assert f"<bdi>{sandbox.state.users[user_id]['name']}</bdi>".replace("'", "&#39;") in page


def test_standard_output_takes_the_page(sandbox: Sandbox):
    ran = run("--user-id", sandbox.state.user_ids[0], *NOVEMBER, "--out", "-")

    assert ran.exit_code == 0
    assert ran.stdout.startswith("<!doctype html>")
    assert ran.stdout.endswith("</html>")
    assert ran.stderr.startswith("standard output: ")


def test_a_month_without_appointments_is_a_page_and_exit_code_3(sandbox: Sandbox, tmp_path: Path):
    ran = run("--user-id", sandbox.state.user_ids[0], "--interval", "2031-11", "--out", "empty.html")

    assert ran.exit_code == 3
    assert ran.output.splitlines() == [
        "no appointment was found: check the people and the interval",
        "empty.html: 0 appointments of 1 person",
    ]
    assert "No coaching appointment starts in this time" in (tmp_path / "empty.html").read_text()


def test_rows_that_cannot_be_read_are_one_line_each_and_exit_code_3(sandbox: Sandbox):
    sandbox.faults.add(Fault("odd_row", path="coaching/appointments"))

    ran = run("--user-id", sandbox.state.user_ids[0], *NOVEMBER, "--out", "report.html")

    assert ran.exit_code == 3
    assert "left out 1 row, which cannot be read:\n  appointments, page 1, index 0" in ran.output


def test_an_error_leaves_no_file(sandbox: Sandbox, tmp_path: Path):
    sandbox.faults.add(Fault("status", path="coaching/appointments", status=403))

    ran = run("--user-id", sandbox.state.user_ids[0], *NOVEMBER, "--out", "report.html")

    assert ran.exit_code == 2
    assert ran.output.startswith("coaching-async: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([*NOVEMBER, "--out", "x.html"], "name users with --user-id"),
        (["--user-id", "u", "--out", "x.html"], "Missing option '--interval'"),
        (["--user-id", "u", *NOVEMBER], "Missing option '--out'"),
        (["--user-id", "u", "--interval", "2020-01/2026-12", "--out", "x.html"], "covers up to 106 weeks"),
        (["--user-id", "u", *NOVEMBER, "--timezone", "Europe/Atlantis", "--out", "x.html"], "no such time zone"),
        (["--user-id", "u", *NOVEMBER, "--out", "mine.txt"], "mine.txt is not a report"),
        (["--user-id", "u", *NOVEMBER, "--out", "missing/x.html"], "cannot write missing/x.html"),
    ],
)
def test_what_cannot_be_is_refused_before_a_request_is_sent(
    arguments: list[str], said: str, sandbox: Sandbox, tmp_path: Path
):
    (tmp_path / "mine.txt").write_text("mine")
    before = len(sandbox.requests)

    ran = run(*arguments)

    assert ran.exit_code == 2
    assert said in ran.output
    assert len(sandbox.requests) == before
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_missing_library_is_refused_with_the_line_for_pip(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coaching_async.report._fetching.find_spec", lambda _: None)
    before = len(sandbox.requests)

    ran = run("--team", "Billing", *NOVEMBER, "--out", "x.html")

    assert ran.exit_code == 2
    assert "pip install 'coaching_async[report]'" in ran.output
    assert len(sandbox.requests) == before


def test_force_replaces_another_file(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")

    ran = run("--user-id", sandbox.state.user_ids[0], *NOVEMBER, "--out", "mine.txt", "--force")

    assert ran.exit_code == 0
    assert (tmp_path / "mine.txt").read_text().startswith("<!doctype html>")


def test_the_command_and_the_package_are_imported_without_the_libraries_of_a_page():
    code = (
        "import sys; import coaching_async.cli, coaching_async.report;"
        "extra = {'jinja2', 'matplotlib', 'numpy'} & sys.modules.keys(); assert not extra, extra"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG)
