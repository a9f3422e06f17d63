"""The doctor's checks of listening: channels in use, the permission of the topic, and a WebSocket."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from coaching_async import AvailableTopic, RawResponse, TopicStream
from coaching_async.doctor import Check, examine
from coaching_async.doctor import _listening as listening
from coaching_async.doctor._listening import TOPIC, check_topic
from coaching_async.sandbox import Client, Fault, Sandbox
from tests.support.cli import environment
from tests.support.fault_server import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

NAMES = ("channels", "notification topic", "websocket")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """One backend, because streams themselves are tested on both."""
    return "asyncio", {}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=5, users=3) as sandbox:
        yield sandbox


async def checks_of(sandbox: Sandbox, *needs: str, **variables: str) -> dict[str, Check]:
    found = await examine(environ=environment(sandbox) | variables, needs=needs)
    return {check.name: check for check in found.checks}


def with_user(sandbox: Sandbox) -> dict[str, str]:
    return {"GENESYSCLOUD_ACCESS_TOKEN": sandbox.user_token(sandbox.state.user_ids[0])}


def made(sandbox: Sandbox) -> list[str]:
    """Return the requests that change something, apart from those for a token."""
    return [
        f"{request.method} {request.path}"
        for request in sandbox.requests
        if request.method not in {"GET", "HEAD"} and request.path != "/oauth/token"
    ]


async def test_without_being_asked_it_opens_no_websocket_and_makes_no_channel(sandbox: Sandbox):
    checks = await checks_of(sandbox)

    assert [checks[name].state for name in NAMES] == ["ok", "ok", "not known"]
    assert "0 of 20 are in use" in checks["channels"].sentence
    assert "--operation topics.subscribe" in checks["websocket"].sentence
    assert made(sandbox) == []


@pytest.mark.parametrize("is_user", [False, True], ids=["client", "user"])
async def test_when_asked_it_opens_one_and_leaves_it(sandbox: Sandbox, is_user: bool):
    checks = await checks_of(sandbox, "topics.subscribe", **(with_user(sandbox) if is_user else {}))

    assert checks["websocket"] == Check(
        "websocket", "ok", "one was opened, a ping was answered, and it was closed again"
    )
    assert {checks[name].state for name in ("topics.create_channel", "topics.subscribe")} == {"ok"}
    assert len(made(sandbox)) == 2
    wait_until(lambda: not sandbox.sockets)


async def test_if_all_channels_are_in_use_it_is_a_problem_and_none_is_removed(sandbox: Sandbox):
    variables = with_user(sandbox)
    headers = {"Authorization": f"Bearer {variables['GENESYSCLOUD_ACCESS_TOKEN']}"}
    async with httpx.AsyncClient(base_url=sandbox.base_url, headers=headers) as http:
        for _ in range(20):
            (await http.post("/api/v2/notifications/channels")).raise_for_status()
    before = made(sandbox)

    checks = await checks_of(sandbox, "topics.subscribe", **variables)

    assert checks["channels"].state == "problem"
    assert "20 of 20" in checks["channels"].sentence
    assert checks["websocket"].state == "not known"
    assert made(sandbox) == before


async def test_a_topic_that_is_refused_is_no_verdict_about_the_websocket(sandbox: Sandbox):
    sandbox.oauth.clients["limited"] = Client("its-secret", frozenset())
    variables = {"GENESYSCLOUD_OAUTHCLIENT_ID": "limited", "GENESYSCLOUD_OAUTHCLIENT_SECRET": "its-secret"}

    checks = await checks_of(sandbox, "topics.subscribe", **variables)

    assert checks["websocket"].state == "not known"
    assert "coaching:scheduleSlotJob:view" in checks["websocket"].sentence
    assert checks["topics.subscribe"].state == "not known"


async def test_a_websocket_that_does_not_open_is_a_problem(sandbox: Sandbox):
    sandbox.sockets.refuse_handshakes(*[503] * 9)

    checks = await checks_of(sandbox, "topics.subscribe")

    assert checks["websocket"].state == "problem"
    assert "503" in checks["websocket"].sentence


async def test_a_websocket_that_is_not_open_in_time_is_a_problem(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "PATIENCE", 0.2)
    sandbox.faults.add(Fault("stall", path="^/channels/"))

    checks = await checks_of(sandbox, "topics.subscribe")

    assert checks["websocket"].state == "problem"
    assert "firewall" in (checks["websocket"].advice or "")


async def test_a_websocket_over_which_nothing_comes_is_a_problem(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "PING_PATIENCE", 0.1)
    monkeypatch.setattr(TopicStream, "silence", None)

    checks = await checks_of(sandbox, "topics.subscribe")

    assert checks["websocket"].state == "problem"
    assert "answer to a ping" in checks["websocket"].sentence


async def test_without_the_extra_it_is_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "websockets.client", None)

    checks = await checks_of(sandbox, "topics.subscribe")

    assert checks["websocket"].state == "problem"
    assert "coaching_async[live]" in checks["websocket"].sentence


def answered(*topics: AvailableTopic) -> RawResponse[tuple[AvailableTopic, ...]]:
    return RawResponse(200, {}, None, 1, 0.0, b"", topics)


PERMISSION = "coaching:notification:view"


@pytest.mark.parametrize(
    "fields, grants, state, says",
    [
        ({}, set(), "ok", "it requires no permission"),
        ({"requires_current_user": True}, set(), "ok", "hears the notifications of that user, and no others"),
        ({"requires_permissions": (PERMISSION,)}, None, "not known", "its roles cannot be read"),
        ({"requires_permissions": (PERMISSION,)}, {PERMISSION}, "ok", "its roles grant that"),
        ({"requires_permissions": (PERMISSION,)}, {"coaching:*:*"}, "ok", "its roles grant that"),
        ({"requires_permissions": (PERMISSION,)}, {"coaching:appointment:view"}, "not allowed", "do not grant that"),
        (
            {"requires_permissions": (PERMISSION,), "requires_current_user_or_permission": True},
            set(),
            "not allowed",
            "one's own require none",
        ),
    ],
)
async def test_the_topic_is_judged_by_what_the_service_says_of_it(
    fields: dict[str, Any], grants: set[str] | None, state: str, says: str
):
    answer = answered(AvailableTopic(id="v2.other"), AvailableTopic(id=TOPIC, **fields))

    check = check_topic(answer, None if grants is None else frozenset(grants))

    assert (check.state, says in check.sentence) == (state, True), check


async def test_a_topic_that_is_not_listed_and_an_answer_that_did_not_come_are_not_known():
    answer = answered(AvailableTopic(id="v2.other"))

    assert check_topic(answer, frozenset()).state == "not known"
    assert check_topic(None, frozenset()).sentence == "it was not answered in time"
