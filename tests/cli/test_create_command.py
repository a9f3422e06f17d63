"""`coaching-async create`: what it creates, what it says, and what a second run creates after the first was stopped."""

import csv
import math
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coaching_async._resources.creation import create_many
from coaching_async.cli import main
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import fails, loses_answer, route
from tests.support.cli import environment, started

HEADER = "name,description,start,length,attendees"
CREATES = route("appointments.create")
DELAYS = create_many.DELAYS


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox without appointments that the environment points to. The working folder is empty, and looks are hasty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(create_many, "DELAYS", (0.0, 0.2))
    with Sandbox(appointments=0, users=6) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


def person(sandbox: Sandbox, state: str = "active") -> dict[str, Any]:
    return next(user for user in sandbox.state.users.values() if user["state"] == state)


def plan_of(sandbox: Sandbox, *names: str) -> Path:
    """Write a plan with an appointment of each name, on the days from 11 January 2027 on."""
    id_ = person(sandbox)["id"]
    rows = [f"{name},d,2027-01-{11 + day} 14:00Z,30,{id_}" for day, name in enumerate(names)]
    return write(HEADER, *rows)


def write(*lines: str) -> Path:
    plan = Path("plan.csv")
    plan.write_text("\n".join(lines))
    return plan


def run(*options: str) -> Result:
    result = CliRunner().invoke(main, ["create", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def names(sandbox: Sandbox) -> Counter[str]:
    return Counter(appointment["name"] for appointment in sandbox.state.appointments.values())


def posts(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" and request.path.endswith("/appointments") for request in sandbox.requests)


def results(file: str = "result.csv") -> Sequence[dict[str, str]]:
    with Path(file).open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def test_people_are_named_by_id_or_by_address_in_any_case(sandbox: Sandbox):
    first, second = [user for user in sandbox.state.users.values() if user["state"] == "active"][:2]
    write(
        f"{HEADER},facilitator", f"n,d,2027-01-11 14:00Z,30,{first['email'].upper()} {second['id']},{second['email']}"
    )

    assert run("--from", "plan.csv").exit_code == 0

    (created,) = sandbox.state.appointments.values()
    assert {attendee["id"] for attendee in created["attendees"]} == {first["id"], second["id"]}
    assert created["facilitator"]["id"] == second["id"]


def test_every_fault_is_reported_with_its_line_and_nothing_is_created(sandbox: Sandbox):
    id_, inactive, deleted = (person(sandbox, state) for state in ("active", "inactive", "deleted"))
    write(
        HEADER,
        f"n,d,2027-01-11 14:00,30,nobody@corp.example {id_['id']}",
        f"n,d,2027-01-11 14:00Z,30,{inactive['email']} Ada",
        f"n,d,2027-01-11 14:00Z,30,{id_['id']} {deleted['id']}",
    )

    result = run("--from", "plan.csv")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "  line 2: attendees, entry 1: no user has this address",
        "  line 2: start: '2027-01-11 14:00' has no time zone: add one, like +01:00 or Z, or give --timezone",
        "  line 3: attendees, entry 1: the user with this address is inactive",
        "  line 3: attendees, entry 2: this is neither an id nor an e-mail address",
        "  line 4: attendees, entry 2: the user with this id was deleted",
        "coaching-async: plan.csv: 5 faults; nothing was created",
    ]
    assert posts(sandbox) == 0
    assert [file.name for file in Path().iterdir()] == ["plan.csv"]


def test_an_address_that_is_too_long_and_ids_in_odd_spelling_are_faults_of_their_lines(sandbox: Sandbox):
    id_ = person(sandbox)["id"]
    write(HEADER, f"n,d,2027-01-11 14:00Z,30,{'a' * 300}@example.com", f"n,d,2027-01-11 14:00Z,30,{{{id_}}} Ada@ @")

    lines = run("--from", "plan.csv").stderr.splitlines()

    problem = "this is neither an id nor an e-mail address"
    assert lines[0] == f"  line 2: attendees, entry 1: {problem}"
    assert lines[1:4] == [f"  line 3: attendees, entry {entry}: {problem}" for entry in (1, 2, 3)]


def test_a_user_whose_data_cannot_be_read_can_attend(sandbox: Sandbox):
    one, other = (user["id"] for user in list(sandbox.state.users.values())[:2])
    sandbox.faults.add(Fault("odd_row", path="/api/v2/users", times=math.inf))
    write(HEADER, f"n,d,2027-01-11 14:00Z,30,{one} {other}")

    assert run("--from", "plan.csv").exit_code == 0

    (created,) = sandbox.state.appointments.values()
    assert {attendee["id"] for attendee in created["attendees"]} == {one, other}


def test_an_id_in_two_spellings_attends_once(sandbox: Sandbox):
    id_ = next(user["id"] for user in sandbox.state.users.values() if user["id"] != user["id"].upper())
    write(HEADER, f"n,d,2027-01-11 14:00Z,30,{id_} {id_.upper()}")

    assert run("--from", "plan.csv").exit_code == 0

    (created,) = sandbox.state.appointments.values()
    assert [attendee["id"] for attendee in created["attendees"]] == [id_]


def test_results_are_written_beside_no_other_file(sandbox: Sandbox):
    plan = plan_of(sandbox, "one").rename("result.csv.part")
    text = plan.read_bytes()

    assert run("--from", "result.csv.part", "--out", "result.csv").exit_code == 0

    assert plan.read_bytes() == text
    assert {file.name for file in Path().iterdir()} == {"result.csv", "result.csv.part", "result.csv.part.journal"}


def test_up_to_twenty_faults_are_printed(sandbox: Sandbox):
    write(HEADER, *["n,d,2027-01-11 14:00Z,x,u"] * 15)

    lines = run("--from", "plan.csv").stderr.splitlines()

    assert len(lines) == 22
    assert lines[-2:] == ["  and 10 more", "coaching-async: plan.csv: 30 faults; nothing was created"]


def test_a_dry_run_shows_what_would_be_created_and_what_is_there(sandbox: Sandbox):
    plan_of(sandbox, "one")
    run("--from", "plan.csv")
    plan_of(sandbox, "one", "two")

    result = run("--from", "plan.csv", "--dry-run", "--out", "result.csv")

    assert result.stdout.splitlines() == [
        "line 2: already there: 2027-01-11 14:00+00:00 one",
        "line 3: would be created: 2027-01-12 14:00+00:00 two",
    ]
    assert (result.exit_code, result.stderr) == (0, "plan.csv: 1 already there, 1 would be created\n")
    assert [row["status"] for row in results()] == ["existing", "missing"]
    assert names(sandbox) == Counter(one=1)


def test_a_second_run_creates_nothing_even_without_the_journal(sandbox: Sandbox):
    plan_of(sandbox, "one", "two", "one")
    assert run("--from", "plan.csv").stderr == "plan.csv: 3 created\n"
    assert run("--from", "plan.csv").stderr == "plan.csv: 3 already there\n"

    Path("plan.csv.journal").unlink()

    assert run("--from", "plan.csv").stderr == "plan.csv: 3 already there\n"
    assert names(sandbox) == Counter(one=2, two=1)


def test_equal_rows_are_wanted_as_often_as_they_are_there(sandbox: Sandbox):
    row = f"n,d,2027-01-11 14:00Z,30,{person(sandbox)['id']}"
    write(HEADER, row, row)
    run("--from", "plan.csv")
    write(HEADER, row, row, row)

    assert run("--from", "plan.csv").stderr == "plan.csv: 1 created, 2 already there\n"
    assert names(sandbox) == Counter(n=3)


def test_what_was_rescheduled_or_deleted_since_is_not_created_again(sandbox: Sandbox):
    plan_of(sandbox, "one", "two")
    run("--from", "plan.csv")
    first, second = sandbox.state.appointments
    sandbox.state.update(first, {"dateStart": "2027-03-01T10:00:00.000Z"}, None)
    sandbox.state.delete(second, None)
    plan_of(sandbox, "one", "two", "three")

    assert run("--from", "plan.csv").stderr == "plan.csv: 1 created, 2 already there\n"
    assert names(sandbox) == Counter(one=1, three=1)


def test_a_row_whose_details_were_corrected_is_not_created_again(sandbox: Sandbox):
    plan = plan_of(sandbox, "one")
    run("--from", "plan.csv")
    plan.write_text(plan.read_text().replace("one,d,", "one,another description,"))

    assert run("--from", "plan.csv").stderr == "plan.csv: 1 already there\n"


def test_with_since_only_what_was_created_since_counts_and_the_journal_remembers_it(sandbox: Sandbox):
    plan_of(sandbox, "one")
    run("--from", "plan.csv")
    Path("plan.csv.journal").unlink()

    for id_, appointment in list(sandbox.state.appointments.items()):
        sandbox.state.appointments[id_] = {**appointment, "dateCreated": "2026-01-01T00:00:00.000Z"}
    assert run("--from", "plan.csv", "--since", "2026-06-01T00:00Z").stderr == "plan.csv: 1 created\n"
    assert run("--from", "plan.csv").stderr == "plan.csv: 1 already there\n"
    assert '"since": "2026-06-01T00:00:00+00:00"' in Path("plan.csv.journal").read_text()
    assert names(sandbox) == Counter(one=2)


@pytest.mark.parametrize("order", ["lost", "503", "accepted", "429"])
def test_faults_of_the_service_double_nothing(order: str, sandbox: Sandbox):
    plan_of(sandbox, "one", "two", "three")
    match order:
        case "lost":
            loses_answer(sandbox, "appointments.create")
        case "accepted":
            sandbox.faults.add(Fault("accepted", *CREATES, delay=0.1))
        case "429":
            fails(sandbox, "appointments.create", 429, retry_after=0)
        case _:
            fails(sandbox, "appointments.create", 503)

    result = run("--from", "plan.csv", "--out", "result.csv")

    if order == "503":
        assert result.exit_code == 1
        assert "503" in result.stderr
        assert result.stderr.endswith(
            "plan.csv: 2 created, 1 failed\ncoaching-async: run it again to create the rest\n"
        )
        (failed,) = [row for row in results() if row["status"] == "failed"]
        assert (failed["appointment_id"], "503" in failed["message"]) == ("", True)
        result = run("--from", "plan.csv")
    assert result.exit_code == 0
    assert names(sandbox) == Counter(one=1, two=1, three=1)


def test_more_appointments_than_rows_are_reported_and_kept(sandbox: Sandbox):
    plan_of(sandbox, "one")
    run("--from", "plan.csv")
    Path("plan.csv.journal").unlink()
    (appointment,) = sandbox.state.appointments.values()
    sandbox.state.appointments["another"] = {**appointment, "id": "another"}

    result = run("--from", "plan.csv", "--out", "result.csv")

    assert (result.exit_code, "some may be duplicates" in result.stderr) == (3, True)
    assert [row["status"] for row in results()] == ["ambiguous"]
    assert len(sandbox.state.appointments) == 2


def test_a_list_that_is_refused_creates_nothing(sandbox: Sandbox):
    plan_of(sandbox, "one")
    fails(sandbox, "appointments.list", 403)

    result = run("--from", "plan.csv")

    assert result.exit_code == 2
    assert "coaching:appointment:view" in result.stderr
    assert names(sandbox) == Counter()


def test_a_journal_of_another_org_or_version_is_refused(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    plan_of(sandbox, "one")
    run("--from", "plan.csv")
    journal = Path("plan.csv.journal")
    whole = journal.read_bytes()

    journal.write_bytes(re.sub(rb'"org": "\w+"', b'"org": "another"', whole))
    assert "of another org or OAuth client" in run("--from", "plan.csv").stderr
    for wrong in (b"[]\n", b"{}\n", b"\x00\n", b'{"version": 2, "org": "", "since": null}\n', whole + b"{}\n"):
        journal.write_bytes(wrong)
        assert "is no journal of this version" in run("--from", "plan.csv").stderr
    journal.write_bytes(whole + b'{"body": "cut o')
    assert run("--from", "plan.csv").stderr == "plan.csv: 1 already there\n"


@pytest.mark.parametrize(
    "options, says",
    [
        ([], "name a plan with --from"),
        (["--from", "missing.csv"], "does not exist"),
        (["--from", "plan.csv", "--out", "plan.csv"], "--out is the plan: choose another name"),
        (["--from", "plan.csv", "--out", "link.csv"], "--out is the plan: choose another name"),
        (["--from", "plan.csv", "--out", "plan.csv.journal"], "--out is its journal: choose another name"),
        (["--from", "plan.csv", "--out", "pipe"], "--out is no file"),
        (["--from", "plan.csv", "--out", "-"], "--out is no file"),
        (["--from", "plan.csv", "--out", "missing/result.csv"], "a folder that does not exist"),
        (["--from", "plan.csv", "--encoding", "nonsense"], "no text encoding"),
        (["--from", "plan.csv", "--encoding", "base64"], "no text encoding"),
        (["--from", "plan.csv", "--timezone", "Berlin"], "no such time zone"),
        (["--from", "plan.csv", "--since", "yesterday"], "--since: 'yesterday' is no time"),
        (["--from", "plan.csv", "--since", "2999-01-01T00:00Z"], "since is in the future"),
    ],
)
def test_wrong_options_are_refused_in_words(options: list[str], says: str, sandbox: Sandbox):
    plan = plan_of(sandbox, "one")
    Path("link.csv").symlink_to(plan)
    os.mkfifo("pipe")
    text = plan.read_bytes()

    result = run(*options)

    assert (plan.read_bytes(), Path("pipe").is_fifo(), Path("-").exists()) == (text, True, False)
    assert (result.exit_code, names(sandbox)) == (2, Counter())
    assert says in result.stderr


@contextmanager
def started_until(sandbox: Sandbox, creates: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a process of its own, and wait until it has sent that many creates."""
    with started("create", "--from", "plan.csv", *options, cwd=Path.cwd()) as process:
        while posts(sandbox) < creates:
            assert process.poll() is None, process.communicate()
            time.sleep(0.001)
        yield process


def test_after_a_kill_the_same_command_creates_what_is_missing(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(create_many, "DELAYS", DELAYS)
    wanted = [f"n{number % 12}" for number in range(18)]
    plan_of(sandbox, *wanted)
    # Two are accepted for later, four are created, and the responses of the others, which are created, take half a minute.
    sandbox.faults.add(
        Fault("accepted", *CREATES, times=2, delay=0.5), Fault("drip", *CREATES, times=100, after=4, delay=0.05)
    )

    with started_until(sandbox, 12) as process:
        process.kill()
        process.communicate()
    sandbox.faults.clear()
    result = run("--from", "plan.csv", "--out", "result.csv")

    assert result.exit_code == 0
    assert re.search(r"^plan.csv: \d+ created, \d+ already there$", result.stderr)
    assert names(sandbox) == Counter(wanted)
    assert {row["appointment_id"] for row in results()} == set(sandbox.state.appointments)


def test_ctrl_c_reports_what_was_created_and_the_result_has_every_row(sandbox: Sandbox):
    plan_of(sandbox, *(f"n{number}" for number in range(18)))
    sandbox.faults.add(Fault("stall", *CREATES, times=20, after=6))

    with started_until(sandbox, 16, "--out", "result.csv") as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    sandbox.faults.clear()

    assert process.returncode == 130
    assert re.search(r"interrupted; \d+ of 18 appointments were created: run it again to create the rest\n$", said)
    assert Counter(row["status"] for row in results()).keys() == {"created", "missing"}
    assert len(results()) == 18
    assert run("--from", "plan.csv").exit_code == 0
    assert names(sandbox) == Counter(f"n{number}" for number in range(18))


def test_two_runs_at_the_same_time_are_refused(sandbox: Sandbox):
    plan_of(sandbox, "one")
    sandbox.faults.add(Fault("stall", *CREATES))
    with started_until(sandbox, 1) as process:
        result = run("--from", "plan.csv")
        process.kill()

    assert (result.exit_code, "another run is at work" in result.stderr) == (2, True)


def test_faults_are_reported_without_an_org(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for name in ("GENESYSCLOUD_ACCESS_TOKEN", "GENESYSCLOUD_OAUTHCLIENT_ID", "GENESYSCLOUD_OAUTHCLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    write(HEADER, "n,d,2027-01-11 14:00Z,x,u")

    assert "line 2: length" in run("--from", "plan.csv").stderr
    write(HEADER, "n,d,2027-01-11 14:00Z,30,u")
    assert "the environment lacks" in run("--from", "plan.csv").stderr
