"""Teams and their members: cursors, names, and the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from coaching_async.sandbox import Fault, Sandbox
from tests.sandbox.api import Api, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TEAMS = "/api/v2/teams"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=0, users=40) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[Api]:
    with Api(sandbox, token_of(sandbox)) as client:
        yield client


def pages(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    """Return all pages, found by the cursors of their links."""
    found = [api.get(path, params=query).json()]
    while uri := found[-1].get("nextUri"):
        (after,) = parse_qs(urlsplit(uri).query)["after"]
        found.append(api.get(path, params=query | {"after": after}).json())
        assert found[-1] == api.get(uri).json()
    return found


@pytest.mark.parametrize("size, lengths", [(3, [3, 3, 2]), (4, [4, 4, 0]), (8, [8, 0]), (100, [8])])
def test_teams_are_read_by_cursors_and_a_full_page_has_a_link_even_if_nothing_follows(
    sandbox: Sandbox, api: Api, size: int, lengths: list[int]
):
    found = pages(api, TEAMS, pageSize=size)

    assert [len(page["entities"]) for page in found] == lengths
    names = [team["name"] for page in found for team in page["entities"]]
    assert names == sorted(team["name"] for team in sandbox.state.teams.values())
    assert "total" not in found[0]
    assert "previousUri" not in found[0]


def test_the_page_before_is_read_by_its_cursor(api: Api):
    first, second, third = pages(api, TEAMS, pageSize=3)

    assert api.get(third["previousUri"]).json()["entities"] == second["entities"]
    assert api.get(second["previousUri"]).json()["entities"] == first["entities"]


def test_a_link_has_the_other_parameters(api: Api):
    uri = api.get(TEAMS, params={"name": "bill", "expand": "entities.division", "pageSize": 1}).json()["nextUri"]

    assert {**parse_qs(urlsplit(uri).query), "after": []} == {
        "name": ["bill"],
        "expand": ["entities.division"],
        "pageSize": ["1"],
        "after": [],
    }


def test_a_name_finds_teams_that_begin_with_it_in_any_case(api: Api):
    names = [team["name"] for team in api.get(TEAMS, params={"name": "BILLING"}).json()["entities"]]

    assert names == ["Billing", "Billing Evenings"]
    assert api.get(TEAMS, params={"name": "nothing"}).json()["entities"] == []


def test_the_name_of_the_division_comes_with_an_expand(sandbox: Sandbox, api: Api):
    (plain,), (expanded,) = (
        api.get(TEAMS, params={"name": "Billing E", **query}).json()["entities"]
        for query in ({}, {"expand": "entities.division"})
    )

    assert "name" not in plain["division"]
    assert expanded["division"]["name"] in {"Home", "North", "South"}
    assert plain["memberCount"] == len(sandbox.state.members[plain["id"]])


def test_members_are_ids_and_names_come_with_an_expand(sandbox: Sandbox, api: Api):
    team_id = next(iter(sandbox.state.teams))
    path = f"{TEAMS}/{team_id}/members"
    (bare,), named = pages(api, path), pages(api, path, pageSize=2, expand="entities")

    assert [set(member) for member in bare["entities"]] == [{"id", "selfUri"}] * len(bare["entities"])
    members = [member for page in named for member in page["entities"]]
    assert {member["id"] for member in members} == set(sandbox.state.members[team_id])
    assert all(member["name"] == sandbox.state.users[member["id"]]["name"] for member in members)
    assert api.get(f"{TEAMS}/none/members").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"after": "%%%"},
        {"after": "W10"},
        {"after": "MQ=="},
        {"before": "WzFd"},
        {"pageSize": 0},
        {"expand": "x"},
        {"expand": ""},
    ],
)
def test_an_invalid_cursor_or_parameter_is_refused(api: Api, query: dict[str, Any]):
    assert api.get(TEAMS, params=query).status_code == 400


def test_teams_are_searched_by_name(api: Api):
    def search(kind: str, value: str) -> Any:
        criterion = {"type": kind, "fields": ["name"], "value": value}
        return api.post(f"{TEAMS}/search", json={"query": [criterion]})

    assert [team["name"] for team in search("EXACT", "Billing").json()["results"]] == ["Billing"]
    assert len(search("STARTS_WITH", "Billing").json()["results"]) == 2
    assert search("CONTAINS", "Billing").status_code == 400
    assert api.post(f"{TEAMS}/search", json={}).status_code == 400


def test_faults_apply_to_the_operations_of_people(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("status", "GET", "/teams", status=503), Fault("odd_row", "POST", "/users/search"))

    assert api.get(TEAMS).status_code == 503
    with httpx.Client(base_url=sandbox.base_url, headers=api.headers, trust_env=False) as unchecked:
        odd = unchecked.post("/api/v2/users/search", json={}).json()["results"][0]
    assert odd["name"] == {"unexpected": True}
