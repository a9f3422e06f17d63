"""What `coaching-async export` is told: users from files, filters, time zones, standard output, suffixes, --resume auto."""

import codecs
import csv
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner, Result

from coaching_async.cli import main
from coaching_async.sandbox import Fault, Sandbox
from tests.support.cli import COMMAND, environment

ME = "11111111-1111-4111-8111-111111111111"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def org() -> Iterator[Sandbox]:
    with Sandbox(appointments=60, users=3, page_cap=20) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(org: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the environment names, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment(org).items():
        monkeypatch.setenv(name, value)
    org.faults.clear()
    yield org
    org.faults.clear()


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["export", *arguments], input=stdin)


def ids(path: str) -> set[str]:
    return {json.loads(line)["id"] for line in Path(path).read_text().splitlines()}


def last_query(sandbox: Sandbox) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(
        next(request.query for request in reversed(sandbox.requests) if "userIds" in request.query)
    ):
        found.setdefault(name, []).append(value)
    return found


# Users


@pytest.mark.parametrize(
    "content",
    [
        b"%s\n%s\n",
        b"%s\r\n%s\r\n\r\n",
        b"%s\r%s",
        b"\xef\xbb\xbf%s\n\xef\xbb\xbf%s",
        b"  %s \t\n\n \n%s",
        b"# users\n%s # Ada\n\t# and\n%s",
        b"%s\n%s\n" * 2,
        b"%s\xe2\x80\x8b\n\xc2\xa0%s\x00",
    ],
)
@pytest.mark.parametrize("is_stdin", [False, True])
def test_the_ids_of_users_come_from_a_file_or_from_standard_input(content: bytes, is_stdin: bool, sandbox: Sandbox):
    first, second, _ = (id_.encode() for id_ in sandbox.state.user_ids)
    data = content.replace(b"%s", first).replace(first, second, 1) if content.count(b"%s") == 2 else b""
    data = data or content.replace(b"%s\n%s", first + b"\n" + second)
    Path("users.txt").write_bytes(data)

    done = run("--user-ids", "-" if is_stdin else "users.txt", "--out", "x.jsonl", stdin=data)

    assert (done.exit_code, done.stderr.splitlines()[-1][:9]) == (0, "x.jsonl: "), done.stderr
    assert last_query(sandbox)["userIds"] == sorted([first.decode(), second.decode()])


@pytest.mark.parametrize("mark, encoding", [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")])
def test_a_file_in_utf_16_as_powershell_writes_it_is_read(mark: bytes, encoding: str, sandbox: Sandbox):
    Path("users.txt").write_bytes(mark + f"{ME}\r\n".encode(encoding))

    assert run("--user-ids-file", "users.txt", "--out", "x.jsonl").exit_code == 0
    assert last_query(sandbox)["userIds"] == [ME]


def test_users_of_options_and_of_several_files_are_put_together(sandbox: Sandbox):
    first, second, third = sandbox.state.user_ids
    Path("a").write_text(first)
    Path("b").write_text(f"{second}\n{first}")

    done = run("--user-id", third, "--user-ids", "a", "--user-ids", "b", "--user-id", first, "--out", "x.jsonl")

    assert done.exit_code == 0
    assert last_query(sandbox)["userIds"] == sorted([first, second, third])


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "users.txt contains no ids"),
        (b"\xef\xbb\xbf\r\n \n# nobody\n", "users.txt contains no ids"),
        (b"a\n\nb,c\n", "users.txt, line 3: 'b,c' is no id; write one id a line"),
        (b"id;name", "line 1: 'id;name' is no id"),
        (b'"a"', "line 1: '\"a\"' is no id"),
        (b"a b", "line 1: 'a b' is no id"),
        (b"a\xe2\x80\x8bb", "line 1: 'a b' is no id"),
        (b"\xff\xfe\xfd", "users.txt is not text in UTF-8"),
        (b"m\xfcller", "users.txt is not text in UTF-8"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--user-id", ME]])
def test_a_file_without_ids_is_an_error_of_one_line(content: bytes, says: str, more: list[str], sandbox: Sandbox):
    Path("users.txt").write_bytes(content)
    before = len(sandbox.requests)

    done = run("--user-ids", "users.txt", *more, "--out", "x.jsonl")

    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith("coaching-async: ")
    assert says in done.stderr
    assert (len(sandbox.requests), list(Path().glob("x*"))) == (before, [])


def test_a_file_that_cannot_be_read_is_an_error_of_one_line(sandbox: Sandbox, tmp_path: Path):
    for name, says in (("gone", "cannot read gone: No such file or directory"), (".", "cannot read .: Is a directory")):
        done = run("--user-ids", name, "--out", "x.jsonl")
        assert (done.exit_code, done.stderr) == (2, f"coaching-async: {says}\n")
    empty = run("--user-ids", "-", "--out", "x.jsonl", stdin=b"\n")
    assert (empty.exit_code, empty.stderr) == (2, "coaching-async: standard input contains no ids\n")


def test_a_closed_standard_input_is_an_error_of_one_line(sandbox: Sandbox):
    script = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "export", "--user-ids", "-", "--out", "x.jsonl"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (2, "coaching-async: cannot read standard input: it is closed\n")


def test_no_user_at_all_is_an_error(sandbox: Sandbox):
    done = run("--out", "x.jsonl")

    assert done.exit_code == 2
    assert done.stderr.endswith(
        "Error: name users with --user-id, --user-email or --team, or a file of ids with --user-ids\n"
    )


@pytest.mark.parametrize("odd", [f"{ME}\n", f" {ME}", f"\ufeff{ME}", ""], ids=ascii)
def test_an_id_that_is_none_is_reported_in_one_line(odd: str, sandbox: Sandbox):
    for options in (["--user-id", odd], ["--user-id", ME, "--facilitator-id", odd]):
        done = run(*options, "--out", "x.jsonl")
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
        assert f"{odd!a} is no id".replace("\\", "\\") in done.stderr


@pytest.mark.parametrize("options", [(), ("--resume", "auto")], ids=["once", "resume auto"])
def test_an_export_that_finds_nothing_is_complete_says_so_and_has_an_exit_code_of_its_own(
    options: tuple[str, ...], sandbox: Sandbox
):
    for _ in range(2 if options else 1):
        done = run("--user-id", "22222222-0000-4000-8000-000000000000", "--out", "x.jsonl", *options)

        assert "no appointment was found: check the users and the filters" in done.stderr.splitlines()
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (3, "x.jsonl: 0 appointments")
        assert Path("x.jsonl").read_bytes() == b""


# Filters


def test_every_filter_has_an_option(sandbox: Sandbox):
    options = {
        "--interval": "2026-11",
        "--status": "Completed",
        "--facilitator-id": ME,
        "--relationship": "Attendee",
        "--completion-interval": "2026-11-01T00:00Z/2026-12-01T00:00Z",
        "--interval-condition": "Overlaps",
        "--sort-order": "Desc",
    }

    done = run("--user-id", ME, *(each for pair in options.items() for each in pair), "--overdue", "--out", "x.jsonl")

    assert done.exit_code == 3, "none is completed and overdue"
    november = "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z"
    sent = last_query(sandbox)
    assert {name: value for name, value in sent.items() if not name.startswith("page")} == {
        "userIds": [ME],
        "interval": [november],
        "statuses": ["Completed"],
        "facilitatorIds": [ME],
        "relationships": ["Attendee"],
        "completionInterval": [november],
        "overdue": ["True"],
        "intervalCondition": ["Overlaps"],
        "sortOrder": ["Desc"],
    }


@pytest.mark.parametrize("option, sent", [("--overdue", ["True"]), ("--not-overdue", ["False"]), (None, None)])
def test_overdue_appointments_are_selected_or_left_out(option: str | None, sent: list[str] | None, sandbox: Sandbox):
    assert run("--user-id", ME, *filter(None, [option]), "--out", "x.jsonl").exit_code == 0
    assert last_query(sandbox).get("overdue") == sent


@pytest.mark.parametrize(
    "text, zone, sent",
    [
        ("2026-11", "Europe/Berlin", "2026-10-31T23:00:00.000Z/2026-11-30T23:00:00.000Z"),
        ("2026-10", "Europe/Berlin", "2026-09-30T22:00:00.000Z/2026-10-31T23:00:00.000Z"),
        ("2026-11", "utc", "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z"),
        (
            "2024-11-03/2024-11-04",
            "America/Havana",
            "2024-11-03T04:00:00.000Z/2024-11-05T05:00:00.000Z",
        ),  # no law changes it
        ("2026-11-01T00:00Z/2026-11-02", "Europe/Berlin", "2026-11-01T00:00:00.000Z/2026-11-02T23:00:00.000Z"),
    ],
)
@pytest.mark.parametrize("option", ["--interval", "--completion-interval"])
def test_months_and_times_without_a_zone_are_in_the_given_one(
    option: str, text: str, zone: str, sent: str, sandbox: Sandbox
):
    assert run("--user-id", ME, option, text, "--timezone", zone, "--out", "x.jsonl").exit_code in {0, 3}
    assert last_query(sandbox)["interval" if option == "--interval" else "completionInterval"] == [sent]


@pytest.mark.parametrize("name", ["Europe/Berln", "Europe", "../etc/passwd", "/etc/passwd", "", "a\0b"], ids=ascii)
def test_a_zone_that_does_not_exist_is_reported_in_one_line(name: str, sandbox: Sandbox):
    done = run("--user-id", ME, "--interval", "2026-11", "--timezone", name, "--out", "x.jsonl")

    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "no such time zone; names are like Europe/Berlin" in done.stderr


def test_a_zone_is_that_of_times_in_a_table_too(sandbox: Sandbox):
    assert run("--user-id", ME, "--timezone", "Asia/Tokyo", "--plain", "--out", "x.csv").exit_code == 0

    with Path("x.csv").open(newline="") as file:
        assert {row["date_start"][-6:] for row in csv.DictReader(file)} == {"+09:00"}


@pytest.mark.parametrize(
    "options, says",
    [
        (["--relationship", "Owner"], "'Owner' is no Relationship: choose one of Attendee, Creator, Facilitator"),
        (["--sort-order", "down"], "'down' is no SortOrder: choose one of Asc, Desc"),
        (["--interval-condition", "Within"], "'Within' is no IntervalCondition"),
        (["--completion-interval", "november"], "--completion-interval november: an interval is a month"),
        (["--interval", "x/y", "--timezone", "UTC"], "--interval x/y: a time is written as"),
    ],
)
def test_an_invalid_filter_is_reported_in_one_line(options: list[str], says: str, sandbox: Sandbox):
    done = run("--user-id", ME, *options, "--out", "x.jsonl")

    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert says in done.stderr


# Output


def test_standard_output_gets_the_lines_and_standard_error_the_rest(sandbox: Sandbox):
    written = run("--user-id", ME, "--out", "-")
    run("--user-id", ME, "--out", "x.jsonl")

    assert written.exit_code == 0
    assert written.stdout == Path("x.jsonl").read_text()
    assert re.fullmatch(r"standard output: \d+ appointments", written.stderr.splitlines()[-1])
    assert not Path("-").exists()


def test_standard_output_has_the_form_that_is_asked_for(sandbox: Sandbox):
    done = run("--user-id", ME, "--out", "-", "--format", "csv", "--spreadsheet")

    assert (done.exit_code, done.stdout.startswith("\ufeffid,name,")) == (0, True)


@pytest.mark.parametrize("resume", [["--resume"], ["--resume", "auto"]])
def test_standard_output_cannot_be_resumed(resume: list[str], sandbox: Sandbox):
    done = run("--user-id", ME, "--out", "-", *resume)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "standard output cannot be resumed: leave out --resume, or name a file with --out" in done.stderr


def test_an_error_after_some_lines_says_how_many_standard_output_got(sandbox: Sandbox):
    sandbox.faults.add(Fault("status", path="pageNumber=2$", status=403))

    done = run("--user-id", ME, "--out", "-")

    assert (done.exit_code, len(done.stdout.splitlines())) == (2, 20)
    assert done.stderr.endswith("; 20 appointments are written\n")


@pytest.mark.parametrize("redirected, code", [("| head -1", 141), (">/dev/full", 2), (">&-", 2)])
def test_standard_output_that_cannot_be_written_ends_the_export(redirected: str, code: int, sandbox: Sandbox):
    script = f'"$@" {redirected}'
    if "|" in redirected:
        script = 'set -o pipefail; { "$@"; echo $? >&2; } | head -1 >first'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "export", "--user-id", ME, "--out", "-"],
        capture_output=True,
        text=True,
        check=False,
    )

    if "|" in redirected:
        assert done.stderr.splitlines()[-1] in {"0", "141"}  # all of it may fit into the pipe
        assert len(Path("first").read_text().splitlines()) == 1
    else:
        assert done.returncode == code
        assert done.stderr.splitlines()[-1].startswith("coaching-async: cannot write to the output: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name, first", [("x.csv", "\ufeffid,"), ("x.NDJSON", "{"), ("x.json", "{"), ("x", "{")])
def test_the_form_follows_the_suffix(name: str, first: str, sandbox: Sandbox):
    assert run("--user-id", ME, "--out", name).exit_code == 0
    assert Path(name).read_text(encoding="utf-8").startswith(first)


def test_an_unknown_suffix_is_reported_and_format_overrides_it(sandbox: Sandbox):
    done = run("--user-id", ME, "--out", "x.xls")
    assert (done.exit_code, len(done.stderr.splitlines()), list(Path().iterdir())) == (2, 1, [])
    assert "the suffix '.xls' names no form" in done.stderr
    assert run("--user-id", ME, "--out", "x.xls", "--format", "csv").exit_code == 0


def test_a_file_for_spreadsheets(sandbox: Sandbox):
    assert run("--user-id", ME, "--out", "x.csv", "--spreadsheet").exit_code == 0
    assert Path("x.csv").read_bytes().startswith(codecs.BOM_UTF8 + b"id,")
    assert run("--user-id", ME, "--out", "x.jsonl", "--spreadsheet").exit_code == 2


# --resume auto


def test_one_command_begins_continues_and_is_done(sandbox: Sandbox):
    command = [each for user in sandbox.state.user_ids for each in ("--user-id", user)] + ["--out", "x.jsonl"]
    sandbox.faults.add(Fault("status", path="pageNumber=2$", status=403))

    first = run(*command, "--resume", "auto")
    assert (first.exit_code, first.stderr.endswith("; 20 appointments are written: go on with --resume auto\n")) == (
        2,
        True,
    )
    second = run("--resume", "auto", *reversed_users(command))
    assert (second.exit_code, second.stderr.splitlines()[-1]) == (0, "x.jsonl: 60 appointments")
    before = len(sandbox.requests)
    for _ in range(2):
        third = run(*command, "--resume=auto")
        says = ["there was nothing to do: an earlier export has completed the file", "x.jsonl: 60 appointments"]
        assert (third.exit_code, third.stderr.splitlines()[-2:]) == (0, says)
    assert ids("x.jsonl") == set(sandbox.state.appointments)
    assert len(sandbox.requests) == before

    other = run(*command, "--status", "Completed", "--resume", "auto")
    assert (other.exit_code, "with other arguments" in other.stderr, len(other.stderr.splitlines())) == (2, True, 1)


def reversed_users(command: list[str]) -> list[str]:
    *users, out, name = command
    return [each for user in users[::-2] for each in ("--user-id", user)] + [out, name]


def test_a_file_of_another_origin_is_not_replaced(sandbox: Sandbox):
    Path("x.jsonl").write_text("mine")

    done = run("--user-id", ME, "--out", "x.jsonl", "--resume", "auto")

    assert (done.exit_code, len(done.stderr.splitlines()), Path("x.jsonl").read_text()) == (2, 1, "mine")
    assert [each.name for each in Path().iterdir()] == ["x.jsonl"]


def test_resume_without_a_value_needs_something_to_resume(sandbox: Sandbox):
    done = run("--resume", "--user-id", ME, "--out", "x.jsonl")

    assert (done.exit_code, "there is nothing to resume" in done.stderr) == (2, True)


# People, teams, and tables


def someone(sandbox: Sandbox) -> dict[str, str]:
    return next(user for user in sandbox.state.users.values() if user["id"] == ME)


def test_users_are_found_by_their_address_in_any_case(sandbox: Sandbox):
    done = run("--user-email", someone(sandbox)["email"].upper(), "--user-id", ME, "--out", "x.jsonl")

    assert done.exit_code == 0, done.stderr
    assert last_query(sandbox)["userIds"] == [ME]


def test_a_team_is_its_members_by_name_in_any_case_or_by_id(sandbox: Sandbox):
    team = next(iter(sandbox.state.teams.values()))
    asked: list[list[str]] = []

    for text in (team["name"].upper(), team["id"]):
        assert run("--team", text, "--out", "x.jsonl").exit_code == 0
        asked.append(last_query(sandbox)["userIds"])

    assert asked[0] == asked[1]
    assert set(asked[0]) <= sandbox.state.users.keys()
    assert len(asked[0]) > 1


@pytest.mark.parametrize(
    "options, says",
    [
        (["--user-email", "nobody@example.com"], "--user-email, value 1: no user has this address"),
        (["--user-email", "Ada"], "--user-email, value 1: this is no e-mail address"),
        (["--user-email", f"{'a' * 300}@example.com"], "--user-email, value 1: this is no e-mail address"),
        (["--user-email", "nobody@corp.example\u200b"], "--user-email, value 1: no user has this address"),
        (["--team", "No Such Team"], "--team No Such Team: no team has that name"),
        (["--team", ""], "--team is empty"),
        (
            ["--user-id", ME, "--columns", "id,facilitator"],
            "no column is called 'facilitator': did you mean facilitator_id?",
        ),
        (["--user-id", ME, "--columns", "id,,name"], "no column is called ''"),
        (["--team", "No Such Team", "--format", "xlsx"], "--team No Such Team: no team has that name"),
        (
            ["--team", "No Such Team", "--out", "-", "--format", "xlsx"],
            "xlsx is written as a whole, and not to a stream",
        ),
        (["--user-id", ME, "--plain"], "spreadsheet is about files of the form csv, not jsonl"),
    ],
)
def test_what_nobody_is_or_has_is_an_error_of_one_line(options: list[str], says: str, sandbox: Sandbox):
    done = run("--out", "x.jsonl", *options)

    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert says in done.stderr
    assert "@" not in done.stderr
    assert not list(Path().glob("x*"))


def test_two_teams_of_one_name_are_ambiguous(sandbox: Sandbox):
    team = next(iter(sandbox.state.teams.values()))
    twin = sandbox.state.teams["twin"] = team | {"id": "22222222-2222-4222-8222-222222222222"}
    try:
        done = run("--team", team["name"], "--out", "x.jsonl")
    finally:
        del sandbox.state.teams["twin"]

    assert (done.exit_code, "2 teams have that name; give the id of the one" in done.stderr) == (2, True), twin


def test_members_who_cannot_be_read_are_exported_all_the_same(sandbox: Sandbox):
    team = next(iter(sandbox.state.teams.values()))
    assert run("--team", team["name"], "--out", "x.jsonl").exit_code == 0
    members = last_query(sandbox)["userIds"]
    sandbox.faults.add(Fault("odd_row", path="/members"))

    assert run("--team", team["name"], "--out", "x.jsonl").exit_code == 0

    assert last_query(sandbox)["userIds"] == members
    assert not sandbox.faults.pending


def test_a_team_that_cannot_be_read_is_not_said_to_be_missing(sandbox: Sandbox):
    team = next(iter(sandbox.state.teams.values()))
    sandbox.faults.add(Fault("odd_row", path="/teams"))

    done = run("--team", team["name"], "--out", "x.jsonl")

    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "1 team cannot be read; give the id of the team" in done.stderr


def test_names_addresses_and_columns_are_in_the_table(sandbox: Sandbox):
    me = someone(sandbox)
    assert run("--user-id", ME, "--names", "--emails", "--out", "x.csv").exit_code == 0
    assert run("--user-id", ME, "--columns", "name, facilitator_name", "--out", "y.csv").exit_code == 0

    with Path("x.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    mine = next(row for row in rows if row["facilitator_id"] == ME)
    assert (mine["facilitator_name"], mine["facilitator_email"]) == (me["name"], me["email"])
    assert Path("y.csv").read_text(encoding="utf-8-sig").startswith("name,facilitator_name\n")


def test_a_text_that_was_cut_is_told_with_exit_code_3(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coaching_async.export._xlsx.MAX_TEXT", 60)
    monkeypatch.setattr("coaching_async.export._xlsx.CUT", " [cut]")

    done = run("--user-id", ME, "--annotations", "--out", "x.xlsx")

    assert (done.exit_code, "because Excel takes up to 32,767 characters" in done.stderr) == (3, True)
