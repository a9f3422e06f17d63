"""Check the types of the package, and of programs that use it: `python tests/typing/check.py`.

mypy and basedpyright, in their strict modes, look at the package and at every program in this folder, and pyrefly at the
programs. A line that ends with `# refused` has a mistake, which each of them has to find. Any other line has none.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BIN = Path(sys.executable).parent
PACKAGE, FOLDER = "coaching_async", str(HERE.relative_to(ROOT))

Line = tuple[str, int]
"""A file, relative to the root, and the number of a line."""


def output_of(name: str, *arguments: str) -> str:
    command = [str(BIN / name), *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode not in {0, 1}:
        sys.exit(f"{name}: {run.stdout}{run.stderr}")
    return run.stdout


def mypy() -> Iterator[tuple[Line, str]]:
    for line in output_of("mypy", "--no-error-summary", PACKAGE, FOLDER).splitlines():
        if found := re.match(r"(.+?):(\d+): error: (.+)", line):
            yield (found[1], int(found[2])), found[3]


def basedpyright() -> Iterator[tuple[Line, str]]:
    report = json.loads(output_of("basedpyright", "--outputjson", "--pythonpath", sys.executable, PACKAGE, FOLDER))
    for each in report["generalDiagnostics"]:
        path = Path(each["file"]).relative_to(ROOT).as_posix()
        yield (path, each["range"]["start"]["line"] + 1), each["message"]


def pyrefly() -> Iterator[tuple[Line, str]]:
    options = ("--preset", "default", "--output-format", "json", "--python-interpreter-path", sys.executable)
    report = json.loads(output_of("pyrefly", "check", *options, "--search-path", str(ROOT), f"{FOLDER}/**/*.py"))
    for each in report["errors"]:
        path = Path(ROOT, each["path"]).relative_to(ROOT).as_posix()
        yield (path, each["line"]), each["description"]


CHECKERS: Mapping[str, Callable[[], Iterator[tuple[Line, str]]]] = {
    checker.__name__: checker for checker in (mypy, basedpyright, pyrefly)
}


def refused_lines() -> set[Line]:
    return {
        (path.relative_to(ROOT).as_posix(), number)
        for path in HERE.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.endswith("# refused")
    }


def main() -> None:
    wanted = refused_lines()
    problems: list[str] = []
    for name, checker in CHECKERS.items():
        found = dict(checker())
        problems += [f"{path}:{line}: {name}: {found[path, line]}" for path, line in sorted(found.keys() - wanted)]
        problems += [f"{path}:{line}: {name} does not refuse it" for path, line in sorted(wanted - found.keys())]
    print("\n".join(problems) or f"{len(wanted)} mistakes are refused by {', '.join(CHECKERS)}, and nothing else is")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
