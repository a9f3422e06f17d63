"""The sandbox serves every operation of the contract, and requires the permissions that the contract names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from coaching_async.sandbox import Client, Sandbox
from coaching_async.sandbox._auth.access import ALL_PERMISSIONS
from coaching_async.sandbox._operations.routes import CONTRACT
from coaching_async.sandbox._server.service import TOKEN_PATH
from tests.support.contract import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method != "servers"
}
PERMISSIONS = {
    name: set(operation["x-permissions"]["permissions"])
    for name, (_, _, operation) in OPERATIONS.items()
    if operation.get("x-permissions", {}).get("permissions")
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=20) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.base_url, trust_env=False, verify=False) as http:
        yield http


def send(http: httpx.Client, sandbox: Sandbox, name: str, token: str | None = None) -> httpx.Response:
    """Request an operation on existing entities, without a body."""
    method, path, _ = OPERATIONS[name]
    state = sandbox.state
    appointment_id, annotations = next((id_, found) for id_, found in state.annotations.items() if found)
    ids = {"annotationId": next(iter(annotations)), "notificationId": next(iter(state.notifications)), "jobId": "x"}
    ids["channelId"] = "x"
    ids |= {"userId": state.user_ids[0], "teamId": next(iter(state.teams)), "groupId": next(iter(state.groups))}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return http.request(method, path.format(appointmentId=appointment_id, **ids), headers=headers)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_of_the_contract_is_served(http: httpx.Client, sandbox: Sandbox, name: str):
    response = send(http, sandbox, name)
    if OPERATIONS[name][0] == "HEAD":
        assert (response.status_code, response.content) == (401, b"")
    elif OPERATIONS[name][1] == TOKEN_PATH:
        assert response.json()["error"] == "invalid_client"
    else:
        assert response.json()["code"] == "authentication.required"


def test_no_other_operation_is_served():
    served = {(method, path) for path, methods in CONTRACT.items() for method in methods}
    assert served | {("POST", TOKEN_PATH)} == {(method, path) for method, path, _ in OPERATIONS.values()}


@pytest.mark.parametrize("name", PERMISSIONS)
def test_every_operation_requires_the_permissions_of_the_contract(http: httpx.Client, sandbox: Sandbox, name: str):
    sandbox.oauth.clients["none"] = Client("secret", ())
    issued = http.post(TOKEN_PATH, data={"grant_type": "client_credentials"}, auth=("none", "secret")).json()
    response = send(http, sandbox, name, issued["access_token"])
    assert response.status_code == 403
    required = set(response.json()["messageParams"]["permissions"].split(", "))
    assert required <= PERMISSIONS[name]


def test_a_client_has_all_permissions_of_the_contract_by_default():
    assert set().union(*PERMISSIONS.values()) == ALL_PERMISSIONS
