"""All figures, one after the other, each in a process of its own.

    python -m benchmarks [--quick]

Without `--quick` (10 minutes instead of one) what was found is written to benchmarks/results.json and docs/performance.md.
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
    """Run them, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten, and no report")
    quick: bool = parser.parse_args().quick
    try:
        figures = tuple(taken(name, quick=quick) for name in FIGURES)
    except KeyboardInterrupt:
        sys.exit(130)  # the figure that was interrupted has said so
    if not quick:
        write(Results(machine(), versions(), figures), ROOT)


def taken(name: str, *, quick: bool) -> Figure:
    """What one program has found. Exits where it fails."""
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
