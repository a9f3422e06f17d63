"""Writing appointments to a file: as JSON lines or CSV, whole or not at all."""

import csv
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import attrs

from coaching_async import Appointment, Listing, to_dict

__all__ = ["FORMATS", "Exported", "export", "replaced_at_the_end"]


class Exported(NamedTuple):
    """How much an export was."""

    items: int
    pages: int


async def export(
    appointments: Listing[Appointment],
    file: IO[str],
    form: str = "jsonl",
    on_item: Callable[[int, int | None], object] = lambda *_: None,  # pyright: ignore[reportUnknownLambdaType]
) -> Exported:
    """Write every appointment of a list to an open text file, as "jsonl" or "csv", and return how many they were.

    `on_item` is told how many are written, and how many the service counts, where it tells. Raises what walking the list
    raises.
    """
    write, walk = FORMATS[form](file), aiter(appointments)
    items, pages, page = 0, 0, walk.page
    async for appointment in walk:
        write(appointment)
        items += 1
        pages += walk.page is not page
        page = walk.page
        on_item(items, page.total)
    return Exported(items, pages)


def jsonl(file: IO[str]) -> Callable[[Appointment], object]:
    """One JSON object a line, as the API writes it."""
    return lambda appointment: file.write(json.dumps(to_dict(appointment)) + "\n")


def csv_(file: IO[str]) -> Callable[[Appointment], object]:
    """One row each, under the names that the models have; references by their ids, lists joined by spaces."""
    names = [field.name for field in attrs.fields(Appointment)]
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(names)
    return lambda appointment: rows.writerow([_cell(getattr(appointment, name)) for name in names])


FORMATS: Final[Mapping[str, Callable[[IO[str]], Callable[[Appointment], object]]]] = {"jsonl": jsonl, "csv": csv_}


def _cell(value: Any) -> object:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(str(_cell(each)) for each in value)  # pyright: ignore[reportUnknownVariableType]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return getattr(value, "id", value)


@contextmanager
def replaced_at_the_end(path: Path) -> Generator[IO[str]]:
    """Open a file that gets its name when it is complete, and vanishes otherwise."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
