"""Virtual environments for libraries that must not be in the project's own, or must not see its other libraries."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .harness import Failed

__all__ = ["bare", "environment", "official_sdk", "peer"]

KEPT: Final = Path(sys.prefix)
PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


def official_sdk() -> Path:
    """Return a Python with the vendor's SDK."""
    return environment(f"official-sdk/269-{PYTHON}", ["PureCloudPlatformClientV2==269.*"])


def bare() -> Path:
    """Return a Python with only the four libraries that the package requires, in the versions of this environment."""
    needed = [f"{name}=={version(name)}" for name in ("anyio", "attrs", "cattrs", "httpx")]
    return environment(f"benchmarks/bare-{PYTHON}", needed)


def peer(library: str, major: int) -> Path:
    """Return a Python with another library and its requirements."""
    return environment(f"benchmarks/{library}-{major}-{PYTHON}", [f"{library}=={major}.*"])


def environment(name: str, requirements: Iterable[str]) -> Path:
    """The interpreter of a virtual environment, built once and kept for as long as that of the project.

    Raises `Failed` with the last that pip says where it cannot be built.
    """
    kept = KEPT / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, ignore_cleanup_errors=True) as temporary:
            built = Path(temporary) / "built"
            run(sys.executable, "-m", "venv", built)
            run(
                built / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *requirements,
            )
            put_in_place(built, kept)
    return kept / "bin" / "python"


def run(*command: str | Path) -> None:
    """Run a program; raise an error with its output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours
    if done.returncode != 0:
        *_, last = ["no word", *done.stderr.split("\n")[:-1]]
        raise Failed(f"an environment for the comparison cannot be built: {last}")


def put_in_place(built: Path, kept: Path) -> None:
    """Rename in one step, so that the environment is complete even if two runs build it at once or one is interrupted."""
    try:
        built.rename(kept)
    except OSError:
        if not kept.exists():
            raise
