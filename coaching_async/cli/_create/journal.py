"""The journal of a plan: which appointments earlier runs have created from it.

It is beside the plan, so that a run can be repeated after it was stopped or killed. A run finds most appointments without it,
but not those that were renamed, rescheduled or deleted since.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from coaching_async import AppointmentCreate, to_dict
from coaching_async._files import lock_file

__all__ = ["Journal", "JournalRefused", "journal_of"]

VERSION: Final = 1

HEADER: Final = ("version", "org", "since")
"""Names of the first line."""

IDENTITY_VARIABLES: Final = ("GENESYSCLOUD_REGION", "GENESYSCLOUD_OAUTHCLIENT_ID")


def journal_of(plan: Path) -> Path:
    """Return the file of a plan's journal, which is beside it."""
    return plan.with_name(f"{plan.name}.journal")


class JournalRefused(ValueError):
    """The journal cannot be used. The text says why, and what to do."""


class Journal:
    """Entries of what was created. Each is written at once, so a process that is killed loses none that it was told of."""

    def __init__(self, plan: Path, since: datetime | None, environ: Mapping[str, str] = os.environ) -> None:
        self.path: Final = journal_of(plan)
        self._org: Final = _digest(*(environ.get(name, "").strip() for name in IDENTITY_VARIABLES))
        self._file: IO[bytes] | None = None
        self._ids: dict[str, list[str]] = {}
        self.since = since
        """The option --since of this run, or else of the run that began the journal."""
        self.has_entries = False
        self.is_rerun = False
        """Whether an earlier run has begun to create."""

    def read(self) -> int:
        """Read the entries of earlier runs, and return the length of them in bytes. Raises `JournalRefused` and `OSError`."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        data = data[: data.rfind(b"\n") + 1]  # the last line of a killed process may be incomplete
        lines = data.splitlines()
        if not lines:
            return 0
        try:
            org, since, entries = _parse(lines)
        except (ValueError, TypeError, LookupError):
            raise JournalRefused(f"{self.path} is no journal of this version: move it away to begin anew") from None
        if org != self._org:
            raise JournalRefused(
                f"{self.path} is that of another org or OAuth client: move it away to begin anew. What exists in this org is "
                "found then, too"
            )
        self.since = self.since or since
        self.is_rerun, self.has_entries = True, bool(entries)
        for body, id_ in entries:
            self._ids.setdefault(body, []).append(id_)
        return len(data)

    def claim(self, bodies: Sequence[AppointmentCreate]) -> dict[int, str]:
        """Return the ids of appointments that were created from bodies, by index. Each id belongs to one of equal bodies."""
        left = {body: list(ids) for body, ids in self._ids.items()}
        claimed: dict[int, str] = {}
        for index, body in enumerate(bodies):
            if ids := left.get(_digest_of(body)):
                claimed[index] = ids.pop(0)
        return claimed

    def __enter__(self) -> Self:
        """Open the journal, read it, and let entries be added. Raises `JournalRefused` if another run has it open, and `OSError`."""
        self._file = self.path.open("a+b", buffering=0)
        try:
            self._lock(self._file)
            size = self.read()
            self._file.truncate(size)
            if not size:
                self._append(
                    dict(zip(HEADER, (VERSION, self._org, self.since and self.since.isoformat()), strict=True))
                )
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        with self._file:
            if error is None and not self.has_entries:
                self.path.unlink(missing_ok=True)

    def add(self, body: AppointmentCreate, appointment_id: str) -> None:
        """Add what was created. Raises `OSError`."""
        self._append({"body": _digest_of(body), "id": appointment_id})
        self.has_entries = True

    def _append(self, entry: Mapping[str, Any]) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        left = memoryview(json.dumps(entry).encode() + b"\n")
        while left:
            left = left[self._file.write(left) :]

    def _lock(self, file: IO[bytes]) -> None:
        try:
            lock_file(file, self.path)
        except BlockingIOError:
            raise JournalRefused(f"another run is at work on {self.path}: wait for its end") from None
        except FileNotFoundError:
            raise JournalRefused(f"another run has just ended its work on {self.path}: try again") from None


def _parse(lines: Sequence[bytes]) -> tuple[str, datetime | None, Sequence[tuple[str, str]]]:
    """Return org, `since` and entries. Raises `ValueError`, `TypeError` or `LookupError` if the lines are no journal."""
    version, org, since = (json.loads(lines[0])[name] for name in HEADER)
    if version != VERSION:
        raise ValueError("of another version")
    entries = [(str(entry["body"]), str(entry["id"])) for entry in map(json.loads, lines[1:])]
    return org, None if since is None else datetime.fromisoformat(since), entries


def _digest_of(body: AppointmentCreate) -> str:
    """Return a digest that equal bodies have in common, whatever the order of their attendees."""
    sent = to_dict(body)
    return _digest(json.dumps({**sent, "attendeeIds": sorted(sent["attendeeIds"])}, sort_keys=True))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
