"""Export of the appointments of users to a file: its arguments, and what they mean together."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import tzinfo
from functools import partial
from inspect import iscoroutinefunction
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from coaching_async import Appointment, AppointmentFilters, CoachingClient, Listing
from coaching_async._refusals.arguments import checked_instance
from coaching_async.types import (
    AppointmentStatusLike,
    Consistency,
    IdsLike,
    IntervalConditionLike,
    IntervalLike,
    OneOrMany,
    RelationshipLike,
    SortOrderLike,
)

from ._checkpoint import ExportRefused
from ._forms import Form, Layout, Writer, layout_of
from ._output_stream import OutputStream, Writable, is_stream
from ._people import People
from ._run import Exported, ExportProgress, ExportRun, in_thread
from ._unfinished_file import UnfinishedFile

__all__ = ["check_form", "export"]


async def export(
    client: CoachingClient,
    user_ids: IdsLike,
    path: str | PathLike[str] | Writable,
    *,
    interval: IntervalLike | None = None,
    statuses: OneOrMany[AppointmentStatusLike] | None = None,
    facilitator_ids: IdsLike | None = None,
    sort_order: SortOrderLike | None = None,
    relationships: OneOrMany[RelationshipLike] | None = None,
    completion_interval: IntervalLike | None = None,
    overdue: bool | None = None,
    interval_condition: IntervalConditionLike | None = None,
    form: Form | None = None,
    spreadsheet: bool | None = None,
    columns: Iterable[str] | None = None,
    names: bool = False,
    emails: bool = False,
    tz: tzinfo | None = None,
    with_annotations: bool = False,
    with_statuses: bool = False,
    resume: bool | Literal["auto"] = False,
    consistency: Consistency = "default",
    page_size: int = 100,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> Exported:
    """Write every appointment of users to a file: JSON lines ("jsonl"), "csv", Excel ("xlsx") or "parquet".

        exported = await export(client, user_ids, "november.csv")
        print(exported.items, "appointments")

    Without `form` the suffix of `path` names it: .csv, .xlsx, .parquet, or .jsonl, .ndjson, .json or none for JSON lines.
    Excel and Parquet need the extras `xlsx` and `parquet`. JSON lines have the API's own names and nesting, and every field
    in every line. The other forms are tables; CSV is made for spreadsheets, in which no text may run as a formula, unless
    `spreadsheet` is False.

    `names` and `emails` add the names and addresses of facilitator, attendees, creator and modifier: a request for each hundred
    new users of a page. Where a user is gone, the id stands. `columns` names the columns of a table, in place of those that
    the other options would give it, and requests what they need. `tz` is that of times in a table (default: UTC).

    The export writes to `<name>.part` beside `path`, with a checkpoint in `<name>.part.checkpoint`, and gives the file its
    name when it is complete; Excel and Parquet are rendered then. Each page is on the disk before the next one is requested.
    After an error, a cancellation or a power cut, `resume=True` continues after the last page that was written. Each
    appointment is in the file once, even if the list has changed in the meantime. Items that were written are not read again.
    An export that is stopped before its first appointment leaves no file.

    `resume="auto"` is for a program that is started again until it succeeds: the call begins the export, continues it, or
    returns at once if it is complete. To know that, it keeps the checkpoint beside the complete file. It never replaces a
    file that another program or a call with other arguments has written.

    `path` may be a binary stream, which takes each page of JSON lines or CSV as soon as it was read, and cannot be resumed.

    A row that cannot be read is not in the file, but in `Exported.left_out`. The export of a client that is `strict` ends with
    a `DecodeError` instead.

    `with_annotations` and `with_statuses` add the annotations and the history of the status; a column of that name does the
    same. Each takes one request for every appointment; null is written if the appointment has been deleted by then.
    `page_size`, `consistency` and the filters are those of `appointments.list`. A resumed export with "verify", or one that has
    suspected a gap, reads the list from its beginning and writes what is missing. `on_progress` is a plain function, called at
    the start and after every page.

    A lock on the file refuses a second export to the same file (`ExportBusy`, an `ExportRefused`), except on Windows and on
    file systems without locks.

    HTTP: GET /api/v2/coaching/appointments, and for the rest GET /api/v2/coaching/appointments/{appointmentId}/annotations
    and /statuses, GET /api/v2/users
    Permission: coaching:appointment:view, and for the rest coaching:annotation:view and coaching:appointmentStatus:view; names
    and addresses need none
    Raises: what iterating over the list raises; `OSError` if the file cannot be written; `ValueError` or `TypeError` for
    invalid arguments, before a request is sent; `ExportRefused` (a `ValueError`) if the export cannot be started or resumed,
    or if a library is missing.
    """
    checked_instance("client", client, CoachingClient)
    layout = layout_of(
        path,
        form,
        spreadsheet=spreadsheet,
        columns=columns,
        names=names,
        emails=emails,
        with_annotations=with_annotations,
        with_statuses=with_statuses,
        tz=tz,
    )
    if not isinstance(resume, bool) and resume != "auto":
        raise ValueError('resume is True, False or "auto"')
    if resume and is_stream(path):
        raise ExportRefused("an export to a stream cannot be resumed: give the name of a file")
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise TypeError("on_progress is a plain function: it is called after every page, and not awaited")
    people = People({} if layout.names else None, {} if layout.emails else None)
    file, writer = await _opened(path, layout, people)
    filters = AppointmentFilters(
        interval=interval,
        statuses=statuses,
        facilitator_ids=facilitator_ids,
        sort_order=sort_order,
        relationships=relationships,
        completion_interval=completion_interval,
        overdue=overdue,
        interval_condition=interval_condition,
    )
    reusable: Any = {name: _in_any_order(value) if name in SETS else value for name, value in filters.items()}
    users = _in_any_order(user_ids)
    listing = partial(client.appointments.list, users, page_size=page_size, **reusable)
    first_cursor = aiter(listing(consistency=consistency)).cursor  # contains a digest of users and filters
    run = ExportRun(
        client, file, writer.lines, layout.details, people, writer.users_of, on_progress or _ignore_progress
    )
    arguments = hashlib.sha256(json.dumps([first_cursor, layout.digest(), consistency]).encode()).hexdigest()
    try:
        seen = await run.start(arguments, first_cursor, resume=resume)
        cursor = None if consistency == "verify" or run.resumed_from is None else file.cursor
        if cursor is None and not file.is_complete:
            run.left_out.forget_appointments()
        known = [users] if isinstance(users, str | UUID) else users
        return await run.write(_resumed(listing, cursor, consistency), seen, list(map(str, known)))
    finally:
        file.close()


def check_form(
    path: str | PathLike[str] | Writable,
    *,
    form: Form | None = None,
    spreadsheet: bool | None = None,
    columns: Iterable[str] | None = None,
    names: bool = False,
    emails: bool = False,
    with_annotations: bool = False,
    with_statuses: bool = False,
    tz: tzinfo | None = None,
) -> None:
    """Raise what `export` would raise for these arguments, for a program that has requests to send before it.

    Raises: `ValueError` or `TypeError` for invalid arguments, `ExportRefused` (a `ValueError`) if a library is missing.
    """
    layout = layout_of(
        path,
        form,
        spreadsheet=spreadsheet,
        columns=columns,
        names=names,
        emails=emails,
        with_annotations=with_annotations,
        with_statuses=with_statuses,
        tz=tz,
    )
    layout.writer(People(), is_stream(path))


def _resumed(
    listing: Callable[..., Listing[Appointment]], cursor: str | None, consistency: str
) -> Listing[Appointment]:
    try:
        return listing(cursor=cursor, consistency=consistency)
    except ValueError:  # the other arguments were taken before
        raise ExportRefused("the checkpoint is none of this version's: export again, without resume") from None


def _ignore_progress(_: ExportProgress) -> None:
    pass


async def _opened(path: Any, layout: Layout, people: People) -> tuple[UnfinishedFile | OutputStream, Writer]:
    """Return the file and what writes it. Makes it in a thread, because importing a library takes time."""
    if is_stream(path):
        return OutputStream(path), await in_thread(layout.writer, people, True)
    writer = await in_thread(layout.writer, people, False)
    return UnfinishedFile(await in_thread(_file_of, path), writer.render), writer


def _file_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of the file that is written: of a link, the file that it names, because a complete file replaces its path."""
    return Path(path).resolve() if Path(path).is_symlink() else Path(path)


SETS: Final = frozenset({"statuses", "facilitator_ids", "relationships"})
"""Filters whose order does not matter."""


def _in_any_order(value: Any) -> Any:
    """Return a set in place of several values, so that an export is resumed with the same ones in another order.

    It also takes the place of an iterator, because two lists are made of each argument.
    """
    if isinstance(value, str | UUID | AbstractSet) or not isinstance(value, Iterable):
        return value  # pyright: ignore[reportUnknownVariableType]
    values = tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    try:
        return frozenset(values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    except TypeError:
        return values  # pyright: ignore[reportUnknownVariableType] # the list refuses what cannot be hashed
