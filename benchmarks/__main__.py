"""Take all figures, one after the other, each in a process of its own.

    python -m benchmarks [--quick]

Without `--quick` (10 minutes instead of one) the results are written to benchmarks/results.json and docs/performance.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from .harness import ROOT, Figure
from .report import Results, write
from .surroundings import machine, versions

FIGURES: Final = ("decode", "fetch", "latency", "rate", "overhead", "imports", "memory", "stall")


def main() -> None:
    """Take all figures, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten, and no report")
    quick: bool = parser.parse_args().quick
    try:
        figures = tuple(take(name, quick=quick) for name in FIGURES)
    except KeyboardInterrupt:
        sys.exit(130)  # the interrupted program has reported it
    if not quick:
        write(Results(machine(), versions(), figures), ROOT)


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
