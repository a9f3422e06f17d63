"""Users: many ids in few requests, names, lists and searches, with the answers that the service may give."""

import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints
from uuid import UUID

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    BadRequest,
    CoachingClient,
    DecodeError,
    Division,
    FoundUsers,
    NotFound,
    Team,
    TeamMember,
    User,
    UserReference,
    UserState,
    from_dict,
    to_dict,
)
from coaching_async._exceptions import CoachingError
from coaching_async._serialization.names import to_camel
from tests.conftest import DATA
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

ANN, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


def person(id_: str, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "name": f"Name of {id_}", "state": "active", **fields}


def asked_ids(request: httpx.Request) -> list[str]:
    return request.url.params.get_list("id")


class Directory:
    """A service with users. It answers ids in its own order, a few a page, and leaves out those that it does not have."""

    def __init__(
        self,
        ids: Sequence[str],
        *,
        max_ids: int = 100,
        page_size: int = 100,
        refuses: Callable[[str], bool] = lambda _: False,
        refusal: int = 400,
    ) -> None:
        self.ids, self.max_ids, self.page_size, self.refuses, self.refusal = ids, max_ids, page_size, refuses, refusal

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = asked_ids(request)
        assert request.url.params["state"] == "any"
        if len(asked) > self.max_ids:
            return answer({"message": "m", "code": "max.user.ids", "status": 400}, 400)
        if any(map(self.refuses, asked)):
            return answer(None, self.refusal)
        found = sorted(set(self.ids).intersection(map(str.lower, asked)), reverse=True)
        size = min(int(request.url.params["pageSize"]), self.page_size)
        number = int(request.url.params["pageNumber"])
        return answer(
            {
                "entities": [person(id_) for id_ in found[(number - 1) * size : number * size]],
                "pageNumber": number,
                "pageSize": size,
                "pageCount": -(-len(found) // size),
                "total": len(found),
            }
        )


def numbered(count: int) -> list[str]:
    return [f"user-{number:04}" for number in range(count)]


# The models


def test_a_user_has_what_the_service_set_and_none_elsewhere(example: Callable[[str], Any]):
    full, plain = from_dict(User, example("people_user")), from_dict(User, example("people_user_plain"))

    assert (full.name, full.title, full.state) == ("Alex Example", "Team lead", UserState.ACTIVE)
    assert full.manager == UserReference(
        id="e2d3c4b5-a697-4889-9a0b-1c2d3e4f5a04", self_uri="/api/v2/users/e2d3c4b5-a697-4889-9a0b-1c2d3e4f5a04"
    )
    assert full.division is not None
    assert full.division.name == "North"
    assert (plain.title, plain.department, plain.manager) == (None, None, None)
    assert from_dict(User, to_dict(full)) == full
    assert pickle.loads(pickle.dumps(full)) == full


SCHEMAS: dict[str, Any] = json.loads((DATA / "people.openapi.json").read_text())["components"]["schemas"]


@pytest.mark.parametrize(
    "cls, schema", [(User, "User"), (Team, "Team"), (TeamMember, "UserReferenceWithName"), (Division, "Division")]
)
def test_the_fields_of_a_model_are_fields_of_its_schema(cls: Any, schema: str):
    assert {to_camel(name) for name in get_type_hints(cls)} <= SCHEMAS[schema]["properties"].keys()


def test_the_states_of_a_user_are_those_of_the_contract():
    assert list(UserState) == SCHEMAS["User"]["properties"]["state"]["enum"]


@pytest.mark.parametrize("version", [152, "152", None])
def test_a_version_is_a_number_or_text(version: Any):
    assert from_dict(User, person(ANN, version=version)).version == version


@pytest.mark.parametrize("version", [[1], {"a": 1}, True, 1.5])
def test_a_version_is_nothing_else(version: Any):
    with pytest.raises(ValueError, match="version"):
        from_dict(User, person(ANN, version=version))


def test_a_state_that_is_not_known_is_kept_and_fields_that_are_not_known_are_dropped(example: Callable[[str], Any]):
    user = from_dict(User, example("people_user.future"))

    assert user.state == "suspended"
    assert "pronouns" not in to_dict(user)


# One user


async def test_a_user_who_was_deleted_is_found_by_a_second_request():
    service = Service(
        lambda request: answer(person(ANN, state="deleted")) if "state" in request.url.params else answer(None, 404)
    )
    async with service.client() as client:
        user = await client.users.get(UUID(ANN))

    assert user.state is UserState.DELETED
    assert [request.url.query for request in service.requests] == [b"", b"state=deleted"]


async def test_an_id_of_nobody_is_not_found():
    async with Service([answer(None, 404)]).client() as client:
        with pytest.raises(NotFound):
            await client.users.get(ANN)


# Many ids


async def test_users_are_found_by_id_in_the_order_of_the_ids_whatever_the_order_of_the_service():
    ids = numbered(250)
    service = Service(Directory(ids))
    async with service.client() as client:
        found = await client.users.get_many(iter([*ids, ids[3]]))

    assert list(found) == ids
    assert all(user.id == id_ for id_, user in found.items())
    assert (found.missing, found.left_out) == ((), ())
    assert sorted(len(asked_ids(request)) for request in service.requests) == [50, 100, 100]
    assert {request.url.params["pageSize"] for request in service.requests} == {"100", "50"}


async def test_ids_that_match_nobody_are_told():
    async with Service(Directory([ANN])).client() as client:
        found = await client.users.get_many([BOB, ANN])

    assert (list(found), found.missing) == ([ANN], (BOB,))
    with pytest.raises(KeyError):
        found[BOB]


async def test_the_case_of_an_id_does_not_matter():
    async with Service(Directory([ANN])).client() as client:
        found = await client.users.get_many(ANN.upper())

    assert list(found) == [ANN.upper()]
    assert found[ANN.upper()].id == ANN


async def test_no_ids_need_no_request():
    service = Service([answer(None, 500)])
    async with service.client() as client:
        assert len(await client.users.get_many([])) == 0
        assert await client.users.names(()) == {}

    assert service.requests == []


async def test_all_pages_of_a_batch_are_read():
    async with Service(Directory(numbered(100), page_size=30)).client() as client:
        assert len(await client.users.get_many(numbered(100))) == 100


async def test_a_batch_that_is_too_large_is_halved():
    ids = numbered(130)
    service = Service(Directory(ids, max_ids=50))
    async with service.client() as client:
        assert list(await client.users.get_many(ids)) == ids

    assert sorted(len(asked_ids(request)) for request in service.requests) == [30, 50, 50, 100]


@pytest.mark.parametrize("status", [400, 404])
async def test_an_id_that_the_service_refuses_takes_no_others_with_it(status: int):
    ids = numbered(40)
    async with Service(Directory(ids, refuses="user-0007".__eq__, refusal=status)).client() as client:
        found = await client.users.get_many(ids)

    assert found.missing == ("user-0007",)
    assert len(found) == 39


async def test_a_refusal_of_every_id_is_an_error():
    async with Service([answer(None, 400)]).client() as client:
        with pytest.raises(BadRequest):
            await client.users.get_many(numbered(3))


async def test_if_the_service_refuses_everything_that_is_found_out_in_few_requests():
    service = Service([answer(None, 400)])
    async with service.client() as client:
        with pytest.raises(BadRequest):
            await client.users.get_many(numbered(2000))

    assert len(service.requests) < 250


async def test_an_error_has_the_users_that_were_found():
    ids = numbered(300)
    directory = Directory(ids)

    def answers(request: httpx.Request) -> httpx.Response:
        return answer(None, 403) if "user-0150" in asked_ids(request) else directory(request)

    async with Service(answers).client() as client:
        with pytest.raises(CoachingError) as caught:
            await client.users.get_many(ids)

    assert [user.id for user in caught.value.partial if isinstance(user, User)] == [*ids[:100], *ids[200:]]


async def test_a_user_who_cannot_be_read_is_not_missing():
    rows = [person(ANN, name=7), person(BOB)]
    service = Service([answer({"entities": rows, "pageNumber": 1, "pageCount": 1, "total": 2})])
    async with service.client() as client:
        found = await client.users.get_many([ANN, BOB, "other"])

        assert (list(found), found.missing, [row.id for row in found.left_out]) == ([BOB], ("other",), [ANN])
        assert await client.users.names([ANN]) == {ANN: ANN}
    async with service.client(strict=True) as client:
        with pytest.raises(DecodeError):
            await client.users.get_many([ANN])


@pytest.mark.parametrize("ids", [["a", ""], ["a", "b\n"], [b"x"], "a,b", ["x" * 70_000], [None]])
async def test_ids_that_are_none_are_refused_before_a_request(ids: Any):
    service = Service(Directory([]))
    async with service.client() as client:
        for method in (client.users.get_many, client.users.names):
            with pytest.raises(ValueError, match=r"id|comma|long"):
                await method(ids)

    assert service.requests == []


def test_found_users_are_a_mapping_that_can_be_compared_and_pickled():
    found = FoundUsers({ANN: User(id=ANN)}, (BOB,))

    assert dict(found) == {ANN: User(id=ANN)}
    assert pickle.loads(pickle.dumps(found)) == found
    assert len({found, pickle.loads(pickle.dumps(found))}) == 1
    assert found != FoundUsers({ANN: User(id=ANN)})


# Names


def service_of_names(*ids: str) -> Service:
    return Service(Directory(ids))


async def test_every_id_has_a_name_or_stands_for_itself():
    def answers(_: httpx.Request) -> httpx.Response:
        return answer({"entities": [person(ANN), {"id": BOB}], "pageCount": 1})

    async with Service(answers).client() as client:
        names = await client.users.names([BOB, ANN, "gone"])

    assert names == {BOB: BOB, ANN: f"Name of {ANN}", "gone": "gone"}


async def test_names_are_kept_for_ten_minutes():
    service = service_of_names(ANN)
    async with service.client() as client:
        await client.users.names([ANN, BOB])
        await client.users.names([BOB, ANN])
        await client.with_options(timeout=5).users.names(ANN)
        assert len(service.requests) == 1
        await anyio.sleep(600)
        await client.users.names(ANN)

    assert len(service.requests) == 2


async def test_names_of_another_identity_are_read_with_its_own_token():
    service = service_of_names(ANN)
    async with service.client() as client:
        await client.users.names(ANN)
        await client.with_auth(AccessToken("another")).users.names(ANN)

    assert [request.headers["Authorization"][-7:] for request in service.requests] == ["r-tests", "another"]


async def test_more_names_than_are_kept_are_returned_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coaching_async._api.name_cache.MAX_NAMES", 50)
    ids = numbered(130)
    async with service_of_names(*ids).client() as client:
        assert list(await client.users.names(ids)) == ids
        assert len(client._api.names._kept) == 50


async def test_concurrent_callers_share_a_request():
    service = service_of_names(ANN, BOB)
    results: list[Any] = []
    async with service.client() as client:

        async def call(*ids: str) -> None:
            results.append(await client.users.names(ids))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, ANN)
            tasks.start_soon(call, ANN)
            tasks.start_soon(call, ANN, BOB)

    assert sorted(map(len, results)) == [1, 1, 2]
    assert sorted(id_ for request in service.requests for id_ in asked_ids(request)) == [ANN, BOB]


async def test_a_failure_reaches_those_who_wait_and_is_not_kept():
    directory, failing = Directory([ANN]), True

    def answers(request: httpx.Request) -> httpx.Response:
        return answer(None, 418) if failing else directory(request)

    service, errors = Service(answers), []
    async with service.client() as client:

        async def call() -> None:
            try:
                await client.users.names(ANN)
            except CoachingError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(call)
        assert (len(errors), len(service.requests)) == (3, 1)
        failing = False
        assert (await client.users.names(ANN))[ANN].startswith("Name")


async def test_if_the_caller_that_reads_is_cancelled_another_one_reads():
    names: list[Any] = []
    first, waiting = anyio.Event(), anyio.Event()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if not first.is_set():
                first.set()
                await anyio.sleep_forever()
            return Directory([ANN])(request)

    async with httpx.AsyncClient(transport=Slow()) as http:
        client = CoachingClient(AccessToken("t"), base_url="https://api.test", http_client=http)

        async def wait_for_the_first() -> None:
            await first.wait()
            waiting.set()
            names.append(await client.users.names(ANN))

        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_the_first)
            with anyio.CancelScope() as scope:
                tasks.start_soon(_cancel_when, waiting, scope)
                await client.users.names(ANN)

    assert names == [{ANN: f"Name of {ANN}"}]


async def _cancel_when(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    await anyio.sleep(1)
    scope.cancel()


# Lists and searches


async def test_a_list_beyond_the_limit_of_the_service_ends_with_an_error_that_says_why_and_has_a_cursor(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("coaching_async._resources.user_search.MAX_USERS", 6)

    def answers(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["pageNumber"])
        if number > 3:
            return answer(None, 400)
        rows = [person(f"u{number}-{index}") for index in range(2)]
        return answer({"entities": rows, "pageNumber": number, "pageSize": 2, "pageCount": 9, "total": 18})

    async with Service(answers).client() as client:
        with pytest.raises(BadRequest, match="up to 6 users") as caught:
            await client.users.list(state="inactive", page_size=2).collect()

    assert len(caught.value.partial) == 6
    assert caught.value.cursor


async def test_a_400_before_that_is_not_explained():
    async with Service([answer(None, 400)]).client() as client:
        with pytest.raises(BadRequest) as caught:
            await client.users.list(state="any").collect()

    assert "up to" not in str(caught.value)


def search_page(number: int, count: int, *users: dict[str, Any]) -> httpx.Response:
    body = {"total": 99, "pageCount": count, "pageSize": 2, "pageNumber": number, "types": ["users"]}
    return answer({**body, "results": users, "currentPage": "/x?q64=1", "nextPage": "/x?q64=2"})


async def test_a_search_reads_all_pages_though_some_are_empty_and_returns_each_user_once():
    pages = [(person(ANN), person(BOB)), (), (), (person(BOB),), (person("c"),)]

    def answers(request: httpx.Request) -> httpx.Response:
        number = json.loads(request.content)["pageNumber"]
        return search_page(number, len(pages), *pages[number - 1])

    service = Service(answers)
    async with service.client() as client:
        walk = client.users.search(name="Name", page_size=2).walk()
        found = [user.id async for user in walk]
        assert [user.id for user in await client.users.search(name="Name").collect(concurrency=4)] == found

    assert found == [ANN, BOB, "c"]
    assert (walk.report.duplicates, walk.report.suspected_gaps, walk.report.pages) == (1, 0, 5)
    assert len(service.requests) == 10


async def test_an_address_is_searched_as_given_and_in_lower_case_and_compared_without_case():
    service = Service([search_page(1, 1, person(ANN, email="ANN@x.example"), person(BOB, email="annx@x.example"))])
    async with service.client() as client:
        found = await client.users.search(email="Ann@X.example").collect()

    assert [user.id for user in found] == [ANN]
    criterion, state = json.loads(service.requests[0].content)["query"]
    assert criterion == {"type": "EXACT", "fields": ["email"], "values": ["Ann@X.example", "ann@x.example"]}
    assert state == {"type": "EXACT", "fields": ["state"], "values": ["active", "inactive"]}


async def test_a_word_that_an_index_may_divide_is_searched_as_a_part_of_the_name():
    service = Service([search_page(1, 1)])
    async with service.client() as client:
        await client.users.search(name="Aoife O'Neill Anne-Marie गुप्ता Großmann 佐藤").collect()

    *words, _ = json.loads(service.requests[0].content)["query"]
    assert [each["type"] for each in words] == ["TERM", "CONTAINS", "CONTAINS", "CONTAINS", "TERM", "TERM"]


async def test_a_user_of_a_search_who_cannot_be_read_is_left_out_and_reported():
    service = Service([search_page(1, 1, person(ANN, email=7), person(BOB, email="b@x.example"))])
    async with service.client() as client:
        walk = client.users.search(email="b@x.example").walk()
        assert [user.id async for user in walk] == [BOB]

    assert [row.id for row in walk.report.left_out] == [ANN]


async def test_a_search_is_retried_because_it_changes_nothing():
    service = Service([answer(None, 503), search_page(1, 1)])
    async with service.client() as client:
        assert await client.users.search(name="x").first() is None

    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"name": ""},
        {"name": " x"},
        {"email": "a@b.example\n"},
        {"name": "x" * 301},
        {"name": "a b c d e f g h i j"},
        {"name": "x", "states": ()},
        {"name": "x", "states": "gone"},
        {"name": "x", "page_size": 101},
        {"name": "x", "page_size": 0},
    ],
)
def test_a_search_that_no_service_takes_is_refused_at_once(arguments: Any):
    client = CoachingClient(AccessToken("t"))

    with pytest.raises(ValueError, match=r"name|email|states|UserState|page_size") as caught:
        client.users.search(**arguments)

    assert "a@b" not in str(caught.value)


@pytest.mark.parametrize("state", ["", "gone", "ACTIVE"])
def test_a_list_has_a_state_that_there_is(state: str):
    with pytest.raises(ValueError, match="active, inactive, deleted, any"):
        CoachingClient(AccessToken("t")).users.list(state=state)


async def test_a_failed_search_says_nothing_of_the_person():
    refusal = {"message": "no ANN (ann@x.example) Lee-Roy, Leeds", "code": "bad.request", "status": 400}
    async with Service([answer(refusal, 400)]).client() as client:
        with pytest.raises(BadRequest, match=r"no … … …-…, Leeds") as caught:
            await client.users.search(name="Ann Roy lee", email="ann@x.example").collect()

    assert caught.value.message == refusal["message"]
