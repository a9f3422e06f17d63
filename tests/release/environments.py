"""Fresh environments with the wheel: each Python, with the lowest and the newest libraries that pyproject.toml allows."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from tests.support.other_pythons import TESTS

__all__ = ["EXTRAS", "Environment", "Failed", "untested_bounds"]

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")  # of the group `release`

EXTRAS = {
    "fast": "import orjson",
    "live": "import websockets",
    "sandbox": "from coaching_async.sandbox import Sandbox; Sandbox(users=1).__enter__().__exit__(None, None, None)",
    "testing": "import pytest, coaching_async.testing",
    "fastapi": "import coaching_async.integrations.fastapi",
    "aiohttp": "import coaching_async.integrations.aiohttp",
    "otel": "import coaching_async.integrations.opentelemetry",
    "xlsx": "import xlsxwriter, coaching_async.export",
    "parquet": "import pyarrow; from coaching_async.tables import to_arrow; to_arrow([], coaching_async.Appointment)",
    "report": "import jinja2, matplotlib, coaching_async.report",
    "redis": "import coredis, coaching_async.integrations.redis",
    "dask": "import coaching_async.integrations.dask",
    "dlt": "import coaching_async.integrations.dlt",
    "cli": "from coaching_async.cli import main; main(['--version'])",
}
"""What works with each extra and nothing else."""

NOT_YET = {"dlt": ("3.15",)}
"""Extras of a library that has no release for a Python yet."""

COPIED = ("benchmarks", "docs", "tests", "pyproject.toml", "*.md", "LICENSE", "Makefile")
"""What the tests read beside the installed library."""

OF_THE_SOURCES = (
    "tests/benchmarks",
    "tests/docs/test_searches.py",
    "tests/release",
    "tests/test_architecture.py",
    "tests/test_packaging.py",
)
"""Tests of the files of the repository, of its programs, and of the built site."""

APART = (("tests/faults",), ("tests/cli", "tests/integrations"), ("tests/docs", "tests/sandbox"))
"""Folders whose tests have a process of their own, as in `make test`. What Dask leaves running in one counts as a leak in another."""


def untested_bounds(versions: str, pyproject: str) -> Iterator[str]:
    """Yield the lower bounds of pyproject.toml that are not among the versions that the tests run with."""
    project = tomllib.loads(pyproject)["project"]
    tested = dict(line.split("==") for line in versions.splitlines() if "==" in line)
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        if bound := re.match(r"([\w-]+)>=([\d.]+)", requirement):
            name, lowest = bound.groups()
            if re.sub(r"(\.0)+$", "", tested[name]) != re.sub(r"(\.0)+$", "", lowest):
                yield f"{name}: the tests run with {tested[name]}, and {lowest} is allowed"


class Failed(Exception):
    """A step failed; its output is in a file."""


@dataclass(frozen=True)
class Environment:
    """A Python, and which libraries it has. `folder` is where all of it is kept."""

    version: str
    python: str
    libraries: Literal["lowest", "newest"]
    wheel: Path
    folder: Path

    def __str__(self) -> str:
        return f"Python {self.version}, {self.libraries} libraries"

    @property
    def extras(self) -> list[str]:
        """The extras that can be installed on this Python."""
        return [extra for extra in EXTRAS if self.version not in NOT_YET.get(extra, ())]

    def resolve(self) -> Path:
        """Return a file with the versions of all libraries, those of the tests included."""
        return self._resolved("all", "--group=test", "--group=fast")

    def resolve_for_users(self) -> Path:
        """Return a file with the versions of the libraries that users install."""
        return self._resolved("users")

    def _resolved(self, name: str, *groups: str) -> Path:
        strategy = "lowest-direct" if self.libraries == "lowest" else "highest"
        extras = [f"--extra={extra}" for extra in self.extras]
        file = self.folder / f"{name}.txt"
        how = [f"--python={self.python}", f"--resolution={strategy}", "--no-build", "--no-header", "--no-annotate"]
        self.run(
            "resolve", UV, "pip", "compile", "pyproject.toml", *extras, *groups, *how, "--output-file", file, cwd=ROOT
        )
        return file

    def check_extras(self, versions: Path) -> Iterator[str]:
        """Install the library without extras, and with each extra alone. Yield which of them do not hold their promise."""
        for extra in ("", *self.extras):
            name = extra or "no extra"
            with_extra = f"coaching_async[{extra}] @ {self.wheel.as_uri()}"
            program = "import coaching_async; print(coaching_async.__file__, coaching_async.__version__)"
            try:
                python = self._installed(name, with_extra, "--constraint", versions)
                self.run(name, UV, "pip", "check", "--python", python)
                self.run(name, python, "-I", "-c", f"{program}; {EXTRAS.get(extra, '')}")
                if extra == "cli":
                    self.run(name, python.parent / "coaching-async", "--version")
            except Failed as failed:
                yield str(failed)
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def check_demo(self, versions: Path) -> None:
        """Run the demonstration, as installed for the command line."""
        python = self._installed("demo", f"coaching_async[cli] @ {self.wheel.as_uri()}", "--constraint", versions)
        self.run("demo", python.parent / "coaching-async", "demo", "--out", self.folder / "demo.jsonl")

    def check_suite(self, versions: Path, *, whole: bool) -> None:
        """Run the tests against the installed library, all of them or those that depend on the interpreter."""
        python = self._installed("suite", "--requirements", versions, f"coaching_async @ {self.wheel.as_uri()}")
        place = self.folder / "tests"
        place.mkdir()
        for path in (path for pattern in COPIED for path in ROOT.glob(pattern)):
            if path.is_dir():
                shutil.copytree(path, place / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, place)
        where = self.run("where", python, "-c", "import coaching_async; print(coaching_async.__file__)", cwd=place)
        if "site-packages" not in where:
            raise Failed(f"{self}: the tests would run against {where}")
        ignored = [f"--ignore={path}" for path in OF_THE_SOURCES]
        others = ["tests", *(f"--ignore={path}" for paths in APART for path in paths)]
        runs = [others, *APART] if whole else [[test for test in TESTS if not test.startswith(OF_THE_SOURCES)]]
        failures: list[Failed] = []
        for chosen in runs:
            try:
                self.run("suite", python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ignored, *chosen, cwd=place)
            except Failed as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def _installed(self, name: str, *what: str | Path) -> Path:
        place = self.folder / name
        python = place / "bin" / "python"
        self.run(name, UV, "venv", "--quiet", f"--python={self.python}", place)
        self.run(name, UV, "pip", "install", "--quiet", "--no-build", f"--python={python}", *what)
        return python

    def run(self, name: str, *command: str | Path, cwd: Path | None = None) -> str:
        """Run a program with none of the variables that would let it find the checkout. Return its output."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        begun = time.monotonic()
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        log = self.folder / f"{name}.log"
        with log.open("a") as file:
            file.write(f"$ {' '.join(map(str, command))}\n{done.stdout}({time.monotonic() - begun:.0f} s)\n")
        if done.returncode != 0:
            raise Failed(f"{self}: {name}: see {log.relative_to(ROOT)}")
        return done.stdout.strip()
