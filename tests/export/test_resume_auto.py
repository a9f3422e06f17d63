"""Exports with resume "auto": one call begins, continues, and finds that it is done. It replaces nothing of another origin."""

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import httpx
import pytest

from coaching_async.export import Exported, ExportProgress, ExportRefused
from coaching_async.export._unfinished_file import UnfinishedFile
from tests.support.doubles import on
from tests.support.export import SEVEN, USER, Disk, Killed, Org, contents, exported, files, ids, stopped
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

pytestmark = pytest.mark.anyio

RECORD = "x.jsonl.part.checkpoint"


async def test_it_begins_without_a_file_and_is_done_after_the_end(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    assert await exported(org, path, resume="auto") == Exported(7, 3, None, 0)
    assert (ids(path), files(path)) == (SEVEN, {"x.jsonl", RECORD})

    org.pages.clear()
    before = contents(tmp_path)
    told: list[ExportProgress] = []
    for _ in range(2):
        assert await exported(org, path, resume="auto", on_progress=told.append) == Exported(7, 0, 7, 0)
    assert (contents(tmp_path), org.pages) == (before, [])
    assert {(each.items, each.new) for each in told} == {(7, 0)}


@pytest.mark.parametrize("begun", [False, "auto"])
async def test_it_continues_what_was_stopped(begun: Any, tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, after=6, resume=begun)
    org.pages.clear()

    assert await exported(org, path, resume="auto") == Exported(7, 2, 6, 0)

    assert (ids(path), org.pages) == (SEVEN, [2, 3])
    assert await exported(org, path, resume="auto") == Exported(7, 0, 7, 0)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_started_again_after_every_kill_it_ends(backend: str, tmp_path: Path):
    for at in range(1, 31, 3):
        path = tmp_path / f"{at}" / "x.jsonl"
        path.parent.mkdir()
        org, rounds = Org(*SEVEN), 0
        while True:
            with pytest.MonkeyPatch.context() as patch:
                Disk(patch, path.parent, at)
                try:
                    done = anyio.run(lambda: exported(org, path, resume="auto"), **on(backend))  # noqa: B023
                    break
                except Killed:
                    rounds += 1
            if rounds == 30:  # killed so early that nothing could be written
                assert at < 25
                done = anyio.run(lambda: exported(org, path, resume="auto"), **on(backend))  # noqa: B023
                break
        assert (done.items, ids(path)) == (7, SEVEN)


async def test_a_suspected_gap_is_told_by_each_later_run_too(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    moved = [SEVEN[5], *SEVEN[1:4], SEVEN[0], SEVEN[4], SEVEN[6]]

    def move(request: httpx.Request) -> None:
        org.ids = SEVEN if request.url.params["pageNumber"] == "1" else moved

    org.refuse = move

    first = await exported(org, path, resume="auto")

    assert first.suspected_gaps
    assert (await exported(org, path, resume="auto")).suspected_gaps == first.suspected_gaps


async def test_an_export_without_appointments_is_done_too(tmp_path: Path):
    org, path = Org(), tmp_path / "x.jsonl"

    assert (await exported(org, path, resume="auto")).items == 0
    assert path.read_bytes() == b""
    assert await exported(org, path, resume="auto") == Exported(0, 0, 0, 0)


async def test_a_complete_file_that_was_taken_away_is_exported_again(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await exported(org, path, resume="auto")
    path.rename(tmp_path / "archived")

    assert (await exported(org, path, resume="auto")).resumed_from is None
    assert ids(path) == SEVEN


async def test_resuming_explicitly_keeps_what_tells_that_it_is_done(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await exported(org, path, resume="auto")

    assert await exported(org, path, resume=True) == Exported(7, 0, 7, 0)
    assert await exported(org, path, resume="auto") == Exported(7, 0, 7, 0)


async def test_exporting_again_without_it_replaces_the_file_and_leaves_no_checkpoint(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await exported(org, path, resume="auto")
    org.ids = SEVEN[::-1]

    await exported(org, path)

    assert (ids(path), files(path)) == (SEVEN[::-1], {"x.jsonl"})


OTHERS: list[dict[str, Any]] = [
    {"users": [USER, "another"]},
    {"statuses": "Completed"},
    {"page_size": 4},
    {"form": "csv"},
    {"form": "csv", "spreadsheet": False},
    {"form": "xlsx"},
    {"form": "csv", "tz": ZoneInfo("Europe/Berlin")},
    {"columns": ["name", "id"]},
    {"with_statuses": True},
    {"consistency": "verify"},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
@pytest.mark.parametrize("is_finished", [False, True])
async def test_a_file_of_other_arguments_is_refused_and_not_touched(
    other: dict[str, Any], is_finished: bool, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await (exported if is_finished else stopped)(org, path, resume="auto")
    before = contents(tmp_path)
    org.pages.clear()

    with pytest.raises(ExportRefused, match="was begun with other arguments"):
        await exported(org, path, resume="auto", **other)

    assert (contents(tmp_path), org.pages) == (before, [])


def foreign(folder: Path) -> None:
    (folder / "x.jsonl").write_text("mine")


def foreign_part(folder: Path) -> None:
    (folder / "x.jsonl.part").write_text("mine")


def changed(folder: Path) -> None:
    with (folder / "x.jsonl").open("a") as file:
        file.write("{}\n")


def unreadable(folder: Path) -> None:
    (folder / RECORD).write_text("[]")


def forgotten(folder: Path) -> None:
    (folder / RECORD).unlink()


@pytest.mark.parametrize(
    "is_exported, change, says",
    [
        (False, foreign, "exists, and no complete export"),
        (False, foreign_part, "exists, and no export has written it"),
        (True, changed, "was changed after its export"),
        (True, unreadable, "is none of this version's"),
        (True, forgotten, "exists, and no complete export"),
    ],
)
async def test_a_file_of_another_origin_is_refused_and_not_touched(
    is_exported: bool, change: Callable[[Path], None], says: str, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    if is_exported:
        await exported(org, path, resume="auto")
    change(tmp_path)
    before = contents(tmp_path)
    org.pages.clear()

    with pytest.raises(ExportRefused, match=says):
        await exported(org, path, resume="auto")

    assert (contents(tmp_path), org.pages) == (before, [])


async def test_a_file_beside_an_unfinished_export_is_not_replaced(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, resume="auto")
    foreign(tmp_path)
    before = contents(tmp_path)

    with pytest.raises(ExportRefused, match="exists, and no complete export"):
        await exported(org, path, resume="auto")

    assert contents(tmp_path) == before
    path.unlink()
    assert (await exported(org, path, resume="auto")).resumed_from == 3


async def test_a_complete_part_file_whose_renaming_was_interrupted_is_renamed(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await exported(org, path, resume="auto")
    path.rename(tmp_path / "x.jsonl.part")
    org.pages.clear()

    assert await exported(org, path, resume="auto") == Exported(7, 0, 7, 0)

    assert (ids(path), org.pages, files(path)) == (SEVEN, [], {"x.jsonl", RECORD})


async def test_a_second_one_at_the_same_time_is_refused(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    first = UnfinishedFile(path)
    first.begin_or_resume("its arguments", None, b"")

    with pytest.raises(ExportRefused, match="another export is at work"):
        await exported(org, path, resume="auto")

    first.append(b"a line", 1, None, 0)
    first.complete()
    first.close()
    assert path.read_text() == "a line"
    assert json.loads((tmp_path / RECORD).read_text())["is_complete"]


async def test_one_that_starts_while_another_ends_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    def locked(*_: object) -> None:
        path.write_text("the other's")

    monkeypatch.setattr(fcntl, "flock", locked)

    with pytest.raises(ExportRefused, match="has just ended"):
        await exported(org, path, resume="auto")

    assert contents(tmp_path) == {"x.jsonl": b"the other's"}


async def test_an_error_before_the_first_page_leaves_nothing(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    with pytest.raises(Exception, match="nothing"):
        await exported(
            org, path, resume="auto", on_progress=lambda _: (_ for _ in ()).throw(RuntimeError("nothing")).send(None)
        )

    assert contents(tmp_path) == {}


@pytest.mark.parametrize("resume", ["Auto", "yes", 2, None])
async def test_another_value_is_refused(resume: Any, tmp_path: Path):
    with pytest.raises(ValueError, match='resume is True, False or "auto"'):
        await exported(Org(*SEVEN), tmp_path / "x.jsonl", resume=resume)
