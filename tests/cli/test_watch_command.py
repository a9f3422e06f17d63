"""`coaching-async watch`: its lines, its cursor file, its exit codes, and what it says about the connection."""

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from coaching_async.cli import main
from coaching_async.sandbox import Fault, Sandbox
from tests.support.cli import environment, started
from tests.support.fault_server import HANG, wait_until


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=5) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that the environment points to, with the token of a user."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment(running).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GENESYSCLOUD_ACCESS_TOKEN", running.user_token(user_of(running)))
    yield running
    running.faults.clear()
    wait_until(lambda: not running.sockets)


def user_of(sandbox: Sandbox) -> str:
    """Return the user whose token the command has."""
    return sandbox.state.user_ids[0]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["watch", *arguments])


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread beside the block."""
    failures = list[BaseException]()

    def guarded() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 # raised below
            failures.append(failure)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert not failures, failures


def is_live(sandbox: Sandbox) -> bool:
    return len(sandbox.sockets) == 1


def notifying(sandbox: Sandbox, count: int = 1) -> Callable[[], None]:
    """Return a function that makes notifications as soon as a WebSocket is open and its list was read."""

    def work() -> None:
        wait_until(lambda: is_live(sandbox))
        for _ in range(count):
            sandbox.notify(user_of(sandbox))

    return work


# Lines


def test_notifications_are_written_as_they_come_a_line_of_json_each(sandbox: Sandbox):
    with meanwhile(notifying(sandbox, 3)):
        ran = run("--count", "3")

    assert ran.exit_code == 0, ran.output
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len({line["id"] for line in lines}) == 3
    assert {line["user"]["id"] for line in lines} == {user_of(sandbox)}
    assert ran.stderr.splitlines() == ["live"]


def test_a_table_has_a_row_for_each_and_its_times_are_local(sandbox: Sandbox):
    with meanwhile(notifying(sandbox)):
        ran = run("--count", "1", "--format", "table")

    header, row = ran.stdout.splitlines()
    assert header.split() == ["came", "action", "start", "minutes", "name"]
    assert " Update " in row
    assert len(row) > header.index("name")


def test_all_begins_with_the_list_and_unread_without_what_was_read(sandbox: Sandbox):
    mine = httpx.Client(
        base_url=sandbox.base_url, headers={"Authorization": f"Bearer {sandbox.user_token(user_of(sandbox))}"}
    )
    with mine:
        for _ in range(2):
            sandbox.notify(user_of(sandbox))
        rows = mine.get("/api/v2/coaching/notifications?pageSize=100").json()["entities"]
        read = [row["id"] for row in rows if row["markedAsRead"]]
        if not read:
            read = [rows[0]["id"]]
            mine.patch(f"/api/v2/coaching/notifications/{read[0]}", json={"markedAsRead": True})

    for options in ((), ("--poll", "60")):
        written = [
            json.loads(line)["id"] for line in run("--all", "--count", str(len(rows)), *options).stdout.splitlines()
        ]
        assert sorted(written) == sorted(row["id"] for row in rows)
        unread = len(rows) - len(read)
        written = [
            json.loads(line)["id"] for line in run("--unread", "--count", str(unread), *options).stdout.splitlines()
        ]
        assert not set(written) & set(read)


def test_those_of_other_users_have_their_id(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GENESYSCLOUD_ACCESS_TOKEN")
    first, second = sandbox.state.user_ids[:2]

    def work() -> None:
        wait_until(lambda: is_live(sandbox))
        sandbox.notify(first)
        sandbox.notify(second)

    with meanwhile(work):
        ran = run("--user-id", first, "--user-id", second, "--count", "2")

    assert ran.exit_code == 0, ran.output
    assert [json.loads(line)["user"]["id"] for line in ran.stdout.splitlines()] == [first, second]


def test_events_of_a_topic_are_written_with_their_bodies_and_a_gap_is_a_line(sandbox: Sandbox):
    topic = f"v2.users.{user_of(sandbox)}.presence"

    def work() -> None:
        wait_until(lambda: is_live(sandbox))
        sandbox.sockets.publish(topic, {"presence": "AVAILABLE"})
        number = sandbox.sockets[0].number
        sandbox.sockets.close(1012)
        wait_until(lambda: is_live(sandbox) and sandbox.sockets[0].number != number)
        sandbox.sockets.publish(topic, {"presence": "AWAY"})

    with meanwhile(work):
        ran = run("--topic", topic, "--count", "2")

    assert ran.exit_code == 0, ran.output
    first, gap, second = [json.loads(line) for line in ran.stdout.splitlines()]
    assert (first["topicName"], first["eventBody"]) == (topic, {"presence": "AVAILABLE"})
    assert gap["gap"]["reason"] == "closed"
    assert second["eventBody"] == {"presence": "AWAY"}


# The end


def test_the_time_ends_it_with_success(sandbox: Sandbox):
    for options in ((), ("--poll", "60")):
        ran = run("--for", "0.2", *options)
        assert (ran.exit_code, ran.stdout) == (0, "")


def test_ctrl_c_ends_it_with_130_and_a_closed_pipe_quietly(sandbox: Sandbox, tmp_path: Path):
    with started("watch", cwd=tmp_path) as process:
        assert process.stderr
        assert process.stderr.readline() == "live\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "coaching-async: interrupted\n")
        assert process.returncode == 130

    with started("watch", cwd=tmp_path) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == "live\n"
        process.stdout.close()
        sandbox.notify(user_of(sandbox))
        assert process.wait(HANG) == 141
        assert process.stderr.read() == ""


# Changes of the connection


def test_each_change_of_the_connection_is_a_line_on_standard_error(sandbox: Sandbox, tmp_path: Path):
    with started("watch", cwd=tmp_path) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == "live\n"
        sandbox.notify(user_of(sandbox))
        assert process.stdout.readline()  # then it has read the list
        sandbox.sockets.refuse_handshakes(404)
        sandbox.sockets.close(1012)
        sandbox.notify(user_of(sandbox))
        assert process.stderr.readline() == "disconnected (closed 1012): connecting again\n"
        assert process.stderr.readline().startswith("live again after ")
        assert process.stderr.readline() == "1 came meanwhile\n"
        assert process.stdout.readline()


def test_a_list_that_cannot_be_read_is_told_once_and_when_it_can(sandbox: Sandbox):
    with started("watch", "--poll", "0.05", cwd=Path.cwd()) as process:
        assert process.stderr
        assert process.stderr.readline() == "reading the list every 0.05 s\n"
        before = len(sandbox.requests)
        wait_until(lambda: len(sandbox.requests) > before + 2)
        sandbox.faults.add(Fault("status", path="/notifications", times=math.inf, status=501))
        assert process.stderr.readline() == "the list cannot be read (ServerError): trying again\n"
        sandbox.faults.clear()
        assert process.stderr.readline() == "the list is read again\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG) == 130


# The cursor file


POLLING = ("--poll", "0.1")


@pytest.mark.parametrize("options", [(), POLLING], ids=["listen", "poll"])
def test_the_next_run_goes_on_after_what_was_written(sandbox: Sandbox, tmp_path: Path, options: tuple[str, ...]):
    keeping = ("--cursor-file", "seen.txt", *options)
    with started("watch", *keeping, cwd=tmp_path) as process:  # killed before anything has come
        wait_until((tmp_path / "seen.txt").exists)
        process.kill()

    made = [sandbox.notify(user_of(sandbox))["id"] for _ in range(3)]
    first, second = run("--count", "2", *keeping), run("--count", "1", "--all", *keeping)

    written = [json.loads(line)["id"] for ran in (first, second) for line in ran.stdout.splitlines()]
    assert sorted(written) == sorted(made)
    assert [file.name for file in tmp_path.iterdir()] == ["seen.txt"]


def test_a_file_that_is_no_cursor_is_refused_and_kept(sandbox: Sandbox, tmp_path: Path):
    for content in (b"", b"no cursor\n", b"\xff\xfe"):
        (tmp_path / "seen.txt").write_bytes(content)
        ran = run("--cursor-file", "seen.txt", "--for", "1")
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert len(ran.stderr.splitlines()) == 1
        assert (tmp_path / "seen.txt").read_bytes() == content


def test_a_cursor_that_cannot_be_written_ends_it_with_2(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "seen.txt").mkdir()
    ran = run("--cursor-file", "seen.txt", "--for", "1")
    assert ran.exit_code == 2
    assert "seen.txt" in ran.stderr


# What is refused


@pytest.mark.parametrize(
    "options",
    [
        ("--unread", "--all"),
        ("--user-id", "1", "--topic", "t"),
        ("--user-id", "1", "--cursor-file", "f"),
        ("--user-id", "1", "--unread"),
        ("--topic", "t", "--poll", "1"),
        ("--poll", "0"),
        ("--count", "0"),
        ("--for", "0"),
        ("--format", "xml"),
        ("--cursor-file", "no/such/folder/f"),
    ],
)
def test_options_that_contradict_are_refused_before_a_request_is_sent(sandbox: Sandbox, options: tuple[str, ...]):
    before = len(sandbox.requests)
    ran = run(*options)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert len(sandbox.requests) == before


@pytest.mark.parametrize("options", [(), ("--poll", "1")])
def test_a_token_without_a_user_is_told_what_to_name(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
):
    monkeypatch.delenv("GENESYSCLOUD_ACCESS_TOKEN")
    ran = run(*options)
    assert ran.exit_code == 2
    assert ran.stderr.splitlines()[-1] == (
        "coaching-async: the token belongs to no user, so there is no list: name users with --user-id, without --poll"
    )


def test_an_invalid_topic_is_one_line(sandbox: Sandbox):
    ran = run("--topic", "v2.system.socket_closing")
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1
