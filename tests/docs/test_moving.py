"""The page on moving from the vendor's SDK is complete, and its statements on the SDK are correct."""

import inspect
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import coaching_async
from coaching_async import ResponseError
from coaching_async._regions import resolve_hosts
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import build, fails, loses_answer, route
from tests.support.example_servers import ROOT
from tests.support.official_sdk.everyday import EVERYDAY, OFFICIAL, OURS, Failed, Json, Official

# The first test builds the environment of the SDK, which has 170 MB.
pytestmark = pytest.mark.timeout(1800)

PAGE = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the tables of a section."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert section
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.MULTILINE)
    ]
    return [row for row in cells if not set(row[0]) <= set("- :")]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def told(official_sdk: Official) -> Json:
    """The methods, models, logins and regions of the SDK."""
    return official_sdk.asked("told")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=30, users=3) as sandbox:
        yield sandbox


# Contents of the page


def test_every_method_of_the_sdk_and_of_the_client_is_on_the_page(told: Json):
    pairs = [row for row in rows("Operations") if re.match(r"`(get|post|put|patch|delete)_", row[0])]
    methods = [row[0].strip("`") for row in pairs]
    kinds = inspect.get_annotations(coaching_async.CoachingClient)
    ours = {
        f"client.{part}.{name}"
        for part, kind in kinds.items()
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }

    assert sorted(name for name in methods if "_coaching_" in name) == sorted(told["methods"])
    assert {name for name in methods if "_coaching_" not in name} <= set(told["other_methods"])
    assert sorted(name for row in pairs for name in names(row[1])) == sorted(ours)


URIS = {"self_uri", "first_uri", "previous_uri", "next_uri", "last_uri"}


def test_every_model_of_the_sdk_is_on_the_page_with_a_model_that_has_its_fields(told: Json):
    pairs = [row for row in rows("Models") if row[0] != "official SDK"]
    assert sorted(row[0].strip("`") for row in pairs) == sorted(told["models"])

    for theirs, ours in pairs:
        if ours.startswith("the arguments of"):
            continue
        (name,) = names(ours)
        fields = set(told["models"][theirs.strip("`")])
        known = {field.name for field in attrs.fields(getattr(coaching_async, name))}
        is_list, is_event = name == "Page", theirs.startswith("`Wem")
        assert fields - known <= (URIS if is_list else set()), theirs
        assert is_event or not known - fields, theirs


def test_each_status_raises_the_error_that_the_page_names():
    found = [(re.search(r"status (\d{3})", row[0]), names(row[1])) for row in rows("Errors")]
    said = {int(status[1]): known[0] for status, known in found if status}

    assert {400, 401, 403, 404, 408, 409, 413, 429, 500, 503} == set(said)
    assert said == {status: ResponseError.of_status(status).__name__ for status in said}


def test_every_error_and_grant_that_the_page_names_exists():
    for heading in ("Errors", "Authentication"):
        for row in rows(heading):
            for name in names(row[-1]):
                bare = re.match(r"\w+", name)
                assert bare is not None
                assert hasattr(coaching_async, bare[0]) or bare[0] in {"error", "client", "here"}, name


def test_every_login_of_the_sdk_is_on_the_page(told: Json):
    assert {name.partition("(")[0] for row in rows("Authentication") for name in names(row[0])} >= set(told["logins"])


def test_every_region_of_the_sdk_is_known_by_its_name_and_its_host(told: Json):
    assert len(told["regions"]) >= 18
    for name, host in told["regions"].items():
        assert resolve_hosts(name) == resolve_hosts(host) == (host, host.replace("//api.", "//login."))


def test_the_everyday_programs_have_the_number_of_lines_on_the_page():
    lines = runpy.run_path(str(EVERYDAY / "count.py"))["lines"]
    shared, *tasks, together = [row for row in rows("Recipes: ten everyday tasks, side by side") if row[1] != "here"]

    said = {}
    for _, ours, official, _ in tasks:
        mine, theirs = (re.fullmatch(r"\[(\d+)\]\(examples/everyday/(\S+)\)", cell) for cell in (ours, official))
        assert mine is not None
        assert theirs is not None
        said |= {mine[2]: int(mine[1]), theirs[2]: int(theirs[1])}
    said |= {name: int(count) for name, count in re.findall(r"\(examples/everyday/(\S+)\) (\d+)", shared[2])}

    programs = [*OURS.glob("*.py"), *OFFICIAL.glob("*.py")]
    assert len(tasks) == 10
    assert said == {path.relative_to(EVERYDAY).as_posix(): lines(path) for path in programs}
    sums = [sum(count for name, count in said.items() if name.startswith(side)) for side in ("ours", "official")]
    assert together[1:3] == [str(each) for each in sums]


def test_a_line_counts_if_it_has_code(tmp_path: Path):
    lines = runpy.run_path(str(EVERYDAY / "count.py"))["lines"]
    program = tmp_path / "program.py"
    program.write_text(
        '"""Two\n\nlines."""\n\nimport os  # one\n\n# none\ndef f():\n    """None."""\n    return """a\n\nb"""\n'
    )

    assert lines(program) == 1 + 1 + 3


# Behavior of the SDK


def bare(sdk: Official, sandbox: Sandbox, method: str, *arguments: Any) -> Json:
    return sdk("call", sandbox, method, *arguments, by="bare")


def new(sandbox: Sandbox) -> Json:
    return {"model": "CreateCoachingAppointmentRequest", "fields": coaching_async.to_dict(wanted(sandbox))}


def wanted(sandbox: Sandbox) -> coaching_async.AppointmentCreate:
    return build(coaching_async.AppointmentCreate, attendee_ids=sandbox.state.user_ids[:1])


def test_the_sdk_creates_twice_if_a_response_is_lost(official_sdk: Official, sandbox: Sandbox):
    loses_answer(sandbox, "appointments.create")
    bare(official_sdk, sandbox, "post_coaching_appointments", new(sandbox))

    assert len(sandbox.state.appointments) == 30 + 2


def test_the_sdk_does_not_refresh_the_token_of_a_client(official_sdk: Official, sandbox: Sandbox):
    sandbox.faults.add(Fault("revoke", *route("appointments.get")))

    assert bare(official_sdk, sandbox, "get_coaching_appointment", next(iter(sandbox.state.appointments))) == Failed(
        401
    )


@pytest.mark.parametrize("status", [429, 503])
def test_the_sdk_retries_only_with_a_retry_after_header(official_sdk: Official, sandbox: Sandbox, status: int):
    one = next(iter(sandbox.state.appointments))
    fails(sandbox, "appointments.get", status)
    assert bare(official_sdk, sandbox, "get_coaching_appointment", one) == Failed(status)

    fails(sandbox, "appointments.get", status, retry_after=0)
    assert bare(official_sdk, sandbox, "get_coaching_appointment", one)["id"] == one


def test_the_sdk_returns_only_an_id_after_a_202(official_sdk: Official, sandbox: Sandbox):
    sandbox.faults.add(Fault("accepted", *route("appointments.create")))

    assert bare(official_sdk, sandbox, "post_coaching_appointments", new(sandbox)).keys() == {"id", "selfUri"}


def test_the_sdk_returns_an_empty_reference_after_a_204(official_sdk: Official, sandbox: Sandbox):
    assert bare(official_sdk, sandbox, "delete_coaching_appointment", next(iter(sandbox.state.appointments))) == {}


def test_the_sdk_misses_rows_if_the_list_shrinks_between_two_pages(official_sdk: Official, sandbox: Sandbox):
    users = list(sandbox.state.user_ids)
    first = bare(official_sdk, sandbox, "get_coaching_appointments", users)
    sandbox.faults.add(Fault("delete", *route("appointments.list")))
    second = official_sdk("call", sandbox, "get_coaching_appointments", users, {"page_number": 2}, by="bare")

    found = {entity["id"] for page in (first, second) for entity in page["entities"]}
    assert not set(sandbox.state.appointments) <= found


def test_the_sdk_loses_an_unknown_enum_value_and_fails_on_null(official_sdk: Official, sandbox: Sandbox):
    one = next(iter(sandbox.state.appointments))
    for status, outcome in (("Postponed", "outdated_sdk_version"), (None, "AttributeError")):
        answer = {"id": one, "status": status}
        sandbox.faults.add(Fault("status", *route("appointments.get"), status=200, body=answer))
        if status is None:
            assert official_sdk.raised("call", sandbox, "get_coaching_appointment", one, by="bare") == outcome
        else:
            assert bare(official_sdk, sandbox, "get_coaching_appointment", one)["status"] == outcome


def test_the_sdk_requests_another_path_if_an_id_has_a_slash(official_sdk: Official, sandbox: Sandbox):
    assert bare(official_sdk, sandbox, "get_coaching_appointment", "a/b") == Failed(404)
    assert sandbox.requests[-1].path == "/api/v2/coaching/appointments/a/b"


def test_the_sdk_has_no_timeout_sends_naive_times_uses_python_field_names_and_starts_threads(told: Json):
    assert told["has_timeout"] is False
    assert told["naive"] == "2026-11-01T00:00:00"
    assert told["to_dict"] == ["id", "self_uri"]
    assert told["threads"] > 1


# Both in one process


def test_sdk_and_client_share_a_process_and_a_token_that_may_be_revoked(official_sdk: Official, sandbox: Sandbox):
    sandbox.faults.add(Fault("revoke", *route("appointments.list")))

    assert official_sdk("both", sandbox, list(sandbox.state.user_ids)) == [30, 30]

    assert sum(request.path == "/oauth/token" for request in sandbox.requests) == 2
