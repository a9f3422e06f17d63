"""An organization in memory to export from, and a disk that fails at any step."""

import csv
import io
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from pyarrow import parquet

from coaching_async import CoachingClient
from coaching_async.export import Exported, ExportProgress, export
from tests.support.doubles import Service, answer

USER = "a-user-whom-nobody-shall-know"
SEVEN = [f"appointment-{number}" for number in range(7)]
NASTY = 'With "quotes",\ncommas and\r\nlines'


class Org:
    """Appointments in a fixed order, in pages of the requested size."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.pages: list[int] = []
        self.asked: list[str] = []
        """The appointments whose annotations or statuses were requested."""
        self.refuse: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        self.service = Service(self._answer)

    def client(self, **options: Any) -> CoachingClient:
        return self.service.client(**options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if refused := self.refuse(request):
            return refused
        *_, before, last = request.url.path.split("/")
        if last in {"annotations", "statuses"}:
            self.asked.append(before)
            entity = {"id": f"note-of-{before}", "text": NASTY} if last == "annotations" else {"status": "Scheduled"}
            return answer({"entities": [entity], "pageNumber": 1, "pageSize": 100, "pageCount": 1, "total": 1})
        number, size = int(request.url.params["pageNumber"]), int(request.url.params["pageSize"])
        self.pages.append(number)
        entities = [{"id": id_, "name": NASTY} for id_ in self.ids[(number - 1) * size : number * size]]
        total = len(self.ids)
        told = {"pageNumber": number, "pageSize": size, "pageCount": -(-total // size), "total": total}
        return answer({"entities": entities, **told})


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an exported file."""
    if ".csv" in path.suffixes:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path, read_only=True)
        sheets = [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]
        book.close()
        return [dict(zip(map(str, header), row, strict=True)) for header, *cells in sheets for row in cells]
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids(path: Path) -> list[str]:
    return [row["id"] for row in rows(path)]


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Replace fsync, which is slow on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


class Stop(Exception):
    """An exception of the caller that ends an export."""


async def stopped(org: Org, path: Path, *, users: Any = USER, after: int = 3, page_size: int = 3, **how: Any) -> None:
    """Export until `after` items are saved, and stop with an exception."""

    def told(far: ExportProgress) -> None:
        if far.items >= after:
            raise Stop

    async with org.client() as client:
        with pytest.raises(Stop):
            await export(client, users, path, page_size=page_size, on_progress=told, **how)


async def exported(org: Org, path: Path, *, users: Any = USER, page_size: int = 3, **how: Any) -> Exported:
    async with org.client() as client:
        return await export(client, users, path, page_size=page_size, **how)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def files(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()}


class Killed(BaseException):
    """The process has ended."""


class Disk:
    """Counts the operations on files, and raises `error` at the `at`-th one. After `Killed` all of them raise.

    A write that fails has written half its data. A power cut loses all data and renames that were not synced.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, folder: Path, at: int = 0, error: BaseException | None = None
    ) -> None:
        self.steps = 0
        self._at, self._error = at, error or Killed()
        self._is_dead = False
        self._lock = threading.Lock()
        self._folder = folder
        self._synced = {path.stat().st_ino: path.stat().st_size for path in folder.iterdir()}
        self._renames: list[tuple[Path | None, Path, bytes | None]] = []
        """Source, target and its former content, of renames that are not synced yet."""
        self._patch(patch)

    def _step(self) -> None:
        with self._lock:
            self.steps += 1
            if self._is_dead or self.steps == self._at:
                self._is_dead = isinstance(self._error, Killed)
                raise self._error

    def cut_power(self, *, keeps_order: bool) -> None:
        """Lose what was not synced: all renames, or only the oldest one. To be called after `Killed`, when nothing is patched."""
        for source, target, before in reversed(self._renames if keeps_order else self._renames[:1]):
            if source is not None:
                target.rename(source)
            if before is not None:
                target.write_bytes(before)
                self._synced[target.stat().st_ino] = len(before)
        for path in self._folder.iterdir():
            synced = self._synced.get(path.stat().st_ino, 0)
            if path.stat().st_size > synced:
                os.truncate(path, synced)

    def _patch(self, patch: pytest.MonkeyPatch) -> None:
        disk, step = self, self._step
        open_, replace, unlink = Path.open, Path.replace, Path.unlink

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                try:
                    step()
                except BaseException:
                    if not disk._is_dead or disk.steps == disk._at:
                        super().write(data[: len(data) // 2])
                    raise
                return super().write(data)

            def truncate(self, size: int | None = None) -> int:
                step()
                return super().truncate(size)

        def opened(path: Path, mode: str = "r", buffering: int = -1, **how: Any) -> Any:
            if buffering:
                return open_(path, mode, buffering, **how)
            step()
            raw = Raw(path, mode.replace("b", ""))
            if mode == "wb":
                disk._synced[os.fstat(raw.fileno()).st_ino] = 0  # the inode may have belonged to another file
            return raw

        def replaced(path: Path, target: Path) -> Path:
            step()
            disk._renames.append((path, target, target.read_bytes() if target.exists() else None))
            return replace(path, target)

        def unlinked(path: Path, missing_ok: bool = False) -> None:
            step()
            if path.exists():
                disk._renames.append((None, path, path.read_bytes()))
            unlink(path, missing_ok=missing_ok)

        def synced(fd: int) -> None:
            step()
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                disk._renames.clear()
            else:
                disk._synced[os.fstat(fd).st_ino] = os.fstat(fd).st_size

        patch.setattr(Path, "open", opened)
        patch.setattr(Path, "replace", replaced)
        patch.setattr(Path, "unlink", unlinked)
        patch.setattr(os, "fsync", synced)
