"""Reports: what a walk has read so far, and the rows that it left out."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

import attrs

from coaching_async._serialization.rows import LeftOutRow
from coaching_async._value import Value

__all__ = ["MAX_LEFT_OUT", "LeftOutRows", "WalkReport", "merge_reports"]


MAX_LEFT_OUT: Final = 1000
"""Left-out rows that are kept. If the API has changed, that may be all rows of a long list."""


@attrs.frozen(eq=False, repr=False)
class WalkReport(Value):
    """Counts of a walk so far."""

    pages: int = 0
    """Pages read."""
    duplicates: int = 0
    """Items that were read again and dropped."""
    re_reads: int = 0
    """Those of `pages` that were read because the list had changed, or for another pass; 0 if the list does not change."""
    suspected_gaps: int = 0
    """Changes of the list that were seen, and after which items may be missing."""
    passes: int = 0
    """Passes over the list, the current one included."""
    rows_left_out: int = 0
    """Rows that cannot be read, and were left out. On a client that is `strict` they are an error."""
    left_out: tuple[LeftOutRow, ...] = ()
    """The first 1,000 of them: where each is, and what is wrong with it."""


def merge_reports(reports: Sequence[WalkReport]) -> WalkReport:
    """Return the report of a walk over several lists."""
    return WalkReport(
        pages=sum(report.pages for report in reports),
        duplicates=sum(report.duplicates for report in reports),
        re_reads=sum(report.re_reads for report in reports),
        suspected_gaps=sum(report.suspected_gaps for report in reports),
        passes=max((report.passes for report in reports), default=0),
        rows_left_out=sum(report.rows_left_out for report in reports),
        left_out=tuple(chain.from_iterable(report.left_out for report in reports))[:MAX_LEFT_OUT],
    )


class LeftOutRows:
    """The rows of one list that were left out: their number, and the first of them."""

    def __init__(self, chunk: int) -> None:
        self.count = 0
        self.first: tuple[LeftOutRow, ...] = ()
        self._chunk = chunk

    def add(self, rows: Sequence[LeftOutRow]) -> None:
        """Add the rows of a page."""
        self.count += len(rows)
        if rows and (room := MAX_LEFT_OUT - len(self.first)):
            self.first += tuple(attrs.evolve(row, chunk=self._chunk) for row in rows[:room])
