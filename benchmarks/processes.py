"""The other processes of a figure: services, and the vendor's SDK."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from .environments import official_sdk
from .harness import ROOT, Clocks

__all__ = ["SANDBOX", "Work", "program", "serving", "vendor"]

Work = Callable[..., Clocks]

SANDBOX: Final = """
import sys, json
from coaching_async.sandbox import Sandbox
with Sandbox(**json.loads(sys.argv[1])) as sandbox:
    print(sandbox.base_url, *sandbox.state.user_ids, flush=True)
    sys.stdin.read()
"""


@attrs.frozen
class Program:
    """A process that is spoken to line by line."""

    process: "subprocess.Popen[str]"

    def ask(self, line: str) -> str:
        """Send a line and wait for one. Raises `RuntimeError` where the other end has died."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> str:
        """Wait for a line."""
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise RuntimeError("a process of the benchmark ended early; what it said is above")
        return line


@contextmanager
def program(*command: str | Path) -> Iterator[Program]:
    """Start one; it is told to end, by the end of its input, with the block."""
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: S603 # ours
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Program(process)
        finally:
            process.communicate()


@contextmanager
def serving(items: int, delay: float = 0.0) -> Iterator[str]:
    """A fast server with a list of so many appointments, which answers after `delay` seconds; its URL."""
    with program(sys.executable, "-m", "benchmarks.server", str(items), str(delay)) as server:
        yield server.hear().strip()


@contextmanager
def vendor() -> Iterator[Work]:
    """The vendor's SDK, ready to work: a function of `official_worker`, and its arguments."""
    with program(official_sdk(), ROOT / "benchmarks" / "official_worker.py") as worker:

        def work(name: str, **arguments: object) -> Clocks:
            return Clocks(**json.loads(worker.ask(json.dumps([name, arguments]))))

        yield work
