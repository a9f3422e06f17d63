"""Settings of dlt for tests: nothing outside of a folder is read or written, and no other host is asked."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["HAS_DLT", "surroundings"]

HAS_DLT: Final = find_spec("dlt") is not None
"""Whether dlt is installed. It is not on Python 3.15, for which it has no release yet."""


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment variables that keep dlt in a folder. tests/conftest.py sets the one that keeps it from the network."""
    from dlt.common.runtime import anon_tracker  # takes a second

    anon_tracker.get_anonymous_id = lambda: (
        "none"
    )  # it writes one into the home of the user, even if it sends no statistics
    return {"DLT_DATA_DIR": str(folder / "data"), "DLT_PROJECT_DIR": str(folder), "RUNTIME__LOG_LEVEL": "CRITICAL"}
