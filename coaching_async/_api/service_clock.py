"""The clock of the service, by the `Date` of its responses. No I/O, and no clock of its own."""

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

__all__ = ["ServiceClock"]


HALF_A_SECOND: Final = timedelta(seconds=0.5)
"""A `Date` is truncated to a second, so it is half a second early on average."""


TOLERANCE: Final = timedelta(seconds=5)
"""Differences up to this are due to latency. A larger one means that this machine's clock was set."""


MAX_OFFSET: Final = timedelta(days=36525)
"""A larger difference is no clock that is wrong, but a `Date` that is nonsense."""


@attrs.define(eq=False, repr=False)
class _Span:
    """A time by this machine's clock, in which the clocks differed by `offset`."""

    start: datetime
    end: datetime
    offset: timedelta

    def distance(self, moment: datetime) -> timedelta:
        return max(self.start - moment, moment - self.end, timedelta(0))


@attrs.define(eq=False, repr=False)
class ServiceClock:
    """Converts times by this machine's clock into times by the service's clock.

    This machine's clock may be wrong, and may have been set since. So the difference counts that was observed nearest to the
    time in question.
    """

    _spans: deque[_Span] = attrs.field(factory=lambda: deque[_Span](maxlen=100), init=False)

    def observe(self, service_time: datetime, received_at: datetime) -> None:
        """Compare the `Date` of an answer with the time at which it was received."""
        offset = service_time + HALF_A_SECOND - received_at
        if abs(offset) > MAX_OFFSET:
            return
        last = self._spans[-1] if self._spans else None
        if last is None or abs(offset - last.offset) > TOLERANCE:
            self._spans.append(_Span(received_at, received_at, offset))
        else:
            last.start, last.end = min(last.start, received_at), max(last.end, received_at)

    def to_service_time(self, moment: datetime) -> datetime:
        """Return what the service's clock showed, in UTC, when this machine's showed `moment`: the same if that is not known."""
        moment = moment.astimezone(UTC)  # because arithmetic in another zone ignores that clocks are turned back
        # Of several the earliest time, because this machine's clock may have shown the time in question twice.
        nearest = min(self._spans, key=lambda span: (span.distance(moment), span.offset), default=None)
        return moment if nearest is None else moment + nearest.offset
