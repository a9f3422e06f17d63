"""Rows that cannot be read: an export goes on without them, and its result tells each of them once."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from coaching_async import DecodeError, LeftOutRow
from coaching_async.export import FORMS, Exported, LeftOut, export
from tests.support.doubles import answer
from tests.support.export import SEVEN, USER, Org, exported, files, ids, rows, stopped
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

pytestmark = pytest.mark.anyio

REASON = "no Appointment: expected datetime.datetime | None @ $.dateStart"


class OddOrg(Org):
    """An organization whose appointments with these ids cannot be read. `None` stands for a row without an id."""

    def __init__(self, *ids: Any, odd: tuple[Any, ...] = ()) -> None:
        super().__init__(*ids)
        self.odd = set(odd)
        self.odd_notes: set[str] = set()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        response = super()._answer(request)
        body = json.loads(response.content)
        if "annotations" in request.url.path and self.asked[-1] in self.odd_notes:
            body["entities"] = [{"id": "odd", "text": 5}, *body["entities"], None]
        for row in body.get("entities", ()):
            if row and row["id"] in self.odd:
                row["dateStart"] = "soon"
        return answer(body, response.status_code)


def places(done: Exported) -> list[tuple[str, str | None, int, int]]:
    assert done.rows_left_out == len(done.left_out)
    return [(each.of, each.appointment_id, each.row.page, each.row.index) for each in done.left_out]


@pytest.mark.parametrize("form", FORMS)
async def test_an_export_goes_on_without_a_row_and_tells_it(form: str, tmp_path: Path):
    path = tmp_path / f"x.{form}"

    done = await exported(OddOrg(*SEVEN, odd=(SEVEN[4],)), path, form=form)

    assert ids(path) == [*SEVEN[:4], *SEVEN[5:]]
    assert (done.items, done.suspected_gaps, done.rows_left_out) == (6, 0, 1)
    assert done.left_out == (LeftOut("appointments", SEVEN[4], LeftOutRow(2, 1, SEVEN[4], REASON)),)
    assert str(done.left_out[0]) == f"appointments, page 2, index 1, id {SEVEN[4]}: {REASON}"
    assert files(path) == {path.name}


async def test_an_export_of_a_strict_client_ends_and_can_be_resumed_without_it(tmp_path: Path):
    org, path = OddOrg(*SEVEN, odd=(SEVEN[4],)), tmp_path / "x.jsonl"

    async with org.client(strict=True) as client:
        with pytest.raises(DecodeError, match=r"\$.entities\[1\].dateStart"):
            await export(client, USER, path, page_size=3)

    assert places(await exported(org, path, resume=True)) == [("appointments", SEVEN[4], 2, 1)]
    assert ids(path) == [*SEVEN[:4], *SEVEN[5:]]


@pytest.mark.parametrize("after", [1, 2, 3, 4])
async def test_a_resumed_export_tells_each_row_once(after: int, tmp_path: Path):
    odd = (SEVEN[1], SEVEN[3], None, SEVEN[6])
    org, path = OddOrg(*SEVEN[:4], None, *SEVEN[4:], odd=odd), tmp_path / "x.jsonl"
    await stopped(org, path, after=after)

    done = await exported(org, path, resume=True)

    assert ids(path) == [SEVEN[0], SEVEN[2], SEVEN[4], SEVEN[5]]
    assert sorted(places(done), key=str) == sorted(
        [
            ("appointments", SEVEN[1], 1, 1),
            ("appointments", SEVEN[3], 2, 0),
            ("appointments", None, 2, 1),
            ("appointments", SEVEN[6], 3, 1),
        ],
        key=str,
    )
    assert done.items == 4


async def test_a_row_that_can_be_read_after_a_resume_is_written_and_not_told(tmp_path: Path):
    org, path = OddOrg(*SEVEN, odd=(SEVEN[2], SEVEN[6])), tmp_path / "x.jsonl"
    await stopped(org, path, after=2)
    org.odd = {SEVEN[6]}

    done = await exported(org, path, resume=True)

    assert sorted(ids(path)) == SEVEN[:6]
    assert places(done) == [("appointments", SEVEN[6], 3, 0)]


async def test_a_list_that_is_read_again_from_its_beginning_tells_what_is_there_now(tmp_path: Path):
    org, path = OddOrg(*SEVEN, odd=(SEVEN[0], SEVEN[2], SEVEN[6])), tmp_path / "x.jsonl"
    await stopped(org, path, after=3, consistency="verify")
    org.odd -= {SEVEN[0]}

    done = await exported(org, path, resume=True, consistency="verify")

    assert sorted(ids(path)) == sorted({*SEVEN} - {SEVEN[2], SEVEN[6]})
    assert places(done) == [("appointments", SEVEN[2], 1, 2), ("appointments", SEVEN[6], 3, 0)]


async def test_annotations_that_cannot_be_read_are_told_with_their_appointment(tmp_path: Path):
    org, path = OddOrg(*SEVEN), tmp_path / "x.jsonl"
    org.odd_notes = {SEVEN[1], SEVEN[5]}
    await stopped(org, path, with_annotations=True)

    done = await exported(org, path, resume=True, with_annotations=True)

    assert [len(row["annotations"]) for row in rows(path)] == [1] * 7
    assert places(done) == [("annotations", SEVEN[each], 1, index) for each in (1, 5) for index in (0, 2)]
    assert str(done.left_out[0]).startswith(f"annotations of appointment {SEVEN[1]}, page 1, index 0, id odd: no Annot")


async def test_an_export_without_a_row_that_can_be_read_is_empty_and_tells_all(tmp_path: Path):
    path = tmp_path / "x.jsonl"

    done = await exported(OddOrg(*SEVEN, odd=tuple(SEVEN)), path)

    assert (path.read_bytes(), done.items, done.rows_left_out) == (b"", 0, 7)


async def test_an_export_that_has_only_to_be_renamed_tells_what_its_checkpoint_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    org, path = OddOrg(*SEVEN, odd=(SEVEN[1], SEVEN[6])), tmp_path / "x.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refusing(Path.replace, path))
        with pytest.raises(OSError, match="no rename"):
            await exported(org, path)
    org.pages.clear()

    done = await exported(org, path, resume=True)

    assert org.pages == []
    assert places(done) == [("appointments", SEVEN[1], 1, 1), ("appointments", SEVEN[6], 3, 0)]


def refusing(replace: Any, final: Path) -> Any:
    def refuse(source: Path, target: Path) -> Path:
        if target == final:
            raise OSError("no rename")
        renamed: Path = replace(source, target)
        return renamed

    return refuse


async def test_more_rows_than_are_kept_are_counted(tmp_path: Path):
    org = OddOrg(*[f"odd-{number}" for number in range(1100)], "a", "b")
    org.odd = set(org.ids) - {"a", "b"}
    path = tmp_path / "x.jsonl"

    done = await exported(org, path, page_size=500)

    assert (ids(path), done.rows_left_out, len(done.left_out)) == (["a", "b"], 1100, 1000)


@pytest.mark.parametrize("left_out", [5, [], {}, {"count": "x", "rows": []}, {"count": 1, "rows": [{}]}, {"rows": []}])
async def test_left_out_rows_of_another_form_make_a_checkpoint_invalid(left_out: Any, tmp_path: Path):
    org, path = OddOrg(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path)
    checkpoint = tmp_path / "x.jsonl.part.checkpoint"
    checkpoint.write_text(json.dumps(json.loads(checkpoint.read_text()) | {"left_out": left_out}))

    with pytest.raises(ValueError, match="none of this version's"):
        await exported(org, path, resume=True)
