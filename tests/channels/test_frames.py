"""Frames as events."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import ChannelEvent, Notification, ScheduleSlotsJob, UserReference
from coaching_async._channels.frames import FrameKind, notification_topic, read_frame
from tests.support.effort import examples

NOTIFICATION = "v2.users.u1.wem.coaching.notification"


def frame(topic: object, body: object, **more: object) -> str:
    return json.dumps({"topicName": topic, "eventBody": body, **more})


def test_a_notification_has_its_user_from_the_topic(example: Any):
    event = read_frame(json.dumps(example("ws_event_coaching")))

    assert isinstance(event, ChannelEvent)
    assert isinstance(event.event_body, Notification)
    assert event.event_body.user == UserReference(id=event.topic_name.split(".")[2])
    assert notification_topic("u1") == NOTIFICATION


def test_a_job_is_its_model_and_anything_else_a_mapping_that_can_be_hashed(example: Any):
    job = read_frame(json.dumps(example("ws_event_job")))
    other = read_frame(frame("v2.users.u1.presence", {"a": 1}, version="2", metadata={"CorrelationId": "c"}))

    assert isinstance(job, ChannelEvent)
    assert isinstance(job.event_body, ScheduleSlotsJob)
    assert isinstance(other, ChannelEvent)
    assert isinstance(other.event_body, Mapping)
    assert (other.event_body, other.version) == ({"a": 1}, "2")
    assert hash(other)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (frame("channel.metadata", {"message": "WebSocket Heartbeat"}), FrameKind.HEARD),
        (frame("channel.metadata", None), FrameKind.HEARD),
        (frame("v2.system.socket_closing", {"message": "soon"}), FrameKind.CLOSING),
        (frame("v2.system.no_longer_subscribed.c1", {}), FrameKind.CHANNEL_TAKEN),
        (frame("v2.system.token_revoked.c1", {}), FrameKind.TOKEN_REVOKED),
        (frame("v2.system.something_new.c1", {}), FrameKind.HEARD),
        ('{"result":"200","status":"subscribed"}', FrameKind.HEARD),
        ('{"result":"404"}', FrameKind.CHANNEL_TAKEN),
        ('{"result":404,"topicName":null}', FrameKind.CHANNEL_TAKEN),
    ],
)
def test_what_is_no_event_says_something_about_the_channel(text: str, kind: FrameKind):
    assert read_frame(text) is kind


TOO_DEEP = 2**18
"""Levels that no Python's parser reads. From 3.14 on it reads 50,000."""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ud800",
        "null",
        "[]",
        "3",
        "{}",
        '{"a": NaN}',
        "<html></html>",
        "[" * 100_000,
        '{"a":' * 100_000,
        frame(NOTIFICATION, {"id": "n", "name": "x"})[:-5],
        frame(3, {}),
        frame("", {}),
        frame([], {}),
        frame({}, {}),
        frame(None, {}),
        frame("t", None),
        frame("t", "text"),
        frame("t", []),
        '{"topicName": "t"}',
        frame("t", {}, version=2),
        frame("t", {}, metadata=[]),
        frame(NOTIFICATION, {}),
        frame(NOTIFICATION, {"id": ""}),
        frame(NOTIFICATION, {"id": "n", "lengthInMinutes": "long"}),
        frame(NOTIFICATION, []),
        frame("v2.coaching.scheduleslots.jobs.j", {"results": 3}),
        '{"topicName":"t","eventBody":{"a":' + "[" * TOO_DEEP + "]" * TOO_DEEP + "}}",
    ],
    ids=range(28),
)
def test_an_odd_frame_is_unreadable(text: str):
    assert read_frame(text) is FrameKind.UNREADABLE


def test_a_frame_that_is_nested_as_deep_as_some_pythons_read_raises_nothing():
    text = '{"topicName":"t","eventBody":{"a":' + "[" * 50_000 + "]" * 50_000 + "}}"

    frame = read_frame(text)

    assert frame is FrameKind.UNREADABLE or isinstance(frame, ChannelEvent)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TOPICS = st.sampled_from([NOTIFICATION, "channel.metadata", "v2.system.", "v2.system.x", "t"])


@settings(max_examples=examples(400))
@given(st.text() | st.builds(lambda topic, body, more: frame(topic, body, **more), TOPICS | JSON, JSON, st.just({})))
def test_no_text_raises(text: str):
    assert isinstance(read_frame(text), ChannelEvent | FrameKind)


@settings(max_examples=examples(400))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "topicName": TOPICS | JSON,
            "eventBody": st.fixed_dictionaries({}, optional={"id": JSON, "status": JSON, "dateStart": JSON}) | JSON,
            "version": JSON,
            "metadata": JSON,
            "result": JSON,
        },
    )
)
def test_no_object_raises(value: Any):
    assert isinstance(read_frame(json.dumps(value)), ChannelEvent | FrameKind)
