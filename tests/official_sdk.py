"""A Python that has the vendor's SDK."""

import subprocess
import sys
import tempfile
from pathlib import Path

SDK = "PureCloudPlatformClientV2==269.*"
ENVIRONMENTS = Path(__file__).parent.parent / ".venv" / "official-sdk"


def official_python() -> Path:
    """Its environment, of 170 MB, is built once and kept for as long as that of the project."""
    kept = (
        ENVIRONMENTS / f"{SDK.partition('==')[2].strip('.*')}-python{sys.version_info.major}.{sys.version_info.minor}"
    )
    if not kept.exists():
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ENVIRONMENTS, ignore_cleanup_errors=True) as temporary:
            built = Path(temporary) / "built"
            run(sys.executable, "-m", "venv", built)
            run(built / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK)
            put_in_place(built, kept)
    return kept / "bin" / "python"


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr}"


def put_in_place(built: Path, kept: Path) -> None:
    """In one step: what is there is whole, even if two runs build it at once, or one is interrupted."""
    try:
        built.rename(kept)
    except OSError:
        if not kept.exists():
            raise


def packages_of(python: Path) -> Path:
    """Where it has the SDK: on the PYTHONPATH of another Python of the same version, that has it too."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    return packages
