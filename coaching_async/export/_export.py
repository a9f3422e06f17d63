"""Exports: the appointments of users in a file, whole, or to be gone on with after whatever has stopped it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from inspect import iscoroutinefunction
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, Unpack

import anyio.to_thread
import attrs

from coaching_async import Appointment, AppointmentFilters, CoachingClient, Listing, NotFound, Walk, to_dict

from ._formats import FORMS, Extras, Form
from ._unfinished_file import ExportRefused, UnfinishedFile

__all__ = ["ExportProgress", "Exported", "export"]

T = TypeVar("T")


@attrs.frozen
class ExportProgress:
    """How far an export is: so much is safely on the disk."""

    items: int
    """Those from before it was resumed included."""
    new: int
    """Of them, those that are not from before."""
    total: int | None
    """As many as the service counts; None where it does not tell, or the list of users is so long that it is split."""


@attrs.frozen
class Exported:
    """What an export came to."""

    items: int
    """In the file."""
    pages: int
    """Read by this run."""
    resumed_from: int | None
    """Items that were there from before; None where it was begun afresh."""
    suspected_gaps: int
    """Changes of the list that were seen, and after which something may be missing: see `WalkReport`."""


async def export(
    client: CoachingClient,
    user_ids: str | Iterable[str],
    path: str | PathLike[str],
    *,
    form: str = "jsonl",
    with_annotations: bool = False,
    with_statuses: bool = False,
    resume: bool = False,
    consistency: Literal["default", "verify"] = "default",
    page_size: int = 100,
    on_progress: Callable[[ExportProgress], object] | None = None,
    **filters: Unpack[AppointmentFilters],
) -> Exported:
    """Write every appointment of users to a file, as "jsonl" (a JSON object a line) or "csv".

    The file gets its name, `path`, when it is complete. Until then it stands beside it as `<name>.part`, with a
    `<name>.part.checkpoint`, and every page is on the disk before the next is asked for. So whatever stops an export, an
    error, a cancelling or a power cut, `resume=True` goes on after the last page that was kept, and each appointment is in
    the file once, also where the list has changed in the meantime. What was kept is not read again, and stays as it was. An
    export that stops before it has an appointment leaves nothing.

    `with_annotations` and `with_statuses` add the annotations and the history of the status, which takes a request each for
    every appointment; null is written where an appointment is gone by the time that they are asked for. `page_size`,
    `consistency` and the filters are those of `appointments.list`; "verify", when it is resumed, reads the list from its
    beginning, and writes what is missing; so does "default" where it had suspected a gap. `on_progress` is a plain
    function, called at the start and after every page.

    Two exports to one file at the same time are told so by a lock of the file (`ExportRefused`), but not on Windows, nor on
    file systems without locks.

    HTTP: GET /api/v2/coaching/appointments, and for the rest GET /api/v2/coaching/appointments/{appointmentId}/annotations
    and /statuses
    Permission: coaching:appointment:view, and for the rest coaching:annotation:view and coaching:appointmentStatus:view
    Raises: what walking the list raises; `OSError` where the file cannot be written; `ValueError` or `TypeError` before
    anything is sent for bad arguments, `ExportRefused` (a `ValueError`) where the export cannot be resumed or begun.
    """
    if form not in FORMS:
        raise ValueError(f"form is one of {', '.join(FORMS)}, not {form!r}")
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise TypeError("on_progress is a plain function: it is called after every page, and not awaited")
    again: Any = {name: _lasting(value) for name, value in filters.items()}  # a list is made of them twice
    listing = partial(client.appointments.list, _lasting(user_ids), page_size=page_size, **again)
    beginning = aiter(listing(consistency=consistency)).cursor  # it has a digest of users and filters
    extras = [name for name, is_wanted in (("annotations", with_annotations), ("statuses", with_statuses)) if is_wanted]
    writing = Writing(client, UnfinishedFile(Path(path)), FORMS[form], extras, on_progress or _nobody)
    arguments = hashlib.blake2s(json.dumps([beginning, form, extras, consistency]).encode()).hexdigest()
    try:
        if not resume:
            await writing.begin(arguments, beginning)
            return await writing.run(listing(consistency=consistency), seen=())
        seen = await writing.resume(arguments)
        cursor = None if consistency == "verify" else writing.file.cursor
        return await writing.run(listing(cursor=cursor, consistency=consistency), seen)
    finally:
        writing.file.close()


def _nobody(_: ExportProgress) -> None:
    """Who is told the progress where nobody asks for it."""


def _lasting(value: Any) -> Any:
    """The same for a second time, where it might be spent by the first."""
    if isinstance(value, str | AbstractSet) or not isinstance(value, Iterable):
        return value  # pyright: ignore[reportUnknownVariableType]
    return tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


@attrs.define(eq=False)
class Writing:
    """One run of an export."""

    client: CoachingClient
    file: UnfinishedFile
    form: Form
    extras: Sequence[str]
    on_progress: Callable[[ExportProgress], object]
    resumed_from: int | None = None
    is_split: bool = False

    async def begin(self, arguments: str, beginning: str | None) -> None:
        """Afresh."""
        await _in_thread(self.file.begin, arguments, beginning, self._head())

    async def resume(self, arguments: str) -> set[str]:
        """Go on: what an earlier run has kept."""
        await _in_thread(self.file.resume, arguments, self._head())
        self.resumed_from = self.file.items
        return set[str]() if self.file.is_complete else await _in_thread(self._kept)

    async def run(self, listing: Listing[Appointment], seen: set[str] | tuple[()]) -> Exported:
        """Write all that is missing."""
        walk = listing.walk(seen=seen)
        self.is_split = listing.plan().chunks > 1
        self._tell(None)
        if not self.file.is_complete:
            await self._write(walk)
        await _in_thread(self.file.complete)
        report = walk.report
        return Exported(self.file.items, report.pages, self.resumed_from, report.suspected_gaps)

    async def _write(self, walk: Walk[Appointment]) -> None:
        """Page by page: what a page shows that is new is kept as soon as its last one was handed out.

        A page may end with ones that are not new; then that is noticed when the next one was read. The cursor is one from
        within the page, so that who resumes reads the page again, and sees by its rows whether and how far the list has
        moved.
        """
        pages, cursor, new = 0, walk.cursor, list[Appointment]()
        async for appointment in walk:
            new.append(appointment)
            is_due = appointment is walk.page.entities[-1]
            if walk.report.pages != pages:
                is_due |= len(new) > 1
                pages, cursor = walk.report.pages, walk.cursor
            if is_due:
                await self._keep(new, cursor, walk)
                new = []
        if new:
            await self._keep(new, cursor, walk)

    async def _keep(self, appointments: Sequence[Appointment], cursor: str | None, walk: Walk[Appointment]) -> None:
        gaps = walk.report.suspected_gaps
        extras = await self._extras_of(appointments)

        def keep() -> None:
            lines = map(self.form.line, appointments, extras)
            written = "".join(lines).encode(errors="replace")  # half a surrogate pair is no text that a file can have
            self.file.keep(written, len(appointments), cursor, gaps)

        await _in_thread(keep)
        self._tell(None if self.is_split else walk.page.total)

    async def _extras_of(self, appointments: Sequence[Appointment]) -> list[Extras]:
        found: list[Extras] = []
        if not self.extras:
            return [{}] * len(appointments)
        async with self.client.bulk_stream(self._extras, [each.id for each in appointments]) as outcomes:
            async for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.value is not None:  # None where another one's error has stopped them all
                    found.append(outcome.value)
        return found

    async def _extras(self, appointment_id: str) -> Extras:
        lists: Mapping[str, Callable[[str], Listing[Any]]] = {
            "annotations": self.client.annotations.list,
            "statuses": self.client.appointments.list_statuses,
        }
        return {name: await _all_of(lists[name](appointment_id)) for name in self.extras}

    def _head(self) -> bytes:
        return self.form.head(self.extras).encode()

    def _kept(self) -> set[str]:
        try:
            found = list(self.form.ids(self.file.lines()))
        except (ValueError, LookupError, TypeError):
            found = []
        if not self.file.items == len(found) == len(set(found)):
            raise ExportRefused("the unfinished file was changed by somebody: export again, without resume")
        return set(found)

    def _tell(self, total: int | None) -> None:
        self.on_progress(ExportProgress(self.file.items, self.file.items - (self.resumed_from or 0), total))


async def _all_of(listing: Listing[Any]) -> list[Any] | None:
    try:
        return [to_dict(each) async for each in listing]
    except NotFound:  # deleted since it was listed
        return None


async def _in_thread(work: Callable[..., T], *args: Any) -> T:
    """Away from the event loop, which a slow disk would hold up."""
    return await anyio.to_thread.run_sync(partial(work, *args))
