"""Reprs of public objects: short, of one line, without secrets, ids and names."""

import importlib
import inspect
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from coaching_async import (
    AccessToken,
    Appointment,
    BulkResult,
    BulkStream,
    ClientCredentials,
    CoachingClient,
    FoundUsers,
    MemoryTokenStore,
    NotificationWatch,
    Outcome,
    User,
)
from coaching_async._resources.creation.results import CreateOutcome, CreateResult
from coaching_async.fanout import Hub
from coaching_async.integrations.redis import RedisSharedState
from coaching_async.sandbox import Sandbox
from coaching_async.testing import MemorySharedState, assert_no_leaks, build
from tests.support.doubles import Service, answer

PACKAGES = (
    "", ".models", ".export", ".doctor", ".fanout", ".report", ".tables", ".testing", ".sandbox", ".integrations.fastapi",
    ".integrations.aiohttp", ".integrations.dask", ".integrations.opentelemetry", ".integrations.redis",
)  # fmt: skip
CLASSES = {
    value
    for module in (importlib.import_module(f"coaching_async{package}") for package in PACKAGES)
    for name in module.__all__
    if isinstance(value := getattr(module, name), type)
}
WITHOUT = {
    "CancelOnDisconnect": "a middleware, which the framework makes and keeps",
    "EventStream": "a response, which the framework makes and sends",
    "OpenTelemetry": "a function for `on_event`, with nothing to tell apart",
}
ID, OTHER = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"
CLIENT = CoachingClient(ClientCredentials("the-client", "s3cret"), region="mypurecloud.ie")
MONTH = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def test_every_public_class_has_a_repr_that_says_something():
    protocols = {cls for cls in CLASSES if Protocol in cls.__bases__ or inspect.isabstract(cls)}
    bare = {cls.__name__ for cls in CLASSES - protocols if cls.__repr__ is object.__repr__}

    assert bare == set(WITHOUT)


async def call(_: object) -> None: ...


def bulk_result(*failed: bool) -> BulkResult[Any, Any]:
    outcomes = [Outcome(ID, error=ValueError(ID) if each else None) for each in failed]  # type: ignore[arg-type]
    return BulkResult((*outcomes, Outcome(ID, is_started=False)), call)  # type: ignore[arg-type]


def created(*statuses: Any) -> CreateResult:
    outcomes = (CreateOutcome(None, index=0, status=status) for status in statuses)  # type: ignore[arg-type]
    return CreateResult(tuple(outcomes), MONTH[0])


@pytest.mark.parametrize(
    "thing, shown",
    [
        (CLIENT, "CoachingClient(eu-west-1)"),
        (CLIENT.with_options(timeout=1), "CoachingClient(eu-west-1, a view)"),
        (CoachingClient(AccessToken("t")), "CoachingClient(us-east-1)"),
        (CoachingClient(AccessToken("t"), base_url="http://127.0.0.1:8080"), "CoachingClient(127.0.0.1:8080)"),
        (CoachingClient(AccessToken("t"), region="xyz9.pure.cloud"), "CoachingClient(api.xyz9.pure.cloud)"),
        (CLIENT.appointments.list(ID, statuses="Completed"), "Listing(appointments.list, user_ids=<1>, statuses=Completed)"),
        (CLIENT.appointments.list([ID, OTHER] * 200), "Listing(appointments.list, user_ids=<2>)"),
        (
            CLIENT.appointments.list_mine(interval=MONTH, statuses=["Completed", "Scheduled"], overdue=True, consistency="verify"),
            "Listing(appointments.list_mine, interval=2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z, statuses=Completed|Scheduled, overdue=True, verified)",
        ),
        (CLIENT.appointments.list_statuses(ID), "Listing(appointments.list_statuses)"),
        (CLIENT.notifications.list(expand_appointment=True), "Listing(notifications.list, expand=<1>)"),
        (CLIENT.users.search(name="Ada", email="ada@example.com"), "Listing(users.search, 3 criteria)"),
        (CLIENT.teams.list(name="Ada's team"), "Listing(teams.list, name=<1>)"),
        (CLIENT.items(f"/api/v2/routing/queues/{ID}/members"), "Listing(items, /api/v2/routing/queues/…/members)"),
        (CLIENT.items("/api/v2/x/ada%40example.com"), "Listing(items, /api/v2/x/…)"),
        (aiter(CLIENT.appointments.list(ID)), "Walk(appointments.list, user_ids=<1>)"),
        (CLIENT.appointments.list(ID).pages(), "PageWalk(appointments.list, user_ids=<1>)"),
        (CLIENT.appointments.list(ID).stream(), "Stream(appointments.list, user_ids=<1>)"),
        (CLIENT.bulk_stream(call, [ID]), "BulkStream()"),
        (bulk_result(False, False, True), "BulkResult(2 succeeded, 1 failed, 1 not started)"),
        (created("created", "existing", "existing", "failed"), "CreateResult(1 created, 2 existing, 1 failed)"),
        (FoundUsers({ID: build(User)}, (OTHER,)), "FoundUsers(1 users, 1 missing)"),
        (CLIENT.notifications.watch(every=5), "NotificationWatch(every 5 s)"),
        (CLIENT.notifications.listen([ID]), "NotificationStream(not entered)"),
        (CLIENT.topics.subscribe(f"v2.users.{ID}.presence"), "TopicStream(not entered)"),
        (MemoryTokenStore("s3cret"), "MemoryTokenStore(a token)"),
        (MemoryTokenStore(), "MemoryTokenStore(empty)"),
        (MemorySharedState(), "MemorySharedState(0 texts)"),
        (assert_no_leaks(), "assert_no_leaks(within=2.0)"),
        (Sandbox(appointments=0), "Sandbox(not running)"),
    ],
    ids=lambda value: value.partition("(")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_repr_tells_what_distinguishes_an_object(thing: Any, shown: str):
    assert repr(thing) == shown


@pytest.mark.anyio
async def test_a_repr_tells_how_far_an_iterator_has_come():
    rows = [answer({"entities": [{"id": ID}, {"id": OTHER}], "total": 2, "pageCount": 1})] * 2
    async with Service(rows).client() as client:
        walk = aiter(client.appointments.list(ID))
        await anext(walk)
        assert repr(walk) == "Walk(appointments.list, user_ids=<1>, 1 pages read)"
        async with client.bulk_stream(call, [ID, OTHER]) as outcomes:
            await anext(outcomes)
            assert repr(outcomes) == "BulkStream(1 read)"

    assert repr(client).endswith(", closed)")
    hub = Hub(CLIENT.notifications.watch())
    assert repr(hub) == "Hub(0 subscribers)"
    with hub.subscribe(ID) as subscription:
        assert ID not in repr(subscription)
        assert repr(hub) == "Hub(1 subscribers)"


@pytest.mark.parametrize(
    "cls", [CoachingClient, BulkStream, NotificationWatch, MemoryTokenStore, Hub, RedisSharedState, Sandbox]
)
def test_an_object_whose_init_has_raised_can_be_shown_by_a_debugger(cls: type):
    assert cls.__name__ in repr(cls.__new__(cls))


def test_an_item_shows_itself_because_it_is_what_a_program_works_with():
    assert "name='Call opening'" in repr(build(Appointment, name="Call opening"))
