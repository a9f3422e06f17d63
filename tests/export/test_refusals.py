"""Exports that are refused, and leave all files untouched."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coaching_async.export import ExportRefused
from coaching_async.export._unfinished_file import UnfinishedFile
from tests.support.export import SEVEN, USER, Org, contents, exported, files, ids, stopped
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "other",
    [
        {"users": [USER, "another"]},
        {"statuses": "Completed"},
        {"page_size": 4},
        {"form": "csv"},
        {"with_annotations": True},
        {"with_statuses": True},
        {"consistency": "verify"},
    ],
    ids=str,
)
async def test_an_export_is_resumed_with_the_same_arguments_only(other: dict[str, Any], tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path)

    with pytest.raises(ExportRefused, match="was begun with other arguments"):
        await exported(org, path, resume=True, **other)

    await exported(org, path, resume=True)
    assert ids(path) == SEVEN


@pytest.mark.parametrize(
    "how, kind, says",
    [
        ({"form": "orc"}, ValueError, "form 'orc' does not exist: choose one of jsonl, csv, xlsx, parquet"),
        ({"form": "csv", "columns": ["facilitator"]}, ValueError, "no column is called 'facilitator': did you mean"),
        ({"form": "csv", "columns": ["zzz"]}, ValueError, "no column is called 'zzz': there are id, name, "),
        ({"form": "csv", "columns": []}, ValueError, "columns has to name at least one"),
        ({"form": "csv", "columns": ["id", "id"]}, ValueError, "each of them once"),
        ({"form": "csv", "columns": "id"}, TypeError, "columns are several names, and not one text"),
        ({"tz": "Europe/Berlin"}, TypeError, "tz is a tzinfo"),
        ({"form": "xlsx", "spreadsheet": False}, ValueError, "spreadsheet is about files of the form csv, not xlsx"),
        ({"users": []}, ValueError, "user_ids is empty"),
        ({"page_size": 0}, ValueError, "page_size is a whole number, at least 1, not 0"),
        ({"consistency": "maybe"}, ValueError, "consistency 'maybe' does not exist: choose one of default, verify"),
        ({"on_progress": exported}, TypeError, "on_progress is a plain function"),
        ({"on_progress": 5}, TypeError, "on_progress is a plain function"),
        ({"form": []}, ValueError, "form [] does not exist: choose one of jsonl, csv, xlsx, parquet"),
        ({"form": ""}, ValueError, "form '' does not exist"),
        ({"columns": 3}, TypeError, "columns are several names"),
        ({"names": "yes"}, TypeError, "names is True or False, not str"),
        ({"emails": None}, TypeError, "emails is True or False, not None"),
        ({"with_annotations": 1}, TypeError, "with_annotations is True or False, not int"),
        ({"with_statuses": "no"}, TypeError, "with_statuses is True or False, not str"),
        ({"form": "csv", "spreadsheet": "no"}, TypeError, "spreadsheet is True or False, not str"),
        ({"resume": 1}, ValueError, 'resume is True, False or "auto"'),
        ({"colour": "red"}, TypeError, "unexpected keyword argument 'colour'"),
        ({"resume": True}, ExportRefused, "there is nothing to resume: no unfinished export to "),
    ],
)
async def test_invalid_arguments_are_refused_before_anything_is_sent_or_written(
    how: dict[str, Any], kind: type[Exception], says: str, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    with pytest.raises(kind) as caught:
        await exported(org, path, **how)

    assert says in str(caught.value)
    assert (org.pages, files(path)) == ([], set())


@pytest.mark.parametrize("path", [None, 3, b"x.jsonl", ["x.jsonl"]])
async def test_what_is_no_path_is_refused_before_anything_is_sent(path: Any):
    org = Org(*SEVEN)

    with pytest.raises(TypeError, match=r"path, unless it is a binary stream, is a str or a pathlib\.Path, not "):
        await exported(org, path)

    assert org.pages == []


async def test_resuming_a_complete_export_is_refused(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await exported(org, path)

    with pytest.raises(ExportRefused, match=r"nothing to resume: .*x\.jsonl is complete\. Without resume"):
        await exported(org, path, resume=True)


def doubled(part: bytes) -> bytes:
    first, _, third = part.splitlines(keepends=True)
    return first + first + third


@pytest.mark.parametrize(
    "name, change, says",
    [
        ("x.jsonl.part", lambda data: data[:-1], "is shorter than it was"),
        ("x.jsonl.part", lambda data: b"?" * len(data), "was changed by another program"),
        ("x.jsonl.part", lambda data: data.replace(b"\n", b" "), "was changed by another program"),
        ("x.jsonl.part", lambda data: data.replace(b'"id"', b'"di"'), "was changed by another program"),
        ("x.jsonl.part", lambda data: b"5".rjust(len(data)), "was changed by another program"),
        ("x.jsonl.part", doubled, "was changed by another program"),
        ("x.jsonl.part", None, "is gone"),
        ("x.jsonl.part.checkpoint", lambda data: data[:-1], "is none of this version's"),
        ("x.jsonl.part.checkpoint", lambda data: data.replace(b'"cursor": "', b'"cursor": "?'), "is none of this"),
        ("x.jsonl.part.checkpoint", lambda _: b"[" * 200_000, "is none of this version's"),
        ("x.jsonl.part.checkpoint", lambda data: b"[]", "is none of this version's"),
        ("x.jsonl.part.checkpoint", lambda data: data.replace(b'"version": 1', b'"version": 2'), "this version's"),
        ("x.jsonl.part.checkpoint", lambda data: data.replace(b'"items": 3', b'"items": -3'), "this version's"),
        ("x.jsonl.part.checkpoint", lambda data: data.replace(b'"items": 3', b'"items": "3"'), "this version's"),
        ("x.jsonl.part.checkpoint", lambda data: data.replace(b'"items": 3', b'"other": 3'), "this version's"),
    ],
)
async def test_a_changed_part_file_or_checkpoint_is_refused_and_not_touched(
    name: str, change: Callable[[bytes], bytes] | None, says: str, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path)
    if change is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    before = contents(tmp_path)

    with pytest.raises(ExportRefused, match=says):
        await exported(org, path, resume=True)

    assert contents(tmp_path) == before
    await exported(org, path)
    assert (ids(path), files(path)) == (SEVEN, {"x.jsonl"})


@pytest.mark.parametrize("resume", [False, True])
async def test_a_second_export_to_the_same_file_is_refused_and_the_first_is_not_disturbed(resume: bool, tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    first = UnfinishedFile(path)
    first.begin("its arguments", None, b"")
    first.append(b"a line", 1, None, 0)

    with pytest.raises(ExportRefused, match=r"another export is at work on .*x\.jsonl: wait for its end"):
        await exported(org, path, resume=resume)

    assert org.pages == []
    first.append(b" of it", 1, None, 0)
    first.complete()
    first.close()
    assert (path.read_text(), files(path)) == ("a line of it", {"x.jsonl"})


async def test_a_target_that_is_no_file_is_not_replaced(tmp_path: Path):
    (tmp_path / "x.jsonl").mkdir()

    with pytest.raises(ExportRefused, match="is no file"):
        await exported(Org(*SEVEN), tmp_path / "x.jsonl")


async def test_an_export_works_on_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)

    await exported(Org(*SEVEN), tmp_path / "x.jsonl")

    assert ids(tmp_path / "x.jsonl") == SEVEN


@pytest.mark.parametrize("third", [[], ["x.jsonl.part"]])
async def test_an_export_that_starts_while_another_renames_its_file_is_refused_and_does_no_harm(
    third: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A third export may have started at the same moment."""
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    def locked(*_: object) -> None:
        (tmp_path / "x.jsonl.part").rename(path)
        for name in third:
            (tmp_path / name).write_text("the third's")

    monkeypatch.setattr(fcntl, "flock", locked)
    (tmp_path / "x.jsonl.part").write_text("all of the other's")

    with pytest.raises(ExportRefused, match="has just ended"):
        await exported(org, path)

    assert contents(tmp_path) == {"x.jsonl": b"all of the other's"} | dict.fromkeys(third, b"the third's")


def test_a_thread_that_starts_after_its_export_has_ended_does_nothing(tmp_path: Path):
    file = UnfinishedFile(tmp_path / "x.jsonl")
    file.close()

    with pytest.raises(ValueError, match="closed"):
        file.begin("its arguments", None, b"")

    assert contents(tmp_path) == {}


async def test_a_complete_file_that_was_removed_is_not_reported_as_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("not now")))
        with pytest.raises(OSError, match="not now"):
            await exported(org, path)
    path.rename(tmp_path / "elsewhere")

    with pytest.raises(ExportRefused, match="is gone: export again"):
        await exported(org, path, resume=True)


async def test_a_name_that_is_too_long_leaves_no_files(tmp_path: Path):
    with pytest.raises(OSError, match="too long"):
        await exported(Org(*SEVEN), tmp_path / ("x" * 250))

    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["", ".", "/"])
async def test_a_path_without_a_file_name_is_refused(name: str):
    with pytest.raises(ExportRefused, match="is no file that an export could take the place of"):
        await exported(Org(*SEVEN), Path(name))


async def test_a_folder_does_not_count_as_a_finished_export(tmp_path: Path):
    with pytest.raises(ExportRefused, match="is no file that an export could take the place of"):
        await exported(Org(*SEVEN), tmp_path, resume=True)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
async def test_an_export_works_on_a_file_system_that_cannot_sync_folders(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def sync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(code, "not for folders")

    monkeypatch.setattr(os, "fsync", sync)
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    await exported(org, path)

    assert ids(path) == SEVEN
