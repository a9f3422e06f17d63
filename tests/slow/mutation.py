"""Mutation testing of the rate limiter, the retry policy and the token sources: a test has to notice every mutation.

Run it with names of `MODULES` to mutate these alone. It works on a copy of the project. The exit code is 1 if a mutant
survives that README.md does not explain.
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

RATE_LIMIT = [
    "tests/transport/test_rate_limit.py",
    "tests/transport/test_rate_limit_edges.py",
    "tests/transport/test_window.py",
    "tests/transport/test_shared_rate_limit.py::test_bulks_use_the_limit_and_no_window_has_more",
    "tests/concurrency/test_identity_over_event_loops.py",
    "-m",
    "not real_time",
    "-k",
    "not in_any_history and not 2000 and not (300 and 99_percent)",
]

MODULES = {
    "_transport/rate_limit/limiter": RATE_LIMIT,
    "_transport/rate_limit/window": RATE_LIMIT,
    "_transport/retry_policy": [
        "tests/transport/test_retry_policy.py",
        "tests/transport/test_retry_policy_edges.py",
        "tests/transport/test_retry.py",
        "tests/api/test_responses.py",
        "tests/refusals/test_suggestions.py",
    ],
    "_auth/token_source": [
        "tests/auth/test_token_source.py",
        "tests/auth/test_token_source_properties.py",
        "tests/auth/test_token_source_edges.py",
        "tests/auth/test_refresh_state.py",
        "tests/faults/test_token_refresh.py",
        "tests/faults/test_refresh_tokens.py",
        "tests/auth/test_shared_token_cache.py",
        "tests/auth/test_shared_token_failures.py",
        "tests/concurrency/test_identity_over_event_loops.py",
        "-m",
        "not real_time",
        "-k",
        "not (in_any_order_of_events or concurrent_calls_request_one or 401s_request_one) and (not test_row or row_42 or row_48 or row_51 or row_52 or row_62)",
    ],
}
"""The modules that are mutated, and the tests that have to notice. The tests of a module take seconds."""

SETTINGS = """

[tool.mutmut]
source_paths = ["coaching_async"]
only_mutate = ["coaching_async/{module}.py"]
also_copy = ["benchmarks", "tests"]
pytest_add_cli_args = ["--timeout=30", "--timeout-method=thread"] # some mutants hang, and trio does if a signal interrupts it
pytest_add_cli_args_test_selection = {tests}
timeout_constant = 10.0 # seconds, times 15: a busy machine must not end the tests of a mutant that they do not notice
"""

EXPLAINED = re.compile(
    r"^\| `(?P<module>[\w/]+)` \| `(?P<before>.+)` \| `(?P<after>.+)` \| (?P<why>.+) \|$", re.MULTILINE
)
RESULT = re.compile(r"^\s+(?P<name>\S+): (?P<status>.+)$", re.MULTILINE)

KILLED = {"killed", "timeout"}


def mutmut(folder: str, *arguments: str) -> str:
    """Run mutmut and return its standard output, where it writes some of its errors, too."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    environment = os.environ | {"PYTHONHASHSEED": "0"}  # mutmut runs tests in the order of a set
    environment.pop("FULL", None)  # as few calls and examples as in `make test`
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
    return done.stdout


def code_in(cell: str) -> str:
    """Return what a cell of a table in Markdown has, where a bar is escaped."""
    return cell.replace("\\|", "|")


def changes(difference: str) -> tuple[str, str]:
    """Return the lines that a mutant removes, joined to one line, and those that it adds."""
    lines = [line for line in difference.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return before, after


def survivors_of(module: str) -> dict[tuple[str, str, str], str]:
    """Return name and status of each surviving mutant by its module, the code before, and the code after."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("coaching_async", "tests", "benchmarks"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        settings = SETTINGS.format(module=module, tests=json.dumps(MODULES[module]))
        Path(folder, "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)
        mutmut(folder, "run")
        results = {
            found["name"]: found["status"] for found in RESULT.finditer(mutmut(folder, "results", "--all", "true"))
        }
        survived = {name: status for name, status in results.items() if status not in KILLED}
        timeouts = list(results.values()).count("timeout")
        report(
            f"{module}: {len(results)} mutants, {len(results) - len(survived)} killed, {timeouts} of them by a timeout"
        )
        if not results:
            sys.exit(1)
        return {
            (module, *changes(mutmut(folder, "show", name))): f"{name}: {status}" for name, status in survived.items()
        }


def report(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    modules = sys.argv[1:]
    explained = {
        (found["module"], code_in(found["before"]), code_in(found["after"]))
        for found in EXPLAINED.finditer((ROOT / "tests/slow/README.md").read_text())
        if not modules or found["module"] in modules
    }
    survivors: dict[tuple[str, str, str], str] = {}
    for module in modules or MODULES:
        survivors |= survivors_of(module)
    report(f"{len(explained)} explained")
    for module, before, after in survivors.keys() - explained:
        report(f"\n{survivors[module, before, after]}\n- {before}\n+ {after}")
    for module, before, after in explained - survivors.keys():
        report(f"\nexplained in README.md, but no survivor of {module}\n- {before}\n+ {after}")
    if survivors.keys() != explained:
        sys.exit(1)


if __name__ == "__main__":
    main()
