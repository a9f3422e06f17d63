"""Exported tables, read back: JSON lines, CSV, Excel and Parquet, with names, columns and time zones."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import httpx
import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from coaching_async import Appointment, Forbidden, UserReference, from_dict
from coaching_async.export import FORMS, ExportRefused, check_form, export
from coaching_async.export import _xlsx as xlsx
from coaching_async.export._forms import layout_of
from coaching_async.export._people import People
from coaching_async.export._table import Row
from tests.support import export as exports
from tests.support.doubles import answer
from tests.support.effort import examples
from tests.support.export import SEVEN, USER, Org, contents, exported, files, ids, rows, stopped
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")

TABLES = [form for form in FORMS if form != "jsonl"]

PEOPLE = {"f": ("Ada Lovelace", "ada@example.com"), "u": ("Grace Hopper", None), USER: ("Me", "me@example.com")}


class OrgWithPeople(Org):
    """Appointments with a facilitator and attendees, some of whom are gone, in a directory."""

    def __init__(self, *ids: str) -> None:
        super().__init__(*ids)
        self.looked_up: list[set[str]] = []
        self.refuse_people: Callable[[], httpx.Response | None] = lambda: None

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/users"):
            asked = set(request.url.params.get_list("id"))
            self.looked_up.append(asked)
            entities = [
                {"id": id_, "name": PEOPLE[id_][0], "email": PEOPLE[id_][1]} for id_ in sorted(asked & PEOPLE.keys())
            ]
            told = {"pageNumber": 1, "pageSize": 100, "pageCount": 1, "total": len(entities)}
            return self.refuse_people() or answer({"entities": entities, **told})
        response = super()._answer(request)
        if request.url.path.endswith("/appointments"):
            data = json.loads(response.content)
            for entity in data["entities"]:
                entity |= {
                    "facilitator": {"id": "f"},
                    "attendees": [{"id": "u"}, {"id": "gone"}],
                    "dateStart": "2026-10-25T00:30:00.000Z",
                    "lengthInMinutes": 30,
                    "isOverdue": False,
                }
            return answer(data)
        return response


# What is in the file


@pytest.mark.parametrize("form", TABLES)
async def test_a_table_has_the_same_columns_with_and_without_appointments(form: str, tmp_path: Path):
    await exported(OrgWithPeople(*SEVEN), tmp_path / f"full.{form}")
    await exported(OrgWithPeople(), tmp_path / f"empty.{form}")

    assert columns_in(tmp_path / f"full.{form}") == columns_in(tmp_path / f"empty.{form}")


def columns_in(path: Path) -> Any:
    if path.suffix == ".parquet":
        return parquet.read_schema(path)
    if path.suffix == ".xlsx":
        return [cell.value for cell in next(openpyxl.load_workbook(path)["appointments"].iter_rows())]
    return path.read_text().partition("\n")[0]


@pytest.mark.parametrize("form", TABLES)
async def test_times_are_in_the_zone_and_typed_where_the_form_has_types(form: str, tmp_path: Path):
    path = tmp_path / f"x.{form}"

    await exported(OrgWithPeople(*SEVEN), path, tz=BERLIN)

    (found,) = {row["date_start"] for row in rows(path)}
    assert isinstance(found, str if form == "csv" else datetime)
    zone = "+02:00" if form == "parquet" else ""  # spreadsheets have none
    assert str(found) == f"2026-10-25 02:30:00{zone}"
    if form == "parquet":
        assert str(pl.read_parquet(path).schema["date_start"]) == "Datetime(time_unit='us', time_zone='Europe/Berlin')"
        assert duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE len(attendee_ids) = 2").fetchall() == [(7,)]


async def test_plain_csv_has_times_with_their_offset(tmp_path: Path):
    await exported(OrgWithPeople("a"), tmp_path / "x.csv", tz=BERLIN, spreadsheet=False)

    assert rows(tmp_path / "x.csv")[0]["date_start"] == "2026-10-25T02:30:00+02:00"


async def test_json_lines_have_every_field_and_times_in_utc(tmp_path: Path):
    await exported(OrgWithPeople("a"), tmp_path / "x.jsonl", tz=BERLIN)

    (row,) = rows(tmp_path / "x.jsonl")
    assert (row["dateStart"], row["dateCompleted"], row["documents"]) == ("2026-10-25T00:30:00.000Z", None, [])
    assert row["facilitator"] == {"id": "f", "selfUri": None}
    assert from_dict(Appointment, row).facilitator == UserReference(id="f")
    assert pl.read_ndjson(tmp_path / "x.jsonl").width == len(row)


async def test_json_lines_have_no_half_characters_because_other_readers_refuse_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exports, "NASTY", "\ud83d \udc00\ud83d \U0001f600 \\ud83d")
    path = tmp_path / "x.jsonl"

    await exported(Org("a"), path, with_annotations=True)

    assert rows(path)[0]["name"] == rows(path)[0]["annotations"][0]["text"] == "\ufffd \ufffd\ufffd \U0001f600 \\ud83d"
    assert duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall() == [(1,)]


# Names and addresses


@pytest.mark.parametrize("form", FORMS)
async def test_names_and_addresses_are_looked_up_once_and_an_id_stands_where_a_user_is_gone(form: str, tmp_path: Path):
    org, path = OrgWithPeople(*SEVEN), tmp_path / f"x.{form}"

    await exported(org, path, names=True, emails=True)

    assert org.looked_up == [{USER}, {"f", "u", "gone"}]
    row = rows(path)[0]
    if form == "jsonl":
        assert row["facilitator"] == {"id": "f", "selfUri": None, "name": "Ada Lovelace", "email": "ada@example.com"}
        assert [(each["name"], each["email"]) for each in row["attendees"]] == [("Grace Hopper", None), ("gone", None)]
    else:
        assert (row["facilitator_name"], row["facilitator_email"]) == ("Ada Lovelace", "ada@example.com")
        several = ["Grace Hopper", "gone"]
        assert row["attendee_names"] == (several if form == "parquet" else "; ".join(several))
        assert not row["attendee_emails"]


async def test_names_alone_are_those_of_the_clients_cache(tmp_path: Path):
    org = OrgWithPeople(*SEVEN)
    async with org.client() as client:
        await client.users.names(["f", USER])
        org.looked_up.clear()

        await export(client, USER, tmp_path / "x.csv", names=True, page_size=3)

    assert org.looked_up == [{"u", "gone"}]
    assert rows(tmp_path / "x.csv")[0]["facilitator_name"] == "Ada Lovelace"


async def test_if_names_cannot_be_had_the_export_ends_before_its_first_page(tmp_path: Path):
    org = OrgWithPeople(*SEVEN)
    org.refuse_people = lambda: answer({"code": "missing.any.permissions", "status": 403}, status=403)

    with pytest.raises(Forbidden):
        await exported(org, tmp_path / "x.csv", names=True)

    assert (org.pages, contents(tmp_path)) == ([], {})


async def test_a_reference_with_an_id_that_no_request_takes_is_no_error(tmp_path: Path):
    org = OrgWithPeople(*SEVEN)
    async with org.client() as client:
        people = People(names={}, emails={})
        await people.look_up(client, {"", ".", "..", " x", "y\n", "a,b", "\u2800x", "\u3164", "f"})

    assert people.names == {"f": "Ada Lovelace"}
    assert org.looked_up == [{"f"}]


# Columns


@pytest.mark.parametrize("form", FORMS)
async def test_columns_are_those_that_were_named_in_their_order_and_what_they_need_is_requested(
    form: str, tmp_path: Path
):
    org, path = OrgWithPeople(*SEVEN), tmp_path / f"x.{form}"
    how: dict[str, Any] = {"columns": ("facilitator_name", "annotations", "length_in_minutes")}
    await stopped(org, path, **how)

    done = await exported(org, path, resume=True, **how)

    assert (done.items, done.resumed_from, files(path)) == (7, 3, {path.name})
    assert [list(row) for row in rows(path)] == 7 * [list(how["columns"])]
    assert {row["facilitator_name"] for row in rows(path)} == {"Ada Lovelace"}
    assert sorted(org.asked) == SEVEN
    assert org.looked_up == [{USER}, {"f"}, {USER}, {"f"}], "attendees are in no column"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_a_stream_takes_chosen_columns(form: str):
    stream = io.BytesIO()

    await exported(OrgWithPeople(*SEVEN), stream, form=form, columns=["length_in_minutes"])  # type: ignore[arg-type]

    lines = stream.getvalue().decode("utf-8-sig").splitlines()
    assert lines == (["length_in_minutes", *7 * ["30"]] if form == "csv" else 7 * ['{"length_in_minutes": 30}'])


# What is refused before a request is sent


@pytest.mark.parametrize("form", ["xlsx", "parquet"])
async def test_a_form_that_is_written_as_a_whole_is_refused_for_a_stream(form: str):
    org = Org(*SEVEN)

    with pytest.raises(
        ExportRefused, match=f"{form} is written as a whole, and not to a stream: give the name of a file"
    ):
        await exported(org, io.BytesIO(), form=form)  # type: ignore[arg-type]
    assert not org.service.requests


@pytest.mark.parametrize("form, module", [("xlsx", "xlsxwriter"), ("parquet", "pyarrow")])
async def test_a_missing_library_is_refused_with_what_to_install(
    form: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, module, None)
    org, path = Org(*SEVEN), tmp_path / f"x.{form}"

    with pytest.raises(ExportRefused, match=rf"pip install 'coaching_async\[{form}\]'"):
        await exported(org, path)
    with pytest.raises(ExportRefused, match="pip install"):
        check_form(path)

    assert (org.service.requests, contents(tmp_path)) == ([], {})


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("zone", [ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Niue"), None], ids=str)
async def test_times_at_the_ends_of_the_calendar_and_huge_integers_end_no_export(
    form: str, zone: ZoneInfo | None, tmp_path: Path
):
    org, path = Org(), tmp_path / f"x.{form}"
    odd = {"a": "0001-01-01T00:00:00Z", "b": "9999-12-31T23:59:59.999Z", "c": "1899-12-31T23:00:00Z"}
    entities = [{"id": id_, "dateStart": text, "lengthInMinutes": 10**25} for id_, text in odd.items()]
    change = {"entities": [{"status": "Scheduled", "dateCreated": odd["b"]}], "total": 1}
    org.refuse = lambda request: answer(
        change if request.url.path.endswith("/statuses") else {"entities": entities, "total": 3, "pageCount": 1}
    )

    await exported(org, path, tz=zone, with_statuses=True)

    found = parquet.read_table(path)["id"].to_pylist() if form == "parquet" else ids(path)  # whose reader overflows
    assert found == ["a", "b", "c"]


# Excel


@pytest.fixture
def two_rows_a_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_ROWS", 3)


async def test_rows_beyond_the_limit_of_a_sheet_are_on_further_sheets(two_rows_a_sheet: None, tmp_path: Path):
    await exported(Org(*SEVEN), tmp_path / "x.xlsx")

    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == ["appointments", "appointments 2", "appointments 3", "appointments 4"]
    assert {sheet.freeze_panes for sheet in book.worksheets} == {"A2"}
    assert [sheet.auto_filter.ref for sheet in book.worksheets] == [*3 * ["A1:W3"], "A1:W2"]
    assert ids(tmp_path / "x.xlsx") == SEVEN


async def test_a_text_that_excel_does_not_take_is_cut_visibly_and_told_again_when_there_is_nothing_to_do(
    tmp_path: Path,
):
    org, path = Org(*SEVEN), tmp_path / "x.xlsx"
    org.refuse = lambda _: answer(
        {
            "entities": [{"id": "a", "name": "\U0001f600" * 16_500}, {"id": "b", "name": "x" * 32_767}],
            "pageNumber": 1,
            "pageSize": 3,
            "pageCount": 1,
            "total": 2,
        }
    )

    done = await exported(org, path, resume="auto")

    cut, whole = (row["name"] for row in rows(path))
    assert cut.startswith("\U0001f600" * 16_000)
    assert cut.endswith(xlsx.CUT)
    assert len(cut.encode("utf-16-le")) <= 2 * 32_767
    assert (whole, done.cut_texts) == ("x" * 32_767, 1)
    assert (await exported(org, path, resume="auto")).cut_texts == 1


async def test_an_excel_file_has_no_formulas_and_no_links(tmp_path: Path):
    names = ["=1+1", "{=1}", "https://example.com", "mailto:a@b.c", "0012", "1e5", "TRUE", "@x"]
    write(tmp_path / "x.xlsx", names)

    _, *cells = (row[0] for row in openpyxl.load_workbook(tmp_path / "x.xlsx")["appointments"].iter_rows())
    assert [(cell.value, cell.data_type, cell.hyperlink) for cell in cells] == [(name, "s", None) for name in names]


# Any text


def write(path: Path, names: list[str], **how: Any) -> None:
    """Write a file with one column, as an export does."""
    layout = layout_of(
        path,
        None,
        columns=["name"],
        names=False,
        emails=False,
        with_annotations=False,
        with_statuses=False,
        tz=None,
        **{"spreadsheet": None, **how},
    )
    writer = layout.writer(People(), to_stream=False)
    assert writer.render
    text = writer.lines.text([Row(Appointment(id="a", name=name), {}) for name in names])
    with path.open("wb") as file:
        writer.render(text.encode(errors="replace").splitlines(keepends=True), file, path.parent)


def read(path: Path) -> list[str]:
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        # Excel reads these escapes; openpyxl leaves them to its caller.
        return [
            ESCAPED.sub(lambda it: chr(int(it[1], 16)), cell.value) for (cell, *_) in [*book.active.iter_rows()][1:]
        ]
    if path.suffix == ".parquet":
        return parquet.read_table(path)["name"].to_pylist()
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row["name"] for row in csv.DictReader(file)]


ESCAPED = re.compile("_x([0-9A-F]{4})_")

AWKWARD = [
    "=1+1",
    "_x0041_",
    "a\x00\x01\x0b\x1fb\x7f\x85",
    "\ud83d",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u202eabc\u05e9",
    "one\ntwo\r\nthree\rfour",
    " blanks ",
    "\t",
    "x" * 32_000,
    "\ufffe\uffff\ufeff",
    "<a href='x'>&amp;</a>",
    "null",
]


def valid(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_excel_has_it(text: str) -> str:
    return valid(text).replace("\r\n", "\n").replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.text(st.characters(), min_size=1, max_size=30) | st.sampled_from(AWKWARD), min_size=1, max_size=8))
def test_any_text_is_read_back_from_every_form(tmp_path_factory: pytest.TempPathFactory, names: list[str]):
    folder = tmp_path_factory.mktemp("x")
    for suffix, expected in (("parquet", valid), ("csv", valid), ("xlsx", as_excel_has_it)):
        path = folder / f"x.{suffix}"
        write(path, names, **({"spreadsheet": False} if suffix == "csv" else {}))
        assert read(path) == [expected(name) for name in names], suffix


def test_awkward_texts_are_read_back_from_every_form(tmp_path_factory: pytest.TempPathFactory):
    test_any_text_is_read_back_from_every_form.hypothesis.inner_test(tmp_path_factory, AWKWARD)  # type: ignore[attr-defined]
