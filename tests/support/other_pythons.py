"""Run the tests that depend on the interpreter on each other Python of this machine: `python tests/support/other_pythons.py`.

A Python that is missing is reported and skipped.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
TESTS = (
    "tests/transport/test_borrowed_clients.py",
    "tests/benchmarks/test_guard.py",
    "tests/transport/test_http.py",
    "tests/channels/test_websocket.py",
    "tests/concurrency/test_event_loop.py",
    "tests/refusals/test_async_only.py",
    "tests/sandbox/test_end_to_end.py",
    "tests/docs/test_pages.py::test_the_python_blocks_of_a_page_run_in_order",
    "tests/docs/test_pages.py::test_the_program_in_the_readme_needs_no_settings_and_prints_five_appointments",
    "tests/docs/test_pages.py::test_the_tour_runs_in_such_a_shell_from_its_first_block_to_the_last",
)

# On the two oldest Pythons, of which one is always another one, these are the lowest that pyproject.toml allows.
LOWEST = ("websockets==13.1",)


def interpreter(version: str) -> str | None:
    """Return a working Python of a version, on the PATH or installed by pyenv."""
    on_path = shutil.which(f"python{version}")
    of_pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (on_path, *map(str, of_pyenv)):
        if (
            candidate
            and subprocess.run([candidate, "-c", "import venv"], check=False, capture_output=True).returncode == 0
        ):
            return candidate
    return None


def environment(version: str, python: str) -> str:
    """Return the interpreter of a virtual environment with the dependencies of the tests. A change of pyproject.toml renews it."""
    folder = ROOT / f".venv-python-{version}"
    stamp, python_there = folder / "ready", str(folder / "bin" / "python")
    if not stamp.exists() or stamp.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        pip = [python_there, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True, cwd=ROOT)
        lowest = LOWEST if version in VERSIONS[:2] else ()
        subprocess.run([*pip, "--group", "test", "--editable", ".[sandbox,cli]", *lowest], check=True, cwd=ROOT)
        stamp.touch()
    return python_there


def main() -> None:
    for version in VERSIONS:
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            continue
        if (python := interpreter(version)) is None:
            print(f"Python {version}: not on this machine, skipped", flush=True)
            continue
        print(f"Python {version}:", flush=True)
        command = [environment(version, python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
        subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
