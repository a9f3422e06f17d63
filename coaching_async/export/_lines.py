"""The lines of an exported file: the API's JSON, or the rows of a table as CSV or as JSON."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

import attrs

from coaching_async import to_dict
from coaching_async.tables import Cell, Kind

from ._people import People
from ._table import Row, Table

__all__ = ["ApiLines", "CsvLines", "JsonLines", "LineRenderer", "Lines", "Renderer", "RowLines", "TableLines"]

ROW_PREFIX: Final = 10_000
"""Bytes of a row that are parsed for its id. The id is the first cell, and the csv module refuses long cells."""

LINE_END: Final = "\r\n"


class Lines(Protocol):
    """The lines of the file while it is written."""

    def header(self) -> str:
        """Return what precedes the first appointment."""
        ...

    def text(self, rows: Sequence[Row], /) -> str:
        """Return appointments as lines."""
        ...

    def ids(self, lines: Iterable[bytes], /) -> Iterator[str]:
        """Return the ids of the appointments in a file, whose header is the first of `lines`."""
        ...


@attrs.frozen(eq=False)
class ApiLines:
    """One JSON object a line, with the API's own names and nesting. Absent fields are null, or empty lists."""

    people: People

    def header(self) -> str:
        """Return nothing, because JSON lines have no header."""
        return ""

    def text(self, rows: Sequence[Row]) -> str:
        """Return each appointment as JSON, with its annotations and statuses as additional members."""
        return "".join(f"{_valid_json(json.dumps(self._json(row)))}\n" for row in rows)

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the id in each line."""
        return (json.loads(line)["id"] for line in lines)

    def _json(self, row: Row) -> dict[str, Any]:
        details: dict[str, Any] = {
            name: None if several is None else [self._with_people(to_dict(each, complete=True)) for each in several]
            for name, several in row.details.items()
        }
        return {**self._with_people(to_dict(row.appointment, complete=True)), **details}

    def _with_people(self, data: dict[str, Any]) -> dict[str, Any]:
        for name in REFERENCES_TO_USERS & data.keys():
            for user in data[name] if isinstance(data[name], list | tuple) else filter(None, [data[name]]):
                if self.people.names is not None:
                    user["name"] = self.people.names.get(user["id"], user["id"])
                if self.people.emails is not None:
                    user["email"] = self.people.emails.get(user["id"])
        return data


REFERENCES_TO_USERS: Final = {"facilitator", "attendees", "createdBy", "modifiedBy"}


@attrs.frozen(eq=False)
class TableLines:
    """A table, a row a line."""

    table: Table

    def header(self) -> str:
        """Return nothing."""
        return ""

    def text(self, rows: Sequence[Row]) -> str:
        """Return each appointment as a line."""
        return "".join(map(self.line, self.table.rows(rows)))

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:  # noqa: ARG002 # that of lines with ids
        """Return nothing, because the lines need have no id. Their export is not resumed."""
        return iter(())

    def line(self, row: Mapping[str, Cell]) -> str:
        """Return a row as a line."""
        raise NotImplementedError


class JsonLines(TableLines):
    """One flat JSON object a line, with the names of the columns."""

    def line(self, row: Mapping[str, Cell]) -> str:
        """Return a row as JSON."""
        return f"{json.dumps(row, default=_iso)}\n"


@attrs.frozen(eq=False)
class RowLines:
    """Rows of a file that is rendered when it is complete: the id, and the cells, as a JSON array."""

    table: Table

    def header(self) -> str:
        """Return nothing."""
        return ""

    def text(self, rows: Sequence[Row]) -> str:
        """Return each appointment as a line."""
        cells = self.table.rows(rows)
        return "".join(
            f"{json.dumps([row.appointment.id, *each.values()], default=_iso)}\n"
            for row, each in zip(rows, cells, strict=True)
        )

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the id in each line."""
        return (json.loads(line)[0] for line in lines)

    def rows(self, lines: Iterable[bytes]) -> Iterator[dict[str, Cell]]:
        """Return the rows as they were before they were written."""
        names = [column.name for column in self.table.columns]
        read = [
            {Kind.TIMESTAMP: datetime.fromisoformat, Kind.DATE: date.fromisoformat}.get(each.kind)
            for each in self.table.columns
        ]
        for line in lines:
            _, *cells = json.loads(line)
            yield {
                name: cell if parse is None or cell is None else parse(cell)
                for name, parse, cell in zip(names, read, cells, strict=True)
            }


@attrs.frozen(eq=False)
class CsvLines(TableLines):
    """One row an appointment. Lists are joined, ids by blanks.

    For spreadsheets it is marked as UTF-8, times are as they read dates, and no text is one that they would run as a formula.
    """

    is_for_spreadsheets: bool

    def header(self) -> str:
        """Return the names of the columns; for spreadsheets, after the mark without which Excel takes UTF-8 for another encoding."""
        mark = BYTE_ORDER_MARK if self.is_for_spreadsheets else ""
        return mark + _csv([column.name for column in self.table.columns])

    def line(self, row: Mapping[str, Cell]) -> str:
        """Return a row as CSV. A cell without a value is empty."""
        return _csv([self._text(name, cell) for name, cell in row.items()])

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Return the first cell of each row. A row continues on the next line while a quoted cell is open."""
        row, is_in_row = b"", False
        for number, line in enumerate(lines):
            row = (row + line)[:ROW_PREFIX]
            is_in_row ^= line.count(b'"') % 2 == 1
            if not is_in_row:
                if number:
                    cell = next(csv.reader(io.StringIO(row.decode(errors="replace"), newline="")))[0]
                    yield cell[1:] if self.is_for_spreadsheets and _is_formula(cell) else cell
                row = b""

    def _text(self, name: str, cell: Cell) -> str | int | float:
        if isinstance(cell, list):
            cell = separator_of(name).join(cell)
        if isinstance(cell, datetime):
            return date_and_time(cell) if self.is_for_spreadsheets else cell.isoformat()
        if isinstance(cell, date):
            return cell.isoformat()
        if isinstance(cell, str) and self.is_for_spreadsheets:
            return _as_text(cell if name == "id" else FORMULA_INSIDE.sub(_with_apostrophe, cell))
        return "" if cell is None else cell


def separator_of(name: str) -> str:
    """Return what stands between the texts of a list, where a cell has one text."""
    return "\n" if name in {"annotations", "statuses"} else "; " if name.endswith(("_names", "_emails")) else " "


def date_and_time(moment: datetime) -> str:
    """Return a time as spreadsheets of all languages read it, without its zone."""
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


class Renderer(Protocol):
    """Writes a file as a whole."""

    def render(self, rows: Iterable[Mapping[str, Cell]], file: IO[bytes], folder: Path, /) -> int:
        """Write rows to a file, with a folder for temporary ones. Return the number of texts that were cut."""
        ...


@attrs.frozen(eq=False)
class LineRenderer:
    """Renders a file whose lines have no id by which the export could be resumed."""

    lines: TableLines

    def render(self, rows: Iterable[Mapping[str, Cell]], file: IO[bytes], _folder: Path) -> int:
        """Write the rows. Return 0, because no text is cut."""
        file.write(self.lines.header().encode())
        for row in rows:
            file.write(self.lines.line(row).encode(errors="replace"))
        return 0


SURROGATES: Final = re.compile(r"\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(?P<lone>\\ud[89a-f][0-9a-f]{2})")
"""Escapes of surrogates in JSON. A lone one is half a character, for which DuckDB, for example, refuses the file."""


def _valid_json(text: str) -> str:
    return SURROGATES.sub(lambda match: r"\ufffd" if match["lone"] else match[0], text) if r"\ud" in text else text


def _csv(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=LINE_END).writerow(cells)  # so that the csv module quotes cells with \r, too
    return text.getvalue().removesuffix(LINE_END) + "\n"


def _iso(value: date) -> str:
    return value.isoformat()


BYTE_ORDER_MARK: Final = "\ufeff"

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Texts that begin with one of these may be run as formulas; the last four are = + - @ in full width. An apostrophe before it makes the cell a text."""

FORMULA_INSIDE: Final = re.compile("""([;\t\r\n]["' ]*)([=@\uff1d\uff20]|[+\\-\uff0b\uff0d](?=\\S))""")
"""What begins a cell in a spreadsheet whose language separates cells by semicolons, or that takes tabs for separators."""


def _is_formula(text: str) -> bool:
    """Return whether a text is like a formula, with or without apostrophes before it."""
    return text.lstrip("'").startswith(FORMULA_STARTS)


def _as_text(text: str) -> str:
    return f"'{text}" if _is_formula(text) else text


def _with_apostrophe(match: re.Match[str]) -> str:
    return f"{match[1]}'{match[2]}"
