"""Users, teams and other lists by the client, over real sockets, compared with the data of the sandbox."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from coaching_async import (
    AccessToken,
    BadRequest,
    ClientCredentials,
    CoachingClient,
    Forbidden,
    NotFound,
    RetryPolicy,
    Team,
    TeamMember,
    User,
    from_dict,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Client, Fault, Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=0, users=130) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[CoachingClient]:
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    async with CoachingClient(auth, base_url=sandbox.base_url, retry=RetryPolicy(max_backoff=0.01)) as client:
        yield client


def users_of(sandbox: Sandbox, *states: str) -> dict[str, User]:
    return {id_: from_dict(User, row) for id_, row in sandbox.state.users.items() if row["state"] in states}


async def test_users_of_any_state_are_found_by_their_ids(client: CoachingClient, sandbox: Sandbox):
    everyone = users_of(sandbox, "active", "inactive", "deleted")

    found = await client.users.get_many([*everyone, "no-such-id"])

    assert (dict(found), list(found), found.missing) == (everyone, list(everyone), ("no-such-id",))
    assert await client.users.names([*everyone, "no-such-id"]) == {
        **{id_: user.name for id_, user in everyone.items()},
        "no-such-id": "no-such-id",
    }
    for state in ("active", "inactive", "deleted"):
        id_, user = next(iter(users_of(sandbox, state).items()))
        assert await client.users.get(id_) == user
    with pytest.raises(NotFound):
        await client.users.get("no-such-id")


@pytest.mark.parametrize("state", ["active", "inactive", "deleted", "any"])
async def test_users_of_a_state_are_listed(client: CoachingClient, sandbox: Sandbox, state: str):
    wanted = users_of(sandbox, *(("active", "inactive", "deleted") if state == "any" else (state,)))
    listing = client.users.list(state=state, page_size=60)

    assert {user.id: user for user in await listing.collect(concurrency=3)} == wanted
    assert await listing.total() == len(wanted)


async def test_a_user_is_found_by_address_and_by_name(client: CoachingClient, sandbox: Sandbox):
    active, deleted = (list(users_of(sandbox, state).values()) for state in ("active", "deleted"))
    somebody, nobody = active[7], deleted[0]
    assert somebody.email
    assert somebody.name

    assert await client.users.search(email=somebody.email.title()).collect() == [somebody]
    assert await client.users.search(email=nobody.email).first() is None
    assert await client.users.search(email=nobody.email, states="deleted").first() == nobody
    namesakes = await client.users.search(name=somebody.name, page_size=1).collect()
    assert somebody in namesakes
    assert {user.name for user in namesakes} == {somebody.name}


async def test_teams_and_their_members_are_listed(client: CoachingClient, sandbox: Sandbox):
    state = sandbox.state
    teams = await client.teams.list(page_size=3).collect()

    assert sorted(team.id for team in teams) == sorted(state.teams)
    team = teams[0]
    assert isinstance(team, Team)
    assert team.name == state.teams[team.id]["name"]
    assert team in await client.teams.list(name=(team.name or "").upper()).collect()
    members = await client.teams.list_members(team.id, page_size=2).collect()
    assert all(isinstance(member, TeamMember) for member in members)
    assert {member.id: member.name for member in members} == {
        id_: state.users[id_]["name"] for id_ in state.members[team.id]
    }
    with pytest.raises(NotFound):
        await client.teams.list_members("no-such-team").first()


@pytest.mark.parametrize("path, expected", [("users", "active"), ("teams", None)])
async def test_any_list_is_read_as_json(client: CoachingClient, sandbox: Sandbox, path: str, expected: str | None):
    rows: dict[str, Any] = sandbox.state.users if expected else sandbox.state.teams
    wanted = {id_ for id_, row in rows.items() if row.get("state") == expected}

    found = await client.items(f"/api/v2/{path}", page_size=40).collect(concurrency=3)

    assert {row["id"] for row in found} == wanted
    assert len(found) == len(wanted)


async def test_a_list_goes_on_after_a_server_error_and_leaves_out_a_row_that_cannot_be_read(
    client: CoachingClient, sandbox: Sandbox
):
    sandbox.faults.add(Fault("status", "GET", "/teams", status=503), Fault("odd_row", "GET", "/teams"))

    walk = client.teams.list(page_size=5).walk()
    found = [team.id async for team in walk]

    assert len(found) + walk.report.rows_left_out == len(sandbox.state.teams)
    assert sandbox.faults.pending == ()


async def test_what_a_token_lacks_is_said(client: CoachingClient, sandbox: Sandbox):
    sandbox.oauth.clients["weak"] = Client("secret", ())
    async with CoachingClient(ClientCredentials("weak", "secret"), base_url=sandbox.base_url) as weak:
        with pytest.raises(Forbidden, match="directory:user:view"):
            await weak.users.search(name="x").first()
        with pytest.raises(Forbidden, match="groups:team:view"):
            await weak.teams.list().first()
        assert len(await weak.users.get_many(list(sandbox.state.users)[:3])) == 3
    with pytest.raises(BadRequest, match="needs a user's token"):
        await client.users.me()
    me = next(iter(sandbox.state.users))
    assert (await client.with_auth(AccessToken(sandbox.user_token(me))).users.me()).id == me
    with pytest.raises(TypeError, match=r"for example \['directory:user:view'\], not one text"):
        sandbox.user_token(me, "directory:user:view")
