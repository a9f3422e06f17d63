"""Properties of resumed exports: stopped at any step by any cause, they lose and duplicate nothing."""

import csv
import errno
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import Annotation, Appointment
from coaching_async.export import ExportProgress, ExportRefused, export
from coaching_async.export._lines import CsvLines
from coaching_async.export._people import People
from coaching_async.export._table import Row, Table
from tests.support.doubles import on
from tests.support.effort import combinations, examples
from tests.support.export import SEVEN, USER, Disk, Killed, Org, ids
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

RENDERED = "rendered.csv"
"""A file that is written as a whole, as Excel and Parquet are, because its first column is not the id."""

END = ["of the process", "of the power", "of the power, with the disk out of order"]

Changing = Callable[[Org], object]


def run(org: Org, path: Path, backend: str = "asyncio", **how: Any) -> int:
    """Run an export in one process, with three appointments a page; return the number of items."""

    columns = ["name", "id"] if RENDERED in path.name else None

    async def work() -> int:
        async with org.client() as client:
            return (await export(client, USER, path, page_size=3, columns=columns, **how)).items

    return anyio.run(work, **on(backend))


def killed(org: Org, path: Path, at: int, end: str = END[0], **how: Any) -> bool:
    """Run an export that is killed at a step; return whether it reached that step."""
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, path.parent, at)
        try:
            run(org, path, **how)
        except Killed:
            pass
        else:
            return False
    if end != END[0]:
        disk.cut_power(keeps_order=end == END[1])
    return True


def steps_of_an_export(suffix: str) -> int:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, Path(folder))
        run(Org(*SEVEN), Path(folder) / f"x.{suffix}")
    return disk.steps


@pytest.mark.parametrize("form, end", combinations([("jsonl", "asyncio"), ("csv", "trio"), (RENDERED, "asyncio")], END))
def test_an_export_killed_between_any_two_file_operations_can_be_resumed_or_is_complete(
    form: tuple[str, str], end: str, tmp_path: Path
):
    suffix, backend = form
    steps = steps_of_an_export(suffix)
    assert steps > 20
    for at in range(1, steps + 1):
        path = tmp_path / f"{at}" / f"x.{suffix}"
        path.parent.mkdir()
        org = Org(*SEVEN)

        assert killed(org, path, at, end, backend=backend)

        assert not path.exists() or ids(path) == SEVEN, (
            f"the file has its name and is not complete, killed at step {at}"
        )
        refused = ""
        try:
            assert run(org, path, backend, resume=True) == 7
        except ExportRefused as error:
            refused = str(error)
        if refused and not path.exists():
            assert not org.pages, "something was read"
            run(org, path, backend)
        elif refused:
            assert f"nothing to resume: {path} is complete" in refused
        assert ids(path) == SEVEN
        assert [file.name for file in path.parent.iterdir()] == [path.name]


@settings(max_examples=examples(25), deadline=None)
@given(
    suffix=st.sampled_from(["jsonl", "csv", RENDERED]),
    kills=st.lists(st.integers(1, 30), max_size=8),
    end=st.sampled_from(END),
    before=st.booleans(),
)
def test_an_export_can_be_killed_repeatedly_with_or_without_an_older_file(
    suffix: str, kills: Sequence[int], end: str, before: bool
):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{suffix}"
        if before:
            run(Org("of-last-month"), path)
        org, resume = Org(*SEVEN), False
        for at in kills:
            try:
                if not killed(org, path, at, end, resume=resume):
                    break
            except ExportRefused:
                assert not (path.parent / f"{path.name}.part.checkpoint").exists()
            else:
                resume = True
            assert not path.exists() or ids(path) in (SEVEN, ["of-last-month"])

        try:
            run(org, path, resume=resume)
        except ExportRefused:
            if not path.exists() or ids(path) != SEVEN:
                run(org, path)
        assert ids(path) == SEVEN
        assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["csv", RENDERED, "xlsx", "parquet"])
def test_a_disk_that_is_full_at_any_step_is_an_oserror_without_loss(suffix: str, tmp_path: Path):
    last = steps_of_an_export(suffix)
    for at in range(last - 15 if suffix in {"xlsx", "parquet"} else 1, last + 1):
        path = tmp_path / f"{at}" / f"x.{suffix}"
        path.parent.mkdir()
        org = Org(*SEVEN)

        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, path.parent, at, OSError(errno.ENOSPC, "No space left on device"))
            with pytest.raises(OSError, match="No space left"):
                run(org, path)

        if list(path.parent.iterdir()) in ([], [path]):  # the file has nothing, or everything
            assert path.exists() or run(org, path) == 7
        else:
            assert run(org, path, resume=True) == 7
        assert ids(path) == SEVEN
        assert [file.name for file in path.parent.iterdir()] == [path.name]


def stop_at(items: int) -> Callable[[ExportProgress], None]:
    """Return a progress callback that ends the process when `items` are written."""

    def told(progress: ExportProgress) -> None:
        if progress.items == items:
            raise Killed

    return told


@pytest.mark.parametrize("kept", [3, 6])
@pytest.mark.parametrize("gone", range(7))
def test_a_resumed_export_is_complete_if_as_many_items_were_deleted_before_the_cursor_as_inserted_after_it(
    gone: int, kept: int, tmp_path: Path
):
    """The total is then the same, and each page is full of new items."""
    org, path = Org(*SEVEN, *"abcdefg"), tmp_path / "x.jsonl"
    with pytest.raises(Killed):
        run(org, path, on_progress=stop_at(kept))
    org.ids = [*org.ids[gone:], *(f"new-{number}" for number in range(gone))]

    run(org, path, resume=True)

    assert sorted(ids(path)) == sorted({*SEVEN[:kept], *org.ids})


@st.composite
def changes(draw: st.DrawFn) -> Changing:
    """Insert items anywhere and delete others; the rest keeps its order."""
    gone = draw(st.sets(st.sampled_from(SEVEN), max_size=5))
    come = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 999)), max_size=5))

    def change(org: Org) -> None:
        org.ids = [id_ for id_ in org.ids if id_ not in gone]
        for where, name in come:
            org.ids.insert(round(where * len(org.ids)), f"new-{name}-{len(org.ids)}-{len(org.pages)}")

    return change


@settings(max_examples=examples(40), deadline=None)
@given(
    suffix=st.sampled_from(["jsonl", "csv", RENDERED]),
    rests=st.lists(st.tuples(st.integers(8, 30), changes()), max_size=3),
    consistency=st.sampled_from(["default", "verify"]),
)
def test_items_that_stay_are_exported_once_however_the_list_changes_between_the_runs(
    suffix: str, rests: Sequence[tuple[int, Changing]], consistency: str
):
    """As many items may be deleted as inserted; the total does not show that."""
    with tempfile.TemporaryDirectory() as folder:
        path, org, resume = Path(folder) / f"x.{suffix}", Org(*SEVEN), False
        for at, change in rests:
            if not killed(org, path, at, resume=resume, consistency=consistency) or path.exists():
                break
            resume = True
            change(org)
        if not path.exists():
            run(org, path, resume=resume, consistency=consistency)

        found = ids(path)
        assert len(found) == len(set(found)), "doubled"
        assert set(org.ids) & set(SEVEN) <= set(found), "lost"


def csv_lines(*columns: str) -> CsvLines:
    return CsvLines(Table(columns, People(), None), is_for_spreadsheets=False)


words = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["an-id", 'a,"b', "a\nb", "a\rb"]), words), max_size=5))
def test_any_cells_of_a_csv_are_read_as_they_were_written(cells: Sequence[tuple[str, str]]):
    lines, notes = (
        csv_lines("id", "name", "annotations"),
        [Annotation(id="n", text='"'), Annotation(id="m", text="\n,")],
    )
    rows = [Row(Appointment(id=id_, name=name), {"annotations": notes}) for id_, name in cells]
    text = lines.header() + lines.text(rows)

    assert [(row["id"], row["name"], row["annotations"]) for row in csv.DictReader(io.StringIO(text, newline=""))] == [
        (id_, name, '"\n\n,') for id_, name in cells
    ]
    assert list(lines.ids(io.BytesIO(text.encode()))) == [id_ for id_, _ in cells]


def test_a_cell_may_be_longer_than_the_field_limit_of_the_csv_module():
    lines = csv_lines("id", "description")
    data = lines.text([Row(Appointment(id="an-id", description='long, "long"\n' * 100_000), {})])

    assert list(lines.ids(io.BytesIO(b"id\n" + data.encode()))) == ["an-id"]
