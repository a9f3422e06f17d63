"""Users: lists, look-ups by id, states, and members of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from coaching_async.sandbox import Client, Sandbox
from tests.sandbox.api import Api, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USERS = "/api/v2/users"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=1, users=130) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[Api]:
    with Api(sandbox, token_of(sandbox)) as client:
        yield client


@pytest.fixture
def by_state(sandbox: Sandbox) -> dict[str, str]:
    """An id for each state."""
    return {user["state"]: id_ for id_, user in sandbox.state.users.items()}


def ids_of(api: Api, *query: tuple[str, Any]) -> list[str]:
    return [user["id"] for user in api.get(USERS, params=query).json()["entities"]]


def test_ids_are_repeated_or_joined_by_commas(sandbox: Sandbox, api: Api):
    wanted = sandbox.state.user_ids[:3]

    assert set(ids_of(api, *(("id", id_) for id_ in wanted))) == set(wanted)
    assert set(ids_of(api, ("id", ",".join(wanted)))) == set(wanted)


def test_users_are_listed_by_name(sandbox: Sandbox, api: Api):
    for order, is_reverse in (("ASC", False), ("descending", True)):
        found = ids_of(api, ("pageSize", 100), ("sortOrder", order))
        names = [sandbox.state.users[id_]["name"] for id_ in found]
        assert names == sorted(names, reverse=is_reverse)


def test_the_state_filters_ids_too_and_is_active_by_default(api: Api, by_state: dict[str, str]):
    wanted = [("id", id_) for id_ in by_state.values()]

    assert ids_of(api, *wanted) == [by_state["active"]]
    assert ids_of(api, *wanted, ("state", "deleted")) == [by_state["deleted"]]
    assert set(ids_of(api, *wanted, ("state", "any"))) == set(by_state.values())
    assert api.get(USERS, params={"state": "asleep"}).status_code == 400


def test_unknown_ids_are_left_out(api: Api, by_state: dict[str, str]):
    assert ids_of(api, ("id", "nobody"), ("id", by_state["active"]), ("id", "")) == [by_state["active"]]
    assert ids_of(api, ("id", "nobody")) == []


def test_a_list_of_ids_has_pages_of_twenty_five_by_default(sandbox: Sandbox, api: Api):
    wanted = [("id", id_) for id_ in sandbox.state.user_ids[:30]]
    page = api.get(USERS, params=wanted).json()

    assert (len(page["entities"]), page["total"], page["pageCount"]) == (25, 30, 2)
    assert page["firstUri"] == page["selfUri"] == f"{USERS}?pageSize=25&pageNumber=1"
    assert page["nextUri"] == f"{USERS}?pageSize=25&pageNumber=2"
    assert "previousUri" not in page


def test_more_than_a_hundred_ids_are_refused(sandbox: Sandbox, api: Api):
    hundred = [("id", id_) for id_ in sandbox.state.user_ids[:100]]

    assert len(ids_of(api, *hundred, ("pageSize", 100))) == 100
    refused = api.get(USERS, params=[*hundred, ("id", "one more")])
    assert (refused.status_code, refused.json()["code"]) == (400, "max.user.ids")


def test_users_other_than_active_are_listed_up_to_ten_thousand(api: Api):
    assert api.get(USERS, params={"pageSize": 100, "pageNumber": 101}).json()["entities"] == []
    for state in ("inactive", "deleted", "any"):
        page = {"state": state, "pageSize": 100}
        assert api.get(USERS, params=page | {"pageNumber": 100}).status_code == 200
        assert api.get(USERS, params=page | {"pageNumber": 101}).status_code == 400


def test_users_are_found_by_chat_id_but_not_together_with_ids(sandbox: Sandbox, api: Api):
    user = sandbox.state.users[sandbox.state.user_ids[7]]

    assert ids_of(api, ("jabberId", user["chat"]["jabberId"])) == [user["id"]]
    assert api.get(USERS, params={"jabberId": "x", "id": "y"}).status_code == 400


def test_a_deleted_user_is_found_by_its_state_only_and_an_inactive_one_without_it(api: Api, by_state: dict[str, str]):
    def status(of: str, **query: str) -> int:
        return api.get(f"{USERS}/{by_state[of]}", params=query).status_code

    assert [status("active"), status("inactive"), status("deleted")] == [200, 200, 404]
    assert [status("active", state="deleted"), status("deleted", state="deleted")] == [404, 200]
    assert status("active", state="any") == 400
    missing = api.get(f"{USERS}/nobody")
    assert (missing.status_code, missing.json()["entityName"], missing.json()["entityId"]) == (404, "user", "nobody")


def test_team_and_groups_come_with_an_expand_and_a_manager_is_a_reference(sandbox: Sandbox, api: Api):
    state, me = sandbox.state, sandbox.state.user_ids[0]
    plain, whole = (api.get(f"{USERS}/{me}", params=query).json() for query in ({}, {"expand": "team,groups,station"}))

    assert plain == state.users[me]
    team, (group,) = state.team_of(me), state.groups_of(me)
    assert team is not None
    assert whole == plain | {
        "team": {name: team[name] for name in ("id", "name", "selfUri")},
        "groups": [{name: group[name] for name in ("id", "selfUri")}],
    }
    assert api.get(f"{USERS}/{me}", params={"expand": "fortune"}).status_code == 400
    agent = api.get(f"{USERS}/{state.user_ids[60]}").json()
    assert set(agent["manager"]) == {"id", "selfUri"}


def test_me_is_the_user_of_the_token(sandbox: Sandbox, api: Api):
    user = sandbox.state.user_ids[5]
    with Api(sandbox, sandbox.user_token(user)) as own:
        shown = own.get(f"{USERS}/me", params={"expand": "organization,date"}).json()

    assert (shown["id"], shown["organization"]["name"]) == (user, "sandbox-org")
    assert "currentDate" in shown["date"]
    refused = api.get(f"{USERS}/me")
    assert (refused.status_code, refused.json()["code"]) == (400, "not.a.user")


def test_members_of_a_group_are_whole_users(sandbox: Sandbox, api: Api):
    group_id = next(iter(sandbox.state.groups))
    page = api.get(f"/api/v2/groups/{group_id}/members", params={"pageSize": 100}).json()

    assert {user["id"] for user in page["entities"]} == set(sandbox.state.members[group_id])
    assert page["entities"][0] == sandbox.state.users[page["entities"][0]["id"]]
    assert api.get("/api/v2/groups/none/members").status_code == 404


def test_a_role_without_permissions_reads_users_but_does_not_search_them(sandbox: Sandbox):
    sandbox.oauth.clients["bare"] = Client("secret", ())
    with Api(sandbox) as login:
        token = login.token(("bare", "secret"), grant_type="client_credentials").json()["access_token"]
    with Api(sandbox, token) as bare:
        assert bare.get(USERS).status_code == 200
        assert bare.get(f"{USERS}/{sandbox.state.user_ids[0]}").status_code == 200
        for refused, permission in (
            (bare.post(f"{USERS}/search", json={}), "directory:user:view"),
            (bare.get(f"{USERS}/search", params={"q64": "e30="}), "directory:user:view"),
            (bare.get("/api/v2/teams"), "groups:team:view"),
            (bare.get("/api/v2/teams/x/members"), "groups:team:view"),
            (bare.post("/api/v2/teams/search", json={"query": []}), "groups:team:view"),
        ):
            assert (refused.status_code, refused.json()["messageParams"]) == (403, {"permissions": permission})


def test_a_person_whose_data_were_removed_is_served_with_the_id_only(tmp_path: Path):
    with Sandbox(appointments=0, users=5) as sandbox, Api(sandbox, token_of(sandbox)) as api:
        sandbox.state.users["gone"] = {"id": "gone"}
        sandbox.state.members[next(iter(sandbox.state.teams))] += ["gone", "never was"]
        sandbox.save(tmp_path / "state.json")

        assert api.get(USERS).json()["entities"][0] == {"id": "gone"}
        assert api.get(f"{USERS}/gone").json() == {"id": "gone"}
        assert api.post(f"{USERS}/search", json={}).json()["results"][0] == {"id": "gone"}
        team = f"/api/v2/teams/{next(iter(sandbox.state.teams))}/members"
        members = api.get(team, params={"expand": "entities"}).json()["entities"]
        assert [member["id"] for member in members if "name" not in member] == ["gone", "never was"]
        assert sandbox.user_token("gone")
    assert Sandbox(state=tmp_path / "state.json").state.users["gone"] == {"id": "gone"}


# tokens


@attrs.frozen
class Person:
    id: str | None


def test_a_token_of_a_user_is_issued_without_a_request(sandbox: Sandbox):
    user = sandbox.state.users[sandbox.state.user_ids[3]]
    before = len(sandbox.requests)

    for named in (user["id"], user["email"], user["email"].upper(), user, Person(user["id"])):
        token = sandbox.user_token(named)
        assert sandbox.oauth.caller(f"Bearer {token}").user_id == user["id"]
    assert len(sandbox.requests) == before
    token = sandbox.user_token(user, ["directory:user:view"])
    assert sandbox.oauth.caller(f"Bearer {token}").permissions == {"directory:user:view"}


@pytest.mark.parametrize("unknown", ["nobody", "", "who@corp.example", {"id": "x"}, Person("x"), Person(None)])
def test_a_token_of_nobody_is_refused_without_naming_them(sandbox: Sandbox, unknown: Any):
    with pytest.raises(LookupError, match=r"^the sandbox has no user of that id or e-mail address$"):
        sandbox.user_token(unknown)
