"""Memory in use, without what the interpreter keeps for its own speed."""

import gc
import sys
import tracemalloc
from typing import Any

__all__ = ["traced_memory"]


def traced_memory() -> int:
    """Return the bytes that `tracemalloc` has traced and that are in use.

    CPython caches up to 4,096 names of methods. Its `datetime.utcoffset` looks its name up with a new text each time, so that the
    cache grows with the calls, up to a quarter of a megabyte.
    """
    gc.collect()
    of_the_interpreter: Any = sys  # the second one is deprecated since 3.13, which has the first one
    clear = getattr(of_the_interpreter, "_clear_internal_caches", None) or of_the_interpreter._clear_type_cache
    clear()
    return tracemalloc.get_traced_memory()[0]
