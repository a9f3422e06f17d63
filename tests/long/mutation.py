"""Mutation testing of the retry table: every change that mutmut can think of has to be noticed by a test.

It works on a copy of the project. Exit code 1 where a change goes unnoticed that README.md does not explain.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPLAINED = re.compile(r"^\| `(?P<before>.+)` \| `(?P<after>.+)` \| (?P<why>.+) \|$", re.MULTILINE)
RESULT = re.compile(r"^\s+(?P<name>\S+): (?P<status>.+)$", re.MULTILINE)


def mutmut(folder: str, *arguments: str) -> str:
    """What it says. Some of what goes wrong it says on standard output."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
    return done.stdout


def changed(difference: str) -> tuple[str, str]:
    """The lines that a mutant takes away and puts in, each as one line."""
    lines = [line for line in difference.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return before, after


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> None:
    explained = {
        (found["before"], found["after"]) for found in EXPLAINED.finditer((ROOT / "tests/long/README.md").read_text())
    }
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "pyproject.toml", folder)
        for name in ("coaching_async", "tests"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        mutmut(folder, "run")
        results = {
            found["name"]: found["status"] for found in RESULT.finditer(mutmut(folder, "results", "--all", "true"))
        }
        survivors = {
            changed(mutmut(folder, "show", name)): f"{name}: {status}"
            for name, status in results.items()
            if status != "killed"
        }
    say(f"{len(results)} mutants, {len(results) - len(survivors)} killed, {len(explained)} explained")
    for before, after in survivors.keys() - explained:
        say(f"\n{survivors[before, after]}\n- {before}\n+ {after}")
    for before, after in explained - survivors.keys():
        say(f"\nexplained in README.md, and not among the survivors\n- {before}\n+ {after}")
    if not results or survivors.keys() != explained:
        sys.exit(1)


if __name__ == "__main__":
    main()
