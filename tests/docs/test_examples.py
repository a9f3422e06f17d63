"""Each method of the client has an example in its docstring, and every example runs."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest

import coaching_async
from coaching_async import (
    AccessToken,
    AppointmentCreate,
    AuthorizationRequest,
    CoachingClient,
    Interval,
    RateLimit,
    tables,
    testing,
)
from coaching_async.export import export
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, CODE, Sandbox
from tests.support.cli import environment

CLASSES = [
    CoachingClient,
    *CoachingClient.__annotations__.values(),
    coaching_async.AppointmentCreate,
    coaching_async.AuthorizationRequest,
    coaching_async.BulkResult,
    coaching_async.CreateResult,
    coaching_async.Interval,
    coaching_async.Listing,
    coaching_async.Outcome,
]
FUNCTIONS: list[Any] = [
    *(coaching_async.from_dict, coaching_async.to_dict, export, tables.to_rows),
    *(testing.build, testing.fails, testing.loses_answer, testing.never_answers),
]
WIDTH = 60
ENDLESS = {"Notifications.listen", "Notifications.watch", "Topics.subscribe"}
NAMES = (
    {"UTC": UTC, "ZoneInfo": ZoneInfo, "datetime": datetime, "json": json, "export": export}
    | vars(tables)
    | vars(testing)
)
NUMBERS = count(1)


def methods_of(cls: type) -> dict[str, Any]:
    """Return the public methods of a class, inherited ones included, by the names that the reference shows."""
    found = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
    return {
        f"{cls.__name__}.{name}": each for name, each in found.items() if isinstance(each, FunctionType | MethodType)
    }


DESCRIBED = {each.__name__: each for each in FUNCTIONS}
for each in CLASSES:
    DESCRIBED |= methods_of(each)


def example_of(described: Any) -> str:
    """Return the first indented block of a docstring."""
    found = re.search(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+", f"{inspect.getdoc(described)}\n")
    return textwrap.dedent(found[0]) if found else ""


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_method_has_an_example_that_fits_on_a_phone(name: str):
    example = example_of(DESCRIBED[name])

    assert example, f"{name} has no example in its docstring"
    assert max(map(len, example.splitlines())) <= WIDTH, example


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=300) as running:
        yield running


@pytest.fixture(scope="module")
def changeable(sandbox: Sandbox) -> Iterator[str]:
    """Ids of appointments that can be changed. Each is used once."""
    return iter([id_ for id_, each in sandbox.state.appointments.items() if each["status"] == "Scheduled"])


async def names_of(example: str, client: CoachingClient, sandbox: Sandbox, changeable: Iterator[str]) -> dict[str, Any]:
    """Return what an example calls by name, besides what it imports."""
    me, ids = sandbox.state.user_ids[0], [next(changeable), next(changeable)] if "appointment" in example else [""]
    body = testing.build(AppointmentCreate, next(NUMBERS), attendee_ids=[me])
    request = AuthorizationRequest(CLIENT_ID, "https://my.app/back", login_url=sandbox.login_url)
    names: dict[str, Any] = {
        "activity_code_id": "5",
        "appointment_id": ids[0],
        "appointment_ids": ids,
        "began": datetime.now(UTC),
        "bodies": [body],
        "body": body,
        "callback_url": f"https://my.app/back?code={CODE}&state={request.state}",
        "client": client,
        "coaching_sandbox": sandbox,
        "conversation_id": "11111111-2222-4333-8444-555555555555",
        "notification_id": next(iter(sandbox.state.notifications)),
        "request": request,
        "secret": CLIENT_SECRET,
        "team_id": next(iter(sandbox.state.teams)),
        "user_id": me,
        "user_ids": sandbox.state.user_ids,
        "users_token": sandbox.user_token(me),
    }
    if re.search(r"\bappointment\b", example):
        names["appointment"] = await client.appointments.get(ids[0])
    if "annotation" in example:
        note = await client.annotations.create(ids[0], "Good", access_type="Public")
        names["annotation_id"] = note.id
    if "job_id" in example:
        search = {
            "attendee_ids": me,
            "length_in_minutes": 30,
            "activity_code_id": "5",
            "intervals": Interval.parse("2026-W48"),
        }
        names["job_id"] = (await client.schedule_slots.start_job(**search)).id
    if "json.loads" in example:
        names["text"] = json.dumps(coaching_async.to_dict(await client.appointments.get(ids[0])))
    if "user_ids(" in example:
        names["user_ids"] = tables.user_ids
    return names


async def notify(sandbox: Sandbox) -> None:
    while True:
        sandbox.notify(sandbox.state.user_ids[0])
        await anyio.sleep(0.1)


@pytest.mark.real_time
@pytest.mark.parametrize("name", DESCRIBED)
def test_an_example_runs(
    name: str, sandbox: Sandbox, changeable: Iterator[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for variable, value in environment(sandbox).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    sandbox.faults.clear()  # an example orders some
    example = example_of(DESCRIBED[name])
    code = compile(example, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed: list[object] = []

    async def run() -> None:
        options: Any = {"shared_state": testing.MemorySharedState(), "rate_limit": RateLimit(100_000)}
        async with CoachingClient.from_env(**options) as client, anyio.create_task_group() as tasks:
            names = vars(coaching_async) | NAMES | await names_of(example, client, sandbox, changeable)
            if name.startswith("Notifications") or "a user's token" in str(inspect.getdoc(DESCRIBED[name])):
                names["client"] = client.with_auth(AccessToken(names["users_token"]))

            def printing(*values: object) -> None:
                printed.extend(values)
                if name in ENDLESS:
                    tasks.cancel_scope.cancel()

            if name in ENDLESS:
                tasks.start_soon(notify, sandbox)
            if (running := eval(code, names | {"print": printing})) is not None:
                await running
            tasks.cancel_scope.cancel()

    anyio.run(run)
    assert bool(printed) == ("print(" in example)
