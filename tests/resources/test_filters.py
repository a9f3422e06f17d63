"""Long lists of ids are split over several requests, cursors resume in another process, and plans send no request."""

import base64
import json
import pickle
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import CoachingClient, Listing, Page, Plan, RateLimit, TransportError
from coaching_async._pagination.cursor import Position, decode_cursor, encode_cursor, list_fingerprint
from coaching_async._resources.filters import split_ids
from coaching_async.models import UserReference
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
USERS = [f"11111111-1111-4111-8111-{number:012}" for number in range(250)]

KEY = list_fingerprint("a list")

ids_ = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1, max_size=80), min_size=1, max_size=260
)


@settings(max_examples=100, deadline=None)
@given(users=ids_, facilitators=ids_)
def test_the_parts_contain_every_pair_once_and_each_is_short(users: list[str], facilitators: list[str]):
    parts = split_ids(user_ids=users, facilitator_ids=facilitators)

    pairs = [(user, other) for part in parts for user in part["user_ids"] for other in part["facilitator_ids"]]
    assert len(pairs) == len(set(pairs)) == len(set(users)) * len(set(facilitators))
    for part in parts:
        url = httpx.URL("https://api.test", params={name: list(ids) for name, ids in part.items()})
        assert max(map(len, part.values())) <= 100
        assert len(str(url)) <= 8_000 or all(len(ids) == 1 for ids in part.values())


class Appointments:
    """Appointments of users, some of two; a page is as the service makes it."""

    def __init__(self, *users_of: tuple[int, ...]) -> None:
        self.found = [
            {"id": f"a{number}", "dateStart": (START + timedelta(hours=number)).isoformat(), "users": users}
            for number, users in enumerate(users_of)
        ]
        self.asked: list[httpx.QueryParams] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        self.asked.append(query)
        wanted = set(query.get_list("userIds")) if "/me" not in request.url.path else set(USERS)
        found = [each for each in self.found if wanted & {USERS[number] for number in each["users"]}]
        if query.get("sortOrder") == "Desc":
            found.reverse()
        number, size = int(query["pageNumber"]), int(query["pageSize"])
        entities = [{"id": each["id"], "dateStart": each["dateStart"]} for each in found[(number - 1) * size :][:size]]
        return answer(
            {
                "entities": entities,
                "pageNumber": number,
                "pageSize": size,
                "pageCount": -(-len(found) // size),
                "total": len(found),
            }
        )


ALTERNATING = Appointments(*[(number % 250, (number + 125) % 250) for number in range(0, 250, 7)])


async def walked(client: CoachingClient, how: str, **filters: Any) -> list[str]:
    listing = client.appointments.list(USERS, page_size=3, **filters)
    if how == "stream":
        async with listing.stream(4) as items:
            return [item.id async for item in items]
    if how == "pages":
        return [item.id async for page in listing.pages() for item in page.entities]
    return [item.id for item in await listing.collect()]


@pytest.mark.parametrize("how", ["collect", "stream"])
@pytest.mark.parametrize("order", ["Asc", "Desc"])
async def test_the_parts_of_a_sorted_list_are_merged(how: str, order: str):
    async with Service(ALTERNATING).client() as client:
        found = await walked(client, how, sort_order=order)

    everything = [each["id"] for each in ALTERNATING.found]
    assert found == (everything if order == "Asc" else everything[::-1])


@pytest.mark.parametrize("how", ["collect", "stream", "pages"])
async def test_an_item_in_two_parts_is_returned_once(how: str):
    service = Service(ALTERNATING)
    async with service.client() as client:
        found = await walked(client, how)

    assert sorted(found) == sorted(each["id"] for each in ALTERNATING.found)
    assert {len(request.url.params.get_list("userIds")) for request in service.requests} == {100, 50}


async def test_a_merged_list_buffers_one_page_per_part_and_reads_the_next_when_needed():
    appointments = Appointments(
        *[(number,) for number in range(0, 100, 10)], *[(number,) for number in range(100, 200)]
    )
    async with Service(appointments).client() as client:
        walk = aiter(client.appointments.list(USERS[:200], page_size=5, sort_order="Asc"))
        for _ in range(5):
            await anext(walk)

    assert len(appointments.asked) == 2


async def test_items_without_a_date_come_last():
    def undated(request: httpx.Request) -> httpx.Response:
        body = json.loads(ALTERNATING(request).content)
        *dated, last = body["entities"]
        return answer(body | {"entities": [*dated, {"id": last["id"]}]})

    async with Service(undated).client() as client:
        found = await client.appointments.list(USERS, page_size=100, sort_order="Asc").collect()

    assert [each.date_start is None for each in found] == sorted(each.date_start is None for each in found)
    assert sum(each.date_start is None for each in found) > 1


async def test_first_of_a_split_list_is_the_first_of_all_parts():
    appointments = Appointments((120,), (3,), (220,))
    async with Service(appointments).client() as client:
        assert (await client.appointments.list(USERS, sort_order="Asc").first()).id == "a0"  # type: ignore[union-attr]
        assert (await client.appointments.list(USERS, sort_order="Desc").first()).id == "a2"  # type: ignore[union-attr]
        assert (await client.appointments.list(USERS).first()).id == "a1"  # type: ignore[union-attr]
        assert {query["pageSize"] for query in appointments.asked} == {"1"}
        assert await client.appointments.list(USERS).total() is None
        assert await client.appointments.list(USERS[:100]).total() == 1


async def test_a_duplicate_id_is_sent_once():
    service = Service(Appointments((0,)))
    async with service.client() as client:
        await client.appointments.list([USERS[0]] * 300).collect()

    assert [request.url.params.get_list("userIds") for request in service.requests] == [[USERS[0]]]


async def test_facilitator_ids_are_split_too():
    service = Service(Appointments((0,)))
    async with service.client() as client:
        listing = client.appointments.list(USERS[:150], facilitator_ids=iter(USERS[:150]))
        assert listing.plan().requests == listing.plan().chunks == 6
        await listing.collect()
        assert client.appointments.list_mine(facilitator_ids=USERS).plan().chunks == 3

    asked = [request.url.params for request in service.requests]
    pairs = [
        (user, other)
        for each in asked
        for user in each.get_list("userIds")
        for other in each.get_list("facilitatorIds")
    ]
    assert len(pairs) == len(set(pairs)) == 150 * 150
    assert max(len(str(request.url)) for request in service.requests) < 8_000


async def test_a_plan_counts_requests_and_seconds_and_sends_nothing():
    service = Service([])
    async with service.client(rate_limit=RateLimit(10, per=60.0)) as client:
        assert client.appointments.list("u").plan() == Plan(requests=1, chunks=1, seconds=0.0)
        assert client.appointments.list("u", page_size=50).plan(1_000) == Plan(requests=20, chunks=1, seconds=120.0)
        assert client.appointments.list(USERS).plan() == Plan(requests=3, chunks=3, seconds=18.0)
        assert client.appointments.list(USERS).plan(2_500).requests == 25
        with pytest.raises(ValueError, match="items must not be negative"):
            client.appointments.list("u").plan(-1)

    assert service.requests == []


# Cursors


@pytest.mark.parametrize("order", [None, "Asc"])
@pytest.mark.parametrize("after", [1, 10, 30])
async def test_a_cursor_of_any_iterator_resumes_the_list(order: str | None, after: int):
    appointments = Appointments(*[(number * 37 % 250,) for number in range(40)])
    async with Service(appointments).client() as client:
        listing = client.appointments.list(USERS, page_size=3, sort_order=order)
        items = aiter(listing)
        found = [(await anext(items)).id for _ in range(after)]
        pages = attrs.evolve(listing, cursor=items.cursor).pages()
        found += [item.id for item in (await anext(pages)).entities]
        found += [item.id async for item in attrs.evolve(listing, cursor=pages.cursor)]

    assert sorted(found) == sorted(each["id"] for each in appointments.found)


async def test_a_set_of_ids_makes_the_same_request_in_every_process():
    """Python shuffles the strings in a set anew in each process; ten of two spellings stand for two processes."""
    there, back = dict.fromkeys(USERS[:10]), dict.fromkeys(reversed(USERS[:10]))
    async with Service(Appointments((0,))).client() as client:
        one = client.appointments.list(there.keys(), facilitator_ids=there.keys(), statuses={"Completed", "Scheduled"})
        walk = aiter(one)
        await anext(walk)
        other = client.appointments.list(
            back.keys(), facilitator_ids=back.keys(), statuses={"Scheduled", "Completed"}, cursor=walk.cursor
        )
        assert await other.collect() == []


@pytest.mark.parametrize("order", [None, "Asc", "Desc"])
@pytest.mark.parametrize("after", [1, 3, 10, 35])
async def test_a_cursor_resumes_the_walk_in_another_client(order: str | None, after: int):
    appointments = Appointments(*[(number,) for number in range(0, 250, 7)])
    async with Service(appointments).client() as client:
        walk = aiter(client.appointments.list(USERS, page_size=3, sort_order=order))
        found = [(await anext(walk)).id for _ in range(after)]
        cursor = json.loads(json.dumps(walk.cursor))
    async with Service(appointments).client() as client:
        rest = client.appointments.list(USERS, page_size=3, sort_order=order, cursor=cursor)
        found += [item.id for item in await rest.collect(concurrency=2)]

    assert len(found) == len(set(found)) == len(appointments.found)
    if order is not None:
        assert found == [each["id"] for each in appointments.found][:: 1 if order == "Asc" else -1]


async def test_the_cursor_of_an_error_resumes_at_the_next_item():
    failing = Appointments(*[(0,)] * 10)
    failed = [False]

    def answers(request: httpx.Request) -> httpx.Response:
        if request.url.params["pageNumber"] == "3" and not failed[0]:
            failed[0] = True
            return answer({"code": "bad.request"}, 400)
        return failing(request)

    async with Service(answers).client() as client:
        listing = client.appointments.list(USERS[0], page_size=3)
        with pytest.raises(Exception, match="400") as caught:
            await listing.collect()
        error: Any = pickle.loads(pickle.dumps(caught.value))
        rest = await client.appointments.list(USERS[0], page_size=3, cursor=error.cursor).collect()

    assert [item.id for item in (*error.partial, *rest)] == [f"a{number}" for number in range(10)]


async def test_a_cursor_is_short_url_safe_and_shows_no_ids():
    async with Service(Appointments(*[(0,)] * 250)).client() as client:
        walk = aiter(client.appointments.list(USERS[0]))
        for _ in range(150):
            await anext(walk)

    assert walk.cursor is not None
    assert len(walk.cursor) < 1_300
    assert httpx.QueryParams({"cursor": walk.cursor})["cursor"] in str(httpx.QueryParams({"cursor": walk.cursor}))
    inside = base64.urlsafe_b64decode(walk.cursor + "==")
    assert USERS[0].encode() not in inside
    assert b"a14" not in inside


async def test_a_lone_surrogate_in_an_id_does_not_prevent_a_cursor():
    fetch = Service([answer({"entities": [{"id": "a\ud800"}, {"id": "b"}], "total": 2, "pageCount": 1, "pageSize": 2})])
    async with fetch.client() as client:
        walk = aiter(client.appointments.list("u"))
        await anext(walk)
        rest = client.appointments.list("u", cursor=walk.cursor)
        assert [item.id async for item in rest] == ["b"]


async def test_the_cursor_of_a_finished_walk_yields_nothing():
    service = Service(Appointments((0,), (0,)))
    async with service.client() as client:
        walk = aiter(client.appointments.list(USERS[0]))
        assert len([item async for item in walk]) == 2
        assert await client.appointments.list(USERS[0], cursor=walk.cursor).collect() == []

    assert len(service.requests) == 1


async def test_a_cursor_keeps_the_fact_that_items_may_be_missing():
    async def fetch(number: int, size: int) -> Page[Any]:
        letters = "axbcd"[(number - 1) * size : number * size]
        return Page(entities=tuple(UserReference(id=each) for each in letters), page_size=size, total=5)

    missing = Position(row=4, size=2, total=5, gaps=1)
    listing = Listing((fetch,), 2, key=KEY, cursor=encode_cursor(KEY, 0, [missing]))

    walk = listing.walk(seen=set("abc"))
    assert [item.id async for item in walk] == ["d", "x"], "where all is known, it is looked for"
    assert (walk.report.passes, walk.report.suspected_gaps) == (2, 0)
    walk = aiter(listing)
    assert [item.id async for item in walk] == ["d"]
    assert walk.report.suspected_gaps == 1


OTHERS: dict[str, Callable[[CoachingClient, str], object]] = {
    "another user": lambda c, cursor: c.appointments.list("v", cursor=cursor),
    "another filter": lambda c, cursor: c.appointments.list("u", overdue=True, cursor=cursor),
    "another order": lambda c, cursor: c.appointments.list("u", sort_order="Asc", cursor=cursor),
    "another size of page": lambda c, cursor: c.appointments.list("u", page_size=50, cursor=cursor),
    "another list": lambda c, cursor: c.appointments.list_mine(cursor=cursor),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_a_cursor_of_another_list_is_rejected_before_anything_is_sent(other: str):
    service = Service([])
    async with service.client() as client:
        cursor = aiter(client.appointments.list("u")).cursor
        assert cursor is not None
        with pytest.raises(ValueError, match="cursor belongs to another list, or other filters"):
            OTHERS[other](client, cursor)
        client.appointments.list("u", cursor=cursor)

    assert service.requests == []


@pytest.mark.parametrize("cursor", ["", "x", "abcd", "é", 5, b"abcd", "W10", "bnVsbA", "WzEsMiwzLDRd", "=" * 9])
async def test_invalid_cursors_are_rejected(cursor: Any):
    async with Service([]).client() as client:
        with pytest.raises(ValueError, match="cursor"):
            client.appointments.list("u", cursor=cursor)


json_ = st.recursive(st.none() | st.integers() | st.text(max_size=9) | st.floats(), st.lists, max_leaves=9)
odd = st.one_of(
    st.text(),
    json_.map(lambda data: base64.urlsafe_b64encode(json.dumps(data).encode()).decode()),
    st.tuples(json_, json_).map(
        lambda data: base64.urlsafe_b64encode(json.dumps([1, KEY, *data]).encode()).decode().rstrip("=")
    ),
)


@given(cursor=odd)
def test_only_value_errors_are_raised_for_any_cursor_text(cursor: str):
    try:
        positions = decode_cursor(cursor, KEY, 3)
    except ValueError:
        return
    assert len(positions) == 3


positions = st.builds(
    Position,
    row=st.integers(0, 10**6),
    size=st.integers(1, 500),
    total=st.none() | st.integers(0, 10**6),
    digests=st.lists(st.text("abcXYZ-_09", min_size=8, max_size=8), max_size=5).map(tuple),
    is_later_pass=st.booleans(),
    gaps=st.integers(0, 9),
)


@given(found=st.lists(st.none() | positions, max_size=4))
def test_a_decoded_cursor_equals_the_encoded_position(found: list[Position | None]):
    assert decode_cursor(encode_cursor(KEY, 1, found), KEY, 6)[1 : 1 + len(found)] == tuple(found)


async def test_verify_excludes_a_cursor_and_unknown_consistencies_are_rejected():
    async with Service([]).client() as client:
        cursor = aiter(client.appointments.list("u")).cursor
        with pytest.raises(ValueError, match="verify needs to know every item"):
            client.appointments.list("u", cursor=cursor, consistency="verify")
        for wrong in ("strict", None, True):
            with pytest.raises(ValueError, match='consistency is "default" or "verify"'):
                client.appointments.list_mine(consistency=wrong)  # type: ignore[arg-type]
        client.appointments.list_mine(consistency="verify")


async def test_a_list_without_a_cursor_argument_has_no_cursor():
    async with Service([answer({"entities": []})]).client() as client:
        assert aiter(client.notifications.list()).cursor is None
    error = TransportError("x")
    assert error.cursor is None


# Memory


def test_a_walk_keeps_little_memory_per_item():
    size, pages = 100, 200

    async def fetch(number: int, _: int) -> Page[Any]:
        ids = range((number - 1) * size, number * size)
        entities = tuple(UserReference(id=f"11111111-1111-4111-8111-{each:012}") for each in ids)
        return Page(entities=entities, page_number=number, page_size=size, page_count=pages, total=size * pages)

    async def held(walk: Any) -> float:
        before, _ = tracemalloc.get_traced_memory()
        async for _ in walk:
            pass
        now, _ = tracemalloc.get_traced_memory()
        return (now - before) / (size * pages)

    async def main() -> None:
        assert await held(aiter(Listing((fetch,), size))) < 150
        async with Listing((fetch,), size).stream(4) as stream:
            assert await held(stream) < 150

    tracemalloc.start()
    try:
        anyio.run(main)
    finally:
        tracemalloc.stop()
