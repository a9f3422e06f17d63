"""How much the tests do: all of it in `make long`, a part in `make test`."""

import os
from collections.abc import Iterable
from itertools import product
from typing import Any, Final

import pytest

__all__ = ["FULL", "calls", "combinations", "examples", "in_make_long", "on_one_backend"]


FULL: Final = "FULL" in os.environ
"""Whether tests with many calls make all of them, and properties try all examples. `make long` sets it."""


def examples(number: int) -> int:
    """Return how many examples of a property Hypothesis tries: a sixth in `make test`."""
    return number if FULL else number // 6


def calls(number: int) -> int:
    """Return how many calls a test makes that makes many: a tenth in `make test`."""
    return number if FULL else number // 10


def combinations(*values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return all combinations of the values of parameters. In `make test` they are as few as have each value at least once."""
    lists = [list(each) for each in values]
    if FULL:
        return list(product(*lists))
    return [tuple(each[number % len(each)] for each in lists) for number in range(max(map(len, lists)))]


in_make_long = pytest.mark.skipif(not FULL, reason="takes long: `make long` runs it")
"""Tests whose quicker twin is in `make test`."""


on_one_backend = pytest.mark.parametrize("anyio_backend", ["asyncio", *(["trio"] if FULL else [])], indirect=True)
"""Costly tests of what has nothing to do with the event loop: how many requests are sent, and what they leave in memory.

In `make test` they run on asyncio only.
"""
