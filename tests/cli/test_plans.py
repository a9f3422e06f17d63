"""Plans: what people write in CSV files, and every fault with its line."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching_async.cli._create.columns import COLUMNS, parse_start
from coaching_async.cli._create.plan import TEMPLATE, Plan, read_plan

BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "name,description,start,length,attendees"
ROW = "n,d,2027-01-11T14:00Z,30,u"
START = datetime(2027, 1, 11, 14, tzinfo=UTC)


def read(*lines: str, end: str = "\n", encoding: str = "utf-8", zone: tzinfo | None = None) -> Plan:
    return read_plan("".join(f"{line}{end}" for line in lines).encode(encoding), zone=zone)


def faults(*lines: str, zone: tzinfo | None = None) -> list[str]:
    return [str(fault) for fault in read(*lines, zone=zone).faults]


def test_the_template_is_a_plan_without_faults():
    plan = read_plan(TEMPLATE.encode())

    assert (len(plan.rows), plan.faults) == (2, [])


def test_a_row_has_the_fields_of_a_create_and_its_people_apart():
    titles = f"{HEADER},facilitator,location,external_links,conversation_ids,document_ids,share_insights_data,add_to_schedule"
    (row,) = read(titles, f'{ROW},f,Room 4,https://a.example https://b.example,"c, d",e,Yes,no').rows

    assert row.line == 2
    assert row.people == {"attendees": ("u",), "facilitator": ("f",)}
    assert row.fields == {
        "name": "n",
        "description": "d",
        "date_start": START,
        "length_in_minutes": 30,
        "location": "Room 4",
        "external_links": ("https://a.example", "https://b.example"),
        "conversation_ids": ("c", "d"),
        "document_ids": ("e",),
        "share_insights_data": True,
        "add_to_schedule": False,
    }
    assert {*row.fields} | {"attendee_ids", "facilitator_id"} == {column.field for column in COLUMNS.values()}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_spreadsheets_are_read(separator: str, end: str, encoding: str):
    lines = [line.replace(",", separator) for line in (HEADER, "Größe,d,2027-01-11T14:00Z,30,u", ",,,,", "", ROW)]

    plan = read(*lines, end=end, encoding=encoding)

    assert plan.faults == []
    assert [row.fields["name"] for row in plan.rows] == ["Größe", "n"]
    assert [row.line for row in plan.rows] == [2, 5]
    assert plan.delimiter == separator


def test_a_line_end_in_quotes_belongs_to_its_cell_and_counts_as_a_line():
    plan = read(HEADER, 'n,"one\r\ntwo",2027-01-11T14:00Z,30,"u\nv"', ROW)

    assert plan.rows[0].fields["description"] == "one\r\ntwo"
    assert plan.rows[0].people["attendees"] == ("u", "v")
    assert [row.line for row in plan.rows] == [2, 5]


def test_a_line_that_names_the_separator_is_no_header():
    plan = read("sep=;", HEADER.replace(",", ";"), ROW.replace(",", ";"))

    assert (plan.faults, plan.rows[0].line, plan.delimiter) == ([], 3, ";")


def test_titles_may_be_those_of_the_fields_in_any_case_and_order():
    plan = read("Attendee IDs,date-start,LENGTH_IN_MINUTES,Name,Description,# mine", "u,2027-01-11 14:00Z,30,n,d,x")

    assert plan.faults == []
    assert plan.rows[0].fields["date_start"] == START


def test_people_are_separated_by_blanks_commas_semicolons_and_line_ends_and_counted_once():
    (row,) = read(HEADER, 'n,d,2027-01-11T14:00Z,30,"a@x.example; b , c\n\u200bd\u00a0a@x.example|"').rows

    assert row.people["attendees"] == ("a@x.example", "b", "c", "d")


TIMES: dict[str, datetime] = {
    "2027-01-11T14:00Z": START,
    "2027-01-11t14:00z": START,
    "2027-01-11 15:00+01:00": START,
    "20270111T1400Z": START,
    "2027-W02-1T14:00Z": START,
    "2027-01-11 15:00": START,
    "11.01.2027 15:00": START,
    "11.1.2027 15:00:00": START,
    "2027-07-11 15:00": datetime(2027, 7, 11, 13, tzinfo=UTC),
    "2027-10-31T02:30+02:00": datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
}


@pytest.mark.parametrize("text", TIMES)
def test_a_start_is_a_time_with_its_zone_or_in_that_of_the_option(text: str):
    assert parse_start(text, BERLIN) == TIMES[text]


WRONG_TIMES = {
    "2027-01-11": "is no time: write it like",
    "14:00": "is no time",
    "1/2/2027 10:00": "is no time",
    "tomorrow": "is no time",
    "45000.5": "is no time",
    "2027-02-30 10:00": "the calendar or the clock has no",
    "31.02.2027 10:00": "the calendar or the clock has no",
    "2027-01-11 25:00": "the calendar or the clock has no",
    "2027-01-11 14:00:30": "has seconds",
    "0027-01-11 14:00": "has the year 27",
    "9999-12-31 23:59Z": "has the year 9999",
    "2027-03-28 02:30": "does not exist in Europe/Berlin",
    "28.03.2027 02:00": "does not exist in Europe/Berlin",
    "2027-10-31 02:30": "write 2027-10-31T02:30+02:00 or 2027-10-31T02:30+01:00",
}


@pytest.mark.parametrize("text", WRONG_TIMES)
def test_a_start_that_is_no_minute_of_one_meaning_is_refused(text: str):
    with pytest.raises(ValueError, match=re.escape(WRONG_TIMES[text])):
        parse_start(text, BERLIN)


def test_a_start_without_a_zone_needs_the_option():
    assert faults(HEADER, "n,d,2027-01-11 14:00,30,u") == [
        "line 2: start: '2027-01-11 14:00' has no time zone: add one, like +01:00 or Z, or give --timezone"
    ]


FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": ((), "the header lacks name, description, start, length, attendees"),
    "no rows": ((HEADER, ",,,,"), "there is no row below the header"),
    "a typo": ((f"{HEADER},loaction", ROW), "there is no column 'loaction': did you mean location?"),
    "another column": ((f"{HEADER},status", ROW), "there is no column 'status'"),
    "a column twice": ((f"{HEADER},date_start", ROW), "there are two columns start"),
    "too many cells": ((HEADER, f"{ROW},v"), "there are 6 cells and 5 columns"),
    "no title": ((f"{HEADER},,", f"{ROW},,x"), "cell 7 is in a column without a title"),
    "an empty cell": ((HEADER, " ,d,2027-01-11T14:00Z,30,u"), "name is empty"),
    "a short row": ((HEADER, "n,d,2027-01-11T14:00Z,30"), "attendees is empty"),
    "only separators": (
        (HEADER, 'n,d,2027-01-11T14:00Z,30,"; ,"'),
        "attendees: there are separators, and nothing between them",
    ),
    "no minutes": ((HEADER, "n,d,2027-01-11T14:00Z,0:30,u"), "length: '0:30' is no number of minutes"),
    "no length": ((HEADER, "n,d,2027-01-11T14:00Z,00,u"), "length: '00' is no number of minutes"),
    "too many digits": ((HEADER, f"n,d,2027-01-11T14:00Z,{'9' * 5000},u"), "is no number of minutes"),
    "other digits": ((HEADER, "n,d,2027-01-11T14:00Z,\uff13\uff10,u"), "is no number of minutes"),
    "neither": ((f"{HEADER},add_to_schedule", f"{ROW},perhaps"), "'perhaps' is neither yes nor no"),
    "two facilitators": ((f"{HEADER},facilitator", f"{ROW},a b"), "facilitator: there are 2 entries"),
    "an open quote": ((HEADER, 'n,"d,2027-01-11T14:00Z,30,u'), "this is no CSV: unexpected end of data"),
    "a huge cell": ((HEADER, f"n,{'d' * 200_000},2027-01-11T14:00Z,30,u"), "this is no CSV: field larger than"),
}


@pytest.mark.parametrize("wrong", FAULTS)
def test_a_fault_is_reported_with_its_line(wrong: str):
    lines, problem = FAULTS[wrong]

    (fault,) = faults(*lines)

    assert problem in fault
    assert len(fault) < 300


def test_all_faults_of_all_rows_are_reported_at_once():
    found = faults(HEADER, "n,d,2027-01-11T14:00Z,x,u", ROW, ",,2027-01-11,30,u")

    assert [fault.partition(":")[0] for fault in found] == ["line 2", "line 4", "line 4", "line 4"]


def test_text_in_another_encoding_is_refused_with_its_line_unless_the_encoding_is_named():
    data = f"{HEADER}\n{ROW}\nGröße{ROW[1:]}\n".encode("cp1252")

    (fault,) = read_plan(data).faults
    assert str(fault).startswith("line 3: this is no text in UTF-8")
    assert [row.fields["name"] for row in read_plan(data, encoding="cp1252").rows] == ["n", "Größe"]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_a_plan_or_has_faults(data: bytes):
    plan = read_plan(data)

    assert bool(plan.rows) or bool(plan.faults)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)))  # noqa: DTZ001
def test_a_local_time_means_one_moment_or_is_refused(local: datetime):
    local = local.replace(second=0, microsecond=0)
    candidates = {
        moment
        for hours in (1, 2)
        if (moment := local.replace(tzinfo=timezone(timedelta(hours=hours))).astimezone(UTC))
        and moment.astimezone(BERLIN).replace(tzinfo=None) == local
    }
    try:
        found = {parse_start(local.isoformat(" ", "minutes"), BERLIN).astimezone(UTC)}
    except ValueError:
        assert len(candidates) != 1
    else:
        assert found == candidates
