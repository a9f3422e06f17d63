"""The file of a state: save, load and validation."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.sandbox.api import APPOINTMENTS, MINIMAL

if TYPE_CHECKING:
    from pathlib import Path

JOB = {"id": "x", "results": [], "reads": 0}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    file = tmp_path / "state.json"
    sandbox = Sandbox(appointments=12, users=3)
    sandbox.state.create("a/b", {**MINIMAL, "name": "\ud800 ü 🙂", "location": None}, None)
    sandbox.save(file)
    return file


def test_a_state_that_is_saved_loaded_and_saved_is_identical(saved: Path, tmp_path: Path):
    loaded = Sandbox(state=str(saved))
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == saved.read_bytes()
    assert loaded.state.appointment("a/b")["name"] == "\ud800 ü 🙂"


def test_a_loaded_state_is_served_and_can_be_changed(saved: Path):
    with Sandbox(state=saved) as sandbox, httpx.Client(base_url=sandbox.base_url, trust_env=False) as client:
        form = {"grant_type": "client_credentials"}
        token = client.post("/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        before = len(sandbox.state.appointments)
        created = client.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [sandbox.state.user_ids[0]]}).json()
        assert len(sandbox.state.appointments) == before + 1
        page = client.get(APPOINTMENTS, params={"userIds": sandbox.state.user_ids, "pageSize": 100}).json()
    assert created["id"] in [entity["id"] for entity in page["entities"]]
    assert page["total"] == before  # the one of "someone" belongs to none of these users


def test_a_state_can_be_saved_while_it_changes(saved: Path):
    sandbox = Sandbox(state=saved)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            sandbox.state.create("new", {**MINIMAL, "attendeeIds": []}, None)
            sandbox.state.delete("new", None)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(30):
            sandbox.save(saved)
            state = Sandbox(state=saved).state
            assert set(state.appointments) == set(state.statuses)
    finally:
        stop.set()
        changing.join()


def test_a_failed_save_leaves_the_old_file_and_nothing_else(saved: Path):
    before = saved.read_bytes()
    sandbox = Sandbox(state=saved)
    sandbox.state.notifications["odd"] = {"id": "odd", "user": {"id": object()}}
    with pytest.raises(TypeError):
        sandbox.save(saved)
    assert saved.read_bytes() == before
    with pytest.raises(FileNotFoundError):
        Sandbox(state=saved).save(saved.parent / "nowhere" / "state.json")
    assert list(saved.parent.iterdir()) == [saved]


def test_a_file_without_jobs_is_loaded(saved: Path):
    state = json.loads(saved.read_bytes())
    del state["jobs"]
    saved.write_text(json.dumps(state))

    assert Sandbox(state=saved).state.jobs == {}


def test_a_file_that_is_missing_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Sandbox(state=tmp_path / "none.json")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"1", b"{}", b'{"format": 1}'])
def test_a_file_of_another_kind_is_refused_in_one_sentence(tmp_path: Path, raw: bytes):
    file = tmp_path / "other.json"
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=r"other\.json is no state that a sandbox has saved: it .*"):
        Sandbox(state=file)


def test_a_truncated_file_is_refused(saved: Path):
    saved.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    with pytest.raises(ValueError, match="it is not JSON"):
        Sandbox(state=saved)


def first(table: dict[str, Any]) -> Any:
    return next(iter(table.values()))


@pytest.mark.parametrize(
    "damage, complaint",
    [
        (lambda state: state.update(format="coaching_async.sandbox/9"), "its format is 'coaching_async.sandbox/9'"),
        (lambda state: state.update(user_ids=[]), "its users"),
        (lambda state: state.update(user_ids=["a", 1]), "its users"),
        (lambda state: state.pop("statuses"), "statuses are missing"),
        (lambda state: state.update(appointments=[]), "appointments are missing"),
        (lambda state: first(state["appointments"]).pop("dateStart"), "of appointments is damaged"),
        (lambda state: first(state["appointments"]).update(dateStart="soon"), "of appointments is damaged"),
        (lambda state: first(state["appointments"]).update(dateStart=1), "of appointments is damaged"),
        (lambda state: first(state["appointments"]).update(id="other"), "of appointments is damaged"),
        (lambda state: first(state["appointments"]).update(lengthInMinutes=10**30), "of appointments is damaged"),
        (lambda state: first(state["appointments"]).update(attendees=["a"]), "of appointments is damaged"),
        (lambda state: first(state["appointments"]).update(facilitator="a"), "of appointments is damaged"),
        (lambda state: state["appointments"].update(x=None), "the row 'x' of appointments is damaged"),
        (lambda state: state["statuses"].update(x={}), "the row 'x' of statuses is damaged"),
        (lambda state: state["statuses"].update(x=[1]), "the row 'x' of statuses is damaged"),
        (lambda state: state["annotations"].update(x=[]), "the row 'x' of annotations is damaged"),
        (lambda state: state["annotations"].update(x={"y": {}}), "the row 'x' of annotations is damaged"),
        (lambda state: state["notifications"].update(x={"id": "x"}), "the row 'x' of notifications is damaged"),
        (lambda state: state.update(jobs=[]), "jobs are missing"),
        (lambda state: state["jobs"].update(x={"id": "x"}), "the row 'x' of jobs is damaged"),
        (lambda state: state["jobs"].update(x=JOB | {"id": "y"}), "the row 'x' of jobs is damaged"),
        (lambda state: state["jobs"].update(x=JOB | {"reads": -1}), "the row 'x' of jobs is damaged"),
        (lambda state: state["jobs"].update(x=JOB | {"results": [{}]}), "the row 'x' of jobs is damaged"),
    ],
)
def test_a_damaged_file_is_refused_and_the_damage_is_named(saved: Path, damage: Any, complaint: str):
    state = json.loads(saved.read_bytes())
    damage(state)
    saved.write_text(json.dumps(state))
    with pytest.raises(ValueError, match=r"state\.json is no state that a sandbox has saved: ") as refused:
        Sandbox(state=saved)
    assert complaint in str(refused.value)
