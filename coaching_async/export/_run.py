"""One run of an export: from its start, or resumed from a checkpoint."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

import anyio.to_thread
import attrs

from coaching_async import Appointment, CoachingClient, Listing, NotFound, Walk

from ._checkpoint import ExportRefused
from ._left_out import LeftOut, LeftOutRows
from ._lines import Lines
from ._output_stream import OutputStream
from ._people import People
from ._table import Row
from ._unfinished_file import UnfinishedFile

__all__ = ["ExportProgress", "ExportRun", "Exported", "in_thread"]

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
    """Changes of the list after which an item may be missing: see `WalkReport`. Those of an earlier run, if it completed the file."""
    rows_left_out: int = 0
    """Rows that are not in the file, because they cannot be read; those of earlier runs included."""
    left_out: tuple[LeftOut, ...] = ()
    """The first 1,000 of them: where each is, and what is wrong with it."""
    cut_texts: int = 0
    """Texts that an Excel file has in part only, because Excel takes no longer ones. Other forms have none."""


@attrs.define(eq=False)
class ExportRun:
    """One run of an export, from its start or resumed."""

    client: CoachingClient
    file: UnfinishedFile | OutputStream
    lines: Lines
    details: Sequence[str]
    """What is requested of each appointment: its annotations, its statuses."""
    people: People
    users_of: Callable[[Sequence[Row]], set[str]]
    """Returns the users whose names or addresses are written with rows."""
    on_progress: Callable[[ExportProgress], object]
    resumed_from: int | None = None
    is_split: bool = False
    left_out: LeftOutRows = attrs.field(factory=LeftOutRows)

    async def start(self, arguments: str, cursor: str | None, *, resume: bool | Literal["auto"]) -> set[str]:
        """Start a new file, or resume that of an earlier run, and return the ids in it."""
        header = self._header()
        if not resume or isinstance(self.file, OutputStream):
            await in_thread(self.file.begin, arguments, cursor, header)
            return set()
        if resume == "auto":
            if not await in_thread(self.file.begin_or_resume, arguments, cursor, header):
                return set()
        else:
            await in_thread(self.file.resume, arguments, header)
        self.resumed_from, self.left_out = self.file.items, LeftOutRows(self.file.left_out)
        return set() if self.file.is_complete else await in_thread(self._written_ids, self.file)

    async def write(self, listing: Listing[Appointment], seen: set[str], user_ids: Collection[str]) -> Exported:
        """Write the appointments of users that are not in `seen`, and complete the file."""
        walk = listing.walk(seen=seen)
        self.is_split = listing.plan().chunks > 1
        self._report_progress(None)
        if not self.file.is_complete:
            await self.people.check(self.client, user_ids)
            await self._write_pages(walk)
        report = walk.report
        left_out = self.left_out.with_walk(report)
        await in_thread(self.file.complete, report.suspected_gaps, left_out)
        return Exported(
            self.file.items,
            report.pages,
            self.resumed_from,
            self.file.suspected_gaps,
            left_out.count,
            left_out.rows,
            self.file.cut_texts,
        )

    async def _write_pages(self, walk: Walk[Appointment]) -> None:
        """Append the new items of each page to the file, with a checkpoint, before the next page is requested.

        If a page ends with items that are not new, its new items are appended after the next page was read.
        """
        pages, new = 0, list[Appointment]()
        async for appointment in walk:
            new.append(appointment)
            has_next_page_begun = walk.report.pages != pages and len(new) > 1
            pages = walk.report.pages
            if has_next_page_begun or appointment is walk.page.entities[-1]:
                await self._append(new, walk)
                new = []
        if new:
            await self._append(new, walk)

    async def _append(self, appointments: Sequence[Appointment], walk: Walk[Appointment]) -> None:
        rows = await self._rows_of(appointments)
        await self.people.look_up(self.client, self.users_of(rows))
        self.left_out.forget_written({appointment.id for appointment in appointments})
        report, cursor = walk.report, walk.cursor
        left_out = self.left_out.with_walk(report)

        def append() -> None:
            # A text of the service may contain a lone surrogate, which UTF-8 cannot encode.
            text = self.lines.text(rows).encode(errors="replace")
            self.file.append(text, len(rows), cursor, report.suspected_gaps, left_out)

        await in_thread(append)
        self._report_progress(None if self.is_split else walk.page.total)

    async def _rows_of(self, appointments: Sequence[Appointment]) -> list[Row]:
        if not self.details:
            return [Row(appointment, {}) for appointment in appointments]
        rows: list[Row] = []
        async with self.client.bulk_stream(self._row_of, appointments) as outcomes:
            async for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.value is not None:  # None if the error of another appointment has stopped the bulk
                    rows.append(outcome.value)
        return rows

    async def _row_of(self, appointment: Appointment) -> Row:
        lists: Mapping[str, Callable[[str], Listing[Any]]] = {
            "annotations": self.client.annotations.list,
            "statuses": self.client.appointments.list_statuses,
        }
        return Row(appointment, {name: await self._collect(name, appointment.id, lists[name]) for name in self.details})

    async def _collect(
        self, name: str, appointment_id: str, list_of: Callable[[str], Listing[Any]]
    ) -> list[Any] | None:
        walk = aiter(list_of(appointment_id))
        try:
            items = [item async for item in walk]
        except NotFound:  # the appointment was deleted after it was listed
            return None
        self.left_out.add(name, appointment_id, walk.report)
        return items

    def _header(self) -> bytes:
        return self.lines.header().encode()

    def _written_ids(self, file: UnfinishedFile) -> set[str]:
        try:
            found = list(self.lines.ids(file.lines()))
        except (ValueError, LookupError, TypeError):
            found = []
        if not file.items == len(found) == len(set(found)):
            raise ExportRefused("the unfinished file was changed by another program: export again, without resume")
        return set(found)

    def _report_progress(self, total: int | None) -> None:
        self.on_progress(ExportProgress(self.file.items, self.file.items - (self.resumed_from or 0), total))


async def in_thread(work: Callable[..., T], *args: Any) -> T:
    """Run file operations in a thread, because a slow disk would block the event loop."""
    return await anyio.to_thread.run_sync(partial(work, *args))
