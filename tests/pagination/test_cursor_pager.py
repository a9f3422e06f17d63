"""Lists without page numbers: every page has the service's cursor of the next one."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coaching_async import BadRequest, DecodeError, TeamMember
from coaching_async._exceptions import ServerError
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

TEAM = "t1"


def members(*ids: str, after: str | None = None, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"entities": [{"id": id_} for id_ in ids], "selfUri": "/x", **fields}
    if after is not None:
        body["nextUri"] = f"/api/v2/teams/{TEAM}/members?expand=entities&after={after}&pageSize=2"
    return body


def service_of(pages: dict[str | None, dict[str, Any]]) -> Service:
    """A service whose page behind each cursor is given; None is before the first page."""
    return Service(lambda request: answer(pages[request.url.params.get("after")]))


THREE_PAGES = {
    None: members("a", "b", after="x%2Fy%3D%3D"),
    "x/y==": members("c", "d", after="p+q"),
    "p+q": members("e"),
}


async def read(service: Service, **options: Any) -> tuple[str, Any]:
    async with service.client(**options) as client:
        walk = client.teams.list_members(TEAM, page_size=2).walk()
        return "".join([member.id async for member in walk]), walk.report


async def test_pages_follow_each_other_by_cursor_with_the_same_other_parameters():
    service = service_of(THREE_PAGES)

    found, report = await read(service)

    assert (found, report.pages, report.passes, report.suspected_gaps) == ("abcde", 3, 1, 0)
    assert [dict(request.url.params) for request in service.requests] == [
        {"expand": "entities", "pageSize": "2"},
        {"expand": "entities", "pageSize": "2", "after": "x/y=="},
        {"expand": "entities", "pageSize": "2", "after": "p+q"},
    ]
    assert {request.url.host for request in service.requests} == {"api.test"}


@pytest.mark.parametrize(
    "last",
    [
        members("e"),
        members("e", nextUri=""),
        members("e", nextUri=None),
        members("e", nextUri=7),
        members("e", nextUri="/api/v2/teams?pageSize=2"),
        members("e", nextUri="/api/v2/teams?after="),
        members("e", nextUri="//["),
        members("e", nextUri="/x?before=1&notafter=2#after=3"),
    ],
)
async def test_a_list_ends_at_a_page_without_a_cursor(last: dict[str, Any]):
    assert (await read(service_of({None: last})))[0] == "e"


@pytest.mark.parametrize("empty", [members(after="again"), {"entities": None, "nextUri": "/x?after=more", "total": 1}])
async def test_a_list_ends_at_an_empty_page_though_it_names_another(empty: dict[str, Any]):
    found, report = await read(service_of({None: members("a", after="1"), "1": empty}))

    assert (found, report.pages, report.suspected_gaps) == ("a", 2, 0)


@pytest.mark.parametrize("circle", [{None: members("a", after="1"), "1": members("b", after="1")}])
async def test_a_cursor_that_was_used_before_ends_the_list_and_a_gap_is_suspected(circle: Any):
    found, report = await read(service_of(circle))

    assert (found, report.pages, report.suspected_gaps) == ("ab", 2, 1)


@pytest.mark.parametrize("rows", [["a", "b"], []])
async def test_a_list_that_repeats_its_rows_with_ever_new_cursors_ends_and_a_gap_is_suspected(rows: list[str]):
    def answers(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("after", 0))
        body = members("x" if number == 0 else "y", *rows, after=str(number + 1))
        return answer(body)

    found, report = await read(Service(answers))

    assert (found, report.pages, report.suspected_gaps) == ("".join(["x", *rows, "y"]), 10, 1)


async def test_items_that_were_seen_do_not_count_as_repeated():
    service = Service(
        lambda request: answer(
            members(f"u{(n := int(request.url.params.get('after', 0)))}", after=str(n + 1) if n < 30 else None)
        )
    )
    async with service.client() as client:
        walk = client.teams.list_members(TEAM).walk(seen={f"u{number}" for number in range(30)})

        assert [member.id async for member in walk] == ["u30"]


async def test_an_item_that_comes_again_is_returned_once():
    found, report = await read(service_of({None: members("a", "b", after="1"), "1": members("b", "c")}))

    assert (found, report.duplicates) == ("abc", 1)


async def test_items_that_were_seen_are_skipped():
    async with service_of(THREE_PAGES).client() as client:
        walk = client.teams.list_members(TEAM).walk(seen={"b", "e"})

        assert [member.id async for member in walk] == ["a", "c", "d"]


async def test_the_ways_to_use_a_list_agree():
    async with service_of(THREE_PAGES).client() as client:
        listing = client.teams.list_members(TEAM, page_size=2)

        assert [member.id for member in await listing.collect()] == list("abcde")
        assert [member.id for member in await listing.collect(limit=3)] == list("abc")
        assert [[member.id for member in page.entities] async for page in listing.pages()] == [
            ["a", "b"],
            ["c", "d"],
            ["e"],
        ]
        assert await listing.first() == TeamMember(id="a")
        assert await listing.total() is None


@pytest.mark.parametrize("fields", [{}, {"total": 5, "pageCount": 3, "pageSize": 2}])
async def test_a_stream_reads_one_page_at_a_time(fields: dict[str, Any]):
    service = service_of({after: {**body, **fields} for after, body in THREE_PAGES.items()})
    async with service.client() as client:
        async with client.teams.list_members(TEAM, page_size=2).stream(8) as stream:
            assert [member.id async for member in stream] == list("abcde")
        assert stream.report.pages == 3

    assert len(service.requests) == 3


async def test_after_an_error_a_walk_goes_on_at_the_same_page():
    pages, failing = dict(THREE_PAGES), True

    def answers(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("after")
        return answer(None, 400) if failing and after == "p+q" else answer(pages[after])

    async with Service(answers).client() as client:
        walk = client.teams.list_members(TEAM).walk()
        found = [(await anext(walk)).id for _ in range(4)]
        with pytest.raises(BadRequest) as caught:
            await anext(walk)
        failing = False
        found += [member.id async for member in walk]

    assert (found, caught.value.cursor, walk.cursor) == (list("abcde"), None, None)


async def test_an_error_has_the_items_before_it():
    service = Service(
        lambda request: answer(None, 500) if "after" in request.url.params else answer(members("a", after="1"))
    )
    async with service.client() as client:
        with pytest.raises(ServerError) as caught:
            await client.teams.list_members(TEAM).collect(concurrency=2)

    assert caught.value.partial == (TeamMember(id="a"),)


async def test_a_row_that_cannot_be_read_is_left_out_or_an_error_if_the_client_is_strict():
    def pages() -> Service:
        return service_of(
            {None: {**members("a", after="1"), "entities": [{"id": "a"}, {"id": "b", "name": 7}]}, "1": members("c")}
        )

    found, report = await read(pages())

    assert (found, report.rows_left_out, [(row.page, row.index, row.id) for row in report.left_out]) == (
        "ac",
        1,
        [(1, 1, "b")],
    )
    with pytest.raises(DecodeError):
        await read(pages(), strict=True)


async def test_teams_are_those_of_the_service(example: Callable[[str], Any]):
    service = Service(
        lambda request: answer(example(f"people_teams_page{'_2' if 'after' in request.url.params else ''}"))
    )
    async with service.client() as client:
        teams = await client.teams.list(page_size=2).collect()

    assert [team.name for team in teams][:2] == ["North 1", "North 2"]
    assert (teams[0].member_count, teams[0].description, teams[1].description) == (3, "Early shift", None)
    assert teams[0].division is not None
    assert len(service.requests) == 2


@pytest.mark.parametrize("arguments", [{"name": ""}, {"name": "x "}, {"page_size": 0}])
async def test_arguments_that_are_none_are_refused_before_a_request(arguments: Any):
    async with Service([answer(None, 500)]).client() as client:
        with pytest.raises(ValueError, match=r"name|page_size"):
            client.teams.list(**arguments)
        with pytest.raises(ValueError, match="id"):
            client.teams.list_members("")
