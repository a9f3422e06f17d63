"""Formats of an export: JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from coaching_async import Appointment, to_dict

__all__ = ["FORMS", "Extras", "Format"]

Extras = Mapping[str, Sequence[Any] | None]
"""Annotations and statuses of an appointment, by name and ready for JSON; None if the appointment was deleted."""

ROW_PREFIX: Final = 10_000
"""Bytes of a row that are parsed for its id. The id is the first cell, and the csv module refuses long cells."""

LINE_END: Final = "\r\n"


class Format(Protocol):
    """A format of the exported file."""

    def header(self, extras: Sequence[str], /) -> str:
        """Return what precedes the first appointment."""
        ...

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """Return an appointment as a line."""
        ...

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the ids of the appointments in a file, whose header is the first of `lines`."""
        ...


class Jsonl:
    """One JSON object a line, with the API's own names."""

    def header(self, _extras: Sequence[str], /) -> str:
        """Return nothing, because JSON lines have no header."""
        return ""

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """Return the appointment as JSON, with the extras as additional members."""
        return json.dumps({**to_dict(appointment), **extras}) + "\n"

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the id in each line."""
        return (json.loads(line)["id"] for line in lines)


class Csv:
    """One row an appointment, with the models' names: references as ids, lists joined by spaces, extras as JSON."""

    def header(self, extras: Sequence[str], /) -> str:
        """Return the names of the columns."""
        return _row([*COLUMNS, *extras])

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """Return the appointment as a row. A field without a value is an empty cell."""
        cells = [_cell(getattr(appointment, name)) for name in COLUMNS]
        return _row([*cells, *("" if each is None else json.dumps(each) for each in extras.values())])

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the first cell of each row. A row continues on the next line while a quoted cell is open."""
        row, is_in_row = b"", False
        for number, line in enumerate(lines):
            row = (row + line)[:ROW_PREFIX]
            is_in_row ^= line.count(b'"') % 2 == 1
            if not is_in_row:
                if number:
                    yield next(csv.reader(io.StringIO(row.decode(errors="replace"), newline="")))[0]
                row = b""


COLUMNS: Final = tuple(field.name for field in attrs.fields(Appointment))

FORMS: Final[Mapping[str, Format]] = {"jsonl": Jsonl(), "csv": Csv()}


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=LINE_END).writerow(cells)  # so that the csv module quotes cells with \r, too
    return text.getvalue().removesuffix(LINE_END) + "\n"


def _cell(value: Any) -> object:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(str(_cell(each)) for each in value)  # pyright: ignore[reportUnknownVariableType]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return getattr(value, "id", value)
