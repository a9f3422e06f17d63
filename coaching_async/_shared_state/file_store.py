"""`FileSharedState`: a shared state in a file, for the processes of one machine."""

import errno
import os
import random
import stat
import threading
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from coaching_async._concurrency.tasks import ThreadSlots, run_in_thread
from coaching_async._refusals.arguments import checked_path
from coaching_async._value import Value

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["FileSharedState"]

T = TypeVar("T")

LOCK_TIMEOUT: Final = 0.4
"""Seconds to wait while another process holds the lock: less than a client waits for an operation."""

DISK: Final = ThreadSlots("coaching_async.threads.disk")

APPLICATION_ID: Final = 0xC0AC_41
"""What marks a database as one of this class."""

LARGEST: Final = 10_000_000
"""Bytes that a file of this class never has."""

CREATE: Final = f"""
    BEGIN EXCLUSIVE;
    PRAGMA application_id = {APPLICATION_ID};
    CREATE TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, text TEXT NOT NULL, written_at REAL NOT NULL, keep_until REAL NOT NULL);
    COMMIT
"""


def _absolute_path(path: str | PathLike[str]) -> str:
    """Return the path of a file, so that it stays the same when the working directory changes."""
    name = checked_path("the path of a FileSharedState", path)
    if not name or "\0" in name:
        raise ValueError("the path of a FileSharedState is empty or contains a NUL character; give the path of a file")
    if name == ":memory:":  # SQLite's name of a database of one process
        raise ValueError(
            "a FileSharedState is a file: give its path, not :memory:; tests use coaching_async.testing.MemorySharedState"
        )
    is_folder = name.endswith((os.sep, os.altsep or os.sep))
    name = os.path.abspath(name)  # noqa: PTH100 # keeps what `..` means to a user; a Path resolves no dots
    folder = os.path.dirname(name)  # noqa: PTH120
    if not os.path.isdir(folder):  # noqa: PTH112
        raise ValueError(f"a FileSharedState is made in a folder that exists, and {folder} is none; create it first")
    if is_folder or os.path.isdir(name):  # noqa: PTH112
        raise ValueError(f"the path of a FileSharedState is that of a file, and {name} is a folder; add a file name")
    if os.path.exists(name) and not os.path.isfile(name):  # noqa: PTH110, PTH113
        raise ValueError(f"the path of a FileSharedState is that of a file, and {name} is none; choose another path")
    return name


@attrs.frozen(eq=False, repr=False)
class FileSharedState(Value):
    """A `SharedState` in a file, for the processes of one machine. The file is an SQLite database.

    It is created when it is needed, readable and writable by its user alone. The folder must exist, on a local disk:
    file systems of a network have no locks to rely on. A folder in memory, such as /run or /dev/shm, is best, because what
    the file holds is worth nothing after a restart of the machine. Processes in containers share it by a volume. They
    have to see one `time.monotonic()`, which those of one kernel do.

    No file is open between operations, so that the file may be removed at any time, which is to forget all texts. One that
    was damaged, when the machine lost its power, is removed. Operations run in threads, because a disk may stall.

    Raises: `TypeError` or `ValueError` if the path is none of a file in a folder that exists.
    """

    path: str = attrs.field(converter=_absolute_path)
    """Absolute path of the file."""

    async def load(self, name: str) -> tuple[str | None, float]:
        """Return the text of this name, None if there is none, and the time in seconds since the machine was started.

        Raises: `OSError` if the file cannot be opened, is locked for 0.4 seconds, or may be read by all users, and
        `sqlite3.Error` if it cannot be read.
        """

        def load(database: "Connection") -> tuple[str | None, float]:
            row: tuple[str, float, float] | None = database.execute(
                "SELECT text, written_at, keep_until FROM texts WHERE name = ?", (name,)
            ).fetchone()
            now = time.monotonic()
            if row is None or not row[1] <= now < row[2]:
                return None, now
            return row[0], now

        return await self._operate(load)

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        """Replace the text `old` by `new` in one step, and return True. Change nothing and return False if it is not `old`.

        A swap whose caller is cancelled may have been carried out, or be carried out yet. Raises: what `load` raises.
        """

        def swap(database: "Connection") -> bool:
            database.execute("PRAGMA journal_mode = TRUNCATE")
            database.execute("BEGIN EXCLUSIVE")
            now = time.monotonic()
            # The clock begins anew with the machine. What was written in the future was written before that.
            database.execute("DELETE FROM texts WHERE written_at > ? OR keep_until <= ?", (now, now))
            if old is None:
                change = database.execute(
                    "INSERT OR IGNORE INTO texts VALUES (?, ?, ?, ?)", (name, new, now, now + keep)
                )
            else:
                change = database.execute(
                    "UPDATE texts SET text = ?, written_at = ?, keep_until = ? WHERE name = ? AND text = ?",
                    (new, now, now + keep, name, old),
                )
            database.execute("COMMIT")
            return change.rowcount == 1

        return await self._operate(swap)

    async def _operate(self, operation: Callable[["Connection"], T]) -> T:
        is_over = threading.Event()
        try:
            return await run_in_thread(
                lambda: _operate(self.path, operation, is_over), abandon_on_cancel=True, purpose=DISK
            )
        finally:
            is_over.set()


_in_operation: Final = threading.Lock()
"""Held while this process has the file open.

A process that closes a file loses its locks on it, those of another thread included. A fork in the middle of an operation
would leave the child with SQLite's belief that the file is locked.
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_in_operation.acquire, after_in_parent=_in_operation.release, after_in_child=_in_operation.release
    )


def _operate(path: str, operation: Callable[["Connection"], T], is_over: threading.Event) -> T:
    """Try an operation until the lock is free. Give up after `LOCK_TIMEOUT`, or when the caller has been cancelled."""
    import sqlite3

    give_up_at = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return _try_once(path, operation)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        # SQLite's own waiting gets longer and longer, up to 0.1 seconds, for a lock that is held for less than one millisecond.
        if is_over.wait(random.uniform(0.0005, 0.003)) or time.monotonic() > give_up_at:  # noqa: S311
            raise TimeoutError(f"another process held the lock of {path} for {LOCK_TIMEOUT} seconds")


def _try_once(path: str, operation: Callable[["Connection"], T]) -> T:
    import sqlite3

    with _in_operation:
        is_new = _create(path)
        # SQLite must not create the file, which may have been removed meanwhile: all users could read it.
        database = sqlite3.connect(f"{Path(path).as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
        try:
            # Writing through to the disk would take a hundred times as long, for texts that do not outlive the machine.
            database.execute("PRAGMA synchronous = OFF")
            if is_new:
                database.executescript(CREATE)
            return operation(database)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} and _is_ours(path):
                os.unlink(path)  # noqa: PTH108 # by the next operation it is a file that has forgotten all texts
            raise
        finally:
            database.close()


def _is_ours(path: str) -> bool:
    """Whether a damaged file was written by a `FileSharedState`, as far as its header tells, or has lost all of its bytes."""
    with Path(path).open("rb") as file:
        content = file.read(LARGEST)
    if len(content) == LARGEST:
        return False
    header_id = int.from_bytes(content[68:72], "big")  # see the format of SQLite's database header
    return (content.startswith(b"SQLite format 3\0") and header_id == APPLICATION_ID) or not content.strip(b"\0")


def _create(path: str) -> bool:
    """Create the file unless there is one. Return whether it is empty. Raises `PermissionError` if all users may read it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if os.name != "nt" and status.st_mode & stat.S_IRWXO:
        text = "all users may read or write it, and it holds an access token; chmod 600 it"
        raise PermissionError(errno.EACCES, text, path)
    return status.st_size == 0
