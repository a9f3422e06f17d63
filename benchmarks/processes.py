"""The other processes of a figure: services, and the vendor's SDK."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import httpx

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET

from .environments import official_sdk
from .harness import ROOT, Failed
from .service import Service

__all__ = ["Fetch", "Program", "Work", "fetcher", "program", "sandbox", "serving", "vendor"]

Work: TypeAlias = Callable[..., Any]
"""A function that runs a function of `official_worker`, by name and arguments, and returns its result."""

Fetch: TypeAlias = Callable[..., dict[str, float]]
"""A function that reads pages of a service, and returns the seconds of the clocks `cpu` and `wall`."""

SANDBOX: Final = """
import json, sys
from datetime import date
from coaching_async.sandbox import Sandbox
with Sandbox(today=date(2026, 11, 23), **json.loads(sys.argv[1])) as sandbox:
    print(json.dumps([sandbox.base_url, sandbox.state.user_ids, list(sandbox.state.appointments)]), flush=True)
    sys.stdin.read()
"""


@attrs.frozen
class Program:
    """A process that exchanges lines with this one."""

    process: "subprocess.Popen[str]"

    def ask(self, line: str) -> str:
        """Send a line and wait for one. Raises `Failed` if the process has ended."""
        self.tell(line)
        return self.read_line()

    def tell(self, line: str) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read_line(self) -> str:
        """Wait for a line and return it."""
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise Failed("a process of the benchmark ended early; what it said is above")
        return line


@contextmanager
def program(*command: str | Path) -> Iterator[Program]:
    """Start a program; its input ends with the block, which ends the program."""
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: S603 # ours
        command,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches only the figure's process, which then ends this one
    ) as process:
        try:
            yield Program(process)
        except BaseException:
            process.kill()
            raise
        process.communicate()


@contextmanager
def serving(items: int, delay: float = 0.0) -> Iterator[Service]:
    """Run a fast server with a list of `items` appointments, which responds after `delay` seconds."""
    with program(sys.executable, "-m", "benchmarks.server", str(items), str(delay)) as server:
        yield Service(server.read_line().strip(), server.process.pid)


@contextmanager
def sandbox(**options: float) -> Iterator[Service]:
    """Run a `Sandbox` with these options."""
    with program(sys.executable, "-c", SANDBOX, json.dumps(options)) as running:
        url, user_ids, appointment_ids = json.loads(running.read_line())
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{url}/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET), trust_env=False)
        token = answer.raise_for_status().json()["access_token"]
        yield Service(url, running.process.pid, token, tuple(user_ids), tuple(appointment_ids))


@contextmanager
def fetcher(contender: str, engine: str) -> Iterator[Fetch]:
    """Start a contender of `benchmarks.fetcher`."""
    with program(sys.executable, "-m", "benchmarks.fetcher", contender, engine) as worker:

        def fetch(service: Service, **how: object) -> dict[str, float]:
            order = [service.url, service.token, service.user_ids, how]
            measures: dict[str, float] = json.loads(worker.ask(json.dumps(order)))
            return measures

        yield fetch


@contextmanager
def vendor() -> Iterator[Work]:
    """Start the vendor's SDK."""
    with program(official_sdk(), ROOT / "benchmarks" / "official_worker.py") as worker:

        def work(name: str, **arguments: object) -> Any:
            return json.loads(worker.ask(json.dumps([name, arguments])))

        yield work
