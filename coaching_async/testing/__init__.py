"""Tools for the tests of programs that use this client: a pytest plugin, model factories, faults, and leak detection.

    # conftest.py
    pytest_plugins = ["coaching_async.testing"]

adds the fixtures `coaching_sandbox`, `coaching_environment`, `coaching_client`, `coaching_user_client`, `coaching_notifications` and `coaching_notify`. The
plugin is loaded by name, because one that is loaded by an entry point is imported in every run of pytest on the machine. PYTEST_DONT_REWRITE: the plugin contains no assertions.
"""

from ._build import build
from ._faults import fails, loses_answer, never_answers, route
from ._leaks import assert_no_leaks
from ._notify import Notify
from ._shared_state import MemorySharedState

__all__ = [
    "MemorySharedState",
    "Notify",
    "assert_no_leaks",
    "build",
    "fails",
    "loses_answer",
    "never_answers",
    "route",
]

pytest_plugins: list[str] = ["coaching_async.testing._fixtures"]
