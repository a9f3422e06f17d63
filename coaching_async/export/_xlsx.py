"""Excel files, rendered from the rows of an export."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

from coaching_async.tables import Cell, Column, Kind

from ._checkpoint import ExportRefused
from ._lines import separator_of
from ._table import Table

__all__ = ["XlsxRenderer"]

MAX_ROWS: Final = 1_048_576
"""Rows of a sheet in Excel, the header included. The rest goes to further sheets."""

MAX_TEXT: Final = 32_767
"""Length of a text in Excel, in units of UTF-16."""

CUT: Final = " [cut: Excel takes no longer text; JSON lines, CSV and Parquet have all of it]"

MIN_WIDTH: Final = 8
MAX_WIDTH: Final = 60
"""Widths of a column, in characters."""

FIRST_YEAR: Final = 1900
"""Excel has no earlier dates: they are written as texts."""

EXACT_INTEGER: Final = 2**53
"""Excel's numbers are floats: larger integers are written as texts."""

NO_XML: Final = re.compile("[\ufffe\uffff]")


class XlsxRenderer:
    """Writes sheets with a header. Raises `ExportRefused` if XlsxWriter is missing."""

    def __init__(self, table: Table) -> None:
        try:
            self._xlsxwriter: Any = import_module("xlsxwriter")
        except ImportError:
            raise ExportRefused("Excel files need XlsxWriter: pip install 'coaching_async[xlsx]'") from None
        self._columns = table.columns

    def render(self, rows: Iterable[Mapping[str, Cell]], file: IO[bytes], folder: Path) -> int:
        """Write the rows. Return the number of texts that were cut, because Excel takes no longer ones.

        Temporary files are in `folder`.
        """
        output = Output(file)
        book = self._xlsxwriter.Workbook(output, {"constant_memory": True, "tmpdir": str(folder)})
        book.use_zip64()
        try:
            cut = self._write(rows, book)
            book.close()
        except self._xlsxwriter.exceptions.FileCreateError as error:
            raise error.args[0] from None  # the OSError of a temporary file
        finally:
            output.release()
            for sheet in book.worksheets():
                with suppress(OSError):  # it may have a buffer that the disk does not take
                    sheet.row_data_fh.close()
        output.raise_error()
        return cut

    def _write(self, rows: Iterable[Mapping[str, Cell]], book: Any) -> int:
        sheets = [Sheet(book, self._columns, 1)]
        for row in rows:
            if sheets[-1].rows == MAX_ROWS:
                sheets[-1].complete()
                sheets.append(Sheet(book, self._columns, len(sheets) + 1))
            sheets[-1].write(row)
        sheets[-1].complete()
        return sum(sheet.cut for sheet in sheets)


class Output:
    """The file, for a library that leaves an unfinished archive behind when a write fails.

    It keeps the first error, for the end, and drops what is written after it. The archive still writes when it is deleted.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file: IO[bytes] | None = file
        self._position = 0
        self._error: BaseException | None = None

    def write(self, data: Any) -> int:
        self._unless_failed(lambda file: file.write(data))
        self._position += len(data)
        return len(data)

    def seek(self, offset: int) -> int:
        self._unless_failed(lambda file: file.seek(offset))
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        self._unless_failed(lambda file: file.flush())

    def release(self) -> None:
        """Let go of the file."""
        self._file = None

    def raise_error(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def _unless_failed(self, work: Callable[[IO[bytes]], object]) -> None:
        if self._file is not None:
            try:
                work(self._file)
            except BaseException as error:  # noqa: BLE001 # raised at the end
                self._file, self._error = None, error


class Sheet:
    """A sheet of an Excel file, written row by row."""

    def __init__(self, book: Any, columns: Sequence[Column], number: int) -> None:
        self.rows = 1
        self.cut = 0
        self._sheet = book.add_worksheet("appointments" if number == 1 else f"appointments {number}")
        self._formats = {
            Kind.TIMESTAMP: book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
            Kind.DATE: book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        self._names = [column.name for column in columns]
        self._kinds = [column.kind for column in columns]
        self._widths = [len(name) + 3 for name in self._names]  # beside the button of the filter
        header = book.add_format({"bold": True, "bottom": 1})
        for index, name in enumerate(self._names):
            self._sheet.write_string(0, index, name, header)
        self._sheet.freeze_panes(1, 0)

    def write(self, row: Mapping[str, Cell]) -> None:
        """Write a row below the others."""
        for index, (name, cell) in enumerate(row.items()):
            self._write_cell(index, separator_of(name).join(cell) if isinstance(cell, list) else cell)
        self.rows += 1

    def _write_cell(self, index: int, cell: Cell) -> None:
        if isinstance(cell, date):
            if cell.year >= FIRST_YEAR:
                naive = cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell
                self._sheet.write_datetime(self.rows, index, naive, self._formats[self._kinds[index]])
                self._widths[index] = max(self._widths[index], 17)
                return
            cell = cell.isoformat()
        if isinstance(cell, bool):
            self._sheet.write_boolean(self.rows, index, cell)
        elif isinstance(cell, float) or (isinstance(cell, int) and abs(cell) <= EXACT_INTEGER):
            self._sheet.write_number(self.rows, index, cell)
        elif cell is not None and cell != "":
            text = self._fitting(str(cell))
            self._sheet.write_string(self.rows, index, text)
            self._widths[index] = max(self._widths[index], *map(len, text[: MAX_WIDTH * 8].split("\n")))

    def _fitting(self, text: str) -> str:
        text = NO_XML.sub("\ufffd", text.replace("\r\n", "\n"))
        if len(text) * 2 <= MAX_TEXT or len(units := text.encode("utf-16-le")) <= 2 * MAX_TEXT:
            return text
        self.cut += 1
        return units[: 2 * (MAX_TEXT - len(CUT))].decode("utf-16-le", "ignore") + CUT

    def complete(self) -> None:
        """Add what depends on the number of rows and the widths of texts."""
        self._sheet.autofilter(0, 0, self.rows - 1, len(self._names) - 1)
        for index, width in enumerate(self._widths):
            self._sheet.set_column(index, index, min(max(width, MIN_WIDTH), MAX_WIDTH))
