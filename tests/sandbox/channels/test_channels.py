"""Channels and subscriptions over HTTP: what is answered, and to whom."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from coaching_async.sandbox import Client, Sandbox
from tests.sandbox.api import Api, token_of
from tests.sandbox.channels.listening import CHANNELS, channel_of, close_code, coaching, opened, received, subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable

JOB = "v2.coaching.scheduleslots.jobs.j"


def entities(response: object) -> list[dict[str, object]]:
    return response.json()["entities"]  # type: ignore[attr-defined, no-any-return]


def test_a_channel_has_a_uri_on_the_same_port_and_ends_after_a_day(sandbox: Sandbox, api: Api):
    channel = api.post(CHANNELS).json()
    assert channel["connectUri"] == f"ws{sandbox.base_url.removeprefix('http')}/channels/{channel['id']}"
    left = datetime.fromisoformat(channel["expires"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(days=1)
    assert api.head(f"{CHANNELS}/{channel['id']}").status_code == 200
    assert api.head(f"{CHANNELS}/nothing").status_code == 404


def test_put_replaces_the_subscriptions_post_adds_and_delete_removes_all(api: Api):
    first, second = coaching("u"), coaching("v")
    channel = channel_of(api, first)
    path = subscriptions(channel)
    assert entities(api.post(path, json=[{"id": second}])) == [{"id": second, "state": "Permitted"}]
    assert [each["id"] for each in entities(api.get(path))] == [first, second]
    api.put(path, json=[{"id": second}, {"id": second}])
    assert [each["id"] for each in entities(api.get(path))] == [second]
    assert api.delete(path).status_code == 204
    assert entities(api.get(path)) == []


def test_the_own_topic_needs_no_permission_and_another_one_does(mine: Api, api: Api, me: str):
    channel = channel_of(mine, coaching(me))
    refused = mine.put(subscriptions(channel), json=[{"id": coaching(me)}, {"id": coaching("someone")}])
    assert refused.status_code == 403
    assert refused.json()["messageParams"] == {"permissions": "coaching:notification:view"}
    assert [each["id"] for each in entities(mine.get(subscriptions(channel)))] == [coaching(me)]
    assert channel_of(api, coaching("someone"))


def test_with_ignore_errors_each_topic_is_answered_for_itself(mine: Api, me: str):
    path = subscriptions(channel_of(mine))
    asked = [{"id": coaching("someone")}, {"id": coaching(me)}, {"id": JOB}]
    rejected = {"state": "Rejected", "rejectionReason": "missing permissions"}
    assert entities(mine.put(path, params={"ignoreErrors": "true"}, json=asked)) == [
        {"id": coaching("someone"), "missingPermissions": ["coaching:notification:view"], **rejected},
        {"id": coaching(me), "state": "Permitted"},
        {"id": JOB, "missingPermissions": ["coaching:scheduleSlotJob:view"], **rejected},
    ]
    assert [each["id"] for each in entities(mine.get(path))] == [coaching(me)]


def test_combined_topics_are_answered_as_a_whole_and_what_is_rejected_by_itself(sandbox: Sandbox, mine: Api, me: str):
    path = subscriptions(channel_of(mine))
    whole = f"v2.users.{me}?presence&wem.coaching.notification"
    half = "v2.users.someone?wem.coaching.notification&presence"
    answers = entities(mine.put(path, params={"ignoreErrors": "true"}, json=[{"id": whole}, {"id": half}]))
    assert [(each["id"], each["state"]) for each in answers] == [
        (whole, "Permitted"),
        (half, "Permitted"),
        (coaching("someone"), "Rejected"),
    ]
    channel = channel_of(mine, whole)
    with opened(channel) as socket:
        row = sandbox.notify(me)
        sandbox.sockets.publish(f"v2.users.{me}.presence", {"state": "away"})
        assert received(socket)["eventBody"]["id"] == row["id"]
        assert received(socket)["topicName"] == f"v2.users.{me}.presence"


@pytest.mark.parametrize(
    "topics",
    [
        ["channel.metadata"],
        ["v2.system.socket_closing"],
        ["v2.nonsense.u"],
        ["v2.users.u?"],
        ["v2.users.u.presence&activity"],
        [coaching("u" * 200)],
        [coaching(f"u{number}") for number in range(1001)],
        [f"v2.users.u{number}?presence&activity" for number in range(501)],
    ],
)
def test_wrong_topics_and_too_many_are_bad_requests_and_change_nothing(api: Api, topics: list[str]):
    path = subscriptions(channel_of(api, JOB))
    for ignored in ("true", "false"):
        refused = api.put(path, params={"ignoreErrors": ignored}, json=[{"id": topic} for topic in topics])
        assert refused.status_code == 400
    assert [each["id"] for each in entities(api.get(path))] == [JOB]


def test_a_thousand_topics_are_allowed_also_in_parts(api: Api):
    path = subscriptions(channel_of(api, *(coaching(f"u{number}") for number in range(999))))
    assert api.post(path, json=[{"id": JOB}]).status_code == 200
    assert api.post(path, json=[{"id": coaching("one more")}]).status_code == 400


@pytest.mark.parametrize("body", ["{}", "[1]", '[{"name": "x"}]', '[{"id": 5}]', "[[", "null"])
def test_a_body_of_another_shape_is_a_bad_request(api: Api, body: str):
    path = subscriptions(channel_of(api))
    assert api.put(path, content=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_a_channel_belongs_to_its_token(sandbox: Sandbox, api: Api, me: str):
    channel = channel_of(api, JOB)
    with Api(sandbox, token_of(sandbox)) as again, Api(sandbox, sandbox.user_token(me)) as user:
        for other in (again, user):
            assert other.head(f"{CHANNELS}/{channel['id']}").status_code == 404
            assert other.get(subscriptions(channel)).status_code == 404
            assert other.put(subscriptions(channel), json=[]).status_code == 404
            assert entities(other.get(CHANNELS)) == []
        (hidden,) = entities(again.get(CHANNELS, params={"includechannels": "oauthclient"}))
        assert hidden.keys() == {"expires"}
        assert entities(user.get(CHANNELS, params={"includechannels": "oauthclient"})) == []
    assert [each["id"] for each in entities(api.get(CHANNELS))] == [channel["id"]]


def test_the_twenty_first_channel_evicts_the_least_recently_used_one_without_a_socket(sandbox: Sandbox, api: Api):
    oldest, used, *others = [channel_of(api, JOB) for _ in range(20)]
    with opened(oldest) as socket:
        api.put(subscriptions(used), json=[{"id": JOB}])
        channel_of(api)
        gone = [each for each in (oldest, used, *others) if api.head(f"{CHANNELS}/{each['id']}").status_code == 404]
        assert gone == others[:1]
        for _ in range(19):
            with Api(sandbox, sandbox.user_token(sandbox.state.user_ids[0])) as other:  # has a limit of its own
                channel_of(other)
        assert len(entities(api.get(CHANNELS))) == 20
        assert socket.protocol.state.name == "OPEN"


def test_the_evicted_one_is_told_and_closed_if_all_have_sockets(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, users=1, channel_limit=2)
    with Api(sandbox, token_of(sandbox)) as api:
        channels = [channel_of(api, JOB) for _ in range(2)]
        with opened(channels[1]) as second, opened(channels[0]) as first:
            channel_of(api, JOB)
            frame = received(second)
            assert frame["topicName"] == f"v2.system.no_longer_subscribed.{channels[1]['id']}"
            assert frame["eventBody"]["reason"] == "another_channel_subscribed"
            assert frame["eventBody"]["channelId"] == channels[1]["id"]
            assert close_code(second) == 1000
            assert first.protocol.state.name == "OPEN"
        assert api.head(f"{CHANNELS}/{channels[1]['id']}").status_code == 404


def test_each_oauth_client_has_channels_of_its_own(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, users=1, channel_limit=1)
    sandbox.oauth.clients["another"] = Client("secret")
    with Api(sandbox, token_of(sandbox)) as api, Api(sandbox) as login:
        issued = login.token(("another", "secret"), grant_type="client_credentials").json()
        channel = channel_of(api)
        with Api(sandbox, issued["access_token"]) as other:
            channel_of(other)
        assert api.head(f"{CHANNELS}/{channel['id']}").status_code == 200


def test_a_channel_ends_with_its_life_and_no_request_prolongs_it(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, users=1)
    with Api(sandbox, token_of(sandbox)) as api:
        channel = channel_of(api, JOB)
        channels = sandbox._service.connections.channels
        now = time.monotonic()
        channels.now = lambda: now + 86399
        assert api.put(subscriptions(channel), json=[{"id": JOB}]).status_code == 200
        channels.now = lambda: now + 86401
        assert api.head(f"{CHANNELS}/{channel['id']}").status_code == 404
        assert api.put(subscriptions(channel), json=[{"id": JOB}]).status_code == 404


def test_topics_say_what_they_require_if_they_are_asked(api: Api):
    path = "/api/v2/notifications/availabletopics"
    plain = entities(api.get(path))
    assert {"id": "v2.users.{id}.wem.coaching.notification"} in plain
    asked = entities(api.get(path, params={"expand": "requiresPermissions,transports"}))
    assert asked[0]["requiresPermissions"] == ["coaching:notification:view"]
    assert asked[0]["requiresCurrentUserOrPermission"] is True
    assert "schema" not in asked[0]
    assert api.get(path, params={"expand": "nonsense"}).status_code == 400
