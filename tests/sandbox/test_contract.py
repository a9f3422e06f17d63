"""The sandbox keeps the contract, and goes wrong only as ordered."""

from __future__ import annotations

import copy
import functools
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from openapi_schema_validator import OAS30ReadValidator, oas30_format_checker

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Client, Fault, Sandbox, UserGrant
from tests.support.doubles import CUT
from tests.support.fault_server import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPOINTMENTS = "/api/v2/coaching/appointments"
NOTIFICATIONS = "/api/v2/coaching/notifications"
SLOTS = "/api/v2/coaching/scheduleslots"
BASIC = (CLIENT_ID, CLIENT_SECRET)
DAY = "2026-12-01T00:00:00.000Z/2026-12-02T00:00:00.000Z"
MINIMAL = {
    "name": "n",
    "description": "d",
    "dateStart": "2026-12-01T09:30:00Z",
    "lengthInMinutes": 30,
    "attendeeIds": ["someone"],
}
SOON = 1.0
"""Seconds until accepted work is seen; what is asked before that takes some milliseconds."""


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """The contract, with no room for fields that it does not name."""
    schemas = copy.deepcopy(document["components"]["schemas"])
    for schema in schemas.values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return {"components": {"schemas": schemas, "responses": document["components"]["responses"]}}


DOCUMENT = json.loads((Path(__file__).parents[1] / "data" / "coaching.openapi.json").read_text(encoding="utf-8"))
CONTRACT = closed(DOCUMENT)
PATHS = sorted(DOCUMENT["paths"], key=lambda path: "{" in path)  # /me before /{appointmentId}


def documented(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    for template in PATHS:
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in DOCUMENT["paths"][template]:
            operation: dict[str, Any] = DOCUMENT["paths"][template][method.lower()]
            return operation["operationId"], operation["responses"]
    return None


def schema_of(response: httpx.Response) -> str | None:
    found = documented(response.request.method, response.request.url.raw_path.decode().partition("?")[0])
    if found is None:
        return "ErrorBody"
    answer = found[1][str(response.status_code)]
    if "$ref" in answer:
        answer = CONTRACT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    content = answer.get("content")
    return content["application/json"]["schema"]["$ref"].rpartition("/")[2] if content else None


@functools.cache
def validator(schema: str) -> OAS30ReadValidator:
    reference = {"allOf": [{"$ref": f"#/components/schemas/{schema}"}]}
    return OAS30ReadValidator(reference | CONTRACT, format_checker=oas30_format_checker)


def check(response: httpx.Response) -> None:
    """Every answer of every test in this file comes by here."""
    response.read()
    assert response.headers["ININ-Correlation-Id"]
    schema = schema_of(response)
    if schema is None:
        assert response.content == b""
        return
    body = response.json()
    assert [error.message for error in validator(schema).iter_errors(body)] == []
    if schema == "ErrorBody":
        assert body["status"] == response.status_code
        assert body["contextId"] == response.headers["ININ-Correlation-Id"]


class Api(httpx.Client):
    """A plain client whose every answer is checked."""

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        super().__init__(
            base_url=sandbox.base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            event_hooks={"response": [check]},
            timeout=HANG,
            trust_env=False,
            verify=False,  # plain http: certificates would cost more than all the rest
        )

    def ids(self, path: str = APPOINTMENTS, **query: Any) -> list[str]:
        """Walk all pages."""
        found: list[str] = []
        page = {"pageCount": math.inf}
        number = 0
        while number < page["pageCount"]:
            number += 1
            page = self.get(path, params={**query, "pageNumber": number}).json()
            found += [entity["id"] for entity in page["entities"]]
        return found

    def token(self, auth: tuple[str, str] | None = BASIC, **form: str) -> httpx.Response:
        return self.post("/oauth/token", data=form, auth=auth)  # type: ignore[arg-type]


def token_of(sandbox: Sandbox, **form: str) -> str:
    with Api(sandbox) as api:
        token: str = api.token(**(form or {"grant_type": "client_credentials"})).json()["access_token"]
        return token


@pytest.fixture
def enter() -> Iterator[Callable[..., Sandbox]]:
    """Enter a sandbox with these options; it is left after the test."""
    entered: list[Sandbox] = []

    def entering(**options: Any) -> Sandbox:
        entered.append(Sandbox(**options).__enter__())
        return entered[-1]

    yield entering
    for sandbox in entered:
        sandbox.__exit__(None, None, None)


@pytest.fixture
def sandbox(enter: Callable[..., Sandbox]) -> Sandbox:
    return enter(appointments=60, users=5)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    """With the default client's token, which may do everything and is nobody."""
    with Api(sandbox, token_of(sandbox)) as client:
        yield client


@pytest.fixture
def mine(sandbox: Sandbox) -> Iterator[Api]:
    """With the token of the first user, who may do what she may as a participant."""
    with Api(sandbox, token_of(sandbox, grant_type="refresh_token", refresh_token=REFRESH_TOKEN)) as client:
        yield client


@pytest.fixture
def me(sandbox: Sandbox) -> str:
    return sandbox.state.user_ids[0]


def first(sandbox: Sandbox, wanted: Callable[[dict[str, Any]], bool]) -> str:
    return next(each["id"] for each in sandbox.state.appointments.values() if wanted(each))


def leads(user: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: bool(each["facilitator"]["id"] == user and each["status"] == "Scheduled")


def only_attends(user: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: (
        any(attendee["id"] == user for attendee in each["attendees"])
        and user not in (each["facilitator"]["id"], each.get("createdBy", {}).get("id"))
    )


def foreign(user: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: user not in json.dumps(each)


def hers(api: Api, user: str) -> str:
    """An appointment that this user leads and another attends, with a private annotation."""
    body = {**MINIMAL, "facilitatorId": user}
    appointment_id: str = api.post(APPOINTMENTS, json=body).json()["id"]
    api.post(f"{APPOINTMENTS}/{appointment_id}/annotations", json={"text": "t", "accessType": "Private"})
    return appointment_id


# the whole contract


def test_every_operation_and_every_error_answers_as_the_contract_says(sandbox: Sandbox, api: Api, mine: Api, me: str):
    seen: set[tuple[str, int]] = set()

    def went(response: httpx.Response) -> httpx.Response:
        found = documented(response.request.method, response.request.url.path)
        seen.add((found[0] if found else "", response.status_code))
        return response

    created = went(api.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [me]})).json()
    one = f"{APPOINTMENTS}/{created['id']}"
    went(api.get(APPOINTMENTS, params={"userIds": me, "pageSize": 7, "pageNumber": 2}))
    went(mine.get(f"{APPOINTMENTS}/me"))
    went(api.get(one))
    went(api.patch(one, json={"location": "Room 5", "status": "InProgress"}))
    went(api.patch(f"{one}/status", json={"status": "Completed"}))
    went(api.get(f"{one}/statuses"))
    went(api.post(f"{APPOINTMENTS}/{hers(api, me)}/conversations", json={"conversationId": "c"}))
    went(api.post(f"{APPOINTMENTS}/aggregates/query", json={"interval": DAY, "filter": {"type": "And", "clauses": []}}))
    slots = {"attendeeIds": [me], "lengthInMinutes": 30}
    went(api.post(f"{SLOTS}/query", json={**slots, "interval": DAY}))
    job = went(
        api.post(f"{SLOTS}/jobs", json={**slots, "activityCodeId": "5", "intervals": [DAY], "slotsType": "BestTime"})
    )
    for _ in range(2):
        went(api.get(job.json()["selfUri"]))
    note = went(api.post(f"{one}/annotations", json={"text": "t", "accessType": "Private"})).json()
    went(api.get(f"{one}/annotations"))
    went(api.get(f"{one}/annotations/{note['id']}"))
    went(api.patch(f"{one}/annotations/{note['id']}", json={"text": "u"}))
    went(api.delete(f"{one}/annotations/{note['id']}"))
    told = went(mine.get(NOTIFICATIONS, params={"expand": "appointment"})).json()["entities"][0]
    went(mine.get(f"{NOTIFICATIONS}/{told['id']}"))
    went(mine.patch(f"{NOTIFICATIONS}/{told['id']}", json={"markedAsRead": True}))
    went(api.patch(one, json={"name": "too late"}))
    went(api.delete(one))
    went(api.get(one))
    went(api.get(APPOINTMENTS))
    went(mine.get(APPOINTMENTS, params={"userIds": me}))
    went(api.post(APPOINTMENTS, content=b"x", headers={"Content-Type": "text/plain"}))
    went(api.post(APPOINTMENTS, json={**MINIMAL, "name": "n" * 512_000}))
    went(api.get(APPOINTMENTS, headers={"Authorization": "Bearer stale"}))
    for status in (408, 429, 500, 503, 504):
        sandbox.faults.add(Fault("status", status=status, retry_after=1))
        went(api.get(APPOINTMENTS))
    for method, path in (("POST", APPOINTMENTS), ("PATCH", one), ("DELETE", f"{APPOINTMENTS}/x")):
        sandbox.faults.add(Fault("accepted", delay=math.inf))
        path = path.replace("/x", f"/{created['id']}")
        sandbox.state.create(created["id"], {**MINIMAL, "attendeeIds": []}, None)
        went(api.request(method, path, json=MINIMAL))
    went(api.token(grant_type="client_credentials"))
    went(api.token(grant_type="refresh_token", refresh_token="wrong"))
    assert api.put(APPOINTMENTS).status_code == 405
    assert api.get("/api/v2/nothing").status_code == 404

    operations = [each for path in DOCUMENT["paths"].values() for each in path.values() if "operationId" in each]
    for operation in operations:
        for status in (int(each) for each in operation["responses"] if each.startswith("2")):
            if (operation["operationId"], status) != ("deleteCoachingAppointment", 202):
                assert (operation["operationId"], status) in seen
    assert {status for _, status in seen} >= {400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504}


# running


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_it_serves_asynchronous_code_on_both_backends_and_leaves_nothing(anyio_backend: str):
    async with Sandbox(appointments=4) as sandbox, httpx.AsyncClient(base_url=sandbox.base_url) as client:
        form = {"grant_type": "client_credentials"}
        answers: list[int] = []

        async def ask() -> None:
            answers.append((await client.post("/oauth/token", data=form, auth=BASIC)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
    assert answers == [200] * 10
    assert not any(thread.name == "coaching-sandbox" for thread in threading.enumerate())


def test_leaving_frees_the_port_at_once_and_the_same_data_can_be_served_again():
    with Sandbox(appointments=1) as sandbox, httpx.Client() as client:
        port = int(sandbox.base_url.rpartition(":")[2])
        client.get(sandbox.base_url)
    for _ in range(2):
        with Sandbox(port=port) as again:
            assert again.base_url == f"http://127.0.0.1:{port}" == again.login_url
    with pytest.raises(RuntimeError):
        again.base_url  # noqa: B018


def test_a_port_in_use_is_an_os_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)), Sandbox(port=port):
            pass


def test_entering_twice_is_refused(sandbox: Sandbox):
    with pytest.raises(RuntimeError), sandbox:
        pass


def test_leaving_does_not_wait_for_requests_that_hang():
    cut_off: list[str] = []

    def ask(url: str) -> None:
        with pytest.raises(CUT):
            httpx.get(url, timeout=HANG)
        cut_off.append(url)

    with Sandbox(appointments=1, latency=60) as sandbox:
        sandbox.faults.add(Fault("stall", path="stalled"))
        urls = [f"{sandbox.base_url}/stalled", f"{sandbox.base_url}/api/v2/late"]
        threads = [threading.Thread(target=ask, args=[url]) for url in urls]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(sandbox.requests) == 2)
    for thread in threads:
        thread.join()
    assert sorted(cut_off) == sorted(urls)
    assert [arrival.status for arrival in sandbox.requests] == [None, None]


def test_an_interrupt_tears_everything_down_and_nothing_is_printed():
    program = """
        import httpx
        from coaching_async.sandbox import Sandbox
        with Sandbox() as sandbox:
            httpx.get(sandbox.base_url)
            print("up", flush=True)
            import time; time.sleep(600)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=HANG)
    assert out == ""
    assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert "Exception" not in errors


@pytest.mark.parametrize(
    "option",
    [
        {"appointments": -1},
        {"users": 0},
        {"page_cap": 0},
        {"rate_limit": 0},
        {"login_rate_limit": 0},
        {"requests_kept": 0},
        {"rate_window": 0},
        {"rate_window": math.nan},
        {"token_life": 0},
        {"latency": -0.1},
        {"port": 65536},
    ],
)
def test_an_option_out_of_range_is_named(option: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(option))):
        Sandbox(**option)  # type: ignore[arg-type]


def test_answers_wait_for_the_latency(enter: Callable[..., Sandbox]):
    with Api(enter(appointments=1, latency=0.05)) as api:
        started = time.monotonic()
        api.get(APPOINTMENTS)
        assert time.monotonic() - started >= 0.05


def test_what_arrived_is_recorded_with_its_answer(sandbox: Sandbox, api: Api):
    api.get(f"{APPOINTMENTS}/a%2Fb?x=1")
    arrival = sandbox.requests[-1]
    assert (arrival.method, arrival.path, arrival.query) == ("GET", f"{APPOINTMENTS}/a%2Fb", "x=1")
    assert arrival.status == 404
    assert arrival.at.tzinfo is not None


# data


def test_the_same_seed_gives_the_same_data():
    def data(seed: int) -> str:
        state = Sandbox(seed=seed).state
        return json.dumps([state.user_ids, state.appointments, state.annotations, state.statuses, state.notifications])

    assert data(3) == data(3) != data(4)


@pytest.mark.parametrize("users", [1, 2, 10])
@pytest.mark.parametrize("seed", range(5))
def test_the_first_user_leads_and_attends_something_and_was_told(users: int, seed: int):
    state = Sandbox(appointments=4, users=users, seed=seed).state
    me = "11111111-1111-4111-8111-111111111111"
    assert state.user_ids[0] == me
    assert any(each["facilitator"]["id"] == me for each in state.appointments.values())
    assert any(me in [attendee["id"] for attendee in each["attendees"]] for each in state.appointments.values())
    assert len(state.notifications_of(me)) >= 3


def test_the_data_are_varied():
    state = Sandbox().state
    statuses = {each["status"] for each in state.appointments.values()}
    assert statuses == {"Scheduled", "InProgress", "Completed", "InvalidSchedule"}
    assert {len(each["attendees"]) for each in state.appointments.values()} == {1, 2, 3}
    assert 0 < sum("location" in each for each in state.appointments.values()) < len(state.appointments)
    assert any(state.annotations.values())
    for appointment_id, appointment in state.appointments.items():
        assert state.statuses[appointment_id][-1]["status"] == appointment["status"]


# tokens


def test_a_refresh_token_is_rotated_and_the_printed_one_stays_good(sandbox: Sandbox):
    with Api(sandbox) as api:
        for _ in range(2):
            rotated = api.token(grant_type="refresh_token", refresh_token=REFRESH_TOKEN).json()["refresh_token"]
        assert api.token(grant_type="refresh_token", refresh_token=rotated).status_code == 200
        assert api.token(grant_type="refresh_token", refresh_token=rotated).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "auth, form, error",
    [
        (None, {"grant_type": "client_credentials"}, "invalid_client"),
        (("nobody", CLIENT_SECRET), {"grant_type": "client_credentials"}, "invalid_client"),
        ((CLIENT_ID, "wrong"), {"grant_type": "client_credentials"}, "invalid_client"),
        (BASIC, {}, "invalid_request"),
        (BASIC, {"grant_type": "password"}, "unsupported_grant_type"),
        (BASIC, {"grant_type": "refresh_token"}, "invalid_grant"),
    ],
)
def test_the_login_host_refuses_in_the_words_of_oauth(sandbox: Sandbox, auth, form: dict[str, str], error: str):
    with Api(sandbox) as api:
        refused = api.token(auth, **form)
    assert (refused.status_code, refused.json()["error"]) == (400, error)


def test_client_credentials_are_form_encoded_inside_basic(sandbox: Sandbox):
    sandbox.oauth.clients["a b"] = Client("p:ä%+", permissions=["coaching:appointment:view"])
    basic = b64encode(b"a+b:p%3A%C3%A4%25%2B").decode()
    with Api(sandbox) as api:
        form = {"grant_type": "client_credentials"}
        answer = api.post("/oauth/token", data=form, headers={"Authorization": f"Basic {basic}"})
        assert answer.status_code == 200
    with Api(sandbox, answer.json()["access_token"]) as limited:
        assert limited.get(APPOINTMENTS, params={"userIds": "x"}).status_code == 200
        assert limited.post(APPOINTMENTS, json=MINIMAL).status_code == 403


def test_without_a_token_and_with_one_that_is_expired_or_revoked_nothing_is_done(enter: Callable[..., Sandbox]):
    sandbox = enter(appointments=1, token_life=60)
    with Api(sandbox) as nobody:
        assert nobody.get(f"{APPOINTMENTS}/me").json()["code"] == "authentication.required"
    with Api(sandbox, token_of(sandbox)) as api:
        assert api.get(APPOINTMENTS, params={"userIds": "x"}).status_code == 200
        sandbox.oauth.revoke_all()
        assert api.get(APPOINTMENTS, params={"userIds": "x"}).json()["code"] == "bad.credentials"
    with Api(sandbox, token_of(sandbox)) as api:
        sandbox.oauth.now = lambda: time.monotonic() + 60
        assert api.get(APPOINTMENTS, params={"userIds": "x"}).json()["code"] == "bad.credentials"


def test_over_the_rate_limit_nothing_is_done_until_the_window_has_passed(enter: Callable[..., Sandbox]):
    sandbox = enter(appointments=0, rate_limit=2, rate_window=42.5)
    with Api(sandbox, token_of(sandbox)) as api, Api(sandbox, token_of(sandbox)) as other:
        assert [api.post(APPOINTMENTS, json=MINIMAL).status_code for _ in range(4)] == [201, 201, 429, 429]
        refused = api.post(APPOINTMENTS, json=MINIMAL)
        assert 0 < int(refused.headers["Retry-After"]) <= 43
        assert "seconds" in refused.json()["message"]
        assert refused.json()["limit"]["value"] == 2
        assert len(sandbox.state.appointments) == 2
        assert other.post(APPOINTMENTS, json=MINIMAL).status_code == 201
        assert sandbox._service.rate_limit is not None
        sandbox._service.rate_limit.now = lambda: time.monotonic() + 42.5
        assert api.post(APPOINTMENTS, json=MINIMAL).status_code == 201


# lists


def test_a_walk_over_the_pages_sees_each_appointment_once_in_order(sandbox: Sandbox, api: Api):
    users = sandbox.state.user_ids
    found = api.ids(userIds=users, pageSize=7, sortOrder="Asc")
    assert sorted(found) == sorted(sandbox.state.appointments)
    dates = [sandbox.state.appointments[each]["dateStart"] for each in found]
    assert dates == sorted(dates)
    assert api.ids(userIds=users, pageSize=7, sortOrder="Desc") == found[::-1]
    assert api.ids(userIds=",".join(users)) == found


def test_a_page_is_described_as_in_the_examples(api: Api, sandbox: Sandbox):
    users = {"userIds": sandbox.state.user_ids, "pageSize": 25}
    second = api.get(APPOINTMENTS, params={**users, "pageNumber": 2}).json()
    assert {name: value for name, value in second.items() if name != "entities"} == {
        "pageSize": 25,
        "pageNumber": 2,
        "total": 60,
        "pageCount": 3,
        "firstUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=1",
        "selfUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=2",
        "lastUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=3",
        "nextUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=3",
        "previousUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=1",
    }
    beyond = api.get(APPOINTMENTS, params={**users, "pageNumber": 9}).json()
    assert beyond == {"entities": [], "pageSize": 25, "pageNumber": 9, "total": 60, "pageCount": 3}
    empty = api.get(APPOINTMENTS, params={"userIds": "nobody"}).json()
    assert (empty["total"], empty["pageCount"]) == (0, 0)
    assert empty["lastUri"] == f"{APPOINTMENTS}?pageSize=25&pageNumber=1"


def test_a_page_is_silently_capped_and_its_size_told(enter: Callable[..., Sandbox]):
    sandbox = enter(appointments=20, page_cap=6)
    with Api(sandbox, token_of(sandbox)) as api:
        page = api.get(APPOINTMENTS, params={"userIds": sandbox.state.user_ids, "pageSize": 500}).json()
    assert (len(page["entities"]), page["pageSize"], page["pageCount"]) == (6, 6, 4)


@pytest.mark.parametrize(
    "name, value",
    [
        ("pageSize", "0"),
        ("pageSize", "many"),
        ("pageNumber", "-1"),
        ("pageNumber", "1.5"),
        ("sortOrder", "asc"),
        ("statuses", "Completed,Gone"),
        ("relationships", "Boss"),
        ("overdue", "true"),
        ("intervalCondition", "EndsIn"),
        ("interval", "soon"),
        ("interval", "2026-11-01T00:00:00Z"),
        ("interval", "2026-12-01T00:00:00Z/2026-11-01T00:00:00Z"),
        ("completionInterval", "2026-13-01T00:00:00Z/2026-14-01T00:00:00Z"),
    ],
)
def test_a_parameter_with_a_wrong_value_is_named(api: Api, name: str, value: str):
    refused = api.get(APPOINTMENTS, params={"userIds": "x", name: value})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid.query.param.value")
    assert refused.json()["details"][0]["fieldName"] == name


def test_an_interval_takes_its_start_and_leaves_its_end(api: Api):
    def between(condition: str, start: str, end: str, end_of: str = "interval") -> int:
        window = {end_of: f"2026-12-01T{start}/2026-12-01T{end}", "intervalCondition": condition}
        return len(api.ids(userIds="someone", **window))

    appointment_id = api.post(APPOINTMENTS, json=MINIMAL).json()["id"]
    assert between("StartsIn", "09:30:00", "09:31:00") == 1
    assert between("StartsIn", "09:00:00.000Z", "09:30:00.000Z") == 0
    assert between("StartsIn", "10:30:00+01:00", "10:31:00+01:00") == 1
    assert between("Overlaps", "09:59:00Z", "11:00:00Z") == 1
    assert between("Overlaps", "10:00:00Z", "11:00:00Z") == 0
    assert between("Overlaps", "09:00:00Z", "09:30:00Z") == 0
    api.patch(f"{APPOINTMENTS}/{appointment_id}/status", json={"status": "Completed"})
    assert between("StartsIn", "00:00:00Z", "23:00:00Z", "completionInterval") == 0
    ever = "2000-01-01T00:00:00Z/2100-01-01T00:00:00Z"
    assert api.ids(userIds="someone", completionInterval=ever) == [appointment_id]


def test_each_filter_keeps_what_it_says(api: Api, sandbox: Sandbox, me: str):
    def found(**query: Any) -> list[dict[str, Any]]:
        return [api.get(f"{APPOINTMENTS}/{each}").json() for each in api.ids(userIds=me, pageSize=100, **query)]

    assert all(me in json.dumps(each) for each in found())
    assert {each["status"] for each in found(statuses=["Completed", "InProgress"])} <= {"Completed", "InProgress"}
    assert {each["facilitator"]["id"] for each in found(facilitatorIds=me)} == {me}
    assert {each["facilitator"]["id"] for each in found(relationships="Facilitator")} == {me}
    attended = found(relationships=["Attendee"])
    assert attended
    assert all(me in [attendee["id"] for attendee in each["attendees"]] for each in attended)
    overdue, timely = found(overdue="True"), found(overdue="False")
    assert {each["isOverdue"] for each in overdue} == {True}
    assert {each["isOverdue"] for each in timely} == {False}
    assert len(overdue) + len(timely) == len(found(overdue="Any"))


def test_me_is_the_user_of_the_token(sandbox: Sandbox, api: Api, mine: Api, me: str):
    assert mine.ids(f"{APPOINTMENTS}/me") == api.ids(userIds=me)
    assert api.get(f"{APPOINTMENTS}/me").json()["code"] == "not.a.user"
    assert api.get(NOTIFICATIONS).json()["code"] == "not.a.user"


# appointments


def test_create_answers_the_whole_appointment_and_remembers_it(api: Api):
    body = {
        **MINIMAL,
        "dateStart": "2026-12-01T10:30:59.999+01:00",
        "facilitatorId": "someone else",
        "conversationIds": ["c"],
        "documentIds": ["d"],
        "wfmSchedule": {"id": "s", "businessUnit": {"id": "u"}, "weekDate": "2026-11-30"},
        "externalLinks": ["https://x.example"],
        "location": "Room 4",
        "shareInsightsData": True,
        "addToSchedule": True,
    }
    created = api.post(APPOINTMENTS, json=body)
    assert created.status_code == 201
    shown = created.json()
    assert shown["dateStart"] == "2026-12-01T09:30:00.000Z"
    assert shown["status"] == "Scheduled"
    assert shown["facilitator"]["selfUri"] == "/api/v2/users/someone%20else"
    assert api.get(shown["selfUri"]).json() == shown
    assert [each["status"] for each in api.get(f"{shown['selfUri']}/statuses").json()["entities"]] == ["Scheduled"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1},
        {"description": None},
        {"dateStart": "Soon"},
        {"dateStart": "2026-12-01T09:30:00"},
        {"dateStart": "2026-12-01"},
        {"dateStart": "0001-01-01T00:00:00+14:00"},
        {"lengthInMinutes": "30"},
        {"lengthInMinutes": True},
        {"lengthInMinutes": 30.0},
        {"lengthInMinutes": 0},
        {"attendeeIds": "someone"},
        {"attendeeIds": [1]},
        {"wfmSchedule": {"id": "s"}},
        {"wfmSchedule": {"id": "s", "businessUnit": {"id": "u"}, "weekDate": "2026-11-31"}},
        {"shareInsightsData": "yes"},
    ],
)
def test_a_field_with_a_wrong_value_is_named_and_nothing_is_created(sandbox: Sandbox, api: Api, change: dict[str, Any]):
    refused = api.post(APPOINTMENTS, json=MINIMAL | change)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["fieldName"] == next(iter(change))
    assert len(sandbox.state.appointments) == 60


@pytest.mark.parametrize("missing", MINIMAL)
def test_a_required_field_that_is_missing_is_named(api: Api, missing: str):
    refused = api.post(APPOINTMENTS, json={name: value for name, value in MINIMAL.items() if name != missing})
    assert refused.json()["details"][0]["fieldName"] == missing


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"x": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_object_is_a_bad_request(api: Api, raw: bytes):
    refused = api.post(APPOINTMENTS, content=raw, headers={"Content-Type": "application/json; charset=utf-8"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad.request")


def test_strings_and_dates_at_the_edges_come_back_as_they_were(api: Api):
    body = {**MINIMAL, "dateStart": "9999-12-31T23:59:00Z", "lengthInMinutes": 2**31 - 1}
    raw = json.dumps({**body, "name": "\ud800 \0 ü 🙂", "attendeeIds": ["\ud800"]})
    created = api.post(APPOINTMENTS, content=raw, headers={"Content-Type": "application/json"})
    assert created.json()["name"] == "\ud800 \0 ü 🙂"
    everything = "0001-01-01T00:00:00Z/9999-12-31T23:59:59Z"
    assert api.ids(userIds="\ufffd", interval=everything, intervalCondition="Overlaps") == []


def test_what_is_not_ascii_is_sent_as_it_is(api: Api):
    created = api.post(APPOINTMENTS, json={**MINIMAL, "name": "Zoë"})
    assert '"name":"Zoë"'.encode() in created.content


def test_an_update_changes_what_is_sent_and_null_clears(api: Api):
    one = api.post(APPOINTMENTS, json={**MINIMAL, "location": "Room 4"}).json()["selfUri"]
    before = api.get(one).json()
    changed = api.patch(one, json={"name": "m", "location": None, "attendeeIds": ["x"], "whatever": 1}).json()
    expected = {**before, "name": "m", "dateModified": changed["dateModified"]}
    del expected["location"]
    assert changed == expected
    assert api.patch(one, json={"name": None}).status_code == 400
    assert api.patch(one, json={"status": "InvalidSchedule"}).status_code == 400
    assert api.get(one).json() == changed


def test_a_completed_appointment_takes_nothing_but_another_status(api: Api):
    one = api.post(APPOINTMENTS, json=MINIMAL).json()["selfUri"]
    completed = api.patch(one, json={"name": "m", "status": "Completed"}).json()
    assert completed["dateCompleted"]
    refused = api.patch(one, json={"name": "x", "status": "Scheduled"})
    assert (refused.status_code, refused.json()["code"]) == (409, "general.conflict")
    assert api.get(one).json() == completed
    reopened = api.patch(one, json={"status": "Scheduled"}).json()
    assert "dateCompleted" not in reopened
    assert api.patch(one, json={"name": "x"}).status_code == 200


def test_the_history_grows_with_each_change_of_status(api: Api):
    one = api.post(APPOINTMENTS, json=MINIMAL).json()["selfUri"]
    for status in ("InProgress", "InProgress", "Completed"):
        assert api.patch(f"{one}/status", json={"status": status}).json()["status"] == status
    page = api.get(f"{one}/statuses").json()
    assert [each["status"] for each in page["entities"]] == ["Scheduled", "InProgress", "Completed"]
    assert set(page) == {"entities", "pageSize", "pageNumber", "total", "pageCount"}
    assert api.patch(f"{one}/status", json={"status": "InvalidSchedule"}).status_code == 400


def test_what_is_deleted_is_gone_with_all_that_hung_on_it(api: Api, me: str):
    one = f"{APPOINTMENTS}/{hers(api, me)}"
    assert api.delete(one).status_code == 204
    for path in (one, f"{one}/statuses", f"{one}/annotations"):
        assert api.get(path).json()["entityName"] == "appointment"
    assert api.delete(one).status_code == 404


def test_an_encoded_id_is_one_segment(api: Api, sandbox: Sandbox):
    sandbox.state.create("a/b?c", {**MINIMAL}, None)
    assert api.get(f"{APPOINTMENTS}/a%2Fb%3Fc").json()["id"] == "a/b?c"
    assert api.get(f"{APPOINTMENTS}/x%2Fstatuses").json()["entityId"] == "x/statuses"
    assert api.get(f"{APPOINTMENTS}/%6De").json()["entityId"] == "me"
    assert "entityId" not in api.get(f"{APPOINTMENTS}/a/b").json()


def test_a_method_that_a_path_lacks_is_refused_with_those_that_it_has(api: Api):
    assert api.put(f"{APPOINTMENTS}/x").headers["Allow"] == "DELETE, GET, PATCH"
    assert api.get("/oauth/token").status_code == 405


# annotations and notifications


def test_annotations_live_and_vanish(api: Api, me: str):
    notes = f"{APPOINTMENTS}/{hers(api, me)}/annotations"
    note = api.post(notes, json={"text": "t", "accessType": "Public"}).json()
    edited = api.patch(note["selfUri"], json={**note, "text": "u", "accessType": "Private"}).json()
    assert (edited["text"], edited["accessType"]) == ("u", "Public")
    assert api.get(note["selfUri"]).json() == edited
    assert len(api.ids(notes)) == 2
    assert api.delete(note["selfUri"]).status_code == 204
    assert api.get(note["selfUri"]).json()["entityName"] == "annotation"
    assert note["id"] not in api.ids(notes)
    assert api.post(notes, json={"text": "t", "accessType": "Secret"}).status_code == 400
    assert api.patch(note["selfUri"], json={}).status_code == 404


def test_everybody_concerned_is_told_but_the_one_who_did_it(sandbox: Sandbox, api: Api, mine: Api, me: str):
    def told(user: str) -> list[tuple[str, str]]:
        new = list(sandbox.state.notifications.values())[before:]
        return [(each["actionType"], each["relationship"]) for each in new if each["user"]["id"] == user]

    before = len(sandbox.state.notifications)
    one = f"{APPOINTMENTS}/{hers(api, me)}"
    mine.patch(one, json={"name": "m", "status": "InProgress"})
    note = mine.post(f"{one}/annotations", json={"text": "t", "accessType": "Public"}).json()
    mine.patch(note["selfUri"], json={"text": "u"})
    mine.delete(note["selfUri"])
    api.delete(one)
    assert told(me) == [("Create", "Facilitator"), ("AnnotationAdded", "Facilitator"), ("Delete", "Facilitator")]
    assert told("someone") == [
        (action, "Attendee")
        for action in (
            "Create",
            "AnnotationAdded",
            "Update",
            "StatusChange",
            "AnnotationAdded",
            "AnnotationEdited",
            "AnnotationDeleted",
            "Delete",
        )
    ]


def test_a_notification_holds_a_stub_or_when_asked_the_whole_appointment(mine: Api):
    stub = mine.get(NOTIFICATIONS).json()["entities"][0]
    assert set(stub["appointment"]) == {"id", "selfUri"}
    whole = mine.get(stub["selfUri"], params={"expand": "appointment"}).json()
    assert whole["appointment"] == mine.get(stub["appointment"]["selfUri"]).json()
    assert mine.get(NOTIFICATIONS, params={"expand": "all"}).status_code == 400


def test_a_notification_is_marked_by_its_owner_alone(sandbox: Sandbox, api: Api, mine: Api, me: str):
    own = mine.get(NOTIFICATIONS).json()["entities"][0]
    assert mine.patch(own["selfUri"], json={"markedAsRead": True}).json()["markedAsRead"] is True
    assert mine.get(own["selfUri"]).json()["markedAsRead"] is True
    assert mine.patch(own["selfUri"], json={"markedAsRead": "yes"}).status_code == 400
    other = next(each for each in sandbox.state.notifications.values() if each["user"]["id"] != me)
    assert mine.patch(other["selfUri"], json={"markedAsRead": True}).status_code == 403
    assert mine.get(other["selfUri"]).json()["messageParams"] == {"permissions": "coaching:notification:view"}
    assert api.get(other["selfUri"]).status_code == 200
    assert api.patch(other["selfUri"], json={"markedAsRead": True}).json()["code"] == "not.a.user"


# access


def test_a_user_may_what_the_relationship_allows(sandbox: Sandbox, api: Api, mine: Api, me: str):
    led, attended = hers(api, me), first(sandbox, only_attends(me))
    for appointment_id, edit in ((led, 200), (attended, 403), (first(sandbox, foreign(me)), 403)):
        one = f"{APPOINTMENTS}/{appointment_id}"
        view = 403 if appointment_id not in (led, attended) else 200
        assert mine.get(one).status_code == view
        assert mine.get(f"{one}/statuses").status_code == view
        assert mine.patch(one, json={}).status_code == edit
        assert mine.delete(one).status_code == 403
        assert mine.patch(f"{one}/status", json={"status": "Scheduled"}).status_code == view
    assert mine.get(APPOINTMENTS, params={"userIds": me}).status_code == 403
    refused = mine.post(APPOINTMENTS, json=MINIMAL).json()
    assert (refused["code"], refused["messageParams"]) == (
        "missing.any.permissions",
        {"permissions": "coaching:appointment:add"},
    )


def test_private_annotations_are_for_those_who_lead(sandbox: Sandbox, api: Api, mine: Api, me: str):
    led = hers(api, me)
    attended = api.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [me]}).json()["id"]
    for appointment_id, private in ((led, True), (attended, False)):
        notes = f"{APPOINTMENTS}/{appointment_id}/annotations"
        public = mine.post(notes, json={"text": "t", "accessType": "Public"})
        hidden = api.post(notes, json={"text": "t", "accessType": "Private"}).json()
        assert public.status_code == 201
        assert (hidden["id"] in mine.ids(notes)) is private
        assert mine.get(hidden["selfUri"]).status_code == (200 if private else 403)
        assert mine.post(notes, json={"text": "t", "accessType": "Private"}).status_code == (201 if private else 403)
        assert mine.patch(public.json()["selfUri"], json={"text": "u"}).status_code == (200 if private else 403)
        assert mine.delete(hidden["selfUri"]).status_code == (204 if private else 403)
    assert mine.get(f"{APPOINTMENTS}/{first(sandbox, foreign(me))}/annotations").status_code == 403


def test_clients_and_users_with_other_permissions_can_be_added(sandbox: Sandbox, me: str):
    sandbox.oauth.refresh_tokens["hr"] = UserGrant(CLIENT_ID, me, frozenset({"coaching:appointment:add"}))
    with Api(sandbox, token_of(sandbox, grant_type="refresh_token", refresh_token="hr")) as api:
        created = api.post(APPOINTMENTS, json=MINIMAL).json()
        assert created["createdBy"]["id"] == me
        assert api.delete(created["selfUri"]).status_code == 204


# faults


def test_dropped_before_nothing_was_done_and_dropped_after_it_was(sandbox: Sandbox, api: Api):
    for kind, done in (("drop_before", 0), ("drop_after", 1)):
        before = len(sandbox.state.appointments)
        sandbox.faults.add(Fault(kind, method="post", path=APPOINTMENTS))
        with pytest.raises(CUT):
            api.post(APPOINTMENTS, json=MINIMAL)
        assert len(sandbox.state.appointments) == before + done
        assert sandbox.requests[-1].status is None


def test_half_a_body_is_cut_after_the_work(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("half_body"))
    with pytest.raises(CUT):
        api.post(APPOINTMENTS, json=MINIMAL)
    assert len(sandbox.state.appointments) == 61
    assert sandbox.requests[-1].status == 201


def test_a_status_on_order_takes_the_place_of_the_work(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("status", method="POST", status=503, retry_after=7))
    refused = api.post(APPOINTMENTS, json=MINIMAL)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "7")
    assert len(sandbox.state.appointments) == 60
    sandbox.faults.add(Fault("status", status=502, body="<html>"))
    with httpx.Client(base_url=sandbox.base_url) as client:
        gateway = client.get(APPOINTMENTS)
    assert (gateway.text, gateway.headers["Content-Type"]) == ("<html>", "text/html; charset=utf-8")
    sandbox.faults.add(Fault("status", path="/oauth/token", status=400, body={"error": "invalid_request"}))
    assert api.token(grant_type="client_credentials").json() == {"error": "invalid_request"}


def test_a_stalled_request_ends_when_the_client_goes(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("stall"))
    with pytest.raises(httpx.ReadTimeout):
        api.get(APPOINTMENTS, timeout=httpx.Timeout(HANG, read=0.05))
    assert api.get(APPOINTMENTS).status_code == 400


def test_accepted_work_is_promised_first_and_seen_later(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("accepted", delay=SOON, times=3))
    reference = api.post(APPOINTMENTS, json=MINIMAL)
    one = reference.json()["selfUri"]
    assert (reference.status_code, set(reference.json())) == (202, {"id", "selfUri"})
    sandbox.faults.clear()
    assert api.get(one).status_code == 404
    wait_until(lambda: api.get(one).status_code == 200)
    sandbox.faults.add(Fault("accepted", method="PATCH", delay=SOON), Fault("accepted", method="DELETE", delay=SOON))
    assert api.patch(one, json={"name": "m"}).json() == reference.json()
    assert api.get(one).json()["name"] == "n"
    wait_until(lambda: api.get(one).json()["name"] == "m")
    assert api.delete(one).status_code == 202
    assert api.get(one).status_code == 200
    wait_until(lambda: api.get(one).status_code == 404)
    assert api.patch(one, json={}).status_code == 404


def test_what_is_accepted_is_checked_first(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("accepted", times=math.inf))
    assert api.post(APPOINTMENTS, json={}).status_code == 400
    assert api.patch(f"{APPOINTMENTS}/x", json={}).status_code == 404


def test_a_fault_lets_some_pass_strikes_so_often_and_is_used_up(sandbox: Sandbox, api: Api):
    fault = Fault("status", method="GET", path="pageNumber=2$", after=1, times=2, status=500)
    sandbox.faults.add(fault)
    assert sandbox.faults.pending == (fault,)

    def status(number: int) -> int:
        return api.get(APPOINTMENTS, params={"userIds": "x", "pageNumber": number}).status_code

    assert [status(1), status(2), status(2), status(1), status(2), status(2)] == [200, 200, 500, 200, 500, 200]
    assert sandbox.faults.pending == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "explode"},
        {"kind": "status"},
        {"kind": "stall", "status": 500},
        {"kind": "stall", "times": 0},
        {"kind": "stall", "after": -1},
        {"kind": "status", "status": 42},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(arguments: dict[str, Any]):
    with pytest.raises(ValueError):  # noqa: PT011
        Fault(**arguments)


def test_a_bug_in_the_sandbox_is_a_500_that_is_logged(sandbox: Sandbox, api: Api, caplog: pytest.LogCaptureFixture):
    broken, appointment = next(iter(sandbox.state.appointments.items()))
    appointment.clear()
    assert api.get(f"{APPOINTMENTS}/{broken}").json()["code"] == "internal.server.error"
    assert "KeyError" in caplog.text


def test_the_largest_page_size_that_the_contract_has_is_capped_like_any_other(sandbox: Sandbox, api: Api):
    answer = api.get(APPOINTMENTS, params={"userIds": sandbox.state.user_ids, "pageSize": 2**31 - 1})

    assert answer.json()["pageSize"] == 100
