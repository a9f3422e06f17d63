"""Generated people, and the day around which all generated data are."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from coaching_async.sandbox import Sandbox, _sandbox
from coaching_async.sandbox._wire.formats import parse_timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from coaching_async.sandbox._state.state import State

ME = "11111111-1111-4111-8111-111111111111"


def people(state: State) -> Any:
    return [state.users, state.teams, state.groups, state.members]


def of(users: int, seed: int = 1) -> State:
    return Sandbox(appointments=0, users=users, seed=seed).state


def test_the_same_seed_gives_the_same_people():
    assert people(of(10, 3)) == people(of(10, 3))
    assert [user["name"] for user in of(10, 3).users.values()] != [user["name"] for user in of(10, 4).users.values()]


@pytest.mark.parametrize("users", [1, 2, 4, 5, 9, 10, 20, 41, 500])
def test_every_user_id_has_a_person_with_an_address_of_their_own(users: int):
    state = of(users)

    assert tuple(state.users) == state.user_ids
    assert state.user_ids[0] == ME
    addresses = [user["email"].lower() for user in state.users.values()]
    assert len(set(addresses)) == users
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+[0-9]*@corp\.example", address) for address in addresses)
    counted = Counter(user["state"] for user in state.users.values())
    assert (counted["deleted"], counted["inactive"]) == (users >= 5, (users >= 5) + (users >= 20))


@pytest.mark.parametrize("users, teams", [(1, 1), (9, 1), (10, 2), (43, 8), (500, 100)])
def test_more_users_have_more_teams_each_of_one_division_and_led_by_a_user(users: int, teams: int):
    state = of(users)

    assert len(state.teams) == teams
    assert len({team["name"] for team in state.teams.values()}) == teams
    memberships = Counter(user_id for team_id in state.teams for user_id in state.members[team_id])
    assert set(memberships.values()) == {1}, "a user is in one team at most"
    assert memberships.keys() <= state.users.keys()
    for team_id, team in state.teams.items():
        members = [state.users[user_id] for user_id in state.members[team_id]]
        assert {user["division"]["id"] for user in members if user["state"] != "deleted"} == {team["division"]["id"]}
        agents = [user for user in members if user.get("title") != "Team lead" and user["state"] != "deleted"]
        assert len({user["manager"]["id"] for user in agents}) <= 1


def test_names_come_from_several_scripts_and_some_fields_are_absent():
    users = list(of(40).users.values())

    assert not all(user["name"].isascii() for user in users)
    assert any(user["email"] != user["email"].lower() for user in users)
    for field in ("title", "department", "manager"):
        assert 0 < sum(field in user for user in users) < len(users)


def test_the_attendees_and_facilitators_of_generated_appointments_are_people():
    state = Sandbox(appointments=50).state
    concerned = {each["facilitator"]["id"] for each in state.appointments.values()}

    assert concerned <= state.users.keys()


def test_people_are_saved_and_loaded(tmp_path: Path):
    sandbox = Sandbox(appointments=1)
    sandbox.state.users[ME] = sandbox.state.users[ME] | {"name": "Changed"}
    sandbox.save(tmp_path / "state.json")

    assert people(Sandbox(state=tmp_path / "state.json", seed=7).state) == people(sandbox.state)


def test_a_file_without_people_is_loaded_and_its_users_get_generated_ones(tmp_path: Path):
    sandbox, file = Sandbox(appointments=3, users=6), tmp_path / "state.json"
    sandbox.save(file)
    older = json.loads(file.read_text())
    for name in ("users", "teams", "groups", "members"):
        del older[name]
    older["user_ids"] *= 2
    file.write_text(json.dumps(older))

    state = Sandbox(state=file).state

    assert people(state) == people(sandbox.state)
    assert state.appointments == sandbox.state.appointments


@pytest.mark.parametrize(
    "name, damage",
    [
        ("users", {"x": {"id": "x", "name": 1}}),
        ("users", {"x": {"id": "y", "name": "n", "email": "e", "state": "active", "selfUri": "/"}}),
        ("teams", {"x": {"id": "x"}}),
        ("groups", {"x": []}),
        ("members", {"x": "abc"}),
        ("members", {"x": [1]}),
    ],
)
def test_damaged_people_are_refused(tmp_path: Path, name: str, damage: Any):
    file = tmp_path / "state.json"
    Sandbox(appointments=1).save(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: damage}))

    with pytest.raises(ValueError, match=f"the row 'x' of {name} is damaged"):
        Sandbox(state=file)


# the day


def dates(value: Any) -> list[datetime]:
    """Return every date in some data, in order."""
    return [parse_timestamp(text) for text in re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", json.dumps(value))]


@pytest.mark.parametrize(
    "today",
    [date(2024, 2, 29), date(2025, 3, 1), date(2025, 12, 31), date(2026, 1, 1), datetime(2026, 1, 31, 23, tzinfo=UTC)],
)
def test_the_data_of_two_days_differ_in_their_dates_only(today: date):
    usual, other = Sandbox(today=date(2026, 11, 23)).state, Sandbox(today=today).state
    shift = datetime(today.year, today.month, today.day, tzinfo=UTC) - datetime(2026, 11, 23, tzinfo=UTC)

    for table in ("appointments", "statuses", "annotations", "notifications", "teams", "users"):
        before, after = getattr(usual, table), getattr(other, table)
        assert list(before) == list(after)
        assert [moment + shift for moment in dates(before)] == dates(after)
    starts = dates([each["dateStart"] for each in other.appointments.values()])
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert starts[0] < midnight - timedelta(weeks=7)
    assert starts[-1] > midnight + timedelta(weeks=9)


def test_without_a_day_the_data_are_around_the_day_of_the_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_sandbox, "_today", lambda: date(2031, 5, 6))

    assert (
        Sandbox(appointments=20).state.appointments
        == Sandbox(appointments=20, today=date(2031, 5, 6)).state.appointments
    )


@pytest.mark.parametrize("today", [date(3, 1, 1), date(9998, 12, 31)])
def test_a_day_near_the_ends_of_the_calendar_is_possible(today: date):
    assert len(Sandbox(appointments=20, today=today).state.appointments) == 20


@pytest.mark.parametrize("today", [date.min, date.max])
def test_a_day_whose_data_would_be_outside_the_calendar_is_refused(today: date):
    with pytest.raises(ValueError, match="today must be in one of the years 3 to 9998"):
        Sandbox(today=today)


def test_a_day_that_is_no_date_is_refused():
    with pytest.raises(TypeError, match="today must be a date, not '2026-11-23'"):
        Sandbox(today="2026-11-23")  # type: ignore[arg-type]
