"""The unfinished file of an export, with a checkpoint from which the export can be resumed.

The files `<name>.part` and `<name>.part.checkpoint` are beside the target. A checkpoint is replaced atomically, after the data
that it describes were synced to the disk. Data after its offset are ignored. So there is a valid checkpoint whenever the
process ends.

Some forms can be written only as a whole. Then the unfinished file has rows, from which the complete file is rendered under the
name `<name>.part.rendered`, with temporary files in the folder `<name>.part.files`.
"""

import errno
import io
import os
import shutil
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

import attrs

from coaching_async._files import lock_file

from ._checkpoint import Checkpoint, ExportBusy, ExportRefused, checkpoint_from_json, checkpoint_to_json
from ._left_out import NO_ROWS, Tally

__all__ = ["UnfinishedFile"]


NO_SYNC: Final = {errno.EINVAL, errno.EOPNOTSUPP}
"""Errors of file systems that cannot sync folders, such as some network file systems."""

Render: TypeAlias = Callable[[Iterable[bytes], IO[bytes], Path], int]
"""Writes the lines of the unfinished file as those of the complete one, with a folder for temporary files.

Returns the number of texts that it had to cut.
"""


class UnfinishedFile:
    """The file that an export writes, under a temporary name until it is complete.

    Its methods may run in a thread. If a cancellation leaves one running there, `close` waits for it.
    """

    def __init__(self, target: Path, render: Render | None = None) -> None:
        self._target = target
        self._render = render
        if not target.name:
            self._refuse_other_than_file()
        self._part = target.with_name(f"{target.name}.part")
        self._checkpoint_path = target.with_name(f"{target.name}.part.checkpoint")
        self._new_checkpoint_path = target.with_name(f"{target.name}.part.checkpoint.new")
        self._rendered_path = target.with_name(f"{target.name}.part.rendered")
        self._temporary_folder = target.with_name(f"{target.name}.part.files")
        self._state = Checkpoint("", None)
        self._file: IO[bytes] | None = None
        self._may_delete = False
        """Whether `close` may delete the files if they have no items."""
        self._is_closed = self._is_closing = False
        self._mutex = threading.Lock()

    @property
    def items(self) -> int:
        """Number of items in the file."""
        return self._state.items

    @property
    def cursor(self) -> str | None:
        """Cursor from which the list is resumed; None if it has to be read from its beginning, because a gap was suspected."""
        return None if self._state.gaps else self._state.cursor

    @property
    def left_out(self) -> Tally:
        """Rows that were left out so far."""
        return self._state.left_out

    @property
    def suspected_gaps(self) -> int:
        """Changes of the list that may have hidden items."""
        return self._state.gaps

    @property
    def cut_texts(self) -> int:
        """Texts that the complete file has in part."""
        return self._state.cut_texts

    @property
    def is_complete(self) -> bool:
        """Whether all items are in the file."""
        return self._state.is_complete

    def begin(self, arguments: str, cursor: str | None, header: bytes) -> None:
        """Start a new file, and delete that of an earlier export.

        Raises `ExportBusy` if another export is writing the file, and `OSError`.
        """
        with self._working():
            self._refuse_other_than_file()
            self._open("a+b")
            self._may_delete = True
            self._write_checkpoint(Checkpoint(arguments, cursor))
            if self._render is not None:
                self._rendered_path.unlink(missing_ok=True)
            self._truncate(header)

    def resume(self, arguments: str, header: bytes) -> None:
        """Resume the file of an earlier export.

        Raises `ExportRefused` if there is none, or if its arguments were different; `ExportBusy` if another export is writing
        it; and `OSError`.
        """
        with self._working():
            self._refuse_other_than_file()
            with suppress(FileNotFoundError):
                self._open("r+b")
            self._state = self._read_checkpoint(arguments)
            if self._file is None:
                if not (self._state.is_complete and self._target.exists()):
                    raise ExportRefused(f"{self._part} is gone: export again, without resume")
                return
            self._refuse_shorter_part(os.fstat(self._file.fileno()).st_size, self._state)
            self._may_delete = True
            self._truncate(header)

    def begin_or_resume(self, arguments: str, cursor: str | None, header: bytes) -> bool:
        """Start a new file, resume that of an earlier export, or find that it is complete. Return whether there was one.

        The checkpoint of the complete file is kept. Raises `ExportRefused` for a file of another export or of another
        program; `ExportBusy` if another export is writing it; and `OSError`.
        """
        with self._working():
            self._refuse_other_than_file()
            if self._target.exists():
                self._state = self._checkpoint_of_target(arguments)
                return True
            is_new = self._create_or_open()
            try:
                state = self._checkpoint_of_part(arguments, is_new=is_new)
            except BaseException:
                if is_new:
                    self._part.unlink(missing_ok=True)
                raise
            self._may_delete = True
            if state is None:
                self._write_checkpoint(Checkpoint(arguments, cursor, is_kept=True))
            else:
                self._state = attrs.evolve(state, is_kept=True)
            self._truncate(header)
            return state is not None

    def _checkpoint_of_target(self, arguments: str) -> Checkpoint:
        """Return the checkpoint of a complete export. Raises `ExportRefused` if the file has another origin."""
        state = self._read_checkpoint(arguments) if self._checkpoint_path.exists() else None
        if state is not None and state.is_complete:
            self._remove_rest(state)
        if state is None or not state.is_complete or self._part.exists():
            raise ExportRefused(
                f"{self._target} exists, and no complete export with resume 'auto' has written it: move it away, choose "
                "another name, or export without 'auto', which replaces it"
            )
        if self._target.stat().st_size != (state.offset if state.size is None else state.size):
            raise ExportRefused(f"{self._target} was changed after its export: move it away, or choose another name")
        return state

    def _checkpoint_of_part(self, arguments: str, *, is_new: bool) -> Checkpoint | None:
        """Return the checkpoint of the unfinished file, which is open; None if there is none.

        Raises `ExportRefused` if the file has another origin.
        """
        assert self._file is not None  # noqa: S101 # it is open
        size = os.fstat(self._file.fileno()).st_size
        if self._target.exists():
            if not size:
                self._part.unlink(missing_ok=True)
            raise self._just_ended()
        if not self._checkpoint_path.exists():
            if size:
                raise ExportRefused(f"{self._part} exists, and no export has written it: move it away")
            return None
        state = self._read_checkpoint(arguments)
        if is_new and state.offset:
            return None  # its file was taken away
        self._refuse_shorter_part(size, state)
        return state

    def _remove_rest(self, state: Checkpoint) -> None:
        """Remove what a process that was killed has left beside the complete file: the rendered rows, or an empty file."""
        with suppress(FileNotFoundError):
            self._open("r+b")
        if self._file is not None and (self._is_renamed(state) or not os.fstat(self._file.fileno()).st_size):
            self._remove_part()
            self._file.close()
            self._file = None

    def lines(self) -> Iterator[bytes]:
        """Return the lines of the file."""
        with self._part.open("rb") as file:
            yield from file

    def append(self, lines: bytes, items: int, cursor: str | None, gaps: int, left_out: Tally = NO_ROWS) -> None:
        """Append lines and write a checkpoint. Raises `OSError`; then the earlier checkpoint still holds."""
        with self._working():
            self._append(lines, items, cursor, gaps, left_out)

    def complete(self, gaps: int = 0, left_out: Tally = NO_ROWS) -> None:
        """Rename the file, or the one that is rendered from it, to its target. Raises `OSError`; then it can be called again."""
        with self._working():
            if not self._state.is_complete:
                self._write_checkpoint(attrs.evolve(self._state, is_complete=True, gaps=gaps, left_out=left_out))
            if self._file is not None and self._render is None:
                if sys.platform == "win32":
                    self._file.close()  # Windows cannot rename an open file
                self._part.replace(self._target)
                self._sync_folder()
            elif self._render is not None and self._file is not None:
                if not self._is_renamed(self._state):
                    self._write_rendered(self._render)
                    self._rendered_path.replace(self._target)
                    self._sync_folder()
                self._remove_part()
            if not self._state.is_kept:
                self._checkpoint_path.unlink(missing_ok=True)
                self._sync_folder()

    def _is_renamed(self, state: Checkpoint) -> bool:
        """Whether the rendered file has its final name. It was on the disk before its size was written."""
        return (
            state.size is not None
            and not self._rendered_path.exists()
            and self._target.exists()
            and self._target.stat().st_size == state.size
        )

    def _write_rendered(self, render: Render) -> None:
        shutil.rmtree(self._temporary_folder, ignore_errors=True)
        self._temporary_folder.mkdir()
        try:
            with io.BufferedWriter(self._rendered_path.open("wb", buffering=0)) as file:
                cut_texts = render(self._lines_until_closing(), file, self._temporary_folder)
                file.flush()
                os.fsync(file.fileno())
        finally:
            shutil.rmtree(self._temporary_folder, ignore_errors=True)
        size = self._rendered_path.stat().st_size
        self._write_checkpoint(attrs.evolve(self._state, size=size, cut_texts=cut_texts))

    def _lines_until_closing(self) -> Iterator[bytes]:
        """Return the lines of the file. End a thread that was abandoned by its task, because `close` waits for it."""
        for line in self.lines():
            if self._is_closing:
                raise ValueError("this file is closed")
            yield line

    def _remove_part(self) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        if sys.platform == "win32":
            self._file.close()  # Windows cannot delete an open file
        self._part.unlink(missing_ok=True)
        self._sync_folder()

    def close(self) -> None:
        """Close the file, and delete it if it has no items."""
        self._is_closing = True
        with self._mutex:
            self._is_closed = True
            if self._file is None:
                return
            with self._file:
                if self._may_delete and not (self._state.items or self._state.is_complete):
                    for path in (self._new_checkpoint_path, self._checkpoint_path, self._part):
                        with suppress(OSError):
                            path.unlink(missing_ok=True)

    @contextmanager
    def _working(self) -> Generator[None]:
        with self._mutex:
            if self._is_closed:
                raise ValueError("this file is closed")
            yield

    def _refuse_other_than_file(self) -> None:
        if self._target.exists() and not self._target.is_file():
            raise ExportRefused(f"{self._target} is no file that an export could take the place of")

    def _refuse_shorter_part(self, size: int, state: Checkpoint) -> None:
        if size < state.offset:
            raise ExportRefused(f"{self._part} is shorter than it was: export again, without resume")

    def _create_or_open(self) -> bool:
        """Open the unfinished file. Return whether there was none.

        It is created only if there is none at that moment, because another export may rename it at any time.
        """
        try:
            self._open("x+b")
        except FileExistsError:
            try:
                self._open("r+b")
            except FileNotFoundError:
                raise self._just_ended() from None
            return False
        return True

    def _open(self, mode: Literal["a+b", "r+b", "x+b"]) -> None:
        file = self._part.open(mode, buffering=0)
        try:
            self._lock(file)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _lock(self, file: IO[bytes]) -> None:
        try:
            lock_file(file, self._part)
        except BlockingIOError:
            raise ExportBusy(f"another export is at work on {self._target}: wait for its end") from None
        except FileNotFoundError:
            raise self._just_ended() from None

    def _just_ended(self) -> ExportBusy:
        return ExportBusy(f"another export has just ended its work on {self._target}: try again")

    def _read_checkpoint(self, arguments: str) -> Checkpoint:
        try:
            state = checkpoint_from_json(self._checkpoint_path.read_bytes())
        except FileNotFoundError:
            found = (
                f"{self._target} is complete" if self._target.exists() else f"no unfinished export to {self._target}"
            )
            raise ExportRefused(f"there is nothing to resume: {found}. Without resume, it is exported afresh") from None
        except (ValueError, TypeError, LookupError, RecursionError):
            raise ExportRefused(
                f"{self._checkpoint_path} is none of this version's: export again, without resume"
            ) from None
        if state.arguments != arguments:
            if state.is_complete and self._target.exists():
                raise ExportRefused(
                    f"{self._target} is complete, and was begun with other arguments: move it away, choose another name, or "
                    "export afresh, without resume, which replaces it"
                )
            raise ExportRefused(
                f"the unfinished export to {self._target} was begun with other arguments: resume it with the same users, "
                "filters, form, columns, names, time zone, extras, page size and consistency"
            )
        return state

    def _truncate(self, header: bytes) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        self._file.truncate(self._state.offset)
        if not self._state.offset:
            self._append(header, 0, self._state.cursor, 0, NO_ROWS)

    def _append(self, lines: bytes, items: int, cursor: str | None, gaps: int, left_out: Tally) -> None:
        assert self._file is not None  # noqa: S101 # it is open
        self._file.seek(self._state.offset)
        _write(self._file, lines)
        offset, items = self._state.offset + len(lines), self._state.items + items
        self._write_checkpoint(
            attrs.evolve(self._state, cursor=cursor, offset=offset, items=items, gaps=gaps, left_out=left_out)
        )

    def _write_checkpoint(self, state: Checkpoint) -> None:
        with self._new_checkpoint_path.open("wb", buffering=0) as file:
            _write(file, checkpoint_to_json(state))
        self._new_checkpoint_path.replace(self._checkpoint_path)
        self._sync_folder()
        self._state = state

    def _sync_folder(self) -> None:
        """Sync the folder, because a new name is lost in a power cut otherwise."""
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
    """Write all data, and sync them to the disk."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())
