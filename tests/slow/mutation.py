"""Mutation testing of what decides and remembers: every change that mutmut can think of has to be noticed by a test.

It works on a copy of the project: on the modules that are named, or else on all of `MODULES`. Exit code 1 where a change
goes unnoticed that README.md does not explain.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

MODULES = {
    "_transport/rate_limit": [
        "tests/transport/test_rate_limit.py",
        "tests/transport/test_rate_limit_edges.py",
        "-k",
        "not in_any_history and not 2000 and not (300 and 99_percent)",
    ],
    "_transport/retry_policy": [
        "tests/transport/test_retry_policy.py",
        "tests/transport/test_retry_policy_edges.py",
        "tests/transport/test_retry.py",
    ],
    "_tokens": [
        "tests/auth/test_token_source.py",
        "tests/auth/test_token_source_properties.py",
        "tests/auth/test_token_source_edges.py",
        "tests/faults/test_auth.py",
        "-m",
        "not real_time",
        "-k",
        "not (whatever_happens_a_keeper or mint_one_token) and (not matrix or row_42 or row_48 or row_51 or row_52 or row_62)",
    ],
}
"""What is mutated, and the tests that have to notice: two seconds of them at most."""

SETTINGS = """

[tool.mutmut]
source_paths = ["coaching_async"]
only_mutate = ["coaching_async/{module}.py"]
also_copy = ["benchmarks", "tests"]
pytest_add_cli_args = ["--timeout=10"] # some mutants hang
pytest_add_cli_args_test_selection = {tests}
"""

EXPLAINED = re.compile(
    r"^\| `(?P<module>[\w/]+)` \| `(?P<before>.+)` \| `(?P<after>.+)` \| (?P<why>.+) \|$", re.MULTILINE
)
RESULT = re.compile(r"^\s+(?P<name>\S+): (?P<status>.+)$", re.MULTILINE)

NOTICED = {"killed", "timeout"}


def mutmut(folder: str, *arguments: str) -> str:
    """What it says. Some of what goes wrong it says on standard output."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    environment = os.environ | {"PYTHONHASHSEED": "0"}  # it runs tests in the order of a set
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
    return done.stdout


def changed(difference: str) -> tuple[str, str]:
    """The lines that a mutant takes away and puts in, each as one line."""
    lines = [line for line in difference.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return before, after


def survivors_of(module: str) -> dict[tuple[str, str, str], str]:
    """What goes unnoticed: the module, what is and what it becomes, and its name and status."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("coaching_async", "tests"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        settings = SETTINGS.format(module=module, tests=json.dumps(MODULES[module]))
        Path(folder, "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)
        mutmut(folder, "run")
        results = {
            found["name"]: found["status"] for found in RESULT.finditer(mutmut(folder, "results", "--all", "true"))
        }
        unnoticed = {name: status for name, status in results.items() if status not in NOTICED}
        hung = list(results.values()).count("timeout")
        say(f"{module}: {len(results)} mutants, {len(results) - len(unnoticed)} noticed, {hung} of them by hanging")
        if not results:
            sys.exit(1)
        return {
            (module, *changed(mutmut(folder, "show", name))): f"{name}: {status}" for name, status in unnoticed.items()
        }


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    asked = sys.argv[1:]
    explained = {
        (found["module"], found["before"], found["after"])
        for found in EXPLAINED.finditer((ROOT / "tests/slow/README.md").read_text())
        if not asked or found["module"] in asked
    }
    survivors: dict[tuple[str, str, str], str] = {}
    for module in asked or MODULES:
        survivors |= survivors_of(module)
    say(f"{len(explained)} explained")
    for module, before, after in survivors.keys() - explained:
        say(f"\n{survivors[module, before, after]}\n- {before}\n+ {after}")
    for module, before, after in explained - survivors.keys():
        say(f"\nexplained in README.md, and not among the survivors of {module}\n- {before}\n+ {after}")
    if survivors.keys() != explained:
        sys.exit(1)


if __name__ == "__main__":
    main()
