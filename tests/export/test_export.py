"""Exports: files, requests and progress."""

import asyncio
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from rich.console import Console

from coaching_async import (
    Annotation,
    AppointmentStatus,
    CoachingError,
    Forbidden,
    ResponseError,
    Stats,
    StatusChange,
    from_dict,
)
from coaching_async.cli._progress import progress_text, show_progress
from coaching_async.export import FORMS, Exported, ExportProgress, export
from coaching_async.export._unfinished_file import UnfinishedFile
from tests.support import export as exports
from tests.support.doubles import answer, on, page
from tests.support.export import NASTY, SEVEN, USER, Org, exported, files, ids, rows, stopped
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk
from tests.support.fault_server import HANG

pytestmark = pytest.mark.anyio


async def test_an_undisturbed_export_reads_each_page_once_and_reports_after_each_what_is_on_disk(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    told: list[ExportProgress] = []

    done = await exported(org, path, on_progress=told.append)

    assert done == Exported(items=7, pages=3, resumed_from=None, suspected_gaps=0)
    assert (ids(path), org.pages) == (SEVEN, [1, 2, 3])
    assert [(each.items, each.new, each.total) for each in told] == [(0, 0, None), (3, 3, 7), (6, 6, 7), (7, 7, 7)]


async def test_a_resumed_export_keeps_its_file_and_reads_the_last_page_again_and_the_rest(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, after=6)
    kept = (tmp_path / "x.jsonl.part").read_bytes()
    org.pages.clear()
    told: list[ExportProgress] = []

    done = await exported(org, path, resume=True, on_progress=told.append)

    assert done == Exported(items=7, pages=2, resumed_from=6, suspected_gaps=0)
    assert (ids(path), org.pages) == (SEVEN, [2, 3])
    assert path.read_bytes().startswith(kept)
    assert [(each.items, each.new, each.total) for each in told] == [(6, 0, None), (7, 1, 7)]


async def test_without_resume_an_unfinished_export_starts_again(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path)
    org.ids = SEVEN[::-1]

    await exported(org, path)

    assert ids(path) == SEVEN[::-1]
    assert files(path) == {"x.jsonl"}


@pytest.mark.parametrize("form", ["jsonl", "csv", "xlsx", "parquet"])
async def test_annotations_and_status_history_are_on_the_line_of_their_appointment(form: str, tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / f"x.{form}"
    how: dict[str, Any] = {"form": form, "with_annotations": True, "with_statuses": True}
    await stopped(org, path, **how)

    await exported(org, path, resume=True, **how)

    assert sorted(org.asked) == sorted(2 * SEVEN), "asked for once"
    text = NASTY.replace("\r\n", "\n") if form == "xlsx" else NASTY
    for row in rows(path):
        assert row["name"] == text
        if form == "jsonl":
            (note,), (change,) = row["annotations"], row["statuses"]
            assert from_dict(Annotation, note) == Annotation(id=f"note-of-{row['id']}", text=NASTY)
            assert from_dict(StatusChange, change) == StatusChange(status=AppointmentStatus.SCHEDULED)
        else:
            joined = (text, "Scheduled")
            assert (row["annotations"], row["statuses"]) == (([text], ["Scheduled"]) if form == "parquet" else joined)
    assert list(rows(path)[0])[-2:] == ["annotations", "statuses"]


async def test_an_appointment_deleted_after_it_was_listed_is_kept_with_null_annotations(tmp_path: Path):
    org, path = Org("a", "b"), tmp_path / "x.jsonl"
    org.refuse = lambda request: answer(status=404) if "/b/" in request.url.path else None

    await exported(org, path, with_annotations=True)

    assert [row["annotations"] is None for row in rows(path)] == [False, True]


@pytest.mark.parametrize(
    "content", ["<html>no route", "", '{"message": "no Route matched with those values"}', "404 page"]
)
@pytest.mark.parametrize("extra", ["annotations", "statuses"])
async def test_a_gateway_that_knows_no_such_path_ends_the_export_and_writes_no_null(
    extra: str, content: str, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    org.refuse = lambda request: httpx.Response(404, text=content) if f"/{extra}" in request.url.path else None

    with pytest.raises(ResponseError, match="from a gateway") as caught:
        await exported(org, path, **{f"with_{extra}": True})

    assert type(caught.value) is ResponseError
    assert not path.exists()


async def test_a_forbidden_annotation_ends_the_export_after_the_pages_before(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    org.refuse = lambda request: answer(status=403) if f"/{SEVEN[4]}/" in request.url.path else None

    with pytest.raises(Forbidden):
        await exported(org, path, with_annotations=True)

    org.refuse = lambda _: None
    assert (await exported(org, path, with_annotations=True, resume=True)).resumed_from == 3
    assert ids(path) == SEVEN


async def test_an_export_that_ended_because_the_service_was_down_can_be_resumed(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    org.refuse = lambda request: answer(status=503) if request.url.params["pageNumber"] == "2" else None

    async with org.client(timeout=1.0) as client:
        with pytest.raises(CoachingError) as caught:
            await export(client, USER, path, page_size=3)
    assert caught.value.cursor

    org.refuse = lambda _: None
    assert (await exported(org, path, resume=True)).resumed_from == 3
    assert ids(path) == SEVEN


async def test_an_export_that_stops_before_its_first_page_leaves_nothing(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    org.refuse = lambda _: answer(status=403)

    with pytest.raises(Forbidden):
        await exported(org, path)

    assert files(path) == set()


async def test_an_empty_list_is_an_empty_file(tmp_path: Path):
    for form in FORMS:
        path = tmp_path / f"x.{form}"
        assert await exported(Org(), path) == Exported(0, 1, None, 0)
        assert not rows(path)
        assert (path.stat().st_size > 0) == (form != "jsonl")


async def test_the_checkpoint_contains_no_ids_and_no_names(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, facilitator_ids="somebody-else")

    text = (tmp_path / "x.jsonl.part.checkpoint").read_text()

    assert json.loads(text).keys() == {"version", "arguments", "cursor", "offset", "items", "gaps", "is_complete"}
    assert not [each for each in [USER, "somebody-else", *SEVEN] if each in text]


async def test_an_export_that_is_complete_but_not_renamed_needs_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refusing(Path.replace, after=4))
        with pytest.raises(OSError, match="not now"):
            await exported(org, path)
    org.pages.clear()

    assert await exported(org, path, resume=True) == Exported(7, 0, 7, 0)
    assert (ids(path), org.pages, files(path)) == (SEVEN, [], {"x.jsonl"})


def refusing(replace: Callable[[Path, Path], Path], after: int) -> Callable[[Path, Path], Path]:
    count = 0

    def replaced(path: Path, target: Path) -> Path:
        nonlocal count
        count += path.name.endswith(".new")
        if count > after and not path.name.endswith(".new"):
            raise OSError("not now")
        return replace(path, target)

    return replaced


async def test_arguments_may_be_iterators(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    await exported(org, path, users=(each for each in [USER]), statuses=(each for each in ["Completed"]))

    assert ids(path) == SEVEN
    assert org.service.requests[0].url.params.get_list("userIds") == [USER]
    assert org.service.requests[0].url.params.get_list("statuses") == ["Completed"]


async def test_users_in_a_set_are_the_same_list_for_an_export_resumed_in_another_process(tmp_path: Path):
    """Two dict views simulate two processes, because the order of strings in a set differs between processes."""
    org, path, users = Org(*SEVEN), tmp_path / "x.jsonl", [USER, *SEVEN]
    await stopped(org, path, users=dict.fromkeys(users).keys())

    await exported(org, path, users=dict.fromkeys(reversed(users)).keys(), resume=True)

    assert ids(path) == SEVEN


@pytest.mark.parametrize("form", FORMS)
async def test_a_lone_surrogate_in_a_text_does_not_end_an_export(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exports, "NASTY", "cut in the middle of an emoji: \ud83d")
    org, path = Org(*SEVEN), tmp_path / f"x.{form}"

    await exported(org, path, form=form)

    assert ids(path) == SEVEN


@pytest.mark.parametrize("order", [None, "Asc"])
async def test_an_export_of_a_split_list_has_no_total_and_each_appointment_once(order: str | None, tmp_path: Path):
    """The second part contains nothing new, because all users have the same appointments in this fake."""
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    how: dict[str, Any] = {"users": [f"user-{number}" for number in range(150)], "sort_order": order}
    told: list[ExportProgress] = []
    await stopped(org, path, **how)

    await exported(org, path, resume=True, on_progress=told.append, **how)

    assert sorted(ids(path)) == SEVEN
    assert {each.total for each in told} == {None}


async def test_if_parts_of_the_list_are_merged_each_page_is_kept_as_a_whole(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    others = answer(page("a", "b", "c", total=3, size=3))
    org.refuse = lambda request: others if len(request.url.params.get_list("userIds")) == 50 else None
    users = [f"user-{number}" for number in range(150)]
    told: list[int] = []

    await exported(org, path, users=users, sort_order="Asc", on_progress=lambda far: told.append(far.items))

    assert ids(path) == [*SEVEN, "a", "b", "c"]
    assert told == [0, 3, 6, 7, 10]


async def test_new_items_on_a_page_that_ends_with_known_ones_are_kept_after_the_next_page_was_read(tmp_path: Path):
    org, path = Org(*SEVEN, "last"), tmp_path / "x.jsonl"
    first, *rest = org.ids
    moved = [rest[4], *rest[:4], first, *rest[5:]]

    def move(request: httpx.Request) -> None:
        if request.url.params["pageNumber"] == "2":
            org.ids = moved

    org.refuse = move
    told: list[int] = []

    await exported(org, path, on_progress=lambda far: told.append(far.items))

    assert ids(path) == [*SEVEN[:5], SEVEN[6], "last", SEVEN[5]]
    assert told == [0, 3, 6, 7, 8]


async def test_a_resumed_export_starts_at_the_first_page_if_a_gap_was_suspected(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    moved = [SEVEN[5], *SEVEN[1:4], SEVEN[0], SEVEN[4], SEVEN[6]]

    def move(request: httpx.Request) -> None:
        org.ids = SEVEN if request.url.params["pageNumber"] == "1" else moved

    org.refuse = move
    await stopped(org, path, after=5)
    assert SEVEN[5] not in ids(tmp_path / "x.jsonl.part")
    org.refuse, org.ids = (lambda _: None), moved
    org.pages.clear()

    await exported(org, path, resume=True)

    assert org.pages == [1, 2, 3]
    assert sorted(ids(path)) == SEVEN


async def test_a_resumed_export_with_verify_writes_missing_items(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, consistency="verify")
    org.pages.clear()

    done = await exported(org, path, consistency="verify", resume=True)

    assert ids(path) == SEVEN
    assert org.pages == [1, 2, 3, 1, 2, 3]
    assert done.resumed_from == 3


def file_steps_after_cancellation(monkeypatch: pytest.MonkeyPatch, cancel: Callable[[], object]) -> list[str]:
    """Return the steps of the file in order, when `cancel` is called while a thread writes the second page."""
    happened: list[str] = []
    closing = threading.Event()
    keep, close = UnfinishedFile._append, UnfinishedFile.close

    def slowly(file: UnfinishedFile, lines: bytes, *args: Any) -> None:
        if file.items:
            cancel()
            assert closing.wait(HANG)
            happened.append("kept")
        keep(file, lines, *args)

    def closed(file: UnfinishedFile) -> None:
        happened.append("closing")
        closing.set()
        close(file)
        happened.append("closed")

    monkeypatch.setattr(UnfinishedFile, "_append", slowly)
    monkeypatch.setattr(UnfinishedFile, "close", closed)
    return happened


def test_a_natively_cancelled_export_leaves_no_thread_that_writes_to_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    async def work() -> list[str]:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(exported(org, path))
        happened = file_steps_after_cancellation(monkeypatch, lambda: loop.call_soon_threadsafe(task.cancel))
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()
        return happened

    assert anyio.run(work, **on("asyncio")) == ["closing", "kept", "closed"]
    done = anyio.run(lambda: exported(org, path, resume=True), **on("asyncio"))
    assert done.resumed_from == 6
    assert ids(path) == SEVEN


async def test_an_export_cancelled_by_a_scope_can_be_resumed(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"

    with anyio.CancelScope() as scope:

        def told(far: ExportProgress) -> None:
            if far.items == 3:
                scope.cancel()

        await exported(org, path, on_progress=told)

    assert scope.cancelled_caught
    assert (await exported(org, path, resume=True)).resumed_from == 3
    assert ids(path) == SEVEN


async def test_a_walk_skips_seen_ids(tmp_path: Path):
    async with Org(*SEVEN).client() as client:
        listing = client.appointments.list(USER, page_size=3)

        assert [each.id async for each in listing.walk(seen={SEVEN[1], SEVEN[6]})] == [SEVEN[0], *SEVEN[2:6]]
        with pytest.raises(TypeError, match="a set of ids"):
            listing.walk(seen=SEVEN[1])


@pytest.mark.parametrize(
    "told, says",
    [
        (ExportProgress(items=600, new=400, total=7800), "600 of 7800 items, 20/s, 0:06:00 left, "),
        (ExportProgress(items=600, new=0, total=7800), "600 of 7800 items, 0/s, "),
        (ExportProgress(items=600, new=400, total=None), "600 of an unknown number of items, 20/s, "),
        (ExportProgress(items=600, new=400, total=590), "600 of 590 items, 20/s, 0:00:00 left, "),
    ],
)
def test_the_rate_and_the_remaining_time_are_those_of_this_run(told: ExportProgress, says: str):
    assert progress_text(told, 20.0, Stats(throttled=2, tokens=1)) == f"{says}2 of the answers 429, 1 tokens minted"


async def test_on_a_pipe_progress_is_a_line_for_each_thousand_items_and_one_at_the_end(tmp_path: Path):
    org, out = Org(*(f"appointment-{number}" for number in range(2345))), io.StringIO()

    async with org.client() as client:
        with show_progress(Console(file=out), client) as on_progress:
            await export(client, USER, tmp_path / "x.jsonl", on_progress=on_progress)

    assert [line.partition(",")[0] for line in out.getvalue().splitlines()] == [
        "1000 of 2345 items",
        "2000 of 2345 items",
        "2345 of 2345 items",
    ]


async def test_an_export_stopped_behind_the_only_new_row_of_a_page_loses_none_although_the_total_stays(tmp_path: Path):
    org, path = Org(*"abcdefghi"), tmp_path / "x.jsonl"
    await stopped(org, path, after=3)
    org.ids.insert(2, "new")  # the last row of the first page
    await stopped(org, path, after=4, resume=True)
    org.ids = ["new", *"cdefghi", "y", "z"]  # c and d are on the first page, and the total is as before

    async with org.client() as client:
        await export(client, USER, path, page_size=3, resume=True)

    assert set(ids(path)) >= {"new", *"cdefghi"}
    assert len(ids(path)) == len(set(ids(path)))
