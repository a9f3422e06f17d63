"""Export of the appointments of users to a file: one run, from its start or resumed from a checkpoint."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from inspect import iscoroutinefunction
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Unpack, cast
from uuid import UUID

import anyio.to_thread
import attrs

from coaching_async import Appointment, AppointmentFilters, CoachingClient, Listing, NotFound, Walk, to_dict

from ._formats import FORMS, SPREADSHEET, Extras, Format, form_of
from ._left_out import LeftOut, LeftOutRows
from ._output_stream import OutputStream, Writable, is_stream
from ._unfinished_file import ExportRefused, UnfinishedFile

__all__ = ["ExportProgress", "Exported", "export"]

T = TypeVar("T")


@attrs.frozen
class ExportProgress:
    """Progress of an export, counted in items that are on the disk."""

    items: int
    """Items in the file, those of earlier runs included."""
    new: int
    """Items that this run has added."""
    total: int | None
    """The total that the service reports; None if it reports none, or if the list of users is split over several requests."""


@attrs.frozen
class Exported:
    """Result of an export."""

    items: int
    """Items in the file."""
    pages: int
    """Pages that this run has read."""
    resumed_from: int | None
    """Items that earlier runs had written; None if the export was not resumed."""
    suspected_gaps: int
    """Changes of the list after which an item may be missing: see `WalkReport`."""
    rows_left_out: int = 0
    """Rows that are not in the file, because they cannot be read; those of earlier runs included."""
    left_out: tuple[LeftOut, ...] = ()
    """The first 1,000 of them: where each is, and what is wrong with it."""


async def export(
    client: CoachingClient,
    user_ids: Iterable[str | UUID] | str | UUID,
    path: str | PathLike[str] | Writable,
    *,
    form: str | None = None,
    spreadsheet: bool = False,
    with_annotations: bool = False,
    with_statuses: bool = False,
    resume: bool | Literal["auto"] = False,
    consistency: Literal["default", "verify"] = "default",
    page_size: int = 100,
    on_progress: Callable[[ExportProgress], object] | None = None,
    **filters: Unpack[AppointmentFilters],
) -> Exported:
    """Write every appointment of users to a file, as "jsonl" (one JSON object a line) or "csv".

    Without `form` the suffix of `path` names it: .csv, or .jsonl, .ndjson, .json or none for JSON lines.
    `spreadsheet=True` writes CSV that a spreadsheet can open: with a byte order mark, and with an apostrophe before a text
    that would run as a formula.

    The export writes to `<name>.part` beside `path`, with a checkpoint in `<name>.part.checkpoint`, and renames the file to
    `path` when it is complete. Each page is on the disk before the next one is requested. After an error, a cancellation
    or a power cut, `resume=True` continues after the last page that was written. Each appointment is in the file once, even
    if the list has changed in the meantime. Items that were written are not read again. An export that is stopped before
    its first appointment leaves no file.

    `resume="auto"` is for a program that is started again until it succeeds: the call begins the export, continues it, or
    returns at once if it is complete. To know that, it keeps the checkpoint beside the complete file. It never replaces a
    file that another program or a call with other arguments has written.

    `path` may be a binary stream, which takes each page as soon as it was read, and cannot be resumed.

    A row that cannot be read is not in the file, but in `Exported.left_out`. The export of a client that is `strict` ends with
    a `DecodeError` instead.

    `with_annotations` and `with_statuses` add the annotations and the history of the status. Each takes one request for
    every appointment; null is written if the appointment has been deleted by then. `page_size`, `consistency` and the
    filters are those of `appointments.list`. A resumed export with "verify", or one that has suspected a gap, reads the
    list from its beginning and writes what is missing. `on_progress` is a plain function, called at the start and after
    every page.

    A lock on the file refuses a second export to the same file (`ExportRefused`), except on Windows and on file systems
    without locks.

    HTTP: GET /api/v2/coaching/appointments, and for the rest GET /api/v2/coaching/appointments/{appointmentId}/annotations
    and /statuses
    Permission: coaching:appointment:view, and for the rest coaching:annotation:view and coaching:appointmentStatus:view
    Raises: what iterating over the list raises; `OSError` if the file cannot be written; `ValueError` or `TypeError` for
    invalid arguments, before a request is sent; `ExportRefused` (a `ValueError`) if the export cannot be started or resumed.
    """
    file = OutputStream(path) if is_stream(path) else UnfinishedFile(Path(cast("str", path)))
    if form is None:
        form = "jsonl" if isinstance(file, OutputStream) else form_of(Path(cast("str", path)))
    if form not in FORMS:
        raise ValueError(f"form is one of {', '.join(FORMS)}, not {form!r}")
    if spreadsheet and form != "csv":
        raise ValueError(f"a file for spreadsheets has the form csv, not {form}")
    form, format_ = ("spreadsheet", SPREADSHEET) if spreadsheet else (form, FORMS[form])
    if resume not in (True, False, "auto"):
        raise ValueError('resume is True, False or "auto"')
    if resume and isinstance(file, OutputStream):
        raise ExportRefused("an export to a stream cannot be resumed: give the name of a file")
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise TypeError("on_progress is a plain function: it is called after every page, and not awaited")
    reusable: Any = {name: _in_any_order(value) if name in SETS else value for name, value in filters.items()}
    listing = partial(client.appointments.list, _in_any_order(user_ids), page_size=page_size, **reusable)
    first_cursor = aiter(listing(consistency=consistency)).cursor  # contains a digest of users and filters
    extras = [name for name, is_wanted in (("annotations", with_annotations), ("statuses", with_statuses)) if is_wanted]
    run = ExportRun(client, file, format_, extras, on_progress or _ignore_progress)
    arguments = hashlib.sha256(json.dumps([first_cursor, form, extras, consistency]).encode()).hexdigest()
    try:
        seen = await run.start(arguments, first_cursor, resume=resume)
        cursor = None if consistency == "verify" or run.resumed_from is None else file.cursor
        if cursor is None and not file.is_complete:
            run.left_out.forget_appointments()
        return await run.write(listing(cursor=cursor, consistency=consistency), seen)
    finally:
        file.close()


def _ignore_progress(_: ExportProgress) -> None:
    pass


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


@attrs.define(eq=False)
class ExportRun:
    """One run of an export, from its start or resumed."""

    client: CoachingClient
    file: UnfinishedFile | OutputStream
    format: Format
    extras: Sequence[str]
    on_progress: Callable[[ExportProgress], object]
    resumed_from: int | None = None
    is_split: bool = False
    left_out: LeftOutRows = attrs.field(factory=LeftOutRows)

    async def start(self, arguments: str, cursor: str | None, *, resume: bool | Literal["auto"]) -> set[str]:
        """Start a new file, or resume that of an earlier run, and return the ids in it."""
        header = self._header()
        if not resume or isinstance(self.file, OutputStream):
            await _in_thread(self.file.begin, arguments, cursor, header)
            return set()
        if resume == "auto":
            if not await _in_thread(self.file.begin_or_resume, arguments, cursor, header):
                return set()
        else:
            await _in_thread(self.file.resume, arguments, header)
        self.resumed_from, self.left_out = self.file.items, LeftOutRows(self.file.left_out)
        return set() if self.file.is_complete else await _in_thread(self._written_ids, self.file)

    async def write(self, listing: Listing[Appointment], seen: set[str]) -> Exported:
        """Write the appointments that are not in `seen`, and complete the file."""
        walk = listing.walk(seen=seen)
        self.is_split = listing.plan().chunks > 1
        self._report_progress(None)
        if not self.file.is_complete:
            await self._write_pages(walk)
        report = walk.report
        left_out = self.left_out.with_walk(report)
        await _in_thread(self.file.complete, left_out)
        return Exported(
            self.file.items, report.pages, self.resumed_from, report.suspected_gaps, left_out.count, left_out.rows
        )

    async def _write_pages(self, walk: Walk[Appointment]) -> None:
        """Append the new items of each page to the file, with a checkpoint, before the next page is requested.

        If a page ends with items that are not new, its new items are appended after the next page was read. The cursor of
        the checkpoint points into the page, because a resumed walk reads that page again and compares its items, to find
        whether the list has changed.
        """
        pages, cursor, new = 0, walk.cursor, list[Appointment]()
        async for appointment in walk:
            new.append(appointment)
            is_due = appointment is walk.page.entities[-1]
            if walk.report.pages != pages:
                is_due |= len(new) > 1
                pages, cursor = walk.report.pages, walk.cursor
            if is_due:
                await self._append(new, cursor, walk)
                new = []
        if new:
            await self._append(new, cursor, walk)

    async def _append(self, appointments: Sequence[Appointment], cursor: str | None, walk: Walk[Appointment]) -> None:
        extras = await self._extras_of_all(appointments)
        self.left_out.forget_written({appointment.id for appointment in appointments})
        report = walk.report
        left_out = self.left_out.with_walk(report)

        def append() -> None:
            text = "".join(map(self.format.line, appointments, extras))
            # A text of the service may contain a lone surrogate, which UTF-8 cannot encode.
            self.file.append(text.encode(errors="replace"), len(appointments), cursor, report.suspected_gaps, left_out)

        await _in_thread(append)
        self._report_progress(None if self.is_split else walk.page.total)

    async def _extras_of_all(self, appointments: Sequence[Appointment]) -> list[Extras]:
        found: list[Extras] = []
        if not self.extras:
            return [{}] * len(appointments)
        async with self.client.bulk_stream(self._extras, [appointment.id for appointment in appointments]) as outcomes:
            async for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.value is not None:  # None if the error of another appointment has stopped the bulk
                    found.append(outcome.value)
        return found

    async def _extras(self, appointment_id: str) -> Extras:
        lists: Mapping[str, Callable[[str], Listing[Any]]] = {
            "annotations": self.client.annotations.list,
            "statuses": self.client.appointments.list_statuses,
        }
        return {name: await self._collect(name, appointment_id, lists[name](appointment_id)) for name in self.extras}

    async def _collect(self, name: str, appointment_id: str, listing: Listing[Any]) -> list[Any] | None:
        walk = aiter(listing)
        try:
            items = [to_dict(item) async for item in walk]
        except NotFound:  # the appointment was deleted after it was listed
            return None
        self.left_out.add(name, appointment_id, walk.report)
        return items

    def _header(self) -> bytes:
        return self.format.header(self.extras).encode()

    def _written_ids(self, file: UnfinishedFile) -> set[str]:
        try:
            found = list(self.format.ids(file.lines()))
        except (ValueError, LookupError, TypeError):
            found = []
        if not file.items == len(found) == len(set(found)):
            raise ExportRefused("the unfinished file was changed by another program: export again, without resume")
        return set(found)

    def _report_progress(self, total: int | None) -> None:
        self.on_progress(ExportProgress(self.file.items, self.file.items - (self.resumed_from or 0), total))


async def _in_thread(work: Callable[..., T], *args: Any) -> T:
    """Run file operations in a thread, because a slow disk would block the event loop."""
    return await anyio.to_thread.run_sync(partial(work, *args))
