"""What stands between a program and the Coaching API, in plain words, with what to do.

    examination = await examine()

looks at the environment, the network, the token, the clock, the rate limit and the permissions; `probe` asks the service
what its documentation leaves open. Both change nothing: apart from the request for a token, they only read.
"""

from ._examine import examine
from ._probe import REQUESTS, Report, probe
from ._results import Check, Examination, State

__all__ = ["REQUESTS", "Check", "Examination", "Report", "State", "examine", "probe"]

# Users see and pickle the names under which they import them.
Check.__module__ = Examination.__module__ = Report.__module__ = __name__
