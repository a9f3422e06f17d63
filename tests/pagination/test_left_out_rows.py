"""Rows that cannot be read: a list hands out the others, and reports where each one is."""

import logging
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coaching_async import (
    AppointmentCreate,
    CoachingClient,
    ConfigurationError,
    DecodeError,
    LeftOutRow,
    Listing,
    RowsLeftOut,
    WalkReport,
    to_dict,
)
from coaching_async.models import Page
from tests.faults.support import NEW
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

Row = dict[str, Any] | None | str | int | list[Any]

WRONG_DATE = "no Appointment: expected datetime.datetime | None @ $.dateStart"


class Rows:
    """A service with one list, given as the JSON of its rows. `size` caps its pages."""

    def __init__(self, *rows: Any, size: int = 100, **fields: Any) -> None:
        self.rows = list(rows)
        self.size = size
        self.fields = fields
        self.asked: list[int] = []
        self.service = Service(self._answer)

    def client(self, **options: Any) -> CoachingClient:
        return self.service.client(**options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        number, size = (int(request.url.params[name]) for name in ("pageNumber", "pageSize"))
        self.asked.append(number)
        size, total = min(size, self.size), len(self.rows)
        counts = {"pageNumber": number, "pageSize": size, "total": total, "pageCount": -(-total // size)}
        return answer({"entities": self.rows[(number - 1) * size : number * size]} | counts | self.fields)


def named(letters: str) -> list[Any]:
    """Return a row for each letter; capital ones cannot be read."""
    return [{"id": letter, "dateStart": "soon"} if letter.isupper() else {"id": letter} for letter in letters]


async def walked(client: CoachingClient, **how: Any) -> tuple[str, WalkReport]:
    walk = aiter(client.appointments.list("u", **how))
    return "".join([item.id async for item in walk]), walk.report


def told(report: WalkReport) -> list[tuple[int, int, str | None]]:
    assert report.rows_left_out == len(report.left_out)
    return [(row.page, row.index, row.id) for row in report.left_out]


UNREADABLE: list[Any] = [
    *(None, 5, "text", [], True, {}, {"id": None}, {"id": 5}, {"id": ""}, {"id": ".."}),
    *({"id": "x", "dateStart": "soon"}, {"id": "x", "attendees": {}}, {"id": "x", "attendees": [{"id": 5}]}),
    *({"id": "x", "lengthInMinutes": 1.5}, {"id": "x", "facilitator": "user"}),
]


@pytest.mark.parametrize("odd", UNREADABLE, ids=repr)
async def test_a_row_that_cannot_be_read_does_not_take_the_others_with_it(odd: Any):
    rows = Rows({"id": "a"}, odd, {"id": "b"}, {"id": "c"}, size=2)

    async with rows.client() as client:
        found, report = await walked(client)
        assert [item.id for item in await client.appointments.list("u").collect()] == list("abc")
        assert [item.id for item in await client.appointments.list("u").collect(concurrency=3)] == list("abc")
        assert [[item.id for item in page.entities] async for page in client.appointments.list("u").pages()] == [
            ["a"],
            ["b", "c"],
        ]
        assert await client.appointments.list("u").total() == 4

    assert found == "abc"
    (left_out,) = report.left_out
    assert (left_out.page, left_out.index, left_out.chunk) == (1, 1, 0)
    assert left_out.id == (odd["id"] if isinstance(odd, dict) and odd.get("id") == "x" else None)
    assert left_out.reason.startswith("no Appointment: ")
    assert pickle.loads(pickle.dumps(report)) == report
    assert (report.pages, report.passes, report.suspected_gaps, report.duplicates) == (2, 1, 0, 0)


@pytest.mark.parametrize("odd", UNREADABLE, ids=repr)
async def test_a_strict_client_refuses_the_page_and_names_the_path(odd: Any):
    async with Rows({"id": "a"}, odd).client(strict=True) as client:
        with pytest.raises(DecodeError, match=r"\$.entities\[1\]"):
            await client.appointments.list("u").collect()
        with pytest.raises(DecodeError, match=r"\$.entities\[1\]"):
            await client.with_options(timeout=5).appointments.list("u").collect()


@pytest.mark.parametrize("strict", [None, 1, "yes"])
def test_strict_is_true_or_false(strict: Any):
    with pytest.raises(ConfigurationError, match="strict is True or False"):
        Service([answer()]).client(strict=strict)


LISTS: dict[str, tuple[Callable[[CoachingClient], Listing[Any]], Any, Any]] = {
    "appointments": (lambda client: client.appointments.list("u"), {"id": "a"}, {"id": "x", "name": 5}),
    "mine": (lambda client: client.appointments.list_mine(), {"id": "a"}, {"id": "x", "status": {}}),
    "statuses": (lambda client: client.appointments.list_statuses("1"), {"status": "Scheduled"}, {"id": "x"}),
    "annotations": (lambda client: client.annotations.list("1"), {"id": "a"}, {"id": "x", "isDeleted": "no"}),
    "notifications": (lambda client: client.notifications.list(), {"id": "a"}, {"id": "x", "appointment": []}),
    "expanded": (
        lambda client: client.notifications.list(expand_appointment=True),
        {"id": "a", "appointment": {"id": "1", "name": "n"}},
        {"id": "x", "appointment": {"id": "1", "name": "n", "dateStart": "soon"}},
    ),
}


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_leaves_rows_out(name: str):
    listing, row, odd = LISTS[name]

    async with Rows(odd, row, odd | {"id": "y"}).client() as client:
        walk = aiter(listing(client))
        found = [item async for item in walk]

    assert [to_dict(item) for item in found] == [row]
    assert told(walk.report) == [(1, 0, "x"), (1, 2, "y")]


async def test_a_list_of_which_no_row_can_be_read_is_empty_and_reports_all():
    rows = Rows(*named("ABCDE"), size=2)

    async with rows.client() as client:
        found, report = await walked(client)
        assert await client.appointments.list("u").first() is None
        assert [page async for page in client.appointments.list("u").pages()] == []

    assert (found, report.rows_left_out, report.pages) == ("", 5, 3)


async def test_the_first_item_is_the_first_that_can_be_read():
    async with Rows(*named("ABc")).client() as client:
        first = await client.appointments.list("u").first()

    assert first is not None
    assert first.id == "c"


async def test_the_report_keeps_a_thousand_rows_and_counts_all():
    async with Rows(*[None] * 1200, {"id": "a"}, size=500).client() as client:
        found, report = await walked(client, page_size=500)

    assert (found, report.rows_left_out, len(report.left_out)) == ("a", 1200, 1000)


async def test_a_row_that_is_read_again_is_reported_once():
    rows = Rows(*named("aBcdeFg"), None, {}, {"id": "h"}, size=3)

    async with rows.client() as client:
        found, report = await walked(client, consistency="verify")

    assert found == "acdegh"
    assert told(report) == [(1, 1, "B"), (2, 2, "F"), (3, 1, None), (3, 2, None)]
    assert (report.passes, report.suspected_gaps) == (2, 0)


async def test_left_out_rows_count_when_the_list_changes():
    rows = Rows(*named("aBcdeFgh"), size=2)

    async with rows.client() as client:
        walk = aiter(client.appointments.list("u"))
        found = [(await anext(walk)).id, (await anext(walk)).id]
        del rows.rows[0]
        found += [item.id async for item in walk]

    assert found == list("acdegh")
    assert told(walk.report)[0] == (1, 1, "B")
    assert {row.id for row in walk.report.left_out} == {"B", "F"}
    assert walk.report.rows_left_out == 2
    assert walk.report.suspected_gaps == 0


@pytest.mark.parametrize("after", range(1, 6))
async def test_a_cursor_counts_left_out_rows(after: int):
    rows = Rows(*named("aBcDefGh"), size=3)

    async with rows.client() as client:
        walk = aiter(client.appointments.list("u"))
        found = [(await anext(walk)).id for _ in range(after)]
        resumed = aiter(client.appointments.list("u", cursor=walk.cursor))
        found += [item.id async for item in resumed]

    assert found == list("acefh")
    assert {row.id for row in walk.report.left_out} | {row.id for row in resumed.report.left_out} == {"B", "D", "G"}
    assert resumed.report.suspected_gaps == 0


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_rows_without_ids_end_a_walk_when_a_page_is_repeated(concurrency: int):
    body = {"entities": [{"status": 5}, {"status": "Scheduled"}]}

    async with Service(lambda _: answer(body)).client() as client:
        found = await client.appointments.list_statuses("1").collect(concurrency=concurrency)

    assert [item.status for item in found] == ["Scheduled"]


@pytest.mark.parametrize(
    "rows", [[None], [{"id": "a"}, None], [None, {}, {"id": "A", "dateStart": 5}], [{"dateStart": "soon"}, {"id": "a"}]]
)
@pytest.mark.parametrize("counts", [{}, {"pageCount": 10**9}])
async def test_a_page_that_is_repeated_for_ever_ends_a_walk(rows: list[Any], counts: dict[str, int]):
    service = Service(lambda _: answer({"entities": rows} | counts))

    async with service.client() as client:
        found = await client.appointments.list("u").collect()

    assert [item.id for item in found] == [row["id"] for row in rows if row == {"id": "a"}]
    assert len(service.requests) <= (10 if rows == [None] else 2)


@pytest.mark.parametrize("counts", [{}, {"total": None, "pageCount": None}])
async def test_pages_of_equal_rows_without_an_id_do_not_end_a_walk(counts: dict[str, None]):
    rows = Rows({"id": "a"}, *[None] * 9, {"id": "b"}, *[{}] * 7, {"id": "c"}, size=2, **counts)

    async with rows.client() as client:
        found, report = await walked(client)

    assert found == "abc"
    assert (report.rows_left_out, report.passes, report.pages, report.suspected_gaps) == (
        16,
        1,
        11 if counts else 10,
        0,
    )


async def test_a_split_list_tells_in_which_part_a_row_is():
    users = [f"user-{number:03}" for number in range(150)]
    row = {"entities": [None, {"id": "a"}], "pageNumber": 1, "pageSize": 100, "pageCount": 1, "total": 2}

    async with Service(lambda _: answer(row)).client() as client:
        for order in (None, "Asc"):
            walk = aiter(client.appointments.list(users, sort_order=order))
            assert [item.id async for item in walk] == ["a"]
            assert [(row.chunk, row.page, row.index) for row in walk.report.left_out] == [(0, 1, 0), (1, 1, 0)]


@pytest.mark.parametrize(
    "body",
    [
        *([], None, {}, {"entities": "x"}, {"entities": {}}, {"entities": [None], "total": "many"}),
        {"entities": [None], "pageNumber": 2},
    ],
    ids=repr,
)
async def test_a_page_that_is_odd_as_a_whole_is_refused(body: Any):
    async with Service(lambda _: httpx.Response(200, json=body)).client() as client:
        with pytest.raises(DecodeError):
            await client.appointments.list("u").collect()


async def test_a_single_object_that_cannot_be_read_is_refused():
    async with Service(lambda _: answer({"id": "1", "dateStart": "soon"})).client() as client:
        with pytest.raises(DecodeError, match=r"\$.dateStart"):
            await client.appointments.get("1")
        result = await client.bulk(client.appointments.get, ["1", "2"])
    assert [type(outcome.error) for outcome in result.outcomes] == [DecodeError] * 2


async def test_a_search_for_what_was_created_refuses_a_row_that_may_be_it():
    create: AppointmentCreate = NEW
    async with Rows(*named("aB")).client() as client:
        with pytest.raises(DecodeError, match=r"\$.entities\[1\].dateStart"):
            await client.appointments.find_created(create, since=create.date_start)


async def test_left_out_rows_are_an_event_a_warning_and_a_count_without_their_ids(caplog: pytest.LogCaptureFixture):
    events: list[Any] = []
    caplog.set_level(logging.WARNING, "coaching_async")

    async with Rows(*named("aBcD")).client(on_event=events.append) as client:
        await walked(client)
        assert client.stats().rows_left_out == 2

    assert [event for event in events if isinstance(event, RowsLeftOut)] == [
        RowsLeftOut("appointments.list", 1, (1, 3), 4, WRONG_DATE)
    ]
    assert [record.getMessage() for record in caplog.records] == [
        f"appointments.list: left out 2 of the 4 rows of page 1, which cannot be read; the first is at index 1: {WRONG_DATE}"
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert type(events[-1]).__name__ == "CallFinished"


async def test_pages_with_left_out_rows_are_plain_pages():
    async with Rows(*named("aB")).client() as client:
        walk = client.appointments.list("u").pages()
        page = await anext(walk)

    assert page is walk.page
    assert type(page) is Page
    assert to_dict(page)["entities"] == [{"id": "a"}]
    assert told(walk.report) == [(1, 1, "B")]


async def test_a_report_holds_nothing_of_a_row_but_its_id():
    row = {"id": "1", "name": "Ada Lovelace", "dateStart": "Ada's day", "attendees": [{"id": "user-7", "selfUri": 5}]}

    async with Rows(row).client() as client:
        _, report = await walked(client)

    assert report.left_out == (LeftOutRow(1, 0, "1", f"{WRONG_DATE}; expected str | None @ $.attendees[0].selfUri"),)
