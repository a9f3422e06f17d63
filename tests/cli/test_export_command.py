"""`coaching-async export`, stopped in several ways and resumed."""

import math
import random
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from coaching_async.sandbox import Fault, Sandbox
from tests.support.cli import environment, exported, killed, of_all_users, started
from tests.support.effort import FULL
from tests.support.export import ids, rows

PAGE = 20


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the environment points to, with thirty small pages."""
    with Sandbox(appointments=30 * PAGE, users=3, page_cap=PAGE, latency=0.002) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_that_is_killed_repeatedly_is_resumed_until_it_has_each_appointment_once(
    form: str, sandbox: Sandbox, tmp_path: Path
):
    options = [*of_all_users(sandbox), "--format", form, "--out", f"x.{form}"]
    moments = random.Random(form)
    kills = 0
    while kills < (5 if FULL else 3):
        resume = ["--resume"] if (tmp_path / f"x.{form}.part.checkpoint").exists() else []
        if not killed(sandbox, moments, *options, *resume, cwd=tmp_path):
            break  # on a machine that is slow to kill
        kills += 1

    if not (tmp_path / f"x.{form}").exists():
        assert exported(*options, "--resume", cwd=tmp_path)[0] == 0

    assert kills
    assert len(ids(tmp_path / f"x.{form}")) == 30 * PAGE
    assert set(ids(tmp_path / f"x.{form}")) == set(sandbox.state.appointments)
    assert [file.name for file in tmp_path.iterdir()] == [f"x.{form}"]


def stopped_at(page: int, sandbox: Sandbox, *arguments: str, cwd: Path, by: int = signal.SIGINT) -> tuple[int, str]:
    """Stop an export while it waits for a page; return its exit code and its standard error."""
    sandbox.faults.add(Fault("stall", path=f"pageNumber={page}$"))
    with started("export", *arguments, cwd=cwd) as process:
        while sandbox.faults.pending:
            assert process.poll() is None
        process.send_signal(by)
        said = process.communicate()[1]
    return process.returncode, said


def test_ctrl_c_reports_how_much_is_written_and_how_to_resume(sandbox: Sandbox, tmp_path: Path):
    options = [*of_all_users(sandbox), "--out", "x.jsonl"]

    code, said = stopped_at(3, sandbox, *options, cwd=tmp_path)

    assert (code, said) == (130, "coaching-async: interrupted; 40 appointments are written: go on with --resume\n")
    code, said = exported(*options, "--resume", cwd=tmp_path)
    assert (code, said.splitlines()[-1]) == (0, "x.jsonl: 600 appointments")
    assert set(ids(tmp_path / "x.jsonl")) == set(sandbox.state.appointments)


def test_an_error_reports_how_much_is_written_and_how_to_resume(sandbox: Sandbox, tmp_path: Path):
    sandbox.faults.add(Fault("status", path="pageNumber=3$", status=403))
    options = [*of_all_users(sandbox), "--out", "x.jsonl"]

    code, said = exported(*options, cwd=tmp_path)

    assert code == 2
    assert said.startswith("coaching-async: ")
    assert said.endswith("; 40 appointments are written: go on with --resume\n")
    assert said.count("\n") == 1


def test_rows_that_cannot_be_read_are_one_line_each_and_exit_code_3(sandbox: Sandbox, tmp_path: Path):
    for page in (3, 5):
        sandbox.faults.add(Fault("odd_row", path=f"pageNumber={page}$"))

    code, said = exported(*of_all_users(sandbox), "--out", "x.jsonl", cwd=tmp_path)

    lines = said.splitlines()[-4:]
    assert code == 3
    assert lines[:2] == ["x.jsonl: 598 appointments", "coaching-async: left out 2 rows, which cannot be read:"]
    for line, page in zip(lines[2:], (3, 5), strict=True):
        assert line.startswith(f"  appointments, page {page}, index 0, id ")
        assert ": no Appointment: expected str | None @ $.name; " in line
    assert "WARNING" not in said
    assert "appointments.list" not in said
    assert len(ids(tmp_path / "x.jsonl")) == 598


def test_many_rows_that_cannot_be_read_are_counted(sandbox: Sandbox, tmp_path: Path):
    sandbox.faults.add(Fault("odd_row", times=math.inf))

    code, said = exported(*of_all_users(sandbox), "--out", "x.jsonl", cwd=tmp_path)

    assert (code, said.splitlines()[-1]) == (3, "  and 10 more")
    assert said.count("\n  appointments, page ") == 20


def test_a_full_disk_reports_how_much_is_written_and_how_to_resume(sandbox: Sandbox, tmp_path: Path):
    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    options = [*of_all_users(sandbox), "--out", "x.jsonl"]

    code, said = exported(*options, cwd=tmp_path, preexec_fn=small_files_only)

    kept = (tmp_path / "x.jsonl.part").read_bytes().count(b"\n") // PAGE * PAGE
    assert (code, said) == (
        2,
        f"coaching-async: cannot write x.jsonl: File too large; {kept} appointments are written: go on with --resume\n",
    )
    assert exported(*options, "--resume", cwd=tmp_path)[0] == 0
    assert set(ids(tmp_path / "x.jsonl")) == set(sandbox.state.appointments)


def test_appointments_that_stay_are_exported_once_if_the_list_changes_before_it_is_resumed(
    sandbox: Sandbox, tmp_path: Path
):
    options = [*of_all_users(sandbox), "--out", "x.jsonl"]
    stopped_at(9, sandbox, *options, cwd=tmp_path, by=signal.SIGKILL)
    state, chance = sandbox.state, random.Random(1)
    gone = chance.sample(sorted(state.appointments), 50)
    for appointment_id in gone:
        state.delete(appointment_id, None)
    lasting = set(state.appointments)
    for number, twin in enumerate(chance.sample(sorted(lasting), 50)):
        state.appointments[f"new-{number}"] = state.appointments[twin] | {"id": f"new-{number}"}

    assert exported(*options, "--resume", cwd=tmp_path)[0] == 0

    found = ids(tmp_path / "x.jsonl")
    assert len(found) == len(set(found))
    assert not lasting - set(found)


def test_an_export_includes_annotations_and_statuses_and_filters_by_facilitator(sandbox: Sandbox, tmp_path: Path):
    facilitator = sandbox.state.user_ids[1]
    mine = [
        appointment
        for appointment in sandbox.state.appointments.values()
        if appointment["facilitator"]["id"] == facilitator and appointment["dateStart"].startswith("2026-11-0")
    ]
    interval = ["--interval", "2026-11-01T00:00Z/2026-11-10T00:00Z", "--facilitator-id", facilitator]
    options = [*of_all_users(sandbox), *interval, "--annotations", "--statuses", "--out", "x.jsonl"]

    assert exported(*options, cwd=tmp_path)[0] == 0

    found = {row["id"]: row for row in rows(tmp_path / "x.jsonl")}
    assert found.keys() == {each["id"] for each in mine}
    assert mine
    for each in mine:
        notes = [note["id"] for note in sandbox.state.annotations.get(each["id"], {}).values()]
        assert sorted(note["id"] for note in found[each["id"]]["annotations"]) == sorted(notes)
        assert found[each["id"]]["statuses"][-1]["status"] == each["status"]


def test_nothing_to_resume_is_reported_in_one_line(sandbox: Sandbox, tmp_path: Path):
    options = ["--user-id", sandbox.state.user_ids[0], "--out", "x.jsonl", "--resume"]

    for found in ("no unfinished export to x.jsonl", "x.jsonl is complete"):
        said = f"coaching-async: there is nothing to resume: {found}. Without resume, it is exported afresh\n"
        assert exported(*options, cwd=tmp_path) == (2, said)
        (tmp_path / "x.jsonl").touch()
