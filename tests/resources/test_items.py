"""Any list of the platform: by page numbers or by cursors, with rows of any kind."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coaching_async import CoachingClient, DecodeError, NotFound
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

PATH = "/api/v2/routing/queues"
ROWS = [{"id": f"q{number}", "deep": {"list": [number, None]}} for number in range(5)]


def numbered(rows: list[Any], **fields: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answers(request: httpx.Request) -> httpx.Response:
        size, number = int(request.url.params["pageSize"]), int(request.url.params.get("pageNumber", 1))
        body = {
            "entities": rows[(number - 1) * size : number * size],
            "pageNumber": number,
            "pageSize": size,
            "pageCount": -(-len(rows) // size),
            "total": len(rows),
            **fields,
        }
        return answer({name: value for name, value in body.items() if value is not None})

    return answers


def by_cursor(pages: dict[str | None, Any], parameter: str = "after") -> Callable[[httpx.Request], httpx.Response]:
    def answers(request: httpx.Request) -> httpx.Response:
        assert "pageNumber" not in request.url.params
        return answer(pages[request.url.params.get(parameter)])

    return answers


BY_NEXT_URI = by_cursor(
    {
        None: {"entities": ROWS[:2], "nextUri": f"{PATH}?after=a%3D&pageSize=2", "selfUri": "/"},
        "a=": {"entities": ROWS[2:4], "nextUri": f"{PATH}?pageSize=2&after=b", "selfUri": "/"},
        "b": {"entities": ROWS[4:], "selfUri": "/"},
    }
)
BY_CURSOR_IN_THE_BODY = by_cursor(
    {
        None: {"results": ROWS[:2], "cursor": "a="},
        "a=": {"results": ROWS[2:4], "cursor": "b"},
        "b": {"results": ROWS[4:], "cursor": None},
    },
    "cursor",
)
BY_NEXT_URI_WITH_TOTALS = by_cursor(
    {
        None: {"entities": ROWS[:2], "nextUri": f"{PATH}?cursor=a", "cursor": "x", "total": 5, "pageCount": 3},
        "a": {"entities": ROWS[2:], "nextUri": "", "cursor": "", "total": 5, "pageCount": 3},
    },
    "cursor",
)


@pytest.mark.parametrize(
    "service",
    [
        numbered(ROWS),
        numbered(ROWS, total=None),
        numbered(ROWS, pageCount=None),
        BY_NEXT_URI,
        BY_CURSOR_IN_THE_BODY,
        BY_NEXT_URI_WITH_TOTALS,
    ],
)
async def test_the_first_page_shows_how_the_others_are_read(service: Any):
    async with Service(service).client() as client:
        listing = client.items(PATH, query={"name": "x", "expand": ["a", "b"]}, page_size=2)

        assert [item async for item in listing] == ROWS
        assert await listing.collect(concurrency=4) == ROWS
        assert await listing.collect(limit=3) == ROWS[:3]
        assert [item async for page in listing.pages() for item in page.entities] == ROWS
        assert await listing.first() == ROWS[0]
        assert (await anext(listing.walk(seen={"q0"})))["id"] == "q1"


async def test_an_item_is_the_json_of_the_service_and_parameters_are_sent_with_each_page():
    service = Service(numbered(ROWS))
    async with service.client() as client:
        walk = client.items(PATH, query={"name": "a&b", "expand": ["x", "y"], "none": None}, page_size=3).walk()
        found = [item async for item in walk]

    assert json.dumps(found) == json.dumps(ROWS)
    assert (walk.report.pages, walk.report.suspected_gaps, walk.cursor) == (2, 0, None)
    assert [request.url.query.decode() for request in service.requests] == [
        "name=a%26b&expand=x&expand=y&pageSize=3",
        "name=a%26b&expand=x&expand=y&pageSize=3&pageNumber=2",
    ]


async def test_items_of_a_list_that_changes_are_returned_once_and_none_is_missed():
    states = [ROWS, ROWS[1:]]

    def answers(request: httpx.Request) -> httpx.Response:
        return numbered(states.pop(0) if len(states) > 1 else states[0])(request)

    async with Service(answers).client() as client:
        assert [item["id"] async for item in client.items(PATH, page_size=2)] == ["q0", "q1", "q2", "q3", "q4"]


@pytest.mark.parametrize(
    "rows",
    [
        [{"name": "a"}, {"name": "a"}, {"name": "b"}],
        [{"id": 1}, {"id": 2}, {"id": 3}],
        [{"id": None}, {"id": ["x"]}, {"id": ""}],
        [{"id": "same", "n": 1}, {"id": "same", "n": 2}, {"id": "other"}],
        [{}, {}],
    ],
)
async def test_rows_need_no_id(rows: list[Any]):
    async with Service(numbered(rows)).client() as client:
        assert await client.items(PATH, page_size=2).collect() == rows


async def test_a_row_that_is_no_object_is_left_out_and_reported():
    rows = [{"id": "a"}, None, "text", 7, ["x"], {"id": "b"}]
    service = Service(numbered(rows))
    async with service.client() as client:
        walk = client.items(PATH, page_size=3).walk()
        assert [item["id"] async for item in walk] == ["a", "b"]
        with pytest.raises(DecodeError):
            await service.client(strict=True).items(PATH).collect()

    assert [(row.page, row.index, row.reason) for row in walk.report.left_out] == [
        (1, 1, "no object: expected an object"),
        (1, 2, "no object: expected an object"),
        (2, 0, "no object: expected an object"),
        (2, 1, "no object: expected an object"),
    ]


@pytest.mark.parametrize("body", [{"entities": ROWS}, {"entities": ROWS, "selfUri": PATH}, {"results": ROWS}])
async def test_a_page_without_any_sign_of_others_is_the_whole_list(body: Any):
    service = Service([answer(body)])
    async with service.client() as client:
        assert await client.items(PATH, page_size=5).collect() == ROWS

    assert len(service.requests) == 1


@pytest.mark.parametrize("body", [{"entities": []}, {"results": []}, {"total": 0}, {"entities": None, "total": 0}])
async def test_a_list_may_be_empty(body: Any):
    async with Service([answer(body)]).client() as client:
        assert await client.items(PATH).collect() == []
        assert await client.items(PATH).first() is None


@pytest.mark.parametrize("body", [{}, {"id": "x"}, [], ROWS, "x", 1, None, {"entities": {}}, {"results": "x"}])
async def test_what_is_no_list_is_an_error(body: Any):
    async with Service([httpx.Response(200, json=body)]).client() as client:
        with pytest.raises(DecodeError):
            await client.items(PATH).collect()


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "api/v2/x"},
        {"path": "/api/v2/../x"},
        {"path": "//x"},
        {"path": "/x?a=b"},
        {"path": PATH, "query": {"pageNumber": 2}},
        {"path": PATH, "query": {"pageSize": 2}},
        {"path": PATH, "query": {"after": "x"}},
        {"path": PATH, "query": {"x": "a "}},
        {"path": PATH, "query": {"x": "a" * 70_000}},
        {"path": PATH, "page_size": 0},
    ],
)
def test_arguments_that_are_none_are_refused_at_once(arguments: Any, client: CoachingClient):
    with pytest.raises(ValueError, match=r"path|query|id|size|long"):
        client.items(**arguments)


@pytest.fixture
def client() -> CoachingClient:
    return Service([answer(None, 500)]).client()


async def test_errors_are_those_of_every_call():
    async with Service([answer(None, 404)]).client() as client:
        with pytest.raises(NotFound) as caught:
            await client.items(PATH).collect()

    assert (caught.value.operation, caught.value.cursor) == ("items", None)


async def test_a_walk_that_was_not_begun_has_an_empty_report(client: CoachingClient):
    report = client.items(PATH).walk().report

    assert (report.pages, report.passes) == (0, 0)
