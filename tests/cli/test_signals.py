"""SIGTERM does what Ctrl-C does: one line, the exit code 143, and a file that can be resumed. A second one changes nothing."""

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coaching_async.sandbox import Fault, Sandbox
from tests.support.cli import COMMAND, environment, exported, line_with, of_all_users, started
from tests.support.fault_server import HANG

ME = "11111111-1111-4111-8111-111111111111"

TWICE = [signal.SIGTERM, signal.SIGTERM]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the environment points to."""
    with Sandbox(appointments=100, users=3, page_cap=20) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


def wait_for(happened: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    while not happened():
        assert process.poll() is None


def stopped(
    sandbox: Sandbox, *arguments: str, cwd: Path, signals: list[signal.Signals], page: int = 3, **how: object
) -> tuple[int, str]:
    """Stop an export while it waits for a page; return its exit code and its standard error."""
    sandbox.faults.add(Fault("stall", path=f"pageNumber={page}$"))
    with started("export", *arguments, cwd=cwd, **how) as process:
        wait_for(lambda: not sandbox.faults.pending, process)
        for number in signals:
            process.send_signal(number)
        said = process.communicate()[1]
    return process.returncode, said


@pytest.mark.parametrize("signals", [[signal.SIGTERM], TWICE, [signal.SIGTERM] * 20], ids=len)
def test_a_terminated_export_says_what_is_kept_and_can_be_resumed(
    signals: list[signal.Signals], sandbox: Sandbox, tmp_path: Path
):
    options = [*of_all_users(sandbox), "--out", "x.jsonl", "--resume", "auto"]

    code, said = stopped(sandbox, *options, cwd=tmp_path, signals=signals)

    assert (code, said) == (
        143,
        "coaching-async: interrupted; 40 appointments are written: go on with --resume auto\n",
    )
    assert exported(*options, cwd=tmp_path)[0] == 0
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(sandbox.state.appointments)


def test_an_export_that_is_terminated_before_its_first_page_leaves_nothing(sandbox: Sandbox, tmp_path: Path):
    code, said = stopped(sandbox, "--user-id", ME, "--out", "x.jsonl", cwd=tmp_path, signals=TWICE, page=1)

    assert (code, said) == (143, "coaching-async: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_sigterm_ends_an_export_that_ignores_ctrl_c(sandbox: Sandbox, tmp_path: Path):
    """A shell without job control starts background jobs in that way."""

    def ignore_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    options = [*of_all_users(sandbox), "--out", "x.jsonl"]
    both = [signal.SIGINT, signal.SIGTERM]

    code, said = stopped(sandbox, *options, cwd=tmp_path, signals=both, preexec_fn=ignore_ctrl_c)

    assert (code, said) == (143, "coaching-async: interrupted; 40 appointments are written: go on with --resume\n")
    assert exported(*options, "--resume", cwd=tmp_path)[0] == 0


def test_an_ignored_sigterm_stays_ignored(sandbox: Sandbox, tmp_path: Path):
    def ignore_sigterm() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    both = [signal.SIGTERM, signal.SIGINT]
    options = [*of_all_users(sandbox), "--out", "x.jsonl"]

    assert stopped(sandbox, *options, cwd=tmp_path, signals=both, preexec_fn=ignore_sigterm)[0] == 130


def test_an_export_to_standard_output_can_be_terminated(sandbox: Sandbox, tmp_path: Path):
    options = [*of_all_users(sandbox), "--out", "-"]

    code, said = stopped(sandbox, *options, cwd=tmp_path, signals=TWICE)

    assert (code, said) == (143, "coaching-async: interrupted; 40 appointments are written\n")


def test_an_export_that_waits_for_ids_can_be_terminated(sandbox: Sandbox, tmp_path: Path):
    reader, writer = os.pipe()
    with started("export", "--user-ids", "-", "--out", "x", cwd=tmp_path, stdin=reader) as process:
        os.write(writer, ME.encode())
        while os.path.realpath(f"/proc/{process.pid}/fd/0").count("pipe") and not waits_for_input(process.pid):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[1]
    os.close(reader)
    os.close(writer)

    assert (process.returncode, said) == (143, "coaching-async: interrupted; nothing was written\n")


def waits_for_input(pid: int) -> bool:
    return Path(f"/proc/{pid}/wchan").read_text() in {"pipe_read", "anon_pipe_read", "pipe_wait"}


def test_a_terminated_demo_leaves_nothing(tmp_path: Path):
    with started("demo", cwd=tmp_path) as process:
        line_with(process, " of 5000 items")
        for number in TWICE:
            process.send_signal(number)
        errors = process.communicate()[1]

    assert (process.returncode, errors) == (143, "coaching-async: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_doctor_reports_that_nothing_was_changed(sandbox: Sandbox, tmp_path: Path):
    sandbox.faults.add(Fault("stall", path="/api/v2/tokens/me"))
    with started("doctor", cwd=tmp_path) as process:
        wait_for(lambda: any("tokens" in arrival.path for arrival in sandbox.requests), process)
        for number in TWICE:
            process.send_signal(number)
        said, errors = process.communicate()

    assert (process.returncode, said, errors) == (143, "", "coaching-async: interrupted; nothing was changed\n")


@pytest.mark.parametrize("signals", [TWICE, [signal.SIGTERM, signal.SIGINT], [signal.SIGINT] * 20], ids=len)
def test_a_sandbox_that_is_terminated_twice_saves_its_data(signals: list[signal.Signals], tmp_path: Path):
    options = ["--port", "0", "--appointments", "5", "--state", "state.json"]
    with started("sandbox", *options, cwd=tmp_path) as process:
        line_with(process, "connect to it after")
        for number in signals:
            process.send_signal(number)
        errors = process.communicate()[1]

    assert (process.returncode, errors) == (0, "stopped\n")
    assert json.loads((tmp_path / "state.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_cursor_of_the_terminal_is_shown_again(number: signal.Signals, sandbox: Sandbox, tmp_path: Path):
    sandbox.faults.add(Fault("stall", path="pageNumber=3$"))
    ours, theirs = pty.openpty()
    arguments = [*COMMAND, "export", *of_all_users(sandbox), "--out", "x.jsonl"]
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=os.environ | {"TERM": "xterm"}, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while b"40 of 100" not in shown:
            shown += os.read(ours, 65536)
        process.send_signal(number)
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # the terminal was closed
            pass
    os.close(ours)

    assert process.returncode == 128 + number
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") > 0
    assert shown.endswith(b"coaching-async: interrupted; 40 appointments are written: go on with --resume\r\n")


def test_sigterm_does_not_interrupt_a_callback_of_the_event_loop_where_ctrl_c_is_ignored(tmp_path: Path):
    """An interrupted callback would lose what it brings, and who waits for it, shielded, would never end."""
    program = """
        import asyncio, signal
        from coaching_async.cli._failures import sigterm_interrupts

        async def main():
            brought = asyncio.get_running_loop().create_future()

            def bring():
                signal.raise_signal(signal.SIGTERM)
                brought.set_result(None)

            asyncio.get_running_loop().call_soon(bring)
            try:
                await asyncio.shield(brought)
            finally:
                await brought

        with sigterm_interrupts():
            try:
                asyncio.run(main())
            except KeyboardInterrupt:
                print("interrupted")
            signal.raise_signal(signal.SIGINT)  # is still ignored
        print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)
    """

    def ignore_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
        preexec_fn=ignore_ctrl_c,
    )

    assert (done.returncode, done.stdout) == (0, "interrupted\nTrue\n"), done.stderr
