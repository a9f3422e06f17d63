"""What an export is given: ids in any order, streams, names whose suffix chooses the form, and spreadsheets."""

import csv
import io
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from coaching_async.export import ExportRefused, export
from tests.support.doubles import Service, answer, page
from tests.support.export import NASTY, SEVEN, Org, contents, exported, files, ids, rows, stopped
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

pytestmark = pytest.mark.anyio

GUID = "11111111-1111-4111-8111-111111111111"


async def test_a_link_stays_a_link_and_the_file_that_it_names_is_written(tmp_path: Path):
    org, link, target = Org(*SEVEN), tmp_path / "latest.jsonl", tmp_path / "volume" / "november.jsonl"
    target.parent.mkdir()
    link.symlink_to(target)
    await stopped(org, link)

    await exported(org, link, resume="auto")

    assert (link.is_symlink(), ids(target)) == (True, SEVEN)
    assert (await exported(org, link, resume="auto")).pages == 0


# Order


@pytest.mark.parametrize("again", [["v", "u"], ["u", "v", "u"], {"v", "u"}, ("v", "v", "u")], ids=str)
async def test_an_export_is_resumed_with_the_same_users_in_any_order(again: Any, tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, users=["u", "v"])

    await exported(org, path, users=iter(again), resume=True)

    assert ids(path) == SEVEN


async def test_the_order_of_several_filters_does_not_matter_either(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    users = [f"u{number}" for number in range(250)]
    await stopped(org, path, users=users, statuses=["Completed", "Scheduled"], facilitator_ids=["f", UUID(GUID)])

    again: dict[str, Any] = {"statuses": ("Scheduled", "Completed", "Scheduled"), "facilitator_ids": [GUID, "f"]}
    await exported(org, path, users=users[::-1], resume=True, **again)

    assert ids(path) == SEVEN


async def test_another_user_is_another_export(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.jsonl"
    await stopped(org, path, users=["u", "v"])

    with pytest.raises(ExportRefused, match="other arguments"):
        await exported(org, path, users=["u", "w"], resume=True)


@pytest.mark.parametrize("odd", [["u", "v\n"], ["u", ["v"]], "\ufeffu", [None]], ids=ascii)
async def test_an_id_that_is_none_is_refused_before_a_file_is_written(odd: Any, tmp_path: Path):
    org = Org(*SEVEN)

    with pytest.raises(ValueError, match="is no id"):
        await exported(org, tmp_path / "x.jsonl", users=odd)

    assert (org.pages, contents(tmp_path)) == ([], {})


# Streams


async def test_a_stream_gets_each_page_as_soon_as_it_was_read():
    org, stream = Org(*SEVEN), io.BytesIO()
    seen: list[int] = []
    org.refuse = lambda _: seen.append(stream.getvalue().count(b"\n"))  # type: ignore[func-returns-value]

    done = await exported(org, stream)  # type: ignore[arg-type]

    assert (done.items, seen) == (7, [0, 3, 6])
    assert not stream.closed
    assert stream.getvalue().count(b'{"id": "appointment-') == 7


class Trickle(io.RawIOBase):
    """A stream that takes three bytes at once."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.data += bytes(data[:3])
        return len(data[:3])


async def test_a_stream_that_takes_a_part_gets_all():
    whole, trickle = io.BytesIO(), Trickle()

    for stream in (whole, trickle):
        await exported(Org(*SEVEN), stream, form="csv")  # type: ignore[arg-type]

    assert trickle.data == whole.getvalue()


@pytest.mark.parametrize("resume", [True, "auto"])
async def test_a_stream_cannot_be_resumed(resume: Any):
    with pytest.raises(ExportRefused, match="to a stream cannot be resumed: give the name of a file"):
        await exported(Org(*SEVEN), io.BytesIO(), resume=resume)  # type: ignore[arg-type]


async def test_a_stream_of_text_is_refused(tmp_path: Path):
    async with await anyio.open_file(tmp_path / "x", "wb") as opened:
        for stream in (io.StringIO(), sys.__stdout__, opened):
            org = Org(*SEVEN)
            with pytest.raises(TypeError, match="takes bytes, and is not async"):
                await exported(org, stream)  # type: ignore[arg-type]
            assert org.pages == []


# The form


@pytest.mark.parametrize(
    "name, first",
    [
        ("x.jsonl", "{"),
        ("x.ndjson", "{"),
        ("x.json", "{"),
        ("x", "{"),
        ("x.csv", "\ufeffid,"),
        ("X.CSV", "\ufeffid,"),
        ("a.b.Csv", "\ufeffid,"),
        ("x.Xlsx", "PK"),
        ("x.parquet", "PAR1"),
    ],
)
async def test_the_form_follows_the_suffix(name: str, first: str, tmp_path: Path):
    await exported(Org(*SEVEN), tmp_path / name)

    assert (tmp_path / name).read_bytes().startswith(first.encode())


@pytest.mark.parametrize("name", ["x.orc", "x.xls", "x.csv.gz", "x.txt", "x.2026-11", "x.c\nsv"])
async def test_an_unknown_suffix_is_refused_unless_the_form_is_named(name: str, tmp_path: Path):
    org = Org(*SEVEN)
    with pytest.raises(ValueError, match="names no form: use") as caught:
        await exported(org, tmp_path / name)

    assert "\n" not in str(caught.value)
    assert (org.pages, contents(tmp_path)) == ([], {})
    await exported(org, tmp_path / name, form="csv")
    assert (tmp_path / name).read_text().startswith("\ufeffid,")


# CSV for spreadsheets, and plain CSV

FORMULAS = ['=HYPERLINK("http://x.test","y")', "+1+cmd", "-2+3", "@SUM(1)", "\tx", "\rx", "\uff1d1", "-", "- a list"]
HARMLESS = ["Gespr\xe4ch", "a=b", "1-2", "a; b", "one\n- two\n- three", "\U0001f600", "\u05e9\u05dc\u05d5\u05dd"]


async def names_in(path: Path, names: list[str], **how: Any) -> list[str]:
    entities = [{"id": str(number), "name": name} for number, name in enumerate(names)]
    async with Service(lambda _: answer({**page(total=len(names)), "entities": entities})).client() as client:
        await export(client, "u", path, **how)
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row["name"] for row in csv.DictReader(file)]


async def test_csv_runs_no_text_as_a_formula_and_keeps_umlauts(tmp_path: Path):
    path = tmp_path / "x.csv"

    assert await names_in(path, [*FORMULAS, *HARMLESS]) == [*(f"'{formula}" for formula in FORMULAS), *HARMLESS]
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,name,")


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r\n", '; "', ";' "])
async def test_no_text_runs_where_other_characters_separate_cells(separator: str, tmp_path: Path):
    """Excel in German, for example, separates cells by semicolons, and does not see the quotes of such a cell."""
    (written,) = await names_in(tmp_path / "x.csv", [f"a{separator}=1+1{separator}+2{separator}@x"])

    assert written == f"a{separator}'=1+1{separator}'+2{separator}'@x"


async def test_plain_csv_has_no_mark_and_all_texts_as_they_are(tmp_path: Path):
    path = tmp_path / "x.csv"

    assert await names_in(path, [*FORMULAS, *HARMLESS, "a;=1"], spreadsheet=False) == [*FORMULAS, *HARMLESS, "a;=1"]
    assert path.read_bytes().startswith(b"id,name,")


@pytest.mark.parametrize("spreadsheet", [None, True, False])
async def test_csv_with_odd_ids_is_resumed(spreadsheet: bool | None, tmp_path: Path):
    org, path = Org("=1", "'=2", "3", "-4", "'", "''+6", "a;=7"), tmp_path / "x.csv"
    await stopped(org, path, spreadsheet=spreadsheet)

    await exported(org, path, spreadsheet=spreadsheet, resume=True)

    assert [row["name"] for row in rows(path)] == [NASTY] * 7
    assert files(path) == {"x.csv"}


async def test_only_csv_is_for_spreadsheets_or_not(tmp_path: Path):
    with pytest.raises(ValueError, match="spreadsheet is about files of the form csv, not jsonl"):
        await exported(Org(*SEVEN), tmp_path / "x.jsonl", spreadsheet=True)


async def test_a_file_for_spreadsheets_is_another_export_than_plain_csv(tmp_path: Path):
    org, path = Org(*SEVEN), tmp_path / "x.csv"
    await stopped(org, path)

    with pytest.raises(ExportRefused, match="other arguments"):
        await exported(org, path, spreadsheet=False, resume=True)
