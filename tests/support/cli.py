"""The command line as a user runs it: in a process of its own."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import coaching_async
from coaching_async.cli import main
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Sandbox

COMMAND = [sys.executable, "-W", "error", "-c", "from coaching_async.cli import main; main()"]


def command_of(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    return command


@contextmanager
def started(*arguments: str, cwd: Path, **how: Any) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    ours = Path(coaching_async.__file__).parent.parent  # not another installed one
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ours)}
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, stdout=pipe, stderr=pipe, text=True, env=environment, **how
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout
    return next(line for line in process.stdout if text in line)


def environment(sandbox: Sandbox) -> dict[str, str]:
    """Return the environment variables for the command to use a sandbox."""
    return {
        "GENESYSCLOUD_REGION": sandbox.base_url,
        "GENESYSCLOUD_OAUTHCLIENT_ID": CLIENT_ID,
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": CLIENT_SECRET,
    }


def exported(*arguments: str, cwd: Path, **how: Any) -> tuple[int, str]:
    """Return the exit code of an export, and its standard error."""
    with started("export", *arguments, cwd=cwd, **how) as process:
        said, errors = process.communicate()
    assert said == ""
    return process.returncode, errors


def of_all_users(sandbox: Sandbox) -> list[str]:
    return [option for user in sandbox.state.user_ids for option in ("--user-id", user)]


def killed_while_rendering(moments: random.Random, out: Path, *arguments: str, cwd: Path) -> bool:
    """Kill an export when it renders its file, or shortly after. Return whether it was still running."""
    with started("export", *arguments, cwd=cwd) as process:
        while not out.with_name(f"{out.name}.part.files").exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return process.returncode == -signal.SIGKILL


def killed(sandbox: Sandbox, moments: random.Random, *arguments: str, cwd: Path) -> bool:
    """Kill an export after it requested some pages, or while it waits for one. Return whether it was still running."""
    pages, before = moments.randint(1, 4), len(sandbox.requests)
    if moments.random() < 0.5:
        sandbox.faults.add(Fault("stall", path="/appointments", after=pages))
    with started("export", *arguments, cwd=cwd) as process:
        while len(sandbox.requests) < before + 1 + pages and process.poll() is None:  # the first request is for a token
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    sandbox.faults.clear()
    return process.returncode == -signal.SIGKILL
