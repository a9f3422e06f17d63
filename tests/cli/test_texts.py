"""What the command says: in every locale, about every file name, in one line."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from coaching_async.cli import main
from coaching_async.sandbox import Sandbox
from tests.support.cli import COMMAND, environment
from tests.support.effort import combinations

ME = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def org() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=2) as sandbox:
        yield sandbox


@pytest.fixture
def variables(org: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    for name, value in environment(org).items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


NAMES = [
    "a[/red].jsonl",
    "november [final].jsonl",
    "[bold]x.jsonl",
    ":smile:.jsonl",
    "x\\[y].jsonl",
    "-x.jsonl",
    "ü.jsonl",
]


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_told_as_it_is(name: str):
    Path(name).parent.mkdir(exist_ok=True)
    done = CliRunner().invoke(main, ["export", "--user-id", ME, f"--out={name}"])

    assert (done.exit_code, done.stderr.splitlines()[-1].partition(": ")[0]) == (0, name)
    assert Path(name).exists()


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("folder", ["no[/x]", "no:smile:", "[link=x]"])
@pytest.mark.parametrize("command", [["export", "--user-id", ME], ["demo"], ["doctor", "--probe"]])
def test_a_file_that_cannot_be_written_is_told_as_it_is(folder: str, command: list[str]):
    done = CliRunner().invoke(main, [*command, f"--out={folder}/x.jsonl"])

    says = f"coaching-async: cannot write {folder}/x.jsonl: No such file or directory"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, says)


@pytest.mark.parametrize(
    "name, shown",
    [(b"\xff\xfe.jsonl", "\\udcff\\udcfe.jsonl"), (b"a\nb.jsonl", "a\\nb.jsonl"), (b"\x1b[31m.csv", "\\x1b[31m.csv")],
)
def test_a_name_that_cannot_be_shown_is_escaped(name: bytes, shown: str, variables: dict[str, str]):
    done = subprocess.run(
        [*COMMAND, "export", "--user-id", ME, b"--out=" + name],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr.splitlines()[-1].partition(": ")[0]) == (0, shown)
    assert Path(os.fsdecode(name)).exists()


ENDS: dict[tuple[str, ...], int] = {
    ("--help",): 0,
    ("export", "--help"): 0,
    ("doctor", "--help"): 0,
    ("doctor",): 0,
    ("export", "--user-id", ME, "--out", "ü→.csv"): 0,
    ("export", "--user-id", ME, "--out", "ü→/x.csv"): 2,
    ("export", "--user-id", "ü→\n", "--out", "x.csv"): 2,
}
"""Exit code of each command."""


@pytest.mark.parametrize("command, encoding", combinations(ENDS, ["ascii", "cp437"]))
def test_every_locale_is_enough(command: tuple[str, ...], encoding: str, variables: dict[str, str]):
    done = subprocess.run(
        [*COMMAND, *command], env=variables | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False
    )

    assert done.returncode == ENDS[command]
    assert "Traceback" not in done.stderr.decode("latin-1")


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("command", [["export", "--user-id", ME, "--out", "x.csv"], ["doctor", "--probe"]])
@pytest.mark.parametrize(
    "variable", [{"SSL_CERT_FILE": "/no/such/file"}, {"ALL_PROXY": "gopher://127.0.0.1:1"}], ids=str
)
def test_a_configuration_error_is_reported_in_one_line(
    command: list[str], variable: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GENESYSCLOUD_REGION", "https://api.no.such.invalid")
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, command)

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("coaching-async: ")
    assert list(Path().iterdir()) == []


def test_a_demo_does_not_take_the_place_of_a_device(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")

    done = CliRunner().invoke(main, ["demo", "--out", f"{tmp_path}/pipe"])

    assert (done.exit_code, done.stdout, (tmp_path / "pipe").is_fifo()) == (2, "", True)
    assert done.stderr == f"coaching-async: {tmp_path}/pipe is no file that the demo could take the place of\n"


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("port", ["99999", "-1", "8080"])
def test_a_port_that_cannot_be_used_is_reported_in_one_line(port: str):
    done = CliRunner().invoke(main, ["sandbox", "--host", "192.0.2.1", "--port", port])

    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(("coaching-async: cannot run at 192.0.2.1:8080: ", "coaching-async: port must be"))


def test_a_state_that_cannot_be_saved_is_reported_as_that(variables: dict[str, str], tmp_path: Path):
    folder = tmp_path / "kept"
    folder.mkdir()
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", "--state", "kept/state.json"],
        cwd=tmp_path,
        env=variables | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "connect to it after" in line)
        folder.rmdir()
        process.terminate()
        said = process.communicate()[1]

    assert (process.returncode, said) == (
        2,
        "coaching-async: cannot write kept/state.json: No such file or directory\n",
    )


def test_a_state_without_a_folder_is_refused_before_there_is_data_to_lose():
    done = CliRunner().invoke(main, ["sandbox", "--port", "0", "--state", "no/such/state.json"])

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "coaching-async: cannot write no/such/state.json: its folder does not exist\n"


def test_the_demo_makes_no_file_that_is_named_like_standard_output(tmp_path: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = CliRunner().invoke(main, ["demo", "--out", "-"])

    assert (done.exit_code, done.stderr) == (2, "coaching-async: - is no file that the demo could take the place of\n")
    assert not list(tmp_path.iterdir())
