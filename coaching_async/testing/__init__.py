"""For the tests of programs that use this client: a pytest plugin, models made up, faults on order, a look for leaks.

    # conftest.py
    pytest_plugins = ["coaching_async.testing"]

brings the fixtures `coaching_sandbox` and `coaching_client`. It is asked for by name, because a plugin that loads itself
is imported in every run of pytest on the machine. PYTEST_DONT_REWRITE: there is nothing in it that asserts for others.
"""

from ._build import build
from ._faults import Operation, fails, loses_answer, never_answers, route
from ._leaks import assert_no_leaks

__all__ = ["Operation", "assert_no_leaks", "build", "fails", "loses_answer", "never_answers", "route"]

pytest_plugins = ["coaching_async.testing._fixtures"]
