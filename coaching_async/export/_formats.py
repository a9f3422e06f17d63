"""Formats of an export: JSON lines, CSV, and CSV for spreadsheets; and which one a file name asks for."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, Protocol

import attrs

from coaching_async import Appointment, to_dict

__all__ = ["FORMS", "SPREADSHEET", "Extras", "Format", "form_of"]

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
        return self._row([*COLUMNS, *extras])

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """Return the appointment as a row. A field without a value is an empty cell."""
        cells = [_cell(getattr(appointment, name)) for name in COLUMNS]
        return self._row([*cells, *("" if extra is None else json.dumps(extra) for extra in extras.values())])

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

    def _row(self, cells: Sequence[object]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator=LINE_END).writerow(cells)  # so that the csv module quotes cells with \r, too
        return text.getvalue().removesuffix(LINE_END) + "\n"


class SpreadsheetCsv(Csv):
    """CSV that a spreadsheet opens by a double click: marked as UTF-8, and without texts that it would run as formulas."""

    def header(self, extras: Sequence[str], /) -> str:
        """Return the names of the columns, after the mark without which Excel takes UTF-8 for another encoding."""
        return BYTE_ORDER_MARK + super().header(extras)

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the first cell of each row, as it was before it was written as text."""
        for cell in super().ids(lines):
            yield cell[1:] if _is_formula(cell) else cell

    def _row(self, cells: Sequence[object]) -> str:
        return super()._row([f"'{cell}" if _is_formula(str(cell)) else cell for cell in cells])


def _is_formula(text: str) -> bool:
    """Return whether a text is like a formula, with or without apostrophes before it."""
    return text.lstrip("'").startswith(FORMULA_STARTS)


BYTE_ORDER_MARK: Final = "\ufeff"

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Texts that begin with one of these may be run as formulas; the last four are = + - @ in full width. An apostrophe before it makes the cell a text."""

COLUMNS: Final = tuple(field.name for field in attrs.fields(Appointment))

FORMS: Final[Mapping[str, Format]] = {"jsonl": Jsonl(), "csv": Csv()}

SPREADSHEET: Final = SpreadsheetCsv()

FORM_BY_SUFFIX: Final = {"": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}


def form_of(file: PurePath) -> str:
    """Return the form that the suffix of a file name asks for: without a suffix "jsonl". Raises `ValueError` for an unknown one."""
    if (form := FORM_BY_SUFFIX.get(file.suffix.lower())) is None:
        raise ValueError(
            f"the suffix {file.suffix!a} names no form: use {', '.join(filter(None, FORM_BY_SUFFIX))}, or say which "
            f"form it shall be: {', '.join(FORMS)}"
        )
    return form


def _cell(value: Any) -> object:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(str(_cell(item)) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return getattr(value, "id", value)
