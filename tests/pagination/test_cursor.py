"""Cursors: walks resume from them, also in another process, and cursors of other lists are refused."""

import base64
import json
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching_async import CoachingClient, Listing, Page, TransportError
from coaching_async._pagination.cursor import Position, decode_cursor, encode_cursor, list_fingerprint
from coaching_async.models import UserReference
from tests.support.appointments import USERS, Appointments
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

FINGERPRINT = list_fingerprint("a list")


@pytest.mark.parametrize("order", [None, "Asc"])
@pytest.mark.parametrize("after", [1, 10, 30])
async def test_item_walks_and_page_walks_resume_from_each_others_cursors(order: str | None, after: int):
    appointments = Appointments(*[(number * 37 % 250,) for number in range(40)])
    async with Service(appointments).client() as client:
        listing = client.appointments.list(USERS, page_size=3, sort_order=order)
        items = aiter(listing)
        found = [(await anext(items)).id for _ in range(after)]
        pages = attrs.evolve(listing, cursor=items.cursor).pages()
        found += [item.id for item in (await anext(pages)).entities]
        found += [item.id async for item in attrs.evolve(listing, cursor=pages.cursor)]

    assert sorted(found) == sorted(item["id"] for item in appointments.appointments)


@pytest.mark.parametrize("after", range(2, 9))
@pytest.mark.parametrize("deleted", [1, 2])
async def test_a_resumed_walk_that_knows_the_ids_misses_none_if_rows_before_were_deleted_and_the_total_stayed(
    deleted: int, after: int
):
    appointments = Appointments(*[(number,) for number in range(9)])
    async with Service(appointments).client() as client:
        walk = aiter(client.appointments.list(USERS[:100], page_size=3))
        found = [(await anext(walk)).id for _ in range(after)]
        rows = appointments.appointments
        rows[:] = [
            *rows[min(deleted, after - 1) :],
            *({"id": f"new-{number}", "users": (0,)} for number in range(deleted)),
        ]
        rows[-1]["dateStart"] = rows[-2]["dateStart"] = rows[0]["dateStart"]
        listing = client.appointments.list(USERS[:100], page_size=3, cursor=walk.cursor)
        found += [item.id async for item in listing.walk(seen=found)]

    assert {row["id"] for row in rows if row["id"].startswith("a")} <= set(found)
    assert len(found) == len(set(found))


async def test_a_cursor_is_accepted_in_another_process_where_the_same_sets_have_another_order():
    """The order of strings in a set differs between processes. Two orders of a dict stand for two processes."""
    forward, backward = dict.fromkeys(USERS[:10]), dict.fromkeys(reversed(USERS[:10]))
    async with Service(Appointments((0,))).client() as client:
        first = client.appointments.list(
            forward.keys(), facilitator_ids=forward.keys(), statuses={"Completed", "Scheduled"}
        )
        walk = aiter(first)
        await anext(walk)
        second = client.appointments.list(
            backward.keys(), facilitator_ids=backward.keys(), statuses={"Scheduled", "Completed"}, cursor=walk.cursor
        )
        assert await second.collect() == []


@pytest.mark.parametrize("order", [None, "Asc", "Desc"])
@pytest.mark.parametrize("after", [1, 3, 10, 35])
async def test_a_walk_resumes_in_another_client_at_the_next_item(order: str | None, after: int):
    appointments = Appointments(*[(number,) for number in range(0, 250, 7)])
    async with Service(appointments).client() as client:
        walk = aiter(client.appointments.list(USERS, page_size=3, sort_order=order))
        found = [(await anext(walk)).id for _ in range(after)]
        cursor = json.loads(json.dumps(walk.cursor))
    async with Service(appointments).client() as client:
        rest = client.appointments.list(USERS, page_size=3, sort_order=order, cursor=cursor)
        found += [item.id for item in await rest.collect(concurrency=2)]

    assert len(found) == len(set(found)) == len(appointments.appointments)
    if order is not None:
        assert found == [item["id"] for item in appointments.appointments][:: 1 if order == "Asc" else -1]


async def test_a_walk_resumes_from_the_cursor_of_an_error_at_the_next_item():
    appointments = Appointments(*[(0,)] * 10)
    errors = [answer({"code": "bad.request"}, 400)]

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.params["pageNumber"] == "3" and errors:
            return errors.pop()
        return appointments(request)

    async with Service(respond).client() as client:
        listing = client.appointments.list(USERS[0], page_size=3)
        with pytest.raises(Exception, match="400") as caught:
            await listing.collect()
        error: Any = pickle.loads(pickle.dumps(caught.value))
        rest = await client.appointments.list(USERS[0], page_size=3, cursor=error.cursor).collect()

    assert [item.id for item in (*error.partial, *rest)] == [f"a{number}" for number in range(10)]


async def test_a_cursor_is_short_and_safe_in_a_url_and_contains_no_id():
    async with Service(Appointments(*[(0,)] * 250)).client() as client:
        walk = aiter(client.appointments.list(USERS[0]))
        for _ in range(150):
            await anext(walk)

    assert walk.cursor is not None
    assert len(walk.cursor) < 1_300
    assert httpx.QueryParams({"cursor": walk.cursor})["cursor"] in str(httpx.QueryParams({"cursor": walk.cursor}))
    content = base64.urlsafe_b64decode(walk.cursor + "==")
    assert USERS[0].encode() not in content
    assert b"a14" not in content


async def test_a_lone_surrogate_in_an_id_does_not_break_the_cursor():
    service = Service(
        [answer({"entities": [{"id": "a\ud800"}, {"id": "b"}], "total": 2, "pageCount": 1, "pageSize": 2})]
    )
    async with service.client() as client:
        walk = aiter(client.appointments.list("u"))
        await anext(walk)
        rest = client.appointments.list("u", cursor=walk.cursor)
        assert [item.id async for item in rest] == ["b"]


async def test_the_cursor_of_a_finished_walk_resumes_at_the_end():
    service = Service(Appointments((0,), (0,)))
    async with service.client() as client:
        walk = aiter(client.appointments.list(USERS[0]))
        assert len([item async for item in walk]) == 2
        assert await client.appointments.list(USERS[0], cursor=walk.cursor).collect() == []

    assert len(service.requests) == 1


async def test_a_cursor_keeps_the_suspected_gaps():
    async def fetch(number: int, size: int) -> Page[Any]:
        letters = "axbcd"[(number - 1) * size : number * size]
        return Page(entities=tuple(UserReference(id=letter) for letter in letters), page_size=size, total=5)

    position = Position(row=4, size=2, total=5, gaps=1)
    listing = Listing((fetch,), 2, key=FINGERPRINT, cursor=encode_cursor(FINGERPRINT, 0, [position]))

    walk = listing.walk(seen=set("abc"))
    assert [item.id async for item in walk] == ["d", "x"], (
        "with all returned ids known, another pass finds the missed item"
    )
    assert (walk.report.passes, walk.report.suspected_gaps) == (2, 0)
    walk = aiter(listing)
    assert [item.id async for item in walk] == ["d"]
    assert walk.report.suspected_gaps == 1


OTHER_LISTS: dict[str, Callable[[CoachingClient, str], object]] = {
    "another user": lambda client, cursor: client.appointments.list("v", cursor=cursor),
    "another filter": lambda client, cursor: client.appointments.list("u", overdue=True, cursor=cursor),
    "another order": lambda client, cursor: client.appointments.list("u", sort_order="Asc", cursor=cursor),
    "another page size": lambda client, cursor: client.appointments.list("u", page_size=50, cursor=cursor),
    "another list": lambda client, cursor: client.appointments.list_mine(cursor=cursor),
}


@pytest.mark.parametrize("other", OTHER_LISTS)
async def test_a_cursor_of_another_list_is_refused_before_anything_is_sent(other: str):
    service = Service([])
    async with service.client() as client:
        cursor = aiter(client.appointments.list("u")).cursor
        assert cursor is not None
        with pytest.raises(ValueError, match="cursor belongs to another list, or other filters"):
            OTHER_LISTS[other](client, cursor)
        client.appointments.list("u", cursor=cursor)

    assert service.requests == []


async def test_a_cursor_of_another_version_is_told_as_one_not_as_that_of_another_list():
    service = Service([])
    async with service.client() as client:
        cursor = aiter(client.appointments.list("u")).cursor
        assert cursor is not None
        _, *rest = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        old = base64.urlsafe_b64encode(json.dumps([1, "another digest", *rest[1:]]).encode()).decode()
        with pytest.raises(ValueError, match="cursor is not one of this version's"):
            client.appointments.list("u", cursor=old)


@pytest.mark.parametrize("cursor", ["", "x", "abcd", "é", 5, b"abcd", "W10", "bnVsbA", "WzEsMiwzLDRd", "=" * 9])
async def test_a_value_that_is_no_cursor_is_refused(cursor: Any):
    async with Service([]).client() as client:
        with pytest.raises(ValueError, match="cursor"):
            client.appointments.list("u", cursor=cursor)


json_ = st.recursive(st.none() | st.integers() | st.text(max_size=9) | st.floats(), st.lists, max_leaves=9)
texts = st.one_of(
    st.text(),
    json_.map(lambda data: base64.urlsafe_b64encode(json.dumps(data).encode()).decode()),
    st.tuples(json_, json_).map(
        lambda data: base64.urlsafe_b64encode(json.dumps([1, FINGERPRINT, *data]).encode()).decode().rstrip("=")
    ),
)


@given(cursor=texts)
def test_any_text_is_a_cursor_or_raises_value_error(cursor: str):
    try:
        positions = decode_cursor(cursor, FINGERPRINT, 3)
    except ValueError:
        return
    assert len(positions) == 3


cursor_positions = st.builds(
    Position,
    row=st.integers(0, 10**6),
    size=st.integers(1, 500),
    total=st.none() | st.integers(0, 10**6),
    digests=st.lists(st.text("abcXYZ-_09", min_size=8, max_size=8), max_size=5).map(tuple),
    is_later_pass=st.booleans(),
    gaps=st.integers(0, 9),
)


@given(encoded=st.lists(st.none() | cursor_positions, max_size=4))
def test_decoding_a_cursor_returns_the_encoded_positions(encoded: list[Position | None]):
    assert decode_cursor(encode_cursor(FINGERPRINT, 1, encoded), FINGERPRINT, 6)[1 : 1 + len(encoded)] == tuple(encoded)


async def test_verify_with_a_cursor_and_unknown_consistencies_are_refused():
    async with Service([]).client() as client:
        cursor = aiter(client.appointments.list("u")).cursor
        with pytest.raises(ValueError, match="verify needs to know every item"):
            client.appointments.list("u", cursor=cursor, consistency="verify")
        for wrong in ("strict", None, True):
            with pytest.raises(ValueError, match=r"consistency .* does not exist: choose one of default, verify"):
                client.appointments.list_mine(consistency=wrong)  # type: ignore[arg-type]
        client.appointments.list_mine(consistency="verify")


async def test_a_list_that_takes_no_cursor_has_none():
    async with Service([answer({"entities": []})]).client() as client:
        assert aiter(client.notifications.list()).cursor is None
    error = TransportError("x")
    assert error.cursor is None
