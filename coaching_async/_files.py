"""Files that one process at a time works on, and files that are replaced as a whole."""

import os
import secrets
import sys
from pathlib import Path
from typing import IO

__all__ = ["lock_file", "replace_file"]


def lock_file(file: IO[bytes], path: Path) -> None:
    """Lock an open file until it is closed or the process ends. Where a system has no locks, this does nothing.

    Raises `BlockingIOError` if another process has locked it, and `FileNotFoundError` if another process has removed or
    replaced it since it was opened.
    """
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return  # the file system has no locks
        if not os.path.samestat(path.stat(), os.fstat(file.fileno())):
            raise FileNotFoundError


def replace_file(path: Path, data: bytes) -> None:
    """Write a file as a whole, in place of what is there. Raises `OSError`; then there is what was there before."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
