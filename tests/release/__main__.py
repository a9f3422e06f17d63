"""`python -m tests.release check`: everything that is checked before a release. `python -m tests.release snapshot`: keep its public names."""

import argparse
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coaching_async import __version__
from tests.support.other_pythons import VERSIONS, interpreter

from .archives import differences, files_of, problems_of_source, problems_of_wheel
from .audit import audit
from .environments import UV, Environment, Failed, untested_bounds
from .public_api import SNAPSHOT, Snapshot, public_names, unmentioned_changes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "release"


def unmentioned_names() -> list[str]:
    """Return the changes of public names since the last release that are not in the changelog. The first release has none."""
    if not SNAPSHOT.exists():
        return []
    return unmentioned_changes(
        Snapshot.parse(SNAPSHOT.read_text()), public_names(ROOT), (ROOT / "CHANGELOG.md").read_text()
    )


def snapshot() -> int:
    """Keep the public names of this release, if the changelog has their changes."""
    problems = unmentioned_names()
    for problem in problems:
        print(problem)
    if not problems:
        SNAPSHOT.write_text(str(Snapshot(__version__, public_names(ROOT))))
        print(f"{SNAPSHOT.relative_to(ROOT)} has the public names of {__version__}")
    return len(problems) > 0


def check(*, audited: bool) -> int:
    """Run all checks, and print what each has found."""
    begun = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    found = [
        *report("public names", unmentioned_names()),
        *report("files in git", uncommitted()),
        *report("archives", archives()),
        *report("metadata", metadata()),
    ]
    if not found:  # the rest takes half an hour
        found = environments(next(FOLDER.glob("dist/*.whl")), audited=audited)
    took = f"{(time.monotonic() - begun) / 60:.0f} min"
    if found:
        print(f"coaching_async {__version__} cannot be released: {len(found)} problems ({took})")
    else:
        unaudited = "" if audited else "; known vulnerabilities were not looked up"
        print(f"coaching_async {__version__} can be released: build/release/dist{unaudited} ({took})")
    return len(found) > 0


def report(subject: str, problems: Iterable[str]) -> list[str]:
    """Print what was found, and return it. What cannot be found out is a problem, too."""
    found: list[str] = []
    try:
        for problem in problems:
            found.append(problem)  # noqa: PERF402 # what was found before a failure is kept
    except (Failed, subprocess.CalledProcessError) as failure:
        found.append(str(failure))
    print(f"{subject}: ok" if not found else "\n  ".join([f"{subject}:", *found]), flush=True)
    return found


def git(*arguments: str) -> list[str]:
    """Return the lines that git prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def uncommitted() -> list[str]:
    """Return what is not committed: what is checked has to be what is tagged."""
    return [f"not committed: {line[3:]}" for line in git("status", "--porcelain")]


def archives() -> Iterator[str]:
    """Build both archives, and the wheel again in two other ways. Yield what is wrong with them."""

    def build(folder: str, *how: str | Path) -> Path:
        subprocess.run([UV, "build", "--quiet", "--out-dir", FOLDER / folder, *how], check=True, cwd=ROOT)
        return next(FOLDER.glob(f"{folder}/*.whl" if "--wheel" in how else f"{folder}/*.tar.gz"))

    oldest = FOLDER / "oldest-backend.txt"
    (backend,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    oldest.write_text(backend.replace(">=", "=="))
    source = build("dist", "--sdist")
    of_source = files_of(build("dist", "--wheel", source))
    of_checkout = files_of(build("of-checkout", "--wheel"))
    by_oldest = files_of(build("by-oldest-backend", "--wheel", "--build-constraint", oldest))
    tracked = git("ls-files")
    yield from (f"source archive: {problem}" for problem in problems_of_source(files_of(source), tracked))
    yield from (f"wheel: {problem}" for problem in problems_of_wheel(of_source, tracked))
    for name in differences(of_source, of_checkout):
        yield f"{name} is another one in the wheel that is built from the source archive"
    naming_the_backend = ("METADATA", "RECORD", "WHEEL")
    for name in differences(of_checkout, by_oldest):
        if not name.endswith(tuple(f".dist-info/{each}" for each in naming_the_backend)):
            yield f"{name} is another one if the oldest {backend} builds it"


def metadata() -> list[str]:
    """Return what PyPI would not accept or not render."""
    built = sorted(FOLDER.glob("dist/coaching_async-*"))
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *built]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines() if done.returncode or not built else []


def environments(wheel: Path, *, audited: bool) -> list[str]:
    """Return what does not work in fresh environments, and what is known to be vulnerable of the newest libraries."""
    pythons = {version: python for version in VERSIONS if (python := interpreter(version))}
    for version in VERSIONS:
        if version not in pythons:
            print(f"Python {version}: not on this machine", flush=True)
    every = [
        Environment(version, python, libraries, wheel, FOLDER / f"{version}-{libraries}")
        for version, python in pythons.items()
        for libraries in ("lowest", "newest")
    ]
    ends = (every[0], every[-1])
    """The oldest Python with the lowest libraries, and the newest one with the newest: these run all tests."""

    def suite(environment: Environment) -> Iterator[str]:
        versions = environment.resolve()
        if environment == ends[0]:
            yield from untested_bounds(versions.read_text(), (ROOT / "pyproject.toml").read_text())
        environment.check_suite(versions, whole=environment in ends)

    def extras(environment: Environment) -> Iterator[str]:
        versions = environment.resolve_for_users()
        yield from environment.check_extras(versions)
        if environment in ends:
            environment.check_demo(versions)

    def vulnerabilities() -> Iterator[str]:
        yield from audit(every[-1].resolve_for_users())

    found = report("known vulnerabilities", vulnerabilities()) if audited else []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        longest_first = sorted(every, key=lambda environment: environment not in ends)
        running = [pool.submit(report, f"{each}: tests", suite(each)) for each in longest_first]
        running += [pool.submit(report, f"{each}: extras", extras(each)) for each in every]
    return found + [problem for each in running for problem in each.result()]


def main() -> int:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="check everything, in build/release")
    checking.add_argument("--no-audit", action="store_true", help="where no vulnerability service can be reached")
    commands.add_parser("snapshot", help=f"write {SNAPSHOT.name}")
    arguments = parser.parse_args()
    return check(audited=not arguments.no_audit) if arguments.command == "check" else snapshot()


if __name__ == "__main__":
    sys.exit(main())
