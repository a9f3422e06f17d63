"""--shared-state lets a command share its token and its rate limit with other processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from coaching_async.cli import main
from coaching_async.sandbox import Sandbox
from tests.support.cli import command_of, environment, of_all_users

pytestmark = pytest.mark.real_time

HARMFUL = "hunter2"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=3) as sandbox:
        yield sandbox


def run(sandbox: Sandbox, *arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment(sandbox) | variables)


def tokens(sandbox: Sandbox) -> int:
    return sum(request.path == "/oauth/token" for request in sandbox.requests)


def test_commands_that_share_a_file_use_one_token(sandbox: Sandbox, tmp_path: Path):
    state, users = str(tmp_path / "state"), of_all_users(sandbox)

    assert run(sandbox, "export", *users, "--out", str(tmp_path / "a.jsonl"), "--shared-state", state).exit_code == 0
    assert (
        run(sandbox, "export", *users, "--out", str(tmp_path / "b.jsonl"), COACHING_SHARED_STATE=state).exit_code == 0
    )
    told = run(sandbox, "doctor", COACHING_SHARED_STATE=f" {state}\n")  # as the content of a mounted file may be

    assert "ok          shared state: it answers in" in told.output
    assert "3 processes have used it" in told.output
    assert tokens(sandbox) == 1


def test_a_state_that_cannot_be_used_is_told_and_the_command_succeeds(sandbox: Sandbox, tmp_path: Path):
    state = tmp_path / "state"
    state.touch(mode=0o600)
    state.chmod(0o666)  # all may read it, so no token is written to it

    ran = run(
        sandbox,
        "export",
        *of_all_users(sandbox),
        "--out",
        str(tmp_path / "a"),
        "--format",
        "jsonl",
        "--shared-state",
        str(state),
    )

    assert ran.exit_code == 0, ran.output
    assert "the shared state could not be used" in ran.stderr
    told = run(sandbox, "doctor", "--shared-state", str(state))
    assert told.exit_code == 1
    assert "problem     shared state: it cannot be used: PermissionError (Permission denied)." in told.output


@pytest.mark.parametrize(
    "place, says",
    [
        (f"memcached://u:{HARMFUL}@host", "begins with redis://"),
        (f"redis:{HARMFUL}@host", "begins with redis://"),
        (f"redis://u:{HARMFUL}@host:777777", "this is no URL of a Redis,"),
        (f"redis://u:{HARMFUL}@[::1", "this is no URL of a Redis,"),
        ("/no/such/folder/state", "a folder that exists"),
        ("/", "is a folder"),
    ],
)
def test_a_place_that_is_none_is_refused_without_its_password(place: str, says: str, sandbox: Sandbox):
    ran = run(sandbox, "doctor", COACHING_SHARED_STATE=place)

    assert ran.exit_code == 2
    assert says in " ".join(ran.stderr.split())
    assert HARMFUL not in ran.output
    assert not sandbox.requests


def test_every_command_that_asks_the_service_has_the_option():
    for name in ("create", "doctor", "export", "report", "watch"):
        assert any(option.envvar == "COACHING_SHARED_STATE" for option in command_of(name).params), name
