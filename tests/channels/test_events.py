"""What listeners do, as events: counted, logged, and measured by OpenTelemetry."""

import logging

import anyio
import pytest

from coaching_async import (
    AccessToken,
    ChannelClosed,
    ChannelLost,
    ChannelMoved,
    ChannelOpened,
    CoachingClient,
    Event,
    FillFailed,
    FramesDropped,
    FrameUnreadable,
    GapFilled,
    Stats,
)
from coaching_async._events import Counters
from coaching_async._logging import log_event
from coaching_async.sandbox import Sandbox
from tests.support.fault_server import HANG
from tests.support.telemetry import Telemetry

EVENTS: list[tuple[Event, str, str]] = [
    (ChannelOpened(3, 0.25, 1, is_first=True), "INFO", "listening: to 3 topics, after 0.25 s"),
    (GapFilled("opened", 0, 1, 0.1), "DEBUG", "0 new notifications on 1 pages of the list in 0.100 s (opened)"),
    (ChannelMoved("rotation", 0.5), "INFO", "moved to another channel (rotation), both were open for 0.50 s"),
    (ChannelMoved("deaf", 0.5), "WARNING", "moved to another channel (deaf)"),
    (ChannelLost("closed", 1001, 60.0), "WARNING", "disconnected (closed, code 1001) after 60 s"),
    (FillFailed("poll", "ServerError"), "WARNING", "the list of notifications cannot be read: ServerError (poll)"),
    (ChannelOpened(3, 12.0, 4), "INFO", "again after 12.00 s and 4 attempts"),
    (GapFilled("opened", 2, 1, 0.1), "INFO", "2 new notifications"),
    (FramesDropped(5), "WARNING", "5 events were dropped"),
    (FrameUnreadable(), "WARNING", "a message cannot be read"),
    (ChannelLost("silent", None, 61.0), "WARNING", "disconnected (silent) after 61 s"),
    (ChannelOpened(3, 1.0, 1), "INFO", "again after 1.00 s"),
    (ChannelClosed(), "DEBUG", "ended"),
]


def test_each_event_has_its_level_and_its_words(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "coaching_async")

    for event, _, _ in EVENTS:
        log_event(event)

    for record, (_, level, words) in zip(caplog.records, EVENTS, strict=True):
        assert record.levelname == level
        assert words in record.getMessage()


def test_statistics_count_what_is_open_and_what_was_missed():
    counters = Counters()
    seen = []

    for event, _, _ in EVENTS:
        counters(event)
        seen.append(counters.snapshot().sockets)

    assert counters.snapshot() == Stats(sockets=0, reconnects=4, gaps=4, filled=2, dropped=5)
    assert seen == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0]


def test_metrics_measure_the_same():
    telemetry = Telemetry()

    for event, _, _ in EVENTS:
        telemetry.hook(event)

    prefix = "coaching.client.channel."
    assert {name.removeprefix(prefix): each for name, each in telemetry.metrics().items() if prefix in name} == {
        "open": {frozenset(): 0},
        "away": {frozenset(): (3, 13.25)},
        "lost": {frozenset({("coaching.reason", reason)}): 1 for reason in ("closed", "silent", "unreadable")},
        "moved": {frozenset({("coaching.reason", reason)}): 1 for reason in ("rotation", "deaf")},
        "filled": {frozenset({("coaching.reason", "opened")}): 2},
        "dropped": {frozenset(): 5},
    }
    assert telemetry.spans() == []


@pytest.mark.anyio
@pytest.mark.real_time
async def test_requests_of_a_listener_are_no_children_of_its_readers_span(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("random.random", lambda: 0.0)
    telemetry = Telemetry()
    with Sandbox(appointments=4, users=2) as sandbox, anyio.fail_after(HANG):
        me = sandbox.state.user_ids[0]
        auth = AccessToken(sandbox.user_token(me))
        async with CoachingClient(auth, base_url=sandbox.base_url, on_event=telemetry.hook) as client:
            with telemetry.tracer.start_as_current_span("reader"):
                async with client.notifications.listen() as stream:
                    sandbox.sockets.drop()
                    sandbox.notify(me)
                    await anext(stream)

    below = {span.name for span in telemetry.spans() if span.parent is not None}
    alone = {span.name for span in telemetry.spans() if span.parent is None}
    assert below == {"users.me", "notifications.list"}, (
        "what is read before the channel is a part of entering the block"
    )
    assert alone == {"topics.create_channel", "topics.subscribe", "notifications.list"}
