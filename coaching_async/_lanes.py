"""Who is in a hurry: a direct call, or one of the many of a walk or a bulk."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Final

__all__ = ["Lane", "in_bulk", "lane"]


class Lane(Enum):
    """A lane of the rate limit."""

    DIRECT = auto()
    """Goes first, and is bounded by its deadline while it waits."""
    BULK = auto()
    """Is spaced evenly, and has its time only from its turn on."""


_lane: Final = ContextVar("lane", default=Lane.DIRECT)


def lane() -> Lane:
    """That of the calls that are made here."""
    return _lane.get()


@contextmanager
def in_bulk() -> Generator[None]:
    """Calls that are made in this block are some of many."""
    token = _lane.set(Lane.BULK)
    try:
        yield
    finally:
        _lane.reset(token)
