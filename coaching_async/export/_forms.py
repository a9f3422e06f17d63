"""The forms of an exported file: which one a file name asks for, and what writes it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path, PurePath
from typing import IO, Any, Final, Literal, TypeAlias

import attrs

from coaching_async._refusals.arguments import checked_flag, checked_path, checked_zone
from coaching_async._refusals.suggestions import choices

from ._checkpoint import ExportRefused
from ._lines import ApiLines, CsvLines, JsonLines, LineRenderer, Lines, Renderer, RowLines
from ._output_stream import is_stream
from ._parquet import ParquetRenderer
from ._people import People
from ._table import DETAILS, Row, Table, chosen_columns, columns_of_people, every_user_of
from ._unfinished_file import Render
from ._xlsx import XlsxRenderer

__all__ = ["FORMS", "Form", "Layout", "Writer", "form_of", "layout_of"]

Form: TypeAlias = Literal["jsonl", "csv", "xlsx", "parquet"]
"""The form of an exported file."""

FORMS: Final[Mapping[Form, tuple[str, ...]]] = {
    "jsonl": ("", ".jsonl", ".ndjson", ".json"),
    "csv": (".csv",),
    "xlsx": (".xlsx",),
    "parquet": (".parquet",),
}
"""The forms, with the suffixes of their files."""

FORM_BY_SUFFIX: Final[Mapping[str, Form]] = {suffix: form for form, suffixes in FORMS.items() for suffix in suffixes}


def form_of(file: PurePath) -> Form:
    """Return the form that the suffix of a file name asks for: without a suffix "jsonl". Raises `ValueError` for an unknown one."""
    if (form := FORM_BY_SUFFIX.get(file.suffix.lower())) is None:
        raise ValueError(
            f"the suffix {file.suffix!a} names no form: use {', '.join(filter(None, FORM_BY_SUFFIX))}, or say which "
            f"form it shall be: {', '.join(FORMS)}"
        )
    return form


@attrs.frozen
class Writer:
    """What writes the file: its lines, and, if it can be written only as a whole, what renders it from them."""

    lines: Lines
    render: Render | None
    users_of: Callable[[Sequence[Row]], set[str]]
    """Returns the users whose names or addresses are written with rows."""


@attrs.frozen
class Layout:
    """The form of a file, and what is in it."""

    form: Form
    is_plain: bool
    """Whether CSV is not made for spreadsheets."""
    columns: tuple[str, ...]
    """The columns of a table; none for the API's JSON."""
    details: tuple[str, ...]
    names: bool
    emails: bool
    tz: tzinfo | None

    def digest(self) -> Sequence[Any]:
        """Return what the file depends on, for a comparison with other layouts."""
        zone = None if self.tz is None else str(self.tz)
        return [self.form, self.is_plain, self.columns, self.details, self.names, self.emails, zone]

    def writer(self, people: People, to_stream: bool) -> Writer:  # called in a thread
        """Return what writes the file, or the stream.

        Raises `ExportRefused` if a library is missing, or for a stream of a form that is written as a whole, and `ValueError`
        for a time zone without a name.
        """
        if not self.columns:
            return Writer(ApiLines(people), None, every_user_of)
        table = Table(self.columns, people, self.tz)
        if self.form in {"csv", "jsonl"}:
            lines = JsonLines(table) if self.form == "jsonl" else CsvLines(table, not self.is_plain)
            if to_stream or (isinstance(lines, CsvLines) and self.columns[0] == "id"):
                return Writer(lines, None, table.user_ids)
            return _rendered(table, LineRenderer(lines))
        if to_stream:
            raise ExportRefused(f"{self.form} is written as a whole, and not to a stream: give the name of a file")
        return _rendered(table, XlsxRenderer(table) if self.form == "xlsx" else ParquetRenderer(table))


def _rendered(table: Table, renderer: Renderer) -> Writer:
    lines = RowLines(table)

    def render(text: Iterable[bytes], file: IO[bytes], folder: Path) -> int:
        return renderer.render(lines.rows(text), file, folder)

    return Writer(lines, render, table.user_ids)


def layout_of(
    path: Any,
    form: Form | None,
    *,
    spreadsheet: bool | None,
    columns: Iterable[str] | None,
    names: bool,
    emails: bool,
    with_annotations: bool,
    with_statuses: bool,
    tz: tzinfo | None,
) -> Layout:
    """Return the layout that the arguments of an export ask for. Raises `ValueError` or `TypeError` for invalid ones."""
    name = None if is_stream(path) else checked_path("path, unless it is a binary stream,", path)
    checked_flag("names", names)
    checked_flag("emails", emails)
    wanted = {
        "annotations": checked_flag("with_annotations", with_annotations),
        "statuses": checked_flag("with_statuses", with_statuses),
    }
    details = tuple(name for name, is_wanted in wanted.items() if is_wanted)
    if form is None:
        form = "jsonl" if name is None else form_of(Path(name))
    if form not in tuple(FORMS):  # which may be of any type
        raise ValueError(f"form {form!r} does not exist: {choices(form, FORMS)}")
    if spreadsheet is not None:
        checked_flag("spreadsheet", spreadsheet)
    if spreadsheet is not None and form != "csv":
        raise ValueError(f"spreadsheet is about files of the form csv, not {form}")
    if tz is not None:
        checked_zone(tz)
    is_plain = spreadsheet is False
    if form == "jsonl" and columns is None:
        return Layout(form, is_plain, (), details, names, emails, None)
    shown = chosen_columns(columns, names=names, emails=emails, details=details)
    return Layout(
        form,
        is_plain,
        shown,
        tuple(name for name in DETAILS if name in shown),
        names or not columns_of_people("name").isdisjoint(shown),
        emails or not columns_of_people("email").isdisjoint(shown),
        tz,
    )
