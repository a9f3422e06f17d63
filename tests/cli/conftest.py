import math

import pytest


@pytest.fixture(autouse=True)
def lines_after_items_and_not_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a command may take longer than the seconds after which it prints another line of progress."""
    monkeypatch.setattr("coaching_async.cli._progress.SECONDS_PER_LINE", math.inf)
