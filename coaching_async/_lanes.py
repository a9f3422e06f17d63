"""The two lanes of pacing: which of them a call takes depends on the task that makes it."""

import enum
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["Lane", "in_bulk", "lane"]


class Lane(enum.Enum):
    """What a call is part of."""

    DIRECT = "direct"
    """Nothing: somebody waits for its answer."""
    BULK = "bulk"
    """Many of its kind."""


_lane: Final[ContextVar[Lane]] = ContextVar("coaching_async.lane", default=Lane.DIRECT)


def lane() -> Lane:
    """That of the current task, which the tasks that it starts inherit."""
    return _lane.get()


@contextmanager
def in_bulk() -> Generator[None]:
    """Calls made in this block are part of many."""
    token = _lane.set(Lane.BULK)
    try:
        yield
    finally:
        _lane.reset(token)
