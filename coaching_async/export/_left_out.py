"""The rows that an export leaves out, because they cannot be read: reported once, however often the export is resumed."""

from collections.abc import Container, Hashable
from typing import Any, Final

import attrs

from coaching_async import LeftOutRow, WalkReport

__all__ = ["NO_ROWS", "LeftOut", "LeftOutRows", "Tally", "parse_tally"]

APPOINTMENTS: Final = "appointments"

MAX_ROWS: Final = 1000
"""Rows that are kept, because each checkpoint contains them."""


@attrs.frozen
class LeftOut:
    """A row that an export has left out, because it cannot be read."""

    of: str
    """The list that it is in: "appointments", "annotations" or "statuses"."""
    appointment_id: str | None
    """The appointment that the row is, or belongs to; None if its id cannot be read."""
    row: LeftOutRow
    """Its place in that list, and what is wrong with it."""

    def __str__(self) -> str:
        owner = "" if self.of == APPOINTMENTS else f" of appointment {self.appointment_id}"
        id_ = "" if self.row.id is None else f", id {self.row.id}"
        return f"{self.of}{owner}, page {self.row.page}, index {self.row.index}{id_}: {self.row.reason}"

    @property
    def key(self) -> Hashable:
        """Identifies the row in later runs, too."""
        row = self.row
        return self.of, self.appointment_id, row.id or (row.chunk, row.page, row.index)


@attrs.frozen
class Tally:
    """Left-out rows: how many, and the first of them."""

    count: int = 0
    rows: tuple[LeftOut, ...] = ()

    def without(self, rows: Container[LeftOut]) -> "Tally":
        """Return the tally without some of its rows."""
        kept = tuple(row for row in self.rows if row not in rows)
        return Tally(self.count - len(self.rows) + len(kept), kept)

    def plus(self, count: int, rows: tuple[LeftOut, ...]) -> "Tally":
        """Return the tally with `count` more rows, the first of which are given. Rows that it has count once."""
        known = {row.key for row in self.rows}
        new = tuple(row for row in rows if row.key not in known)
        return Tally(self.count + count - len(rows) + len(new), (self.rows + new)[:MAX_ROWS])


NO_ROWS: Final = Tally()


@attrs.define
class LeftOutRows:
    """The rows that an export has left out before and in this run, apart from those of the walk."""

    tally: Tally = NO_ROWS

    def add(self, of: str, appointment_id: str, report: WalkReport) -> None:
        """Add the rows that were left out of a list of one appointment."""
        rows = tuple(LeftOut(of, appointment_id, row) for row in report.left_out)
        self.tally = self.tally.plus(report.rows_left_out, rows)

    def forget_written(self, ids: Container[str]) -> None:
        """Forget appointments that earlier runs have left out, and that were written now."""
        self._forget([row for row in self.tally.rows if row.of == APPOINTMENTS and (row.appointment_id or "") in ids])

    def forget_appointments(self) -> None:
        """Forget all appointments, because their list is read again from its beginning."""
        self._forget([row for row in self.tally.rows if row.of == APPOINTMENTS])

    def _forget(self, rows: list[LeftOut]) -> None:
        if rows:
            self.tally = self.tally.without(rows)

    def with_walk(self, report: WalkReport) -> Tally:
        """Return the tally, the rows included that the walk over the appointments has left out."""
        return self.tally.plus(
            report.rows_left_out, tuple(LeftOut(APPOINTMENTS, row.id, row) for row in report.left_out)
        )


def parse_tally(data: Any) -> Tally:
    """Return a tally from the JSON of `attrs.asdict`. Raises `ValueError`, `TypeError` or `LookupError`."""
    rows = tuple(LeftOut(row["of"], row["appointment_id"], LeftOutRow(**row["row"])) for row in data["rows"])
    return Tally(int(data["count"]), rows)
