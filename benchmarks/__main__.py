"""Take all figures, or those that are named, one after the other, each in a process of its own.

    python -m benchmarks [FIGURE ...] [--quick]

Without `--quick` (half an hour instead of four minutes, for all) the results are written to benchmarks/results.json and
docs/performance.md. There the figures that are not named stay as they are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from .harness import ROOT, Figure
from .report import Results, read, write
from .surroundings import machine, versions

FIGURES: Final = (  # what a user would rather know comes first
    "exports",
    "rate",
    "web",
    "fleet",
    "fleet_sizes",
    "fleet_call",
    "fetch",
    "decode",
    "latency",
    "overhead",
    "stall",
    "memory",
    "imports",
)


def main() -> None:
    """Take figures, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"all unless named: {', '.join(FIGURES)}")
    parser.add_argument("--quick", action="store_true", help="four minutes instead of half an hour, and no report")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    try:
        taken = tuple(take(name, quick=options.quick) for name in FIGURES if name in (options.figures or FIGURES))
    except KeyboardInterrupt:
        sys.exit(130)  # the interrupted program has reported it
    if not options.quick:
        found = Results(machine(), versions(), taken)
        write(merged(read(ROOT), found) if options.figures else found, ROOT)


def merged(before: Results, found: Results) -> Results:
    """Return earlier results with some figures taken again; exit if they cannot stand on one page."""
    differing = {
        name
        for old, new in ((before.machine, found.machine), (before.versions, found.versions))
        for name, value in old.items()
        if new.get(name) != value
    }
    if differing:
        sys.exit(f"take all figures again: the others were taken with another {', '.join(sorted(differing))}")
    figures = {figure.key: figure for figure in (*before.figures, *found.figures)}
    return Results(found.machine, found.versions, tuple(figures[name] for name in FIGURES if name in figures))


def take(name: str, *, quick: bool) -> Figure:
    """Run the program of one figure and return its result; exit if the program fails."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "figure.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(found), *(["--quick"] if quick else [])]
        done = subprocess.run(command, check=False, cwd=ROOT)  # noqa: S603 # ours
        if done.returncode != 0:
            sys.exit(done.returncode)
        print(flush=True)
        return Figure.from_json(json.loads(found.read_text()))


if __name__ == "__main__":
    main()
