"""What a listener does after each input in each state."""

import pytest

from coaching_async._channels.machine.messages import (
    BufferDrained,
    BufferFilled,
    BytesReceived,
    CatchUp,
    CatchUpFailed,
    CaughtUp,
    ChannelCreated,
    ChannelTakenAway,
    Close,
    DiscardToken,
    Entered,
    Fail,
    HandshakeFailed,
    Input,
    Leave,
    LookAtToken,
    MessageReceived,
    OpenSocket,
    Ping,
    ReportGap,
    ReportLost,
    ReportMoved,
    ReportOpened,
    SocketClosing,
    SocketLost,
    SocketOpened,
    Start,
    Subscribe,
    Subscribed,
    SubscribeFailed,
    TokenChanged,
    TokenRevoked,
    UnreadableFrame,
)
from tests.support.state_machine import BEGIN, Script, only

PASSING = OSError("no route to host")
FORBIDDEN = PermissionError("the topic needs a permission")
DAY = 86_400.0


def moving(script: Script, live: int, *, is_open: bool = False) -> Subscribe:
    """Begin a move of a socket that has lived for an hour. Return what was asked for the next one."""
    script.wait_and_hear(3600, live)
    script.do(CaughtUp())  # the audits
    (subscribe,) = (each for each in script.do(TokenChanged(live)) if isinstance(each, Subscribe))
    if is_open:
        script.connect(subscribe)
    assert script.state == "moving"
    return subscribe


# Opening


def test_a_listener_that_starts_subscribes_a_new_channel():
    script = Script()
    assert script.state == "idle"

    assert script.do(Start()) == [Subscribe(slot=1, channel=1)]
    assert script.state == "opening"


def test_when_the_channel_has_its_topics_the_socket_is_opened():
    script = Script()
    script.do(Start())
    script.do(ChannelCreated(1, DAY))

    assert script.do(Subscribed(1)) == [OpenSocket(1, 1)]
    assert script.state == "opening"


def test_a_socket_that_is_open_is_live_and_pinged_and_the_list_is_caught_up_with():
    script = Script()
    script.do(Start())
    script.wait(2)
    script.do(ChannelCreated(1, DAY))
    script.do(Subscribed(1))

    actions = script.do(SocketOpened(1))

    assert actions == [Ping(1), ReportOpened(1, away=2.0, attempts=1), CatchUp("opened"), LookAtToken(1)]
    assert script.state == "live"
    assert not script.machine.is_ready


def test_a_listener_is_ready_when_it_has_caught_up():
    script = Script()
    script.connect(only(Subscribe, script.do(Start())))

    assert script.do(CaughtUp()) == []
    assert script.machine.is_ready


def test_without_a_list_a_listener_is_ready_when_its_socket_is_open_and_never_catches_up():
    script = Script(has_list=False)
    actions = script.connect(only(Subscribe, script.do(Start())))

    assert script.machine.is_ready
    actions += script.do(UnreadableFrame(1)) + script.wait_and_hear(3600, 1)
    assert not [each for each in actions if isinstance(each, CatchUp)]


def test_before_a_listener_was_ready_the_error_of_the_service_is_the_callers():
    script = Script()
    script.do(Start())

    assert script.do(SubscribeFailed(1, "passing", PASSING)) == [Close(1), Fail("refused", PASSING)]
    assert script.state == "ended"


def test_before_a_listener_was_ready_a_catch_up_that_fails_is_the_callers():
    script = Script()
    script.connect(only(Subscribe, script.do(Start())))

    assert script.do(CatchUpFailed(PASSING)) == [Close(1), Fail("refused", PASSING)]


def test_in_a_block_that_was_entered_before_the_first_catch_up_has_ended_failures_are_waited_out():
    script = Script()
    script.connect(only(Subscribe, script.do(Start())))
    assert script.do(Entered()) == []
    script.do(CatchUpFailed(PASSING))
    script.do(SocketLost(1, "lost"))
    script.do(SubscribeFailed(only(Subscribe, script.wait(1)).slot, "passing", PASSING))

    assert script.state == "waiting"


def test_before_a_listener_was_ready_three_sockets_are_tried():
    script = Script()
    (subscribe,) = script.do(Start())
    for _ in range(2):
        assert isinstance(subscribe, Subscribe)
        script.do(Subscribed(subscribe.slot))
        assert script.do(HandshakeFailed(subscribe.slot, PASSING)) == []
        assert script.state == "waiting"
        (subscribe,) = script.wait(2)
    assert isinstance(subscribe, Subscribe)
    script.do(Subscribed(subscribe.slot))

    assert script.do(HandshakeFailed(subscribe.slot, PASSING)) == [Close(3), Fail("refused", PASSING)]


def lost(script: Script) -> Subscribe:
    """Lose a socket that was live for an hour, and return the attempt after it."""
    slot = script.go_live()
    script.wait_and_hear(3600, slot)
    script.do(SocketLost(slot, "closed", 1001))
    return only(Subscribe, script.wait(1))


def test_an_attempt_that_fails_is_followed_by_another_with_the_same_channel():
    script = Script()
    subscribe = lost(script)

    assert script.do(SubscribeFailed(subscribe.slot, "passing", PASSING)) == []
    assert script.state == "waiting"
    assert script.wait(0.99) == []
    assert script.wait(0.01) == [Subscribe(subscribe.slot + 1, subscribe.channel)]
    assert script.state == "opening"


def test_a_channel_whose_topics_were_not_set_is_not_created_again():
    script = Script()
    subscribe = lost(script)
    script.do(SubscribeFailed(subscribe.slot, "channel gone", PASSING))
    subscribe = only(Subscribe, script.wait(1))
    script.do(ChannelCreated(subscribe.slot, DAY))
    script.do(SubscribeFailed(subscribe.slot, "passing", PASSING))

    assert only(Subscribe, script.wait(2)).channel == subscribe.channel


def test_a_channel_that_is_gone_is_replaced():
    script = Script()
    subscribe = lost(script)
    script.do(SubscribeFailed(subscribe.slot, "channel gone", PASSING))

    assert script.state == "waiting"
    assert only(Subscribe, script.wait(1)).channel == subscribe.channel + 1


@pytest.mark.parametrize(("status", "is_gone"), [(400, True), (401, True), (403, True), (404, True), (410, True), (None, False), (301, False), (429, False), (500, False), (503, False), (200, False)])  # fmt: skip
def test_a_refused_handshake_says_whether_the_channel_is_gone(status: int | None, is_gone: bool):
    script = Script()
    subscribe = lost(script)
    script.do(Subscribed(subscribe.slot))

    assert script.do(HandshakeFailed(subscribe.slot, PASSING, status)) == []
    assert script.state == "waiting"
    assert only(Subscribe, script.wait(1)).channel == subscribe.channel + is_gone


def test_a_socket_that_is_lost_before_it_was_open_is_opened_again():
    script = Script()
    subscribe = lost(script)
    script.do(Subscribed(subscribe.slot))

    assert script.do(SocketLost(subscribe.slot, "lost")) == []
    assert script.state == "waiting"
    assert only(Subscribe, script.wait(1)).channel == subscribe.channel


def test_a_refusal_that_nothing_helps_against_ends_the_listener():
    script = Script()
    subscribe = lost(script)

    assert script.do(SubscribeFailed(subscribe.slot, "fatal", FORBIDDEN)) == [
        Close(subscribe.slot),
        Fail("refused", FORBIDDEN),
    ]
    assert script.state == "ended"


def test_a_retry_after_is_waited_for_up_to_three_minutes():
    for retry_after, pause in [(20.0, 20.0), (7200.0, 180.0), (-5.0, 0.5), (0.1, 0.5)]:
        script = Script()
        subscribe = lost(script)
        script.do(Subscribed(subscribe.slot))
        script.do(HandshakeFailed(subscribe.slot, PASSING, 429, retry_after))

        pause = max(pause, 0.5 * 2)
        assert not [each for each in script.wait(pause - 0.01) if isinstance(each, Subscribe)]
        assert only(Subscribe, script.wait(0.01))


def test_a_pause_is_a_random_part_of_a_time_that_doubles_up_to_a_minute():
    for luck in (0.0, 0.3, 1.0):
        script = Script(luck=luck)
        slot = script.go_live()
        script.wait_and_hear(60, slot)
        script.do(SocketLost(slot, "lost"))
        for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60]:
            lost_at = script.now
            at = script.machine.next_at()
            while script.state == "waiting":
                at = script.machine.next_at()
                assert at is not None
                for action in script.wait(at - script.now):
                    if isinstance(action, CatchUp):
                        script.do(CaughtUp())
            assert script.now - lost_at == pytest.approx(luck * longest)
            slot += 1
            script.do(SubscribeFailed(slot, "passing", PASSING))


def test_a_retry_after_of_a_subscription_is_waited_for_too():
    script = Script()
    subscribe = lost(script)
    script.do(SubscribeFailed(subscribe.slot, "passing", PASSING, retry_after=20.0))

    assert not [each for each in script.wait(19.9) if isinstance(each, Subscribe)]
    assert only(Subscribe, script.wait(0.1))


def test_a_listener_that_was_ready_stays_ready():
    script = Script()
    subscribe = lost(script)
    script.connect(subscribe, is_new=False)
    script.do(SocketLost(subscribe.slot, "lost"))  # before it has caught up
    subscribe = only(Subscribe, script.wait(2))

    assert script.do(SubscribeFailed(subscribe.slot, "passing", PASSING)) == []
    assert script.state == "waiting"


# Live


def test_a_socket_that_is_lost_is_opened_again_to_the_same_channel():
    script = Script()
    slot = script.go_live()
    script.wait_and_hear(100, slot)
    script.wait(3)

    actions = script.do(SocketLost(slot, "closed", 1001))

    assert actions == [ReportLost(slot, "closed", 1001, lived=103.0)]
    assert script.state == "waiting"
    assert script.wait(0.5) == [Subscribe(2, 1)]
    script.do(Subscribed(2))
    script.wait(1.5)
    opened = script.do(SocketOpened(2))
    assert ReportOpened(2, away=2.0, attempts=1) in opened
    assert ReportGap("closed", since=BEGIN + 100) in opened, "from what was heard last"
    assert CatchUp("opened") in opened
    assert script.state == "live"


def test_ten_sockets_are_opened_to_a_channel_then_it_is_replaced():
    script = Script()
    slot = script.go_live()
    channels = [1]
    for _ in range(10):
        script.wait_and_hear(60, slot)
        script.do(SocketLost(slot, "lost"))
        subscribe = only(Subscribe, script.wait(1))
        script.connect(subscribe)
        script.do(CaughtUp())
        channels.append(subscribe.channel)
        slot = subscribe.slot

    assert channels == [1] * 10 + [2]


def test_a_channel_that_is_too_old_is_not_used_again():
    script = Script()
    slot = script.go_live()
    script.wait_and_hear(0.79 * DAY, slot)
    script.do(SocketLost(slot, "lost"))
    subscribe = only(Subscribe, script.wait(1))
    assert subscribe.channel == 1
    script.wait(0.02 * DAY)
    script.do(SubscribeFailed(subscribe.slot, "passing", PASSING))

    assert [each.channel for each in script.wait(2) if isinstance(each, Subscribe)] == [2]


def test_an_announced_closing_begins_a_move_within_fifteen_seconds_to_a_new_channel():
    for luck in (0.0, 0.4, 1.0):
        script = Script()
        slot = script.go_live()
        script.wait_and_hear(60, slot)
        script.luck = luck

        actions = script.do(SocketClosing(slot)) + script.do(SocketClosing(slot))

        if luck:
            assert (actions, script.state) == ([], "live")
            assert script.wait(15 * luck - 0.01) == []
        assert actions + script.wait(0.01) == [Subscribe(2, 2)]
        assert script.state == "moving"
        script.connect(Subscribe(2, 2))
        assert only(ReportMoved, script.do(MessageReceived(2))).reason == "closing"


def test_the_channel_of_a_socket_that_was_announced_to_close_is_used_again():
    script = Script()
    slot = script.go_live()
    script.wait_and_hear(60, slot)
    script.do(SocketClosing(slot))
    script.do(SocketLost(slot, "closed", 1001))

    assert only(Subscribe, script.wait(1)).channel == 1


def test_the_channel_of_a_previous_token_is_not_used_again_and_neither_is_that_of_a_move_that_failed():
    script = Script()
    slot = script.go_live()
    script.wait_and_hear(600, slot)
    script.do(CaughtUp())
    script.luck = 0.0
    assert script.do(SocketClosing(slot)) == [Subscribe(2, 2)]
    script.luck = 1.0
    script.do(SubscribeFailed(2, "passing", PASSING))

    assert script.do(TokenChanged(slot)) == [Subscribe(3, 3)]
    script.do(SubscribeFailed(3, "channel gone", PASSING))
    script.do(SocketLost(slot, "lost"))
    assert only(Subscribe, script.wait(4)).channel == 4


def test_the_channel_of_a_move_that_failed_is_used_where_the_live_one_cannot_be():
    script = Script()
    slot = script.go_live()
    subscribe = moving(script, slot)
    script.do(SubscribeFailed(subscribe.slot, "passing", PASSING))
    script.do(ChannelTakenAway(slot))

    assert [each.channel for each in script.wait(1) if isinstance(each, Subscribe)] == [subscribe.channel]


def test_a_move_that_fails_again_and_again_begins_ever_more_slowly_and_sooner_when_a_closing_is_announced():
    script = Script(luck=1.0)
    slot = script.go_live()
    (asked,) = [moving(script, slot)]
    for pause in (1, 2, 4, 8, 16, 32, 60):
        failed_at = script.now
        script.do(SubscribeFailed(asked.slot, "passing", PASSING))
        while not (again := [each for each in script.wait_and_hear(0.5, slot) if isinstance(each, Subscribe)]):
            pass
        assert script.now - failed_at == pause
        asked = again[0]
    script.do(SubscribeFailed(asked.slot, "passing", PASSING))
    script.luck = 0.2
    script.do(SocketClosing(slot))

    assert [each for each in script.wait(3) if isinstance(each, Subscribe)]


@pytest.mark.parametrize(("luck", "at"), [(0.0, 0.75), (0.5, 0.8), (1.0, 0.85)])
def test_a_channel_is_replaced_before_it_expires(luck: float, at: float):
    script = Script(luck=luck)
    slot = script.go_live()

    assert not [each for each in script.wait_and_hear(at * DAY - 30, slot) if isinstance(each, Subscribe)]
    assert [each for each in script.wait_and_hear(60, slot) if isinstance(each, Subscribe)] == [Subscribe(2, 2)]
    assert script.state == "moving"
    script.connect(Subscribe(2, 2))
    assert only(ReportMoved, script.do(MessageReceived(2))).reason == "rotation"


@pytest.mark.parametrize(("lifetime", "life"), [(None, DAY), (0.0, 300), (-7.0, 300), (1000.0, 1000)])
def test_the_life_of_a_channel_that_is_not_said_is_a_day_and_one_below_five_minutes_is_not_believed(
    lifetime: float | None, life: float
):
    script = Script()
    script.do(Start())
    script.do(ChannelCreated(1, lifetime))
    script.do(Subscribed(1))
    script.do(SocketOpened(1))
    script.do(CaughtUp())

    assert not [each for each in script.wait_and_hear(0.8 * life - 30, 1) if isinstance(each, Subscribe)]
    assert [each for each in script.wait_and_hear(60, 1) if isinstance(each, Subscribe)]


def test_the_token_is_looked_at_every_minute_and_another_one_begins_a_move():
    script = Script()
    slot = script.go_live()
    assert script.wait_and_hear(300, slot).count(LookAtToken(slot)) == 5

    assert script.do(TokenChanged(slot)) == [Subscribe(2, 2)]
    assert script.state == "moving"


def test_silence_is_answered_with_a_ping_and_then_ends_the_socket():
    script = Script()
    slot = script.go_live()
    script.wait(10)
    script.do(MessageReceived(slot))

    assert Ping(slot) not in script.wait(34.9)
    assert Ping(slot) in script.wait(0.1)
    assert script.state == "live"
    assert script.wait(9.9) == []
    assert script.wait(0.1) == [Close(slot, 1001), ReportLost(slot, "silent", None, lived=55.0)]
    assert script.state == "waiting"


@pytest.mark.parametrize("heard", [BytesReceived, MessageReceived, UnreadableFrame])
def test_anything_that_is_heard_ends_the_silence(heard: type[BytesReceived | MessageReceived | UnreadableFrame]):
    script = Script()
    slot = script.go_live()
    for _ in range(10):
        script.wait(44)
        script.do(heard(slot))

    assert script.state == "live"


def test_a_socket_is_dead_only_ten_seconds_after_the_ping_however_late_that_was():
    script = Script()
    slot = script.go_live()
    script.now += 3600  # the event loop was blocked, or the machine asleep

    assert Ping(slot) in script.wait(0)
    assert script.state == "live"
    assert Close(slot, 1001) in script.wait(10)


def test_a_channel_that_is_taken_away_is_replaced():
    script = Script()
    slot = script.go_live()
    script.wait_and_hear(60, slot)

    assert script.do(ChannelTakenAway(slot)) == [Close(slot), ReportLost(slot, "channel taken", None, lived=60.0)]
    assert script.state == "waiting"
    assert script.wait(1) == [Subscribe(2, 2)]


def taken_every(script: Script, seconds: float) -> int:
    """Return how many times the channel is taken away until the listener ends, up to 20."""
    slot = script.go_live()
    for times in range(1, 20):
        script.wait_and_hear(seconds, slot)
        actions = script.do(ChannelTakenAway(slot))
        if script.state == "ended":
            assert actions == [Close(slot), Fail("channel taken", None)]
            return times
        subscribe = only(Subscribe, script.wait(60))
        script.connect(subscribe)
        script.do(CaughtUp())
        slot = subscribe.slot
    return 20


def test_a_channel_that_is_taken_four_times_in_ten_minutes_ends_the_listener():
    assert taken_every(Script(), 0) == 4
    assert taken_every(Script(), 100) == 4


def test_a_channel_that_is_taken_four_times_in_an_hour_does_not():
    assert taken_every(Script(), 900) == 20
    assert taken_every(Script(), 240) == 20


def test_a_revoked_token_is_discarded_and_the_channel_replaced_and_that_does_not_count_as_taken():
    script = Script()
    slot = script.go_live()
    for channel in range(2, 9):
        script.wait_and_hear(60, slot)
        assert script.do(TokenRevoked(slot)) == [
            DiscardToken(slot),
            Close(slot),
            ReportLost(slot, "token revoked", None, lived=60.0),
        ]
        subscribe = only(Subscribe, script.wait(1))
        assert subscribe.channel == channel
        script.connect(subscribe)
        script.do(CaughtUp())
        slot = subscribe.slot


def test_after_an_unreadable_frame_the_list_is_caught_up_with():
    script = Script()
    slot = script.go_live()

    assert script.do(UnreadableFrame(slot)) == [ReportGap("unreadable", BEGIN), CatchUp("unreadable")]
    assert script.state == "live"


# Moving


def test_the_next_socket_is_pinged_when_it_is_open_and_the_live_one_stays():
    script = Script()
    live = script.go_live()
    subscribe = moving(script, live)

    assert script.connect(subscribe) == [Ping(subscribe.slot)]
    assert script.state == "moving"


def test_when_the_next_socket_has_spoken_it_is_live_and_the_previous_one_is_read_for_five_seconds_more():
    script = Script()
    live = script.go_live()
    following = moving(script, live, is_open=True).slot
    script.wait(0.2)
    assert script.do(BytesReceived(following)) == [], "a part of a message does not show that events come"

    actions = script.do(MessageReceived(following))

    assert actions[0] == ReportMoved(following, "token", overlap=pytest.approx(0.2))
    assert CatchUp("moved") in actions
    assert script.state == "moving"
    assert script.wait(4.9) == []
    assert script.wait(0.1) == [Close(live)]
    assert script.state == "live"


@pytest.mark.parametrize("how", ["not subscribed", "refused", "lost", "silent", "taken", "revoked"])
def test_a_move_that_fails_begins_again_and_the_live_socket_stays(how: str):
    script = Script()
    live = script.go_live()
    subscribe = moving(script, live, is_open=how in ("lost", "silent", "taken", "revoked"))
    actions = []
    match how:
        case "not subscribed":
            actions += script.do(SubscribeFailed(subscribe.slot, "passing", PASSING))
        case "refused":
            script.do(Subscribed(subscribe.slot))
            actions += script.do(HandshakeFailed(subscribe.slot, PASSING, 503))
        case "lost":
            actions += script.do(SocketLost(subscribe.slot, "closed", 1001))
        case "taken":
            actions += script.do(ChannelTakenAway(subscribe.slot))
        case "revoked":
            actions += script.do(TokenRevoked(subscribe.slot))
        case _:
            actions += script.wait_and_hear(44, live) + script.wait(1)

    assert not [each for each in actions if isinstance(each, ReportLost)]
    assert (script.state == "live") or how == "silent"
    again = [each for each in actions + script.wait(1) if isinstance(each, Subscribe)]
    is_gone = how in ("taken", "revoked")
    assert [each.channel for each in again] == [subscribe.channel + is_gone]
    assert script.state == "moving"


def test_a_live_socket_that_is_lost_in_a_move_is_replaced_by_the_next_one_if_that_is_open():
    script = Script()
    live = script.go_live()
    following = moving(script, live, is_open=True).slot
    script.wait(1)
    script.do(MessageReceived(live))

    actions = script.do(SocketLost(live, "closed", 1001))

    assert actions == [ReportMoved(following, "token", overlap=1.0), CatchUp("moved"), LookAtToken(following)]
    assert script.state == "live"


def test_what_the_lost_socket_may_have_missed_before_the_next_one_was_open_is_a_gap():
    script = Script()
    live = script.go_live()
    subscribe = moving(script, live)
    heard = script.now
    script.wait(20)
    script.connect(subscribe)

    actions = script.do(SocketLost(live, "lost"))

    assert actions[0] == ReportGap("lost", heard)
    assert CatchUp("moved") in actions


def test_a_live_socket_that_is_lost_in_a_move_leaves_the_attempt_of_the_next_one():
    script = Script()
    live = script.go_live()
    subscribe = moving(script, live)
    script.do(ChannelCreated(subscribe.slot, DAY))

    assert script.do(SocketLost(live, "lost")) == [ReportLost(live, "lost", None, lived=3600.0)]
    assert script.state == "opening"
    assert script.do(Subscribed(subscribe.slot)) == [OpenSocket(subscribe.slot, subscribe.channel)]
    opened = script.do(SocketOpened(subscribe.slot))
    assert ReportOpened(subscribe.slot, 0.0, 1) in opened
    assert CatchUp("opened") in opened
    assert script.state == "live"


def test_a_previous_socket_that_is_lost_is_forgotten():
    for end in (SocketLost(1, "closed", 1000), ChannelTakenAway(1), TokenRevoked(1)):
        script = Script()
        live = script.go_live()
        script.do(MessageReceived(moving(script, live, is_open=True).slot))

        actions = script.do(end)

        assert not [each for each in actions if isinstance(each, ReportLost | Subscribe)]
        assert script.state == "live"
        assert Close(live) not in script.wait(5)


def test_topics_that_the_move_itself_takes_from_the_live_channel_do_not_count():
    script = Script()
    slot = script.go_live()
    for _ in range(10):
        script.wait_and_hear(60, slot)
        following = only(Subscribe, script.do(TokenChanged(slot)))
        script.do(ChannelTakenAway(slot))
        script.connect(following)
        script.do(CaughtUp())
        slot = following.slot

    assert script.state == "live"


def test_a_closing_that_was_announced_on_the_next_socket_begins_a_move_when_that_is_live():
    script = Script()
    live = script.go_live()
    following = moving(script, live, is_open=True).slot
    script.do(SocketClosing(following))
    script.do(MessageReceived(following))

    assert [each for each in script.wait(15) if isinstance(each, Subscribe)] == [Subscribe(3, 3)]


def test_sockets_that_are_closed_as_soon_as_they_are_open_are_replaced_ever_more_slowly():
    script = Script()
    slot = script.go_live()
    begin = script.now
    for _ in range(20):
        script.do(SocketClosing(slot))
        while not (asked := [each for each in script.wait_and_hear(1, slot) if isinstance(each, Subscribe)]):
            pass
        script.connect(asked[0])
        slot = asked[0].slot
        script.do(MessageReceived(slot))
        script.do(CaughtUp())

    assert script.now - begin > 13 * 20


def test_a_socket_that_dies_at_once_does_not_end_the_backoff():
    script = Script()
    slot = script.go_live()
    pauses = []
    for _ in range(7):
        script.do(SocketLost(slot, "lost"))
        lost_at = script.now
        while not (asked := [each for each in script.wait(0.25) if isinstance(each, Subscribe)]):
            pass
        pauses.append(script.now - lost_at)
        script.connect(asked[0], is_new=False)
        slot = asked[0].slot
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30]

    script.wait_and_hear(60, slot)
    script.do(SocketLost(slot, "lost"))
    assert [each for each in script.wait(0.5) if isinstance(each, Subscribe)]


# Catching up


def test_a_catch_up_that_fails_is_repeated_after_a_second_and_then_ever_more_slowly():
    script = Script(luck=1.0)
    slot = script.go_live()
    script.do(UnreadableFrame(slot))
    pauses = []
    for _ in range(8):
        assert script.do(CatchUpFailed(PASSING)) == []
        failed_at = script.now
        while CatchUp("unreadable") not in (script.wait_and_hear(0.5, slot)):
            pass
        pauses.append(script.now - failed_at)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_catch_up_that_nothing_helps_ends_the_listener():
    script = Script()
    slot = script.go_live()
    script.do(UnreadableFrame(slot))

    assert script.do(CatchUpFailed(FORBIDDEN, is_fatal=True)) == [Close(slot), Fail("refused", FORBIDDEN)]


def test_what_comes_while_a_catch_up_runs_is_served_by_another_one():
    script = Script()
    slot = script.go_live()
    script.do(UnreadableFrame(slot))
    script.wait(6)

    assert script.do(UnreadableFrame(slot)) == [ReportGap("unreadable", script.now)]
    assert script.do(UnreadableFrame(slot)) == [ReportGap("unreadable", script.now)]
    assert script.do(CaughtUp()) == [CatchUp("unreadable")]
    assert script.do(CaughtUp()) == []


def test_many_unreadable_frames_cost_a_catch_up_every_five_seconds():
    script = Script()
    slot = script.go_live()
    catch_ups = 0
    for _ in range(600):
        for action in script.do(UnreadableFrame(slot)) + script.wait(0.1):
            if isinstance(action, CatchUp):
                catch_ups += 1
                script.do(CaughtUp())

    assert catch_ups == 12


def test_a_socket_that_is_opened_does_not_wait_for_the_pause_of_a_catch_up():
    script = Script(luck=1.0)
    slot = script.go_live()
    script.do(UnreadableFrame(slot))
    script.do(CatchUpFailed(PASSING, retry_after=100.0))
    script.do(SocketLost(slot, "lost"))
    subscribe = only(Subscribe, script.wait(1))

    assert CatchUp("opened") in script.connect(subscribe, is_new=False)


# Without a socket, and the end


def test_without_a_socket_the_list_is_polled_every_minute():
    script = Script(luck=1.0)
    slot = script.go_live()
    script.do(SocketLost(slot, "lost"))
    polls: list[float] = []
    while script.now < BEGIN + 600:
        for action in script.wait(1):
            if isinstance(action, Subscribe):
                script.do(SubscribeFailed(action.slot, "passing", PASSING))
            if isinstance(action, CatchUp):
                assert action.reason == "poll"
                polls.append(script.now - BEGIN)
                script.do(CaughtUp())

    assert polls == [60 * number for number in range(1, 11)]


def test_a_socket_is_dropped_when_the_block_is_left():
    script = Script()
    live = script.go_live()
    following = moving(script, live).slot

    assert script.do(Leave()) == [Close(live), Close(following)]
    assert script.state == "ended"
    assert script.machine.next_at() is None


def test_a_listener_that_is_left_before_it_started_has_ended():
    script = Script()

    assert script.do(Leave()) == []
    assert script.do(Start()) == []
    assert script.state == "ended"


LATE: list[Input] = [
    ChannelCreated(1, DAY),
    Subscribed(1),
    SubscribeFailed(1, "fatal", FORBIDDEN),
    SocketOpened(1),
    HandshakeFailed(1, PASSING, 404),
    BytesReceived(1),
    MessageReceived(1),
    UnreadableFrame(1),
    SocketClosing(1),
    ChannelTakenAway(1),
    TokenRevoked(1),
    TokenChanged(1),
    SocketLost(1, "lost"),
]


@pytest.mark.parametrize("late", LATE, ids=lambda late: type(late).__name__)
def test_an_input_for_a_slot_that_is_no_longer_known_changes_nothing(late: Input):
    for ended in (False, True):
        script = Script()
        slot = script.go_live()
        script.do(SocketLost(slot, "lost"))
        if ended:
            script.do(Leave())
        before = script.state, script.machine.next_at()

        assert script.do(late) == []
        assert (script.state, script.machine.next_at()) == before


@pytest.mark.parametrize("late", LATE[:5], ids=lambda late: type(late).__name__)
def test_an_answer_that_comes_twice_changes_nothing(late: Input):
    script = Script()
    script.go_live()
    before = script.state, script.machine.next_at()

    assert script.do(late) == []
    assert (script.state, script.machine.next_at()) == before


# Audits


def audited(script: Script, slot: int) -> None:
    """Wait for the audit that begins ten minutes after the socket was opened."""
    assert CatchUp("audit") in script.wait_and_hear(600, slot)


def test_every_ten_minutes_an_audit_reads_the_list():
    script = Script()
    slot = script.go_live()
    for _ in range(3):
        audited(script, slot)
        assert script.do(CaughtUp()) == []

    assert not [each for each in script.wait_and_hear(570, slot) if isinstance(each, Subscribe | CatchUp)]


def test_a_socket_that_does_not_bring_what_an_audit_has_found_is_replaced():
    script = Script()
    slot = script.go_live()
    audited(script, slot)
    script.do(MessageReceived(slot, "other"))
    script.do(CaughtUp(["one", "two"]))
    script.do(MessageReceived(slot, "two"))

    assert not [each for each in script.wait(14.9) if isinstance(each, Subscribe)]
    assert script.state == "live"
    assert script.wait(0.1) == [Subscribe(2, 2)]
    script.connect(Subscribe(2, 2))
    moved = script.do(MessageReceived(2))
    assert only(ReportMoved, moved).reason == "deaf"


def test_the_channel_of_a_socket_that_brings_no_events_is_not_used_again():
    script = Script()
    slot = script.go_live()
    audited(script, slot)
    script.do(CaughtUp(["one"]))
    script.wait(15)
    script.do(SubscribeFailed(2, "channel gone", PASSING))
    script.do(SocketLost(slot, "lost"))

    assert only(Subscribe, script.wait(1)).channel == 3


@pytest.mark.parametrize("when", ["while it runs", "after it"])
def test_a_socket_that_brings_what_an_audit_has_found_stays(when: str):
    script = Script()
    slot = script.go_live()
    audited(script, slot)
    if when == "while it runs":
        script.do(MessageReceived(slot, "one"))
    script.do(CaughtUp(["one"]))
    script.wait(14)
    if when == "after it":
        script.do(MessageReceived(slot, "one"))

    assert not [each for each in script.wait_and_hear(60, slot) if isinstance(each, Subscribe)]


@pytest.mark.parametrize("when", ["before it", "while it runs", "after it"])
def test_an_audit_shows_nothing_while_events_are_dropped(when: str):
    script = Script()
    slot = script.go_live()
    if when == "before it":
        script.do(BufferFilled())
    audited(script, slot)
    if when == "while it runs":
        script.do(BufferFilled())
    script.do(CaughtUp(["one"]))
    if when == "after it":
        script.do(BufferFilled())

    assert not [each for each in script.wait_and_hear(60, slot) if isinstance(each, Subscribe)]


def test_an_audit_does_not_judge_a_socket_that_was_opened_since():
    script = Script()
    slot = script.go_live()
    audited(script, slot)
    script.do(SocketLost(slot, "lost"))
    subscribe = only(Subscribe, script.wait(1))
    script.connect(subscribe, is_new=False)
    assert script.do(CaughtUp(["one"])) == [CatchUp("opened")]
    script.do(CaughtUp(["two"]))

    assert not [each for each in script.wait_and_hear(60, subscribe.slot) if isinstance(each, Subscribe)]


def test_when_the_buffer_is_empty_again_the_list_is_caught_up_with():
    script = Script()
    slot = script.go_live()
    script.wait_and_hear(60, slot)
    assert script.do(BufferFilled()) == []
    since = script.now
    script.wait(3)

    assert script.do(BufferDrained(since)) == [ReportGap("overflow", since), CatchUp("overflow")]
    script.do(CaughtUp())
    script.wait_and_hear(540, slot)
    script.do(CaughtUp(["one"]))
    assert [each for each in script.wait(15) if isinstance(each, Subscribe)], "audits judge again"


def test_an_audit_that_fails_is_repeated_and_judges_then():
    script = Script()
    slot = script.go_live()
    audited(script, slot)
    script.do(CatchUpFailed(PASSING))
    assert CatchUp("audit") in script.wait(1)
    script.do(CaughtUp(["one"]))

    assert [each for each in script.wait(15) if isinstance(each, Subscribe)]
