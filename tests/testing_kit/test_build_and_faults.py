"""The testing kit: built models, faults and fixtures."""

import inspect
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints
from uuid import UUID

import attrs
import pytest

import coaching_async
from coaching_async import (
    AccessType,
    Annotation,
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    AppointmentUpdate,
    ChannelEvent,
    ClientCredentials,
    CoachingClient,
    CoachingSlotsQuery,
    DeadlineExceeded,
    Interval,
    Notification,
    OutcomeUnknown,
    Page,
    ResponseError,
    RetryPolicy,
    ServerError,
    from_dict,
    models,
    to_dict,
)
from coaching_async.models import aggregates as models_aggregates
from coaching_async.models import channels as models_socket
from coaching_async.models import errors as models_errors
from coaching_async.models import schedule_slots as models_slots
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Operation, Sandbox
from coaching_async.testing import build, fails, loses_answer, never_answers, route
from tests.support.deadlines import in_doubt_at_its_deadline
from tests.support.effort import in_make_long
from tests.support.fault_server import HANG

ROOT = Path(__file__).parents[2]
MODELS: list[Any] = [
    getattr(module, name)
    for module in (models, models_aggregates, models_errors, models_slots, models_socket)
    for name in module.__all__
    if attrs.has(getattr(module, name))
]
HOLDING: dict[Any, dict[str, Any]] = {
    Page: {"entities": (build(Appointment),)},
    ChannelEvent: {"event_body": build(Notification)},
}


def client_of(sandbox: Sandbox, **options: Any) -> CoachingClient:
    options = {"retry": RetryPolicy(max_backoff=0.01)} | options
    return CoachingClient(ClientCredentials(CLIENT_ID, CLIENT_SECRET), base_url=sandbox.base_url, **options)


# Models


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_is_built_the_same_each_time_and_survives_serialization(model: Any):
    built = build(model, **HOLDING.get(model, {}))
    whole = {Page: Page[Appointment], ChannelEvent: ChannelEvent[Notification]}.get(model, model)

    assert build(model, **HOLDING.get(model, {})) == built
    assert from_dict(whole, json.loads(json.dumps(to_dict(built)))) == built


@pytest.mark.parametrize("model", [Appointment, Annotation, Notification])
def test_a_model_of_a_response_is_built_with_every_field(model: Any):
    assert [field.name for field in attrs.fields(model) if getattr(build(model), field.name) in (None, ())] == []


def test_each_built_model_has_an_id_a_name_and_times_of_its_own():
    first, second = build(Appointment), build(Appointment, 2)

    assert {first.id, second.id} == {str(UUID(first.id)), str(UUID(second.id))}
    assert (first.id, first.name) != (second.id, second.name)
    assert first.date_start is not None
    assert second.date_start is not None
    assert datetime.now(UTC) < first.date_start < second.date_start


def test_a_reference_points_to_the_built_appointment():
    assert build(AppointmentReference, 3).id == build(Appointment, 3).id


def test_fields_can_be_given_and_an_unknown_field_is_refused():
    assert build(Appointment, name="Call opening", attendees=()).attendees == ()
    with pytest.raises(TypeError, match="nme"):
        build(Appointment, nme="Call opening")
    with pytest.raises(ValueError, match="length_in_minutes"):
        build(AppointmentCreate, length_in_minutes=0)


@pytest.mark.parametrize("nonsense", [str, Page, AccessType])
def test_a_class_that_is_no_model_cannot_be_built(nonsense: Any):
    with pytest.raises(TypeError):
        build(nonsense)


# Faults

Call = Callable[[CoachingClient], Awaitable[object]]


async def listen(client: CoachingClient) -> None:
    async with client.topics.subscribe("v2.users.u.presence"):
        pass


CALLS: dict[Operation, Call] = {
    "annotations.create": lambda client: client.annotations.create("a", "text", access_type="Public"),
    "annotations.delete": lambda client: client.annotations.delete("a", "b"),
    "annotations.get": lambda client: client.annotations.get("a", "b"),
    "annotations.list": lambda client: client.annotations.list("a").first(),
    "annotations.update": lambda client: client.annotations.update("a", "b", "text"),
    "appointments.add_conversation": lambda client: client.appointments.add_conversation("a", "b"),
    "appointments.aggregate": lambda client: client.appointments.aggregate(
        attendee_ids="u", interval=Interval.month(2026, 11)
    ),
    "appointments.create": lambda client: client.appointments.create(build(AppointmentCreate)),
    "appointments.delete": lambda client: client.appointments.delete("a"),
    "appointments.get": lambda client: client.appointments.get("a"),
    "appointments.list": lambda client: client.appointments.list("u").first(),
    "appointments.list_mine": lambda client: client.appointments.list_mine().first(),
    "appointments.list_statuses": lambda client: client.appointments.list_statuses("a").first(),
    "appointments.set_status": lambda client: client.appointments.set_status("a", "Completed"),
    "appointments.update": lambda client: client.appointments.update("a", AppointmentUpdate(name="n")),
    "notifications.get": lambda client: client.notifications.get("n"),
    "notifications.list": lambda client: client.notifications.list().first(),
    "notifications.mark_read": lambda client: client.notifications.mark_read("n"),
    "schedule_slots.get_job": lambda client: client.schedule_slots.get_job("j"),
    "schedule_slots.query": lambda client: client.schedule_slots.query(
        **attrs.asdict(build(CoachingSlotsQuery), recurse=False)
    ),
    "schedule_slots.start_job": lambda client: client.schedule_slots.start_job(
        **attrs.asdict(build(coaching_async.ScheduleSlotsJobCreate), recurse=False)
    ),
    "teams.list": lambda client: client.teams.list().first(),
    "teams.list_members": lambda client: client.teams.list_members("t").first(),
    "topics.available": lambda client: client.topics.available(),
    "topics.channels": lambda client: client.topics.channels(),
    "topics.create_channel": listen,
    "topics.subscribe": listen,
    "users.get": lambda client: client.users.get("u"),
    "users.list": lambda client: client.users.list().first(),
    "users.me": lambda client: client.users.me(),
    "users.search": lambda client: client.users.search(name="n").first(),
}


def test_every_operation_of_the_client_can_be_made_to_fail():
    resources = get_type_hints(CoachingClient)
    methods = {
        f"{name}.{method}"
        for name in ("appointments", "annotations", "notifications", "schedule_slots", "teams", "topics", "users")
        for method, _ in inspect.getmembers(resources[name], inspect.isfunction)
        if not method.startswith("_")
    }
    made_of_others = {
        "appointments.create_many",
        "appointments.find_created",
        "appointments.find_created_many",
        "appointments.get_many",
        "notifications.listen",
        "notifications.mark_all_read",
        "notifications.watch",
        "schedule_slots.find",
        "users.get_many",
        "users.names",
    }

    only_of_listeners = {"topics.create_channel"}

    assert set(get_args(Operation)) == set(CALLS) == methods - made_of_others | only_of_listeners


@pytest.mark.anyio
@pytest.mark.real_time
async def test_a_fault_affects_its_operation_and_no_other():
    for operation, call in CALLS.items():
        async with Sandbox(appointments=0) as sandbox, client_of(sandbox) as client:
            fails(sandbox, operation, 418)

            with pytest.raises(ResponseError) as caught:
                await call(client)

            assert (caught.value.operation, caught.value.status) == (operation, 418)
            assert sandbox.faults.pending == ()
            seen = sandbox.requests[-1]
            others = [
                each for each in CALLS if Fault("stall", *route(each)).matches(seen.method, seen.path, seen.query)
            ]
            assert others == [operation]


@pytest.mark.anyio
@pytest.mark.real_time
async def test_a_read_that_fails_once_is_retried_and_one_that_always_fails_raises():
    async with Sandbox(appointments=1) as sandbox, client_of(sandbox) as client:
        (id_,) = sandbox.state.appointments
        fails(sandbox, "appointments.get", retry_after=0)
        assert (await client.raw(client.appointments.get, id_)).attempts == 2

        fails(sandbox, "appointments.get", times=math.inf, after=1)
        await client.appointments.get(id_)
        with pytest.raises(ServerError):
            await client.appointments.get(id_)


@pytest.mark.anyio
@pytest.mark.real_time
async def test_a_lost_response_comes_after_the_work_and_a_stalled_request_before_it():
    async with Sandbox(appointments=0) as sandbox, client_of(sandbox) as client:
        body = build(AppointmentCreate, attendee_ids=sandbox.state.user_ids[:1])

        loses_answer(sandbox, "appointments.create")
        with pytest.raises(OutcomeUnknown):
            await client.appointments.create(body)
        assert len(sandbox.state.appointments) == 1

        never_answers(sandbox, "appointments.create")
        await in_doubt_at_its_deadline(lambda seconds: client.with_options(timeout=seconds).appointments.create(body))
        assert len(sandbox.state.appointments) == 1

        never_answers(sandbox, "appointments.list")
        with pytest.raises(DeadlineExceeded):
            await client.with_options(timeout=0.5).appointments.list(sandbox.state.user_ids).first()


# Fixtures


CONFTEST = 'pytest_plugins = ["coaching_async.testing"]\n'
TESTS = """
import os
import pytest
from coaching_async import CoachingClient
from coaching_async.testing import fails

{mark}
async def test_no_rate_limit_delays_a_client(coaching_client, coaching_user_client, coaching_environment):
    for client in (coaching_client, coaching_user_client, CoachingClient.from_env()):
        assert client.appointments.list("u").plan(1_000_000).seconds == 0.0
    assert coaching_environment["GENESYSCLOUD_RATE_LIMIT"] == os.environ["GENESYSCLOUD_RATE_LIMIT"]

{mark}
async def test_a_client_of_the_sandbox(coaching_client, coaching_sandbox, created):
    assert (await coaching_client.appointments.get(created)).id == created
    assert len(coaching_sandbox.state.appointments) == 200

{fixture}
async def created(coaching_client, coaching_sandbox):
    return (await coaching_client.appointments.list(coaching_sandbox.state.user_ids).first()).id

{mark}
async def test_each_test_has_a_sandbox_of_its_own(coaching_sandbox, coaching_client):
    await coaching_client.appointments.delete(next(iter(coaching_sandbox.state.appointments)))
    assert len(coaching_sandbox.state.appointments) == 199

{mark}
async def test_faults_are_tried_again_at_once(coaching_sandbox, coaching_client):
    fails(coaching_sandbox, "appointments.list", times=3)
    await coaching_client.appointments.list(coaching_sandbox.state.user_ids).first()

{mark}
async def test_a_client_of_a_user(coaching_user_client, coaching_sandbox):
    async for appointment in coaching_user_client.appointments.list_mine():
        assert "2026-09" < str(appointment.date_start) < "2027-02"
        assert coaching_sandbox.state.user_ids[0] in str(appointment)
    assert [arrival.path for arrival in coaching_sandbox.requests if "oauth" in arrival.path] == []

{mark}
async def test_a_stream_hears_what_is_made(coaching_notifications, coaching_notify, coaching_sandbox):
    for action in ("Create", "Delete"):
        made = coaching_notify(action)
        heard = await anext(coaching_notifications)
        assert (heard.id, heard.action_type) == (made.id, action)
        coaching_notify(user=coaching_sandbox.state.user_ids[1])
"""
ANYIO = TESTS.format(mark="@pytest.mark.anyio", fixture="@pytest.fixture")
STRICT = TESTS.format(mark="@pytest.mark.asyncio", fixture="@__import__('pytest_asyncio').fixture")
AUTO = TESTS.format(mark="", fixture="@pytest.fixture")
OF_ANYIO = ("-p", "anyio.pytest_plugin")
OF_ASYNCIO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")


def pytest_of(folder: Path, tests: str, *options: str) -> str:
    """Run pytest with only the plugins of the options; return its output."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_users.py").write_text(tests)
    command = [sys.executable, "-X", "dev", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options]
    paths = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths}
    return subprocess.run(
        [*command, "test_users.py"],
        cwd=folder,
        env=environment,
        text=True,
        timeout=HANG,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout


@pytest.mark.parametrize(
    "tests, options, passed",
    [
        pytest.param(ANYIO, OF_ANYIO, 12, id="anyio", marks=in_make_long),
        pytest.param(ANYIO, (*OF_ANYIO, *OF_ASYNCIO), 12, id="anyio beside pytest-asyncio"),
        pytest.param(STRICT, ("--asyncio-mode=strict", *OF_ANYIO, *OF_ASYNCIO), 6, id="pytest-asyncio, strict"),
        pytest.param(AUTO, ("--asyncio-mode=auto", *OF_ASYNCIO), 6, id="pytest-asyncio, auto"),
    ],
)
def test_the_fixtures_work_with_each_plugin(tests: str, options: tuple[str, ...], passed: int, tmp_path: Path):
    said = pytest_of(tmp_path, tests, *options)

    assert re.search(rf"^{passed} passed in", said, re.MULTILINE), said


def test_a_client_without_a_plugin_for_async_tests_is_refused(tmp_path: Path):
    said = pytest_of(tmp_path, "def test_plain(coaching_client): pass\n")

    assert "coaching_client is for async tests: mark this one with pytest.mark.anyio or asyncio" in said


def test_the_plugin_imports_no_sandbox_before_a_test_requests_it(tmp_path: Path):
    said = pytest_of(tmp_path, "import sys\ndef test_plain(): assert 'starlette' not in sys.modules\n")

    assert "1 passed" in said, said
