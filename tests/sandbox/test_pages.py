"""The page of the data, and the endpoints behind it."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Sandbox
from coaching_async.sandbox._faults.fault import KINDS
from coaching_async.sandbox._faults.targets import OPERATIONS
from coaching_async.sandbox._server.socket_orders import _TO_SOCKETS
from tests.sandbox.api import APPOINTMENTS, Api
from tests.sandbox.channels.listening import channel_of, opened
from tests.support.doubles import CUT
from tests.support.fault_server import HANG

if TYPE_CHECKING:
    from collections.abc import Callable

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def plain(sandbox: Sandbox) -> httpx.Client:
    """Return a client without a token. It holds no connection."""
    return httpx.Client(
        base_url=sandbox.base_url, trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
    )


def page(sandbox: Sandbox, path: str, **query: Any) -> httpx.Response:
    return plain(sandbox).get(path, params=query, headers=BROWSER)


def test_a_browser_gets_the_page_at_the_root_and_a_program_does_not(sandbox: Sandbox):
    shown = page(sandbox, "/")
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert sandbox.requests == []

    refused = plain(sandbox).get("/")
    assert (refused.status_code, refused.json()["code"]) == (404, "not.found")
    assert plain(sandbox).head("/", headers=BROWSER).status_code == 404
    assert [request.path for request in sandbox.requests] == ["/", "/"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_nothing_but_its_own_document_and_is_complete(sandbox: Sandbox, path: str):
    text = page(sandbox, path).text

    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) <= {"data:,", "openapi.json", "/", "/docs"} | {
        f"#{name}" for name in ("people", "appointments", "notifications", "sockets", "faults", "requests")
    }
    hosts = re.findall(r"https?://([^\s\"'/]+)", text)
    assert [host for host in hosts if host not in {"localhost", "elsewhere.example"}] == []
    policy = page(sandbox, path).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "style.css" not in text
    assert "elements.js" not in text
    assert CLIENT_ID in text
    assert CLIENT_SECRET in text


def test_the_form_offers_every_kind_of_fault(sandbox: Sandbox):
    kinds = page(sandbox, "/").text.partition("const KINDS = {")[2].partition("};")[0]

    assert set(re.findall(r"^  (\w+): ", kinds, re.MULTILINE)) == set(KINDS)


def test_the_form_offers_every_operation(sandbox: Sandbox):
    operations = page(sandbox, "/").text.partition("const OPERATIONS = ")[2].partition(";")[0]

    assert json.loads(operations) == list(OPERATIONS)


def test_a_fault_is_ordered_by_operation_or_template(sandbox: Sandbox, api: Api):
    faults, http = "/_sandbox/faults", plain(sandbox)
    by_operation = {"kind": "status", "status": 503, "operation": "users.me"}
    by_template = {"kind": "status", "status": 503, "path": "/appointments/{appointmentId}"}

    assert http.post(faults, json=[by_operation, by_template]).status_code == 201
    assert [each["operation"] for each in http.get(faults).json()] == ["users.me", None]
    assert api.get("/api/v2/users/me").status_code == 503
    assert api.get("/api/v2/coaching/appointments/an-id").status_code == 503
    assert sandbox.faults.pending == ()


@pytest.mark.parametrize(
    "wrong, meant",
    [
        ({"operation": "users.mee"}, "users.me"),
        ({"path": "/appointment/{appointmentId}"}, "/appointments/{appointmentId}"),
        ({"method": "PACTH"}, "PATCH"),
    ],
)
def test_a_misspelled_fault_is_refused_with_what_was_meant(sandbox: Sandbox, wrong: dict[str, str], meant: str):
    refused = plain(sandbox).post("/_sandbox/faults", json={"kind": "stall", **wrong})

    assert refused.status_code == 400
    assert refused.json()["message"].endswith(f"did you mean {meant}?")


def test_people_are_listed_with_their_teams(sandbox: Sandbox):
    people = page(sandbox, "/_sandbox/people").json()

    assert [person["id"] for person in people] == list(sandbox.state.user_ids)
    for person in people:
        team = sandbox.state.team_of(person["id"])
        assert person["team"] == (team["name"] if team else None)
        assert person["name"] == sandbox.state.users[person["id"]]["name"]


def test_appointments_are_listed_from_the_next_one_and_filtered(sandbox: Sandbox, me: str):
    state = sandbox.state
    shown = page(sandbox, "/_sandbox/appointments").json()
    assert (shown["total"], len(shown["entities"]), shown["pageCount"]) == (60, 10, 6)
    starts = [each["dateStart"] for each in state.appointments_where()]
    now = state.clock().isoformat()
    assert shown["pageNumber"] == min(sum(start < now for start in starts), 59) // 10 + 1
    assert {"isOverdue", "status"} <= shown["entities"][0].keys()

    mine = page(sandbox, "/_sandbox/appointments", userId=me, status="Completed", pageSize=100, pageNumber=1).json()
    assert 0 < mine["total"] == len(mine["entities"]) < 60
    assert all(me in str(each) and each["status"] == "Completed" for each in mine["entities"])
    assert page(sandbox, "/_sandbox/appointments", status="Done").status_code == 400
    assert page(sandbox, "/_sandbox/appointments", pageNumber=0).status_code == 400
    assert page(sandbox, "/_sandbox/appointments", userId="nobody").json()["entities"] == []


def test_notifications_are_listed_newest_first(sandbox: Sandbox, me: str):
    every = page(sandbox, "/_sandbox/notifications").json()
    mine = page(sandbox, "/_sandbox/notifications", userId=me, pageSize=100).json()

    assert every["entities"][0]["id"] == list(sandbox.state.notifications)[-1]
    assert [each["id"] for each in mine["entities"]] == [each["id"] for each in sandbox.state.notifications_of(me)][
        ::-1
    ]


def test_the_form_offers_every_order_that_needs_no_more_than_a_name(sandbox: Sandbox):
    orders = page(sandbox, "/").text.partition("const ORDERS = {")[2].partition("};")[0]

    assert set(re.findall(r"(\w+): \"", orders)) == set(_TO_SOCKETS) - {"say"}


def test_events_tell_of_notifications_and_sockets_as_they_happen(sandbox: Sandbox, api: Api, me: str):
    with plain(sandbox) as http, http.stream("GET", "/_sandbox/events", timeout=HANG) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = filter(None, stream.iter_lines())
        assert next(lines) == ": connected"
        row = sandbox.notify(me)
        assert (next(lines), json.loads(next(lines).removeprefix("data: "))) == ("event: notification", row)
        with opened(channel_of(api)):
            assert (next(lines), next(lines)) == ("event: sockets", "data: null")
        assert (next(lines), next(lines)) == ("event: sockets", "data: null")
    assert all("_sandbox" not in request.path for request in sandbox.requests)


def test_leaving_does_not_wait_for_pages_that_are_open():
    with contextlib.ExitStack() as pages:
        with Sandbox(appointments=1) as sandbox:
            http = pages.enter_context(plain(sandbox))
            with http.stream("GET", "/_sandbox/events", timeout=HANG) as gone:
                next(gone.iter_lines())
            lines = pages.enter_context(http.stream("GET", "/_sandbox/events", timeout=HANG)).iter_lines()
            assert next(lines) == ": connected"
        with pytest.raises(CUT):
            list(lines)


def test_ordered_faults_are_listed_with_what_is_left_of_them_and_canceled_one_by_one(sandbox: Sandbox, api: Api):
    faults, http = "/_sandbox/faults", plain(sandbox)
    sandbox.faults.add(
        Fault("status", status=503, times=3), Fault("stall", path="/never", times=math.inf), Fault("drip", after=2)
    )
    assert api.get(APPOINTMENTS).status_code == 503

    first, second, third = http.get(faults).json()
    assert (first["kind"], first["times"], first["remaining"]) == ("status", 3, 2)
    assert (second["times"], second["remaining"]) == (None, None)
    assert (third["to_skip"], third["remaining"]) == (2, 1)
    assert http.delete(faults, params={"number": first["number"]}).status_code == 204
    assert http.delete(faults, params={"number": 99}).status_code == 204
    assert http.delete(faults, params={"number": "all"}).status_code == 400
    assert [fault.kind for fault in sandbox.faults.pending] == ["stall", "drip"]


def test_the_newest_requests_are_listed(sandbox: Sandbox, api: Api):
    for _ in range(5):
        api.get(APPOINTMENTS)
    every = page(sandbox, "/_sandbox/requests").json()

    assert len(every) == 6
    assert page(sandbox, "/_sandbox/requests", newest=2).json() == every[-2:]


def test_the_pages_need_no_token_and_ignore_faults_and_limits(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, rate_limit=1, latency=60)
    sandbox.faults.add(Fault("stall", times=math.inf))
    for path in ("/", "/_sandbox/people", "/_sandbox/appointments", "/_sandbox/notifications", "/_sandbox/faults"):
        assert page(sandbox, path).status_code == 200
    assert sandbox.requests == []
