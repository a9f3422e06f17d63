"""One timeout for all, and a fixture that shows measurements at once, whether or not the test passes."""

from collections.abc import Callable
from pathlib import Path

import pytest

HANG = 4 * 3600
"""Seconds after which a test counts as hanging: several times what the longest one takes on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(HANG))


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line to the terminal."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)  # noqa: T201

    return line
