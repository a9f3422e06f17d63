"""What a line of an export is, in each of the forms, and whose it is."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from coaching_async import Appointment, to_dict

__all__ = ["FORMS", "Extras", "Form"]

Extras = Mapping[str, Sequence[Any] | None]
"""What hangs on an appointment, by name and ready for JSON; None where it could not be had any more."""

ENOUGH: Final = 10_000
"""Bytes of a row that are sure to have the id in them, and that the csv module takes for one cell."""


ENDING: Final = "\r\n"


class Form(Protocol):
    """A form that an export may have."""

    def head(self, extras: Sequence[str], /) -> str:
        """What the file begins with."""
        ...

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """One appointment."""
        ...

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Of the appointments in a file, head and all."""
        ...


class Jsonl:
    """One JSON object a line, as the API writes it."""

    def head(self, _extras: Sequence[str], /) -> str:
        """There is none."""
        return ""

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """The extras stand beside what the API writes."""
        return json.dumps({**to_dict(appointment), **extras}) + "\n"

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """One a line."""
        return (json.loads(line)["id"] for line in lines)


class Csv:
    """One row each, under the names that the models have; references by their ids, lists joined by spaces, extras as JSON."""

    def head(self, extras: Sequence[str], /) -> str:
        """The names of the columns."""
        return _row([*COLUMNS, *extras])

    def line(self, appointment: Appointment, extras: Extras) -> str:
        """What the service does not tell is an empty cell."""
        cells = [_cell(getattr(appointment, name)) for name in COLUMNS]
        return _row([*cells, *("" if each is None else json.dumps(each) for each in extras.values())])

    def ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        """The first cell of each row, of which the csv module reads the beginning: it refuses long cells."""
        row, is_in_row = b"", False
        for number, line in enumerate(lines):
            row = (row + line)[:ENOUGH]
            is_in_row ^= line.count(b'"') % 2 == 1
            if not is_in_row:
                if number:
                    yield next(csv.reader(io.StringIO(row.decode(errors="replace"), newline="")))[0]
                row = b""


COLUMNS: Final = tuple(field.name for field in attrs.fields(Appointment))

FORMS: Final[Mapping[str, Form]] = {"jsonl": Jsonl(), "csv": Csv()}


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=ENDING).writerow(cells)  # which has it quote either letter of that
    return text.getvalue().removesuffix(ENDING) + "\n"


def _cell(value: Any) -> object:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(str(_cell(each)) for each in value)  # pyright: ignore[reportUnknownVariableType]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return getattr(value, "id", value)
