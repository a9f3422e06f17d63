"""The example applications, each in a process of its own, between HTTP clients and a sandbox."""

import base64
import contextlib
import http.client
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from coaching_async import Appointment, AppointmentCreate, from_dict, to_dict
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox, UserGrant
from coaching_async.testing import build, fails
from tests.support.example_servers import COMMANDS, EXAMPLES, USER, complaints, environment, serving
from tests.support.fault_server import HANG, HOST
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=150, users=3, page_cap=20) as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=COMMANDS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def browser(framework: str, sandbox: Sandbox) -> Iterator[httpx.Client]:
    with serving(framework, sandbox.base_url) as browser:
        yield browser


@pytest.fixture(autouse=True)
def no_fault_is_left(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.faults.clear()


def token_of(sandbox: Sandbox, user_id: str) -> str:
    sandbox.oauth.refresh_tokens[user_id] = UserGrant(CLIENT_ID, user_id, standing=True)
    form = {"grant_type": "refresh_token", "refresh_token": user_id}
    url = f"{sandbox.login_url}/oauth/token"
    token: str = httpx.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), trust_env=False).json()["access_token"]
    return token


def an_id(sandbox: Sandbox) -> str:
    return next(iter(sandbox.state.appointments))


# Routes


def test_one_appointment_is_returned_as_the_service_returns_it(browser: httpx.Client, sandbox: Sandbox):
    answer = browser.get(f"/appointments/{an_id(sandbox)}")

    assert answer.status_code == 200
    assert from_dict(Appointment, answer.json()).id == an_id(sandbox)
    assert to_dict(from_dict(Appointment, answer.json())) == answer.json()


def test_all_appointments_are_streamed_one_a_line(browser: httpx.Client, sandbox: Sandbox):
    answer = browser.get("/appointments", params={"user_id": sandbox.state.user_ids})

    assert answer.headers["content-type"] == "application/x-ndjson"
    found = [from_dict(Appointment, json.loads(line)).id for line in answer.text.splitlines()]
    assert len(found) == len(set(found)) > 20
    assert set(found) == set(sandbox.state.appointments)


@pytest.mark.parametrize("query", ["", "user_id="])
def test_a_list_without_users_is_refused_before_a_request_is_sent(browser: httpx.Client, sandbox: Sandbox, query: str):
    before = len(sandbox.requests)

    assert browser.get(f"/appointments?{query}").status_code == 422

    assert len(sandbox.requests) == before


def test_an_empty_list_has_no_lines(browser: httpx.Client):
    answer = browser.get("/appointments", params={"user_id": "99999999-9999-4999-8999-999999999999"})

    assert (answer.status_code, answer.text) == (200, "")


def test_an_appointment_is_created(browser: httpx.Client, sandbox: Sandbox):
    body = build(AppointmentCreate, name="By hand", attendee_ids=sandbox.state.user_ids[:1])

    answer = browser.post("/appointments", json=to_dict(body))

    assert answer.status_code == 201
    assert answer.json()["name"] == "By hand"
    assert answer.json()["id"] in sandbox.state.appointments
    del sandbox.state.appointments[answer.json()["id"]]


@pytest.mark.parametrize("change", [{"lengthInMinutes": "30"}, {"lengthInMinutes": 0}, {"attendeeIds": None}])
def test_an_invalid_appointment_is_refused_before_a_request_is_sent(
    browser: httpx.Client, sandbox: Sandbox, change: dict[str, Any]
):
    before = len(sandbox.requests)

    answer = browser.post("/appointments", json=to_dict(build(AppointmentCreate)) | change)

    assert answer.status_code == 422
    assert "no AppointmentCreate" in answer.text
    assert len(sandbox.requests) == before


def test_concurrent_users_see_their_own_appointments(browser: httpx.Client, sandbox: Sandbox):
    tokens = {user_id: token_of(sandbox, user_id) for user_id in sandbox.state.user_ids}
    found: dict[str, list[Any]] = {}

    def ask(user_id: str) -> None:
        headers = {"Authorization": f"Bearer {tokens[user_id]}"}
        found[user_id] = browser.get("/me/appointments", headers=headers).json()

    threads = [threading.Thread(target=ask, args=[user_id]) for user_id in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for user_id in tokens:
        ids = {each["id"] for each in found[user_id]}
        theirs = {
            id_
            for id_, thread in sandbox.state.appointments.items()
            if user_id in json.dumps([thread["attendees"], thread.get("facilitator"), thread.get("createdBy")])
        }
        assert ids == theirs != set(sandbox.state.appointments)


def test_a_request_without_a_token_gets_401(browser: httpx.Client):
    answer = browser.get("/me/appointments")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


# Errors


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"] == http.client.responses[answer.status_code]
    assert body["detail"]
    return body


def test_a_missing_appointment_is_a_problem_with_the_correlation_id(browser: httpx.Client):
    told = problem(browser.get(f"/appointments/{USER.replace('1', '9')}"))

    assert (told["status"], told["code"]) == (404, "not.found")
    assert told["correlationId"]


def test_a_refused_user_token_gets_401(browser: httpx.Client):
    answer = browser.get("/me/appointments", headers={"Authorization": "Bearer an-old-token"})

    assert problem(answer)["status"] == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_list_that_fails_at_once_has_an_error_response(browser: httpx.Client, sandbox: Sandbox):
    fails(sandbox, "appointments.list", 403)

    assert problem(browser.get("/appointments", params={"user_id": USER}))["status"] == 403


def test_a_list_that_fails_later_is_cut_off_and_logged(framework: str, sandbox: Sandbox):
    fails(sandbox, "appointments.list", 403, after=2)

    with serving(framework, sandbox.base_url, says="coaching_async.Forbidden") as browser:
        with pytest.raises(httpx.RemoteProtocolError):
            browser.get("/appointments", params={"user_id": sandbox.state.user_ids})
        assert browser.get(f"/appointments/{an_id(sandbox)}").status_code == 200


def test_a_write_that_may_have_been_carried_out_is_reported_as_such(browser: httpx.Client, sandbox: Sandbox):
    fails(sandbox, "appointments.create", 503)
    body = to_dict(build(AppointmentCreate, attendee_ids=sandbox.state.user_ids[:1]))

    told = problem(browser.post("/appointments", json=body))

    assert (told["status"], told["processed"]) == (502, "maybe")


def test_a_429_of_the_service_is_a_503_with_retry_after(browser: httpx.Client, sandbox: Sandbox):
    token = token_of(
        sandbox, sandbox.state.user_ids[0]
    )  # a token of its own, because a 429 starts a cooldown for all requests of a token
    fails(sandbox, "appointments.list_mine", 429, retry_after=500)

    answer = browser.get("/me/appointments", headers={"Authorization": f"Bearer {token}"})

    assert problem(answer)["status"] == 503
    assert answer.headers["retry-after"] == "500"


# The OpenAPI document


def test_the_openapi_document_of_the_fastapi_application_is_correct(sandbox: Sandbox):
    with serving("fastapi", sandbox.base_url) as browser:
        document = browser.get("/openapi.json").json()
        found = browser.get(f"/appointments/{an_id(sandbox)}").json()

    schemas = document["components"]["schemas"]
    operation = document["paths"]["/appointments/{appointment_id}"]["get"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Appointment"}
    assert schemas["Appointment"]["required"] == ["id"]
    start = schemas["Appointment"]["properties"]["dateStart"]
    assert (start["type"], start["format"]) == ("string", "date-time")
    assert start["description"]
    assert schemas["Appointment"]["properties"]["attendees"]["items"] == {"$ref": "#/components/schemas/UserReference"}
    Draft202012Validator(answer | {"components": document["components"]}).validate(found)
    assert set(found) <= set(schemas["Appointment"]["properties"])
    assert schemas["AppointmentCreate"]["required"] == [
        "name",
        "description",
        "dateStart",
        "lengthInMinutes",
        "attendeeIds",
    ]
    assert document["paths"]["/me/appointments"]["get"]["security"] == [{"HTTPBearer": []}]
    assert "client" not in json.dumps(document["paths"])


# The page of a team


def test_the_page_of_a_team_shows_its_notifications_and_stops_with_an_open_event_stream():
    with contextlib.ExitStack() as kept, Sandbox(appointments=20, users=16) as sandbox:
        variables = {"COACHING_TEAM": "Billing", "PAGE_PASSWORD": "secret"}
        with serving("fastapi", sandbox.base_url, folder="team_page", **variables) as browser:
            assert browser.get("/").status_code == 401
            browser.auth = ("anyone", "secret")
            for path, kind in {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"}.items():
                answer = browser.get(path)
                assert answer.headers["content-type"].partition(";")[0] == kind
                assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert browser.get("/main.py").status_code == 404
            assert browser.get("/appointments").status_code == 200
            assert browser.get("/health").status_code == 204
            members = browser.get("/team").json()["people"]
            others = set(sandbox.state.user_ids) - set(members)
            assert others

            listening = kept.enter_context(socket.create_connection((HOST, browser.base_url.port)))
            listening.settimeout(HANG)
            authorization = base64.b64encode(b"anyone:secret").decode()
            listening.sendall(f"GET /events HTTP/1.0\r\nAuthorization: Basic {authorization}\r\n\r\n".encode())
            lines = kept.enter_context(listening.makefile())
            assert "event: alive\n" in lines
            made = [sandbox.notify(user_id)["id"] for user_id in [*others, *members]]
            found = [
                json.loads(line.partition(": ")[2]) for line in itertools.islice(notifications(lines), len(members))
            ]
            assert [each["id"] for each in found] == made[len(others) :]
            assert [each["user"]["id"] for each in found] == list(members)


def notifications(lines: Iterable[str]) -> Iterator[str]:
    """Return the data of the notifications among the lines of an event stream."""
    lines = iter(lines)
    for line in lines:
        if line == "event: notification\n":
            yield next(lines)


# A fleet


@pytest.mark.parametrize("place", ["file", "redis"])
def test_the_example_of_a_fleet_uses_one_token_and_meets_no_429(place: str):
    with contextlib.ExitStack() as stack:
        where = {"REDIS_URL": stack.enter_context(RedisServer()).url if place == "redis" else ""}
        ran = subprocess.run(
            [sys.executable, "-W", "error", EXAMPLES / "fleet" / "main.py", str(free_port())],
            env=environment("") | where,
            capture_output=True,
            text=True,
            timeout=3 * HANG,
            check=False,
        )

    assert (ran.returncode, complaints(ran.stderr)) == (0, [])
    exported, throttled, tokens, direct = ran.stdout.splitlines()
    assert (exported, throttled) == ("600 appointments exported", "0 answers 429")
    assert tokens == "1 tokens for 3 processes"
    assert "direct calls: median" in direct


# Scripts


@pytest.mark.parametrize("name", ["with_asyncio", "with_trio"])
def test_the_example_scripts_run_unchanged(name: str, sandbox: Sandbox):
    users = sandbox.state.user_ids
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", EXAMPLES / f"{name}.py", *users],
        env=environment(sandbox.base_url),
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )

    assert (ran.returncode, complaints(ran.stderr)) == (0, [])
    assert sorted(line.split()[0] for line in ran.stdout.splitlines()) == sorted(users)
