"""A plan: the rows of a CSV file, or what is wrong with them. No I/O."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final

import attrs

from .columns import REQUIRED, Column, advice_on, column_of

__all__ = ["TEMPLATE", "Fault", "Plan", "Row", "read_plan"]

TEMPLATE: Final = """\
name,description,start,length,attendees,facilitator,location
Call opening,"Greeting, tone and the first thirty seconds.",2027-01-11T14:00+01:00,30,ada@example.com grace@example.com,alan@example.com,Room 4
Wrap-up,How to end a call.,2027-01-12 09:30Z,15,11111111-1111-4111-8111-111111111111,,
"""
"""A plan with a row of e-mail addresses and one of ids."""


@attrs.frozen(order=True)
class Fault:
    """What is wrong with a line of a plan, without what its cells say of people."""

    line: int
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


@attrs.frozen
class Row:
    """One appointment of a plan. Its people are entries yet: ids or e-mail addresses."""

    line: int
    fields: Mapping[str, Any]
    """Values of the fields of an `AppointmentCreate`, apart from those that name people."""
    people: Mapping[str, tuple[str, ...]]
    """Entries of the columns that name people, by the name of the column."""


@attrs.frozen
class Plan:
    """The rows of a plan, and their faults. A row with a fault has the fields that can be read."""

    rows: Sequence[Row]
    faults: Sequence[Fault]
    delimiter: str = ","


ENCODING_BY_MARK: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


DELIMITERS: Final = ",;\t"


SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n)')
"""The first line of a file that tells a spreadsheet the separator."""


def read_plan(data: bytes, *, encoding: str | None = None, zone: tzinfo | None = None) -> Plan:
    """Read a CSV file with a header. `zone` is the time zone of times without one.

    The separator is a comma, a semicolon or a tab. The encoding is UTF-8, or that of the byte order mark.
    """
    encoding = encoding or next((each for mark, each in ENCODING_BY_MARK.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        line = data[: getattr(error, "start", 0)].count(b"\n") + 1
        problem = f"this is no text in {encoding.upper()}: save the file as CSV UTF-8, or name its encoding, for example --encoding cp1252"
        return Plan((), (Fault(line, problem),))
    first_line, delimiter = 1, None
    if named := SEPARATOR_LINE.match(text):
        first_line, delimiter, text = 2, named[1], text[named.end() :]
    delimiter = delimiter or max(DELIMITERS, key=lambda each: _known_titles(text, each))
    faults: list[Fault] = []
    rows: list[Row] = []
    records = _records(text, delimiter, first_line, faults)
    line, titles = next(records, (first_line, list[str]()))
    columns = _read_header(line, titles, faults)
    untitled = [position for position, title in enumerate(titles) if not title.strip()]
    if not faults:
        for line, cells in records:
            rows.append(_read_row(line, cells, columns, untitled, zone, faults))
        if not rows and not faults:
            faults.append(Fault(line, "there is no row below the header"))
    return Plan(rows, faults, delimiter)


def _known_titles(text: str, delimiter: str) -> int:
    titles = next(_records(text, delimiter, 1, []), (1, list[str]()))[1]
    return sum(column_of(title) is not None for title in titles)


def _records(text: str, delimiter: str, line: int, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the line on which it starts. Nothing follows a fault."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    offset = line - 1
    while True:
        start = offset + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            faults.append(Fault(start, f"this is no CSV: {error}"))
            return
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield start, cells


def _read_header(line: int, titles: Sequence[str], faults: list[Fault]) -> Sequence[Column | None]:
    """Return the column of each title; None for one to ignore."""
    columns: list[Column | None] = []
    for title in titles:
        column = column_of(title)
        is_ignored = title.lstrip().startswith("#") or not title.strip()
        if column is None and not is_ignored:
            faults.append(Fault(line, f"there is no column {title.strip()[:50]!a}: {advice_on(title)}"))
        elif column is not None and column in columns:
            faults.append(Fault(line, f"there are two columns {column.name}"))
        columns.append(column)
    names = {column.name for column in columns if column}
    if missing := [name for name in REQUIRED if name not in names]:
        faults.append(Fault(line, f"the header lacks {', '.join(missing)}"))
    return columns


def _read_row(
    line: int,
    cells: Sequence[str],
    columns: Sequence[Column | None],
    untitled: Sequence[int],
    zone: tzinfo | None,
    faults: list[Fault],
) -> Row:
    problems: list[str] = []
    fields: dict[str, Any] = {}
    people: dict[str, tuple[str, ...]] = {}
    if any(cell.strip() for cell in cells[len(columns) :]):
        problems.append(
            f"there are {len(cells)} cells and {len(columns)} columns: quote a cell that has the separator in it"
        )
    problems += (
        f"cell {position + 1} is in a column without a title: give it one, or one that begins with #"
        for position in untitled
        if position < len(cells) and cells[position].strip()
    )
    for position, column in enumerate(columns):
        text = cells[position].strip() if position < len(cells) else ""
        if column is None:
            continue
        if not text:
            problems += [f"{column.name} is empty"] if column.name in REQUIRED else []
            continue
        try:
            value = column.parse(text, zone)
        except ValueError as error:
            problems.append(f"{column.name}: {error}")
            continue
        if column.names_people:
            people[column.name] = value
        else:
            fields[column.field] = value
    faults += (Fault(line, problem) for problem in problems)
    return Row(line, fields, people)
