"""Priority of requests: a direct call, or one of the many of a walk or a bulk."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Final

__all__ = ["Priority", "bulk_priority", "current_priority"]


class Priority(Enum):
    """A lane of the rate limit."""

    INTERACTIVE = auto()
    """Goes first, and is bounded by its deadline while it waits."""
    BULK = auto()
    """Is spaced evenly, and has its time only from its turn on."""


_priority: Final = ContextVar("priority", default=Priority.INTERACTIVE)


def current_priority() -> Priority:
    """That of the calls that are made here."""
    return _priority.get()


@contextmanager
def bulk_priority() -> Generator[None]:
    """Calls that are made in this block are some of many."""
    token = _priority.set(Priority.BULK)
    try:
        yield
    finally:
        _priority.reset(token)
