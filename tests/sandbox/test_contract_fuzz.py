"""Schemathesis generates valid and invalid requests from the contract; every response of the sandbox follows it."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import textwrap
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Sandbox, UserGrant
from tests.support.contract import DOCUMENT, Answer, operation, resolved, witnessing
from tests.support.effort import in_make_long

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Any

pytestmark = pytest.mark.real_time

LOGIN = "/oauth/token"
OPERATIONS = [
    (path, method, each)
    for path, methods in DOCUMENT["paths"].items()
    for method, each in methods.items()
    if "operationId" in each
]
EACH = 8
# Not positive_data_acceptance: a request of valid form may be refused for its content.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
PHASES = "coverage,fuzzing --max-examples 36"
# The command line of schemathesis, with a strategy for the format "interval".
PROGRAM = """
    from datetime import datetime, timedelta

    from hypothesis import strategies as st
    from schemathesis import openapi
    from schemathesis.cli import schemathesis

    def interval(ends):
        return "/".join(f"{end.isoformat(timespec='milliseconds')}Z" for end in sorted(ends))

    # Of any length, and short enough to be searched for slots.
    long = st.tuples(st.datetimes(), st.datetimes())
    short = st.datetimes(max_value=datetime(9999, 12, 1)).map(lambda start: (start, start + timedelta(days=3)))
    openapi.format("interval", (long | short).map(interval))
    schemathesis()
"""
# Limits that the contract lacks: without them most requests are refused before any work.
FIRM = {
    "parameters/pageNumber/schema": {"minimum": 1},
    "parameters/pageSize/schema": {"minimum": 1},
    "parameters/userIds/schema": {"minItems": 1},
    "schemas/CreateCoachingAppointmentRequest/properties/lengthInMinutes": {"minimum": 1},
    "schemas/UpdateCoachingAppointmentRequest/properties/lengthInMinutes": {"minimum": 1},
    "schemas/CoachingSlotsRequest/properties/lengthInMinutes": {"minimum": 15},
    "schemas/CoachingSlotsRequest/properties/attendeeIds": {"minItems": 1},
    "schemas/CoachingScheduleSlotsJobRequest/properties/lengthInMinutes": {"minimum": 15},
    "schemas/CoachingScheduleSlotsJobRequest/properties/attendeeIds": {"minItems": 1},
    "schemas/CoachingScheduleSlotsJobRequest/properties/intervals": {"minItems": 1},
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=300, users=5) as sandbox:
        yield sandbox


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    """A token of a user with all permissions, so that no operation is refused for lack of a permission or of a user."""
    permissions = {name for *_, each in OPERATIONS for name in each.get("x-permissions", {}).get("permissions", ())}
    sandbox.oauth.refresh_tokens["all"] = UserGrant(CLIENT_ID, sandbox.state.user_ids[0], frozenset(permissions))
    form = {"grant_type": "refresh_token", "refresh_token": "all"}
    answer = httpx.post(f"{sandbox.login_url}{LOGIN}", data=form, auth=(CLIENT_ID, CLIENT_SECRET), trust_env=False)
    return answer.json()["access_token"]


def document(sandbox: Sandbox, token: str) -> Json:
    """Return the part of the contract that Schemathesis tests.

    Its ids exist (but for one), and each operation has appointments of its own, so that none deletes another's.
    """
    state, notes = sandbox.state, [f"note-{number}" for number in range(EACH)]
    for kept in state.annotations.values():
        kept.update({note: {"id": note, "text": "t", "accessType": "Public"} for note in notes})
    jobs = [f"job-{number}" for number in range(EACH)]
    for each in jobs:
        state.add_job({"id": each, "results": [], "reads": 0})
    channels = [sandbox._service.connections.channels.create(sandbox.oauth.caller(f"Bearer {token}")) for _ in notes]
    told = [each["id"] for each in state.notifications_of(state.user_ids[0])[:EACH]]
    appointments = iter(state.appointments)
    narrowed = copy.deepcopy(DOCUMENT)
    for place, firm in FIRM.items():
        resolved({"$ref": f"#/components/{place}"}, narrowed).update(firm)
    for each in narrowed["components"]["parameters"].values():
        if allowed := each["schema"].get("items", {}).get("enum"):
            del allowed[8:]  # every value is a request
            allowed.append("")  # an empty list, joined by commas
    narrowed["paths"] = {}
    for path, method, each in OPERATIONS:
        known = {
            "appointmentId": [*islice(appointments, EACH)],
            "annotationId": notes,
            "notificationId": told,
            "jobId": jobs,
            "channelId": [each.id for each in channels],
            "userId": list(state.user_ids),
            "id": list(state.user_ids),
            "teamId": list(state.teams),
            "groupId": list(state.groups),
        }
        parameters = [resolved(parameter, narrowed) for parameter in each.get("parameters", ())]
        named = [with_ids(parameter, known | {"userIds": list(state.user_ids)}) for parameter in parameters]
        narrowed["paths"].setdefault(path, {})[method] = each | {"parameters": named}
    # What the links of a search lead to, which the contract has not.
    q64 = {"name": "q64", "in": "query", "required": True, "schema": {"type": "string"}}
    of_users = narrowed["paths"]["/api/v2/users/search"]
    of_users["get"] = {"operationId": "getUsersSearch", "parameters": [q64], "responses": of_users["post"]["responses"]}
    del narrowed["servers"]
    return narrowed


def with_ids(parameter: Json, known: dict[str, list[str]]) -> Json:
    if (ids := known.get(parameter["name"])) is None:
        return parameter
    one = {"type": "string", "enum": [*ids, "unknown"]}
    schema = parameter["schema"]
    return parameter | {"schema": schema | {"items": one} if schema["type"] == "array" else one}


def schemathesis(url: str, document: Json, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "contract.json").write_text(json.dumps(document))
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), "run", "contract.json", "--url", url, "--no-color"]
    settings = f"--checks {','.join(CHECKS)} --phases {PHASES} --generation-deterministic"
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "PYTHONUTF8": "1"}
    return subprocess.run(
        [*command, *settings.split(), *options],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=folder,
        env=environment,
    )


@in_make_long
def test_every_response_of_the_api_follows_the_contract(sandbox: Sandbox, token: str, tmp_path: Path):
    header = f"Authorization: Bearer {token}"
    found = schemathesis(
        sandbox.base_url, document(sandbox, token), tmp_path, "--exclude-path", LOGIN, "--header", header
    )
    assert found.returncode == 0, found.stdout + found.stderr
    answered = answers(sandbox)
    assert {name for name, status in answered if status < 300} == {each["operationId"] for *_, each in OPERATIONS}
    assert {status for _, status in answered} >= {200, 201, 204, 400, 404, 409, 415}


@in_make_long
def test_every_response_of_the_token_endpoint_follows_the_contract(sandbox: Sandbox, token: str, tmp_path: Path):
    credentials = f"{CLIENT_ID}:{CLIENT_SECRET}"
    found = schemathesis(
        sandbox.login_url, document(sandbox, token), tmp_path, "--include-path", LOGIN, "--auth", credentials
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert {status for _, status in answers(sandbox)} == {200, 400}


def answers(sandbox: Sandbox) -> set[tuple[str, int]]:
    """Return the pairs of operation and status that occurred."""
    asked = [(operation(request.method, request.path), request.status) for request in sandbox.requests]
    return {(found["operationId"], status) for found, status in asked if found and status}


# the witness, which reads every response of every test


ONE = "/api/v2/coaching/appointments/x"
REFUSAL = {"status": 404, "contextId": "c"}


def answer(body: Json, status: int = 200, method: str = "GET", path: str = ONE, **headers: str) -> Answer:
    sent = {"content-type": "application/json", "inin-correlation-id": "c"} | headers
    return Answer(
        method, path, status, tuple(sent.items()), body if isinstance(body, bytes) else json.dumps(body).encode()
    )


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (answer({}, 418), "no status 418"),
        (answer({"id": "x", "surprise": 1}), "surprise"),
        (answer({"facilitator": {"id": "u", "surprise": 1}}), "surprise"),
        (answer({"id": 1}), r"\$\.id: 1 is not of type 'string'"),
        (answer({"name": None}), r"\$\.name: None"),
        (answer({"dateStart": "soon"}), r"\$\.dateStart: 'soon' is not a 'date-time'"),
        (answer({"lengthInMinutes": 2**31}), "int32"),
        (answer(b"{"), "no JSON"),
        (answer({}, **{"content-type": "text/html"}), "content type text/html"),
        (answer(b"", 204, "DELETE"), None),
        (answer({}, 204, "DELETE"), "no body for 204"),
        (answer(REFUSAL, 404), None),
        (answer(REFUSAL | {"status": 400}, 404), "speaks of status 400"),
        (answer(REFUSAL | {"contextId": "d"}, 404), "contextId"),
        (answer(REFUSAL, 404, **{"inin-correlation-id": ""}), "contextId"),
        (answer({"x": 1}, path="/elsewhere"), None),
    ],
)
def test_the_witness_reports_violations_of_the_contract(wrong: Answer, complaint: str | None):
    found = list(wrong.violations())

    assert bool(found) is (complaint is not None), found
    assert all(re.search(str(complaint), each) for each in found)


def test_the_witness_sees_every_response_except_those_of_faults(sandbox: Sandbox, token: str):
    headers = {"Authorization": f"Bearer {token}"}
    with witnessing() as witness, httpx.Client(base_url=sandbox.base_url, headers=headers, trust_env=False) as client:
        client.get(ONE)
        client.get("/elsewhere")
        sandbox.faults.add(Fault("status", status=418), Fault("accepted", "DELETE"))
        assert client.get(ONE).status_code == 418
        assert client.delete(f"{ONE.removesuffix('x')}{next(iter(sandbox.state.appointments))}").status_code == 202
        witness.judge()
    assert witness.judged == 3
