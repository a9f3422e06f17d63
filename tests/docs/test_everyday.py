"""Ten everyday programs, each written with this client and with the vendor's SDK: both do the same, also during faults."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from coaching_async import Appointment, from_dict
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Client, Fault, Sandbox, UserGrant
from coaching_async.testing import fails, loses_answer, route
from tests.support.effort import FULL
from tests.support.example_servers import ROOT
from tests.support.fault_server import HANG
from tests.support.official_sdk.everyday import OURS, Failed, Json, Official, Ours

# The first test builds the environment of the SDK, which has 170 MB.
pytestmark = pytest.mark.timeout(1800)

NOT_THERE = "99999999-9999-4999-8999-999999999999"


@pytest.fixture(scope="module", autouse=True)
def started(official_sdk: Official) -> None:
    """Start the SDK early: it imports its modules while the first tests, which do not need it, run."""


@pytest.fixture(params=["asyncio", *(["trio"] if FULL else []), "official"])
def run(request: pytest.FixtureRequest) -> Any:
    """A function of one of the two sides that runs a program by its name."""
    return request.getfixturevalue("official_sdk") if request.param == "official" else Ours(request.param)


@pytest.fixture(params=["ours", "official"])
def server(request: pytest.FixtureRequest) -> Any:
    """A function of one of the two sides that serves an application by its name."""
    return request.getfixturevalue("official_sdk") if request.param == "official" else Ours("asyncio")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=330, users=3, page_cap=25) as sandbox:
        yield sandbox


def ids(found: Json) -> list[str]:
    return [each["id"] for each in found]


def where(sandbox: Sandbox, month: str = "", user: str = "") -> set[str]:
    """Return the ids of the appointments of a month and a user."""
    concerned = {
        id_: json.dumps([each["attendees"], each["facilitator"], each.get("createdBy")])
        for id_, each in sandbox.state.appointments.items()
        if each["dateStart"].startswith(month)
    }
    return {id_ for id_, people in concerned.items() if user in people}


def shown(sandbox: Sandbox, appointment_id: str) -> Appointment:
    return from_dict(Appointment, sandbox.state.shown(sandbox.state.appointments[appointment_id]))


def weather(sandbox: Sandbox, path: str) -> None:
    """Order a 429, a 503 and an expired token for requests of a list's pages."""
    sandbox.faults.add(
        Fault("status", "GET", path, status=429, retry_after=0),
        Fault("status", "GET", path, after=1, status=503),
        Fault("revoke", "GET", path, after=1),
    )


def test_a_users_month_has_each_appointment_once_although_the_list_shrinks_meanwhile(run: Ours, sandbox: Sandbox):
    lists = "appointments/me"
    weather(sandbox, lists)
    sandbox.faults.add(Fault("delete", "GET", lists, after=2))
    before = where(sandbox, "2026-11", sandbox.state.user_ids[0])
    assert len(before) > 50

    found = ids(run("my_month", sandbox, "2026-11-15", by="user"))

    assert len(found) == len(set(found))
    assert where(sandbox, "2026-11", sandbox.state.user_ids[0]) <= set(found) <= before
    assert not sandbox.faults.pending


def test_five_hundred_ids_are_fetched_and_one_failure_stops_no_others(run: Ours):
    with Sandbox(appointments=499) as sandbox:
        weather(sandbox, "appointments/")
        there = list(sandbox.state.appointments)

        result = run("fetch_many", sandbox, [*there, NOT_THERE])

        assert list(result["succeeded"]) == there
        assert all(each["id"] == id_ for id_, each in result["succeeded"].items())
        assert result["failed"] == {NOT_THERE: 404}
        assert not sandbox.faults.pending


def test_a_fetch_that_is_refused_permanently_ends_the_bulk(run: Ours):
    with Sandbox(appointments=100) as sandbox:
        sandbox.faults.add(Fault("revoke", "GET", "appointments/", times=1e9))

        result = run("fetch_many", sandbox, list(sandbox.state.appointments))

        assert isinstance(result, Failed) or set(result["failed"].values()) == {401}
        assert len(sandbox.requests) < 100


BODY = {
    "name": "Call opening",
    "description": "The first thirty seconds.",
    "dateStart": "2026-12-14T09:30:00.000Z",
    "lengthInMinutes": 30,
    "conversationIds": ["33333333-3333-4333-8333-333333333333"],
}


def body(sandbox: Sandbox) -> Json:
    return BODY | {"attendeeIds": list(sandbox.state.user_ids[1:])}


@pytest.mark.parametrize("wrong", ["429", "401", "answer lost", "202"])
def test_an_appointment_is_created_once_and_returned_whole(run: Ours, sandbox: Sandbox, wrong: str):
    before = set(sandbox.state.appointments)
    if wrong == "429":
        fails(sandbox, "appointments.create", 429, retry_after=0)
    elif wrong == "401":
        sandbox.faults.add(Fault("revoke", *route("appointments.create")))
    elif wrong == "answer lost":
        loses_answer(sandbox, "appointments.create")
    else:
        sandbox.faults.add(Fault("accepted", *route("appointments.create"), delay=0.1))

    created = run("create", sandbox, body(sandbox))

    assert set(sandbox.state.appointments) - before == {created["id"]}
    assert [conversation["id"] for conversation in created["conversations"]] == BODY["conversationIds"]
    assert from_dict(Appointment, created) == shown(sandbox, created["id"])
    assert not sandbox.faults.pending


def test_an_appointment_is_searched_for_after_a_503_and_never_created_twice(run: Ours, sandbox: Sandbox):
    fails(sandbox, "appointments.create", 503)
    before = set(sandbox.state.appointments)

    assert run("create", sandbox, body(sandbox)) == Failed(503)
    assert set(sandbox.state.appointments) == before

    created = run("create", sandbox, body(sandbox))
    fails(sandbox, "appointments.create", 503)
    assert (
        run("create", sandbox, body(sandbox)) == created
    )  # the program cannot distinguish it from one that this 503 hid


def test_an_error_of_the_search_does_not_replace_that_of_the_create(run: Ours, sandbox: Sandbox):
    loses_answer(sandbox, "appointments.create")
    fails(sandbox, "appointments.list", 403)

    assert run("create", sandbox, body(sandbox)) == Failed(None)


def test_all_notifications_are_marked_as_read(run: Ours, sandbox: Sandbox):
    me = sandbox.state.user_ids[0]
    weather(sandbox, "/notifications")
    fails(sandbox, "notifications.mark_read", 429, retry_after=0)
    sandbox.faults.add(Fault("revoke", *route("notifications.mark_read"), after=5))
    unread = [each for each in sandbox.state.notifications_of(me) if not each["markedAsRead"]]
    assert len(unread) > 50

    assert run("mark_all_read", sandbox, by="user") == len(unread)

    assert all(each["markedAsRead"] for each in sandbox.state.notifications_of(me))
    assert not sandbox.faults.pending


def test_a_quarter_is_exported_without_duplicates_although_the_first_run_fails_and_its_last_line_is_cut(
    run: Ours, tmp_path: Path
):
    path = tmp_path / "quarter.jsonl"
    with Sandbox(appointments=330, users=130) as sandbox:
        users = list(sandbox.state.user_ids)
        fails(sandbox, "appointments.list", 403, after=2)
        arguments = [users, str(path), 2026, 4]
        assert run("export_quarter", sandbox, *arguments) == Failed(403)
        assert not path.exists()
        part = path.with_name("quarter.jsonl.part")
        kept = from_dict(Appointment, json.loads(part.read_text().partition("\n")[0]))
        sandbox.state.appointments[kept.id]["name"] = "another one"
        with part.open("a") as file:
            file.write('{"id": "half a li')
        weather(sandbox, "appointments")
        sandbox.faults.add(Fault("delete", *route("appointments.list"), after=1))

        run("export_quarter", sandbox, *arguments)

        lines = [from_dict(Appointment, json.loads(line)) for line in path.read_text().splitlines()]
        assert not part.exists()
        assert len({each.id for each in lines}) == len(lines) > 200
        lasting = where(sandbox, "2026")
        assert lasting <= {each.id for each in lines}
        assert all(shown(sandbox, each.id) == each for each in lines if each.id in lasting - {kept.id})
        assert kept in lines  # not requested again
        assert all(each.date_start is not None and each.date_start.year == 2026 for each in lines)


@pytest.mark.parametrize("told", ["by the service", "by its status"])
def test_a_missing_permission_is_named_with_the_correlation_id(run: Ours, sandbox: Sandbox, told: str):
    if told == "by its status":
        sandbox.faults.add(Fault("status", *route("appointments.create"), status=403))
    else:
        sandbox.oauth.clients[CLIENT_ID] = Client(CLIENT_SECRET, permissions=frozenset({"coaching:appointment:view"}))

    said = run("missing_permission", sandbox, body(sandbox))

    assert "coaching:appointment:add" in said
    assert "correlation id" in said
    assert "None" not in said


def sent_for(sandbox: Sandbox, run: Any, one: str, seconds: float) -> list[str]:
    """Return the paths that a call without retries requests if it returns nothing within so many seconds."""
    before = len(sandbox.requests)
    assert run("one_call", sandbox, one, seconds) is None
    return [request.path for request in sandbox.requests[before:] if request.path != "/oauth/token"]


@pytest.mark.parametrize("status", [503, 429])
def test_a_call_without_retries_sends_one_request(run: Ours, sandbox: Sandbox, status: int):
    one = next(iter(sandbox.state.appointments))
    assert run("one_call", sandbox, one, HANG)["id"] == one
    fails(sandbox, "appointments.get", status, retry_after=0)

    assert sent_for(sandbox, run, one, HANG) == [f"/api/v2/coaching/appointments/{one}"]


def test_a_call_without_retries_whose_answer_is_slow_sends_one_request(run: Ours, sandbox: Sandbox):
    one = next(iter(sandbox.state.appointments))
    sandbox.faults.add(Fault("drip", *route("appointments.get"), delay=1.0, times=1e9))

    # On a busy machine half a second can be over before anything is sent.
    tries = (sent_for(sandbox, run, one, seconds) for seconds in (0.5, 5, 50))
    assert next(filter(None, tries)) == [f"/api/v2/coaching/appointments/{one}"]


def test_the_example_test_without_a_network_passes(tmp_path: Path):
    shutil.copy(OURS / "test_names.py", tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "anyio.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, check=False, timeout=HANG, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_the_sdks_example_test_without_a_network_passes(official_sdk: Official):
    assert official_sdk.asked("test_names") == [None]


@contextmanager
def browser(server: Any, task: str, sandbox: Sandbox) -> Iterator[httpx.Client]:
    with server.serving(task, sandbox) as url, httpx.Client(base_url=url, trust_env=False) as browser:
        yield browser


def test_a_handler_uses_the_token_of_its_user_and_reports_errors(server: Any, sandbox: Sandbox):
    bearers = {}
    for user in sandbox.state.user_ids:
        sandbox.oauth.refresh_tokens[user] = UserGrant(CLIENT_ID, user, standing=True)
        form = {"grant_type": "refresh_token", "refresh_token": user}
        with httpx.Client(base_url=sandbox.login_url, auth=(CLIENT_ID, CLIENT_SECRET), trust_env=False) as login:
            token = login.post("/oauth/token", data=form).json()["access_token"]
        bearers[user] = {"Authorization": f"Bearer {token}"}

    with browser(server, "user_handler", sandbox) as asking:
        for user, bearer in bearers.items():
            assert set(ids(asking.get("/me/appointments", headers=bearer).json())) == where(sandbox, user=user)
        none, old = (
            asking.get("/me/appointments"),
            asking.get("/me/appointments", headers={"Authorization": "Bearer x"}),
        )
        assert (none.status_code, old.status_code) == (401, 401)
        assert none.headers["www-authenticate"] == old.headers["www-authenticate"] == "Bearer"
        fails(sandbox, "appointments.list_mine", 403)
        refused = asking.get("/me/appointments", headers=bearer)
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
        assert refused.json()["correlationId"]
        sandbox.faults.add(Fault("status", *route("appointments.list_mine"), status=501))
        assert asking.get("/me/appointments", headers=bearer).status_code == 502


def test_a_list_is_streamed_to_a_browser_page_by_page(server: Any, sandbox: Sandbox):
    users = {"user_id": list(sandbox.state.user_ids)}
    with browser(server, "stream", sandbox) as asking:
        weather(sandbox, "appointments")
        sandbox.faults.add(Fault("delete", *route("appointments.list"), after=3))
        answer = asking.get("/appointments", params=users)
        assert answer.headers["content-type"] == "application/x-ndjson"
        found = ids(map(json.loads, answer.text.splitlines()))
        assert len(found) == len(set(found))
        assert where(sandbox) <= set(found)
        fails(sandbox, "appointments.list", 403)
        assert asking.get("/appointments", params=users).status_code == 403
