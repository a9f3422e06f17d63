"""Ids of users from files and from standard input, one a line."""

import codecs
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["read_user_ids"]

STANDARD_INPUT: Final = "-"

ENCODING_BY_MARK: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

COMMENT: Final = re.compile(r"(?:^|\s)#.*")

ID: Final = re.compile(r"""[^\s,;"']+""")


def read_user_ids(files: Iterable[str]) -> list[str]:
    """Return the ids in files, each of them once. Blanks around an id, empty lines and comments after a # do not count.

    Raises `ValueError` for a line that is no id, or a file without ids, and `OSError`.
    """
    return list(dict.fromkeys(id_ for file in files for id_ in _ids_in(file)))


def _ids_in(file: str) -> list[str]:
    name = "standard input" if file == STANDARD_INPUT else file
    found: list[str] = []
    for number, line in enumerate(_text(file, name).splitlines(), start=1):
        # Marks and invisible characters count as blanks.
        id_ = COMMENT.sub("", "".join(character if character.isprintable() else " " for character in line)).strip()
        if id_ and not ID.fullmatch(id_):
            raise ValueError(f"{name}, line {number}: {id_[:80]!a} is no id; write one id a line")
        found += [id_] if id_ else []
    if not found:
        raise ValueError(f"{name} contains no ids, so there is nothing to export")
    return found


def _text(file: str, name: str) -> str:
    try:
        data = _standard_input() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror or error}") from None
    encoding = next((encoding for mark, encoding in ENCODING_BY_MARK.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not text in UTF-8") from None


def _standard_input() -> bytes:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] # it is closed
        raise OSError("it is closed")
    return sys.stdin.buffer.read()
