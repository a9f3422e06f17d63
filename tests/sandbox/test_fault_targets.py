"""Which requests a fault applies to, and which it refuses because there cannot be any."""

from typing import get_args

import pytest

from coaching_async.sandbox import Fault, Operation
from coaching_async.sandbox._faults.targets import OPERATIONS, OTHERS
from coaching_async.sandbox._operations.routes import _OTHERS, CONTRACT

COACHING = "/api/v2/coaching"
ID = "0a1b2c3d-0000-4000-8000-000000000000"


def test_the_paths_that_faults_know_are_those_of_the_sandbox():
    served = {
        (method, path) for routes in (CONTRACT, _OTHERS) for path, methods in routes.items() for method in methods
    }
    elsewhere = {("POST", "/oauth/token"), ("GET", "/channels/{channelId}")}

    assert {*OPERATIONS.values(), *OTHERS} == served | elsewhere
    assert set(get_args(Operation)) == set(OPERATIONS)


@pytest.mark.parametrize(
    "path, method, hit, missed",
    [
        ("/appointments/{appointmentId}", None, [f"{COACHING}/appointments/{ID}"], ["/me", f"/{ID}/status", ""]),
        ("appointments/{id}", "PATCH", [f"{COACHING}/appointments/{ID}"], ["/me", ""]),
        (f"{COACHING}/appointments/{{appointmentId}}", "delete", [f"{COACHING}/appointments/a%2Fb"], ["/a/b"]),
        (f"^{COACHING}/appointments/{{id}}/annotations$", None, [f"{COACHING}/appointments/{ID}/annotations"], [f"/{ID}"]),
        (f"/appointments/{ID}/annotations/{{id}}", None, [f"{COACHING}/appointments/{ID}/annotations/1"], ["/other/annotations/1"]),
        ("/users/{userId}", None, [f"/api/v2/users/{ID}"], []),
        ("/channels/{channelId}", None, ["/channels/c", "/api/v2/notifications/channels/c"], []),
    ],
)  # fmt: skip
def test_a_template_is_a_path_of_the_contract_or_its_end(
    path: str, method: str | None, hit: list[str], missed: list[str]
):
    fault = Fault("stall", method, path)
    sent = (method or "GET").upper()

    assert all(fault.matches(sent, each, "") for each in hit)
    assert not any(fault.matches(sent, f"{COACHING}/appointments{each}", "") for each in missed)
    assert not fault.matches(sent, "/api/v2/users/me", "")


def test_an_operation_is_one_method_and_one_path():
    fault = Fault("stall", operation="appointments.update")

    assert fault.matches("PATCH", f"{COACHING}/appointments/{ID}", "")
    assert not fault.matches("GET", f"{COACHING}/appointments/{ID}", "")
    assert not fault.matches("PATCH", f"{COACHING}/appointments/{ID}/status", "")


@pytest.mark.parametrize(
    "path",
    [
        "/appointments", "appointments$", "/appointments/appointment-1", f"/appointments/{ID}$", "pageNumber=2$",
        r"/appointments\?", "^/channels/", "/oauth", "/teams", "/api/v2/routing/queues", "/never", "stalled", "a{2}", "[ab]+",
    ],
)  # fmt: skip
def test_any_other_path_is_a_regular_expression_also_of_what_the_sandbox_does_not_have(path: str):
    assert Fault("stall", path=path).path == path


@pytest.mark.parametrize(
    "given, says",
    [
        ({"path": "/appointment/{appointmentId}"}, "did you mean /appointments/{appointmentId}?"),
        ({"path": "/appointments/{appointmentId}?x=1"}, "no path of the sandbox is or ends with"),
        ({"path": "/appointments/{appointmentId}", "method": "PUT"}, "no PUT .*; it has DELETE, GET, PATCH$"),
        ({"path": "/coaching/appointmnts$"}, r"did you mean /coaching/appointments\?$"),
        ({"path": f"/appointments/{ID}/anotations"}, f"did you mean /appointments/{ID}/annotations"),
        ({"path": "http://127.0.0.1:8080/api/v2/users"}, "without a host"),
        ({"path": "/api/v2/users "}, "and blanks"),
        ({"path": "/appointments?pageNumber=2"}, r"the \? before a query is written \\\?"),
        ({"path": "("}, "must be a regular expression"),
        ({"method": "PACTH"}, r"did you mean PATCH\?$"),
        ({"operation": "appointments.updte"}, r"did you mean appointments.update\?$"),
        ({"operation": "appointments.get", "method": "GET"}, "operation stands instead of method and path"),
        ({"operation": "appointments.get", "kind": "reorder"}, "reorder affects appointments.list, appointments.list_mine"),
        ({"operation": "annotations.create", "kind": "accepted"}, "accepted affects appointments.create, "),
    ],
)  # fmt: skip
def test_a_fault_that_no_request_could_meet_is_refused(given: dict[str, str], says: str):
    with pytest.raises(
        ValueError, match=says.replace("did you mean /appointments/{", r"did you mean /appointments/\{")
    ):
        Fault(**{"kind": "stall", **given})  # type: ignore[arg-type]
