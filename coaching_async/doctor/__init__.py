"""Checks of a program's access to the Coaching API, each with its result in plain words and advice.

    examination = await examine()

checks the environment, the network, the token, the clock, the rate limit and the permissions. `probe` finds out what the
API's documentation does not say. Both change nothing: apart from the request for a token, they only send GET and HEAD requests.
"""

from ._examine import examine
from ._probe import REQUESTS, Report, probe
from ._results import Check, Examination, State

__all__ = ["REQUESTS", "Check", "Examination", "Report", "State", "examine", "probe"]

# Users see and pickle the names under which they import them.
Check.__module__ = Examination.__module__ = Report.__module__ = __name__
