"""How much the tests do: all of it in `make long`, a part in `make test`."""

import os
from typing import Final

__all__ = ["FULL", "examples"]


FULL: Final = "FULL" in os.environ
"""Whether tests with many calls make all of them, and properties try all examples. `make long` sets it."""


def examples(number: int) -> int:
    """Return how many examples of a property Hypothesis tries: a quarter in `make test`."""
    return number if FULL else number // 4
