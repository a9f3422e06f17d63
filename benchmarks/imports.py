"""The cost of importing: CPU, modules and memory, each time in a new interpreter.

    python benchmarks/imports.py [--quick]

Each library is alone with what it needs in an environment of its own: beside others it would import them, too, as httpx does
with rich, and stripe with aiohttp.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.environments import bare, official_sdk, peer
from benchmarks.harness import ROOT, Figure, Measures, alternate, main

__all__ = ["measure"]

CPU, MODULES, MEMORY = "CPU ms", "modules", "MiB"
MEASURES: Final = (CPU, MODULES, MEMORY)

PROGRAM: Final = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
def resident():
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except FileNotFoundError:  # not Linux
        return float("nan")
memory, modules, cpu = resident(), len(sys.modules), time.process_time()
for name in sys.argv[2:]:
    __import__(name)
cpu = time.process_time() - cpu
print(cpu * 1000, len(sys.modules) - modules, resident() - memory, flush=True)
os._exit(0)  # without waiting for the threads of the vendor's SDK
"""


def measure(quick: bool) -> Figure:
    """Take the figure."""
    rounds = 1 if quick else 15
    alone, vendor = bare(), official_sdk()
    openai, stripe = peer("openai", 3), peer("stripe", 16)
    rows = alternate(
        {
            "ours": importing(alone, "coaching_async"),
            "httpx": importing(alone, "httpx"),
            "httpx, attrs, cattrs": importing(alone, "httpx", "attrs", "cattrs"),
            "stripe": importing(stripe, "stripe"),
            "openai": importing(openai, "openai"),
            "official SDK": importing(vendor, "PureCloudPlatformClientV2"),
        },
        rounds,
    )
    return Figure(
        "imports",
        "Import",
        "In a fresh interpreter, from bytecode, without the cost of the interpreter itself.",
        MEASURES,
        tuple(rows),
    )


def importing(python: Path, *modules: str) -> Callable[[], Measures]:
    """Return a run that imports modules with an interpreter that sees only its own environment and this package."""
    command: list[str | Path] = [python, "-I", "-c", PROGRAM, ROOT, *modules]

    def run() -> Measures:
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 # ours
        return dict(zip(MEASURES, map(float, said.split()), strict=True))

    return run


if __name__ == "__main__":
    main(measure)
