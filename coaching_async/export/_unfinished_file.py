"""The file of an export while it is not complete: what is in it is on the disk, and a checkpoint says how much that is.

Beside the target stand `<name>.part` and `<name>.part.checkpoint`. A checkpoint is replaced as a whole, and only after what it
speaks of has reached the disk; what comes behind that in the file is of no account. So whatever ends the process, and whenever,
there is a checkpoint that holds.
"""

import errno
import json
import os
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Literal

import attrs
from attrs.validators import ge, instance_of

__all__ = ["ExportRefused", "UnfinishedFile"]


VERSION: Final = 1

NO_SYNC: Final = {errno.EINVAL, errno.EOPNOTSUPP}
"""What file systems say that cannot sync folders, such as some of networks."""


class ExportRefused(ValueError):
    """An export cannot be begun, or gone on with, as it was asked for. The text says why, and what can be done."""


@attrs.frozen
class Checkpoint:
    """As much of the file as is whole, and where it goes on. It holds no ids."""

    arguments: str
    """A digest of what was asked for."""
    cursor: str | None
    offset: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    """Bytes."""
    items: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    gaps: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    """Of the walk so far: where something may be missing, to go on from the cursor will not do."""
    is_complete: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether nothing is left to do but to give the file its name."""


class UnfinishedFile:
    """The file that an export writes, under a name of its own until it is complete.

    Its methods may run in a thread. Where a cancelling leaves one behind there, `close` waits for it.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        if not target.name:
            self._refuse_what_is_no_file()
        self._part = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.checkpoint")
        self._next_note = target.with_name(f"{target.name}.part.checkpoint.new")
        self._state = Checkpoint("", None)
        self._file: IO[bytes] | None = None
        self._is_ours = False
        """Whether what it left may be dropped again, where that is nothing."""
        self._is_closed = False
        self._work = threading.Lock()

    @property
    def items(self) -> int:
        """As many are kept."""
        return self._state.items

    @property
    def cursor(self) -> str | None:
        """Where the walk goes on; None where it has to begin again to find what it may have missed."""
        return None if self._state.gaps else self._state.cursor

    @property
    def is_complete(self) -> bool:
        """Whether all is in it."""
        return self._state.is_complete

    def begin(self, arguments: str, cursor: str | None, head: bytes) -> None:
        """Begin afresh; what an earlier export may have left is dropped.

        Raises `ExportRefused` where another one is at work on it, and `OSError`.
        """
        with self._working():
            self._refuse_what_is_no_file()
            self._open("a+b")
            self._is_ours = True
            self._checkpoint(Checkpoint(arguments, cursor))
            self._cut_and_head(head)

    def resume(self, arguments: str, head: bytes) -> None:
        """Go on with what an earlier export has left.

        Raises `ExportRefused` where there is nothing, or it was another export, or one is still at work on it; `OSError`.
        """
        with self._working():
            self._refuse_what_is_no_file()
            with suppress(FileNotFoundError):
                self._open("r+b")
            self._state = self._left_by_another(arguments)
            if self._file is None:
                if not (self._state.is_complete and self._target.exists()):
                    raise ExportRefused(f"{self._part} is gone: export again, without resume")
                return
            if os.fstat(self._file.fileno()).st_size < self._state.offset:
                raise ExportRefused(f"{self._part} is shorter than it was: export again, without resume")
            self._is_ours = True
            self._cut_and_head(head)

    def lines(self) -> Iterator[bytes]:
        """What is in it."""
        with self._part.open("rb") as file:
            yield from file

    def keep(self, lines: bytes, items: int, cursor: str | None, gaps: int) -> None:
        """Add lines, and note where the walk goes on after them. Raises `OSError`, and then nothing is kept."""
        with self._working():
            self._keep(lines, items, cursor, gaps)

    def complete(self) -> None:
        """Give the file its name. Raises `OSError`, and then it can be done again."""
        with self._working():
            if not self._state.is_complete:
                self._checkpoint(attrs.evolve(self._state, is_complete=True))
            if self._file is not None:
                if sys.platform == "win32":
                    self._file.close()  # there, what is open cannot be renamed
                self._part.replace(self._target)
                self._sync_folder()
            self._note.unlink(missing_ok=True)
            self._sync_folder()

    def close(self) -> None:
        """Let it go as it is; where nothing is in it, it vanishes."""
        with self._work:
            self._is_closed = True
            if self._file is None:
                return
            with self._file:
                if self._is_ours and not (self._state.items or self._state.is_complete):
                    for path in (self._next_note, self._note, self._part):
                        with suppress(OSError):
                            path.unlink(missing_ok=True)

    @contextmanager
    def _working(self) -> Generator[None]:
        with self._work:
            if self._is_closed:
                raise ValueError("this file is closed")
            yield

    def _refuse_what_is_no_file(self) -> None:
        if self._target.exists() and not self._target.is_file():
            raise ExportRefused(f"{self._target} is no file that an export could take the place of")

    def _open(self, mode: Literal["a+b", "r+b"]) -> None:
        file = self._part.open(mode, buffering=0)
        try:
            self._lock(file)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _lock(self, file: IO[bytes]) -> None:
        """It is unlocked when it is closed, or its process ends."""
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExportRefused(f"another export is at work on {self._target}: wait for its end") from None
            except OSError:
                return  # a file system without locks
            if not (self._part.exists() and os.path.samestat(self._part.stat(), os.fstat(file.fileno()))):
                raise ExportRefused(f"another export has just ended its work on {self._target}: try again")

    def _left_by_another(self, arguments: str) -> Checkpoint:
        try:
            state = _checkpoint_of(json.loads(self._note.read_bytes()))
        except FileNotFoundError:
            found = (
                f"{self._target} is complete" if self._target.exists() else f"no unfinished export to {self._target}"
            )
            raise ExportRefused(f"there is nothing to resume: {found}. Without resume, it is exported afresh") from None
        except (ValueError, TypeError, RecursionError):
            raise ExportRefused(f"{self._note} is none of this version's: export again, without resume") from None
        if state.arguments != arguments:
            raise ExportRefused(
                f"the unfinished export to {self._target} was begun with other arguments: resume it with the same users, "
                "filters, form, extras, page size and consistency"
            )
        return state

    def _cut_and_head(self, head: bytes) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        self._file.truncate(self._state.offset)
        if not self._state.offset:
            self._keep(head, 0, self._state.cursor, 0)

    def _keep(self, lines: bytes, items: int, cursor: str | None, gaps: int) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        self._file.seek(self._state.offset)
        _write(self._file, lines)
        offset, items = self._state.offset + len(lines), self._state.items + items
        self._checkpoint(attrs.evolve(self._state, cursor=cursor, offset=offset, items=items, gaps=gaps))

    def _checkpoint(self, state: Checkpoint) -> None:
        with self._next_note.open("wb", buffering=0) as file:
            _write(file, json.dumps({"version": VERSION, **attrs.asdict(state)}).encode())
        self._next_note.replace(self._note)
        self._sync_folder()
        self._state = state

    def _sync_folder(self) -> None:
        """So that a new name outlasts a power cut, too."""
        if sys.platform != "win32":
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            except OSError as error:
                if error.errno not in NO_SYNC:
                    raise
            finally:
                os.close(folder)


def _write(file: IO[bytes], data: bytes) -> None:
    """All of it, and to the disk."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())


def _checkpoint_of(data: Any) -> Checkpoint:
    """Raises `ValueError` or `TypeError` where it is none."""
    state: dict[str, Any] = dict(data)
    if state.pop("version", None) != VERSION:
        raise ValueError("of another version")
    return Checkpoint(**state)
