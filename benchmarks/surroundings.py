"""Machine and versions of a run, without names and paths."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .environments import official_sdk, peer

__all__ = ["machine", "versions"]

HERE: Final = (
    "coaching_async", "httpx", "httpx2", "httpx-aiohttp", "aiohttp", "anyio", "trio", "attrs", "cattrs", "orjson", "pydantic", "msgspec",
    "coredis",
)  # fmt: skip
ASK: Final = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


def machine() -> dict[str, str]:
    """Return the hardware and system of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": str(cores),
        "processor": platform.machine(),
        "system": platform.system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of all measured libraries."""
    there = (
        (official_sdk(), "PureCloudPlatformClientV2"),
        (peer("openai", 3), "openai"),
        (peer("stripe", 16), "stripe"),
    )
    return {name: version(name) for name in HERE} | {name: version_in(python, name) for python, name in there}


def version_in(python: Path, library: str) -> str:
    """Return the version of a library in another environment."""
    command: list[str | Path] = [python, "-I", "-c", ASK, library]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 # ours
