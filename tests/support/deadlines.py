"""Deadlines that pass only after something has reached the server, on a busy machine, too."""

from collections.abc import Awaitable, Callable

import pytest

from coaching_async import DeadlineExceeded, OutcomeUnknown

DEADLINES = (0.5, 5.0, 50.0)
"""Seconds of the deadlines that a test tries one after the other, where something has to reach the server before: on a busy
machine half a second can be over before that."""


async def in_doubt_at_its_deadline(write: Callable[[float], Awaitable[object]]) -> OutcomeUnknown:
    """Return the error of a write without a response, which gets its timeout, and was sent before that had passed."""
    for seconds in DEADLINES:
        with pytest.raises((DeadlineExceeded, OutcomeUnknown)) as caught:
            await write(seconds)
        if type(caught.value) is OutcomeUnknown:
            return caught.value
    raise AssertionError(f"the write was not sent within {DEADLINES[-1]:g} s")
