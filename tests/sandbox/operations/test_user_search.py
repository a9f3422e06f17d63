"""The search of users: criteria, states, order, pages, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import Api, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH = "/api/v2/users/search"
ANY_STATE = {"type": "EXACT", "fields": ["state"], "values": ["active", "inactive", "deleted"]}
PEOPLE = {
    "a": {
        "name": "Ada Byrne",
        "email": "ada@corp.example",
        "state": "active",
        "title": "Agent",
        "manager": {"id": "c"},
    },
    "b": {"name": "Bo Byrne-Lund", "email": "Bo.Lund@Corp.example", "state": "inactive", "department": "Sales"},
    "c": {"name": "佐藤 花子", "email": "hanako@corp.example", "state": "active", "title": "Team lead"},
    "d": {"name": "Dee Reyes", "email": "dee@corp.example", "state": "deleted"},
}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Sandbox(appointments=0, users=1) as sandbox:
        sandbox.state.users.clear()
        sandbox.state.users.update({id_: {"id": id_, **person} for id_, person in PEOPLE.items()})
        with Api(sandbox, token_of(sandbox)) as client:
            yield client


def found(api: Api, *query: dict[str, Any], **body: Any) -> str:
    """Return the ids that a search finds, joined."""
    answer = api.post(SEARCH, json={"query": [ANY_STATE, *query], **body})
    assert answer.status_code == 200, answer.text
    return "".join(user["id"] for user in answer.json()["results"])


def criterion(kind: str, field: str | None, *values: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "values": list(values), **({"fields": [field]} if field else {}), **more}


@pytest.mark.parametrize(
    "wanted, ids",
    [
        (criterion("EXACT", "email", "ada@corp.example", "dee@corp.example"), "ad"),
        (criterion("EXACT", "email", "bo.lund@corp.example"), "b"),
        (criterion("EXACT", "email", "Bo.Lund@Corp.example"), "b"),
        (criterion("EXACT", "email", "BO.LUND@CORP.EXAMPLE"), ""),
        (criterion("EXACT", "id", "c"), "c"),
        (criterion("EXACT", "manager.id", "c"), "a"),
        (criterion("EXACT", "nonsense.id", "c"), ""),
        ({"type": "EXACT", "fields": ["name", "title"], "value": "Agent"}, "a"),
        (criterion("STARTS_WITH", "name", "bo b"), "b"),
        (criterion("CONTAINS", "name", "byrne"), "ab"),
        (criterion("CONTAINS", "name", "花"), "c"),
        (criterion("TERM", "name", "BYRNE"), "ab"),
        (criterion("TERM", "name", "Ada Byrne"), ""),
        (criterion("TERMS", "name", "lund", "reyes"), "bd"),
        (criterion("REGEX", "name", "[AB].* Byrne"), "a"),
        (criterion("QUERY_STRING", None, "byrne ada"), "a"),
        (criterion("REQUIRED_FIELDS", "title"), "ac"),
        (criterion("MATCH_ALL", None), "abdc"),
        (criterion("RANGE", "name", startValue="B", endValue="E"), "bd"),
        (criterion("GREATER_THAN_EQUAL_TO", "name", "Dee Reyes"), "dc"),
        (criterion("LESS_THAN", "name", "Bo"), "a"),
        (criterion("TERM", "name", "byrne", operator="NOT"), "dc"),
        (criterion("EXACT", "id", group=[criterion("EXACT", "id", "a"), criterion("EXACT", "state", "active")]), "a"),
    ],
    ids=str,
)
def test_a_criterion_finds_users(api: Api, wanted: dict[str, Any], ids: str):
    assert found(api, wanted) == ids


def test_criteria_join_by_and_unless_their_operator_is_or(api: Api):
    byrne, active = criterion("TERM", "name", "byrne"), criterion("EXACT", "state", "active")
    dee, bo = (criterion("EXACT", "id", id_, operator="OR") for id_ in "db")

    assert found(api, byrne, active) == "a"
    assert found(api, dee, bo) == "bd"
    assert found(api, byrne, dee, bo) == "b"


def test_without_a_criterion_of_state_users_who_are_not_active_are_missing_from_their_page(api: Api):
    pages = [api.post(SEARCH, json={"pageSize": 2, "pageNumber": number}).json() for number in (1, 2, 3)]

    assert [[user["id"] for user in page["results"]] for page in pages] == [["a"], ["c"], []]
    assert {(page["total"], page["pageCount"]) for page in pages} == {(4, 2)}


def test_results_are_sorted_by_one_field_or_several(api: Api):
    assert found(api, sortBy="email", sortOrder="DESC") == "cdab"
    assert found(api, sort=[{"sortBy": "state"}, {"sortBy": "name", "sortOrder": "DESC"}]) == "cadb"


def test_the_links_of_a_page_search_again(api: Api):
    first = api.post(SEARCH, json={"query": [ANY_STATE], "pageSize": 1, "pageNumber": 2}).json()

    with httpx.Client(base_url=api.base_url, headers=api.headers, trust_env=False) as unchecked:
        assert unchecked.get(first["currentPage"]).json() == first
        following = unchecked.get(first["nextPage"]).json()
        assert [user["id"] for user in following["results"]] == ["d"]
        assert unchecked.get(following["previousPage"]).json() == first
    only = api.post(SEARCH, json={"query": [ANY_STATE]}).json()
    assert {"nextPage", "previousPage"}.isdisjoint(only)
    for wrong in ("", "?q64=", "?q64=%%%", "?q64=W10=", "?q64=e"):
        assert api.get(f"{SEARCH}{wrong}").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"pageSize": 101},
        {"pageSize": 0},
        {"pageSize": 100, "pageNumber": 101},
        {"pageNumber": "1"},
        {"sortOrder": "UP"},
        {"sort": [{"sortOrder": "UP"}]},
        {"sort": ["name"]},
        {"expand": "team"},
        {"enforcePermissions": "yes"},
        {"query": {}},
        {"query": ["x"]},
        {"query": [{"fields": ["name"], "value": "x"}]},
        {"query": [{"type": "LOOKS_LIKE", "fields": ["name"], "value": "x"}]},
        {"query": [{"type": "EXACT", "fields": ["name"]}]},
        {"query": [{"type": "EXACT", "value": "x"}]},
        {"query": [{"type": "EXACT", "fields": "name", "value": "x"}]},
        {"query": [{"type": "EXACT", "fields": ["name"], "value": "x" * 301}]},
        {"query": [{"type": "EXACT", "fields": ["name"], "values": ["x"] * 51}]},
        {"query": [{"type": "EXACT", "fields": ["name"], "value": "x", "operator": "XOR"}]},
        {"query": [{"type": "REGEX", "fields": ["name"], "value": "("}]},
        {"query": [{"type": "EXACT", "group": [{"type": "EXACT"}]}]},
        {"query": [ANY_STATE] * 11},
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_search_that_the_service_does_not_allow_is_refused(api: Api, body: Any):
    assert api.post(SEARCH, json=body).status_code == 400
