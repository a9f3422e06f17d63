"""Clocks that measure a block."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

__all__ = ["Clocks", "clocks"]


@attrs.define
class Clocks:
    """Seconds that a block took."""

    cpu: float = 0.0
    """CPU time of this process, all threads."""
    wall: float = 0.0


@contextmanager
def clocks() -> Iterator[Clocks]:
    """Measure a block."""
    taken = Clocks()
    cpu, wall = time.process_time(), time.perf_counter()
    yield taken
    taken.cpu, taken.wall = time.process_time() - cpu, time.perf_counter() - wall
