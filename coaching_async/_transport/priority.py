"""Priority of a request: interactive (a direct call) or bulk (a page of a list, or a call of a bulk)."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Final

__all__ = ["Priority", "bulk_priority", "current_priority"]


class Priority(Enum):
    """Priority of a request under the rate limit and the concurrency limit."""

    INTERACTIVE = auto()
    """Gets permits first. Its deadline includes the time it waits."""
    BULK = auto()
    """Keeps an even pace. Its deadline is extended by the time it waits."""


_priority: Final = ContextVar("priority", default=Priority.INTERACTIVE)


def current_priority() -> Priority:
    """Return the priority of calls that are made in this context."""
    return _priority.get()


@contextmanager
def bulk_priority() -> Generator[None]:
    """Give bulk priority to the calls that are made in this block."""
    token = _priority.set(Priority.BULK)
    try:
        yield
    finally:
        _priority.reset(token)
