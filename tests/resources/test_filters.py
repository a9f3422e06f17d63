"""Long lists of ids are split over several requests, and plans ask nobody."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import CoachingClient, Plan, RateLimit
from coaching_async._resources.filters import split_ids
from tests.support.appointments import USERS, Appointments
from tests.support.doubles import Service, answer
from tests.support.effort import examples

pytestmark = pytest.mark.anyio

ids_ = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1, max_size=80), min_size=1, max_size=260
)


@settings(max_examples=examples(100), deadline=None)
@given(users=ids_, facilitators=ids_)
def test_the_parts_contain_every_pair_once_and_each_is_short(users: list[str], facilitators: list[str]):
    parts = split_ids(user_ids=users, facilitator_ids=facilitators)

    pairs = [(user, other) for part in parts for user in part["user_ids"] for other in part["facilitator_ids"]]
    assert len(pairs) == len(set(pairs)) == len(set(users)) * len(set(facilitators))
    for part in parts:
        url = httpx.URL("https://api.test", params={name: list(ids) for name, ids in part.items()})
        assert max(map(len, part.values())) <= 100
        assert len(str(url)) <= 8_000 or all(len(ids) == 1 for ids in part.values())


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

    everything = [appointment["id"] for appointment in ALTERNATING.appointments]
    assert found == (everything if order == "Asc" else everything[::-1])


@pytest.mark.parametrize("how", ["collect", "stream", "pages"])
async def test_an_item_in_two_parts_is_returned_once(how: str):
    service = Service(ALTERNATING)
    async with service.client() as client:
        found = await walked(client, how)

    assert sorted(found) == sorted(appointment["id"] for appointment in ALTERNATING.appointments)
    assert {len(request.url.params.get_list("userIds")) for request in service.requests} == {100, 50}


async def test_a_merged_list_buffers_one_page_per_part_and_reads_the_next_when_needed():
    appointments = Appointments(
        *[(number,) for number in range(0, 100, 10)], *[(number,) for number in range(100, 200)]
    )
    async with Service(appointments).client() as client:
        walk = aiter(client.appointments.list(USERS[:200], page_size=5, sort_order="Asc"))
        for _ in range(5):
            await anext(walk)

    assert len(appointments.queries) == 2


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
        assert {query["pageSize"] for query in appointments.queries} == {"1"}
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
        with pytest.raises(ValueError, match="items is a whole number, at least 0"):
            client.appointments.list("u").plan(-1)
        with pytest.raises(ValueError, match="items is a whole number, at least 0"):
            client.appointments.list("u").plan("1000")  # type: ignore[arg-type]

    assert service.requests == []
