"""What several processes know of the limit that they share: decisions and their text, without clock and I/O."""

import json
import math
from collections import deque

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import RateLimit
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.shared_text import decode, encode
from coaching_async._transport.rate_limit.shared_window import (
    HOLD,
    MAX_HOLD,
    MAX_LEASE,
    MAX_WAIT,
    InFlight,
    Member,
    SharedWindow,
    Waiting,
)
from coaching_async._transport.rate_limit.window import Window
from tests.support.effort import examples

LIMIT = RateLimit(60, per=60.0)
NOW = 1_000_000.0

milliseconds = st.integers(-100_000, 100_000).map(lambda number: NOW + number / 1000)
past = st.integers(-60_000, 0).map(lambda number: NOW + number / 1000)
expiry = st.integers(1, 60_000).map(lambda number: NOW + number / 1000)
names = st.text("0123456789abcdef", min_size=1, max_size=12)
queues = st.dictionaries(st.sampled_from(Priority), st.builds(Waiting, milliseconds, st.integers(0, 99), milliseconds))
latencies = st.integers(0, 60_000).map(lambda number: number / 1000)
members = st.builds(
    Member,
    st.integers(0, 10**9),
    st.builds(RateLimit, st.integers(1, 10**6), per=st.floats(0.001, 10**6)),
    milliseconds,
    milliseconds | st.just(-math.inf),
    latencies,
    latencies,
    st.lists(st.builds(InFlight, milliseconds, milliseconds), max_size=5),
    st.lists(milliseconds, max_size=20),
    st.lists(milliseconds, max_size=5),
    queues,
)
windows = st.builds(
    SharedWindow,
    st.none() | st.integers(1, 10**6),
    milliseconds | st.just(-math.inf),
    milliseconds | st.just(math.inf),
    milliseconds | st.just(-math.inf),
    st.integers(1, 99) | st.just(math.inf),
    milliseconds | st.just(-math.inf),
    milliseconds | st.just(-math.inf),
    st.dictionaries(names, members, max_size=5),
)


def member(**changes: object) -> Member:
    return attrs.evolve(Member(1, LIMIT, NOW), **changes)  # type: ignore[arg-type]


@settings(max_examples=examples(200))
@given(windows, milliseconds)
def test_a_window_survives_its_text_to_the_millisecond(window: SharedWindow, now: float):
    read = decode(encode(window, now))

    assert encode(read, now) == encode(window, now)
    assert read.members.keys() == window.members.keys()
    for name, one in window.members.items():
        assert read.members[name].expiry_times == pytest.approx(one.expiry_times, abs=1e-6)
        assert read.members[name].limit == one.limit
        assert read.members[name].waiting.keys() == one.waiting.keys()
    assert (read.ramp_limit, read.learned_limit) == (window.ramp_limit, window.learned_limit)
    assert read.next_increase_at == pytest.approx(window.next_increase_at, abs=1e-6)


@pytest.mark.parametrize("number", [10**16, -(10**16), True, 1.5, "1", None, [], {}])
@pytest.mark.parametrize("field", ["version", "time", "members"])
def test_a_text_with_something_else_in_a_field_is_refused(field: str, number: object):
    document = {"version": 1, "time": 0, "limit": None, "decrease": None, "increase": None, "cooldown": None}
    document |= {"ramp": None, "held": None, "members": {"a": [1, 3, 9.0, 0, 0, 0, 0, [], [number], [], [None, None]]}}
    if field != "members":
        document[field] = number
    with pytest.raises(ValueError):  # noqa: PT011 # whichever field it is
        decode(json.dumps(document))


NAN, INFINITE = '{"version":1,"time":NaN}', '{"version":1,"time":1e999}'
DEEP, LONG = "[" * 100_000, "x" * 2_000_000


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "{", '{"version":2}', '{"version":1}', NAN, INFINITE, "9" * 5000, DEEP, "\ud800", LONG],
    ids=lambda text: text[:12].encode("ascii", "replace").decode(),
)
def test_any_other_text_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 # whatever is wrong with it
        decode(text)


@settings(max_examples=examples(200))
@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_text_raises_anything_else(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 # whatever is wrong with it
        decode(text)


def test_no_text_is_an_empty_window():
    assert decode(None) == SharedWindow()


parts = st.lists(st.tuples(st.lists(expiry, max_size=20).map(sorted), st.integers(0, 4), past), min_size=1, max_size=5)


@settings(max_examples=examples(200))
@given(parts, st.sampled_from(Priority))
def test_who_is_first_in_line_gets_the_permit_that_one_process_alone_would_get(
    parts: list[tuple[list[float], int, float]], priority: Priority
):
    shared = SharedWindow()
    for index, (times, in_flight, granted_at) in enumerate(parts):
        flying = [InFlight(NOW, NOW + MAX_LEASE)] * in_flight
        shared.members[str(index)] = member(expiry_times=times, in_flight=flying, last_granted_at=granted_at)
    shared.members["0"].waiting[priority] = Waiting(NOW, 1, NOW)
    alone = Window(LIMIT)
    alone.expiry_times = deque(sorted(time for times, _, _ in parts for time in times))
    alone.in_flight = sum(in_flight for _, in_flight, _ in parts)
    alone.last_granted_at = max(granted_at for _, _, granted_at in parts)

    decision = shared.decide("0", priority, NOW)

    at = alone.next_permit_at(priority, NOW)
    assert decision.granted == (at <= NOW)
    if NOW < at < math.inf:
        assert decision.look_at == min(at, NOW + MAX_WAIT)


def test_while_any_process_has_an_interactive_request_waiting_no_bulk_request_gets_a_permit():
    shared = SharedWindow(members={"a": member(), "b": member()})
    shared.members["a"].waiting[Priority.INTERACTIVE] = Waiting(NOW, 1, NOW)
    shared.members["b"].waiting[Priority.BULK] = Waiting(NOW - 5, 1, NOW)

    assert not shared.decide("b", Priority.BULK, NOW).granted
    assert shared.decide("a", Priority.INTERACTIVE, NOW).granted


@pytest.mark.parametrize("priority", Priority)
def test_processes_take_turns_and_who_does_not_come_is_passed_over(priority: Priority):
    evenly = member(expiry_times=[NOW + second for second in range(1, 60)], last_granted_at=NOW - 1)
    shared = SharedWindow(members={"x": evenly, "a": member(), "b": member()})
    shared.members["a"].waiting[priority] = Waiting(NOW - 2, 1, NOW)
    shared.members["b"].waiting[priority] = Waiting(NOW - 1, 1, NOW)

    assert not shared.decide("b", priority, NOW).granted
    assert shared.decide("a", priority, NOW).granted
    shared.members["a"].waiting[priority] = Waiting(NOW - 2, 1, NOW - 1.5)
    assert shared.decide("b", priority, NOW).granted


def test_a_lease_that_has_ended_counts_as_answered_then():
    one = member(in_flight=[InFlight(NOW, NOW + 5)])

    assert (len(one.held(NOW + 4.9)), one.used_until(NOW + 4.9, 60)) == (1, [])
    assert (one.held(NOW + 5), one.used_until(NOW + 5, 60)) == ([], [NOW + 65])
    assert one.used_until(NOW + 65, 60) == []


def test_after_a_cooldown_one_request_is_in_flight_and_one_more_for_each_success():
    shared = SharedWindow(cooldown_ends_at=NOW, ramp_limit=1, members={"a": member(), "b": member()})

    assert shared.decide("a", Priority.INTERACTIVE, NOW).granted
    shared.members["a"].in_flight.append(InFlight(NOW, NOW + 60))
    assert not shared.decide("b", Priority.INTERACTIVE, NOW).granted
    shared.members["a"].in_flight.clear()
    shared.succeeded(NOW)
    shared.members["a"].in_flight.append(InFlight(NOW, NOW + 60))
    assert shared.decide("b", Priority.INTERACTIVE, NOW).granted


def test_a_probe_of_which_nothing_is_heard_does_not_stop_the_others_for_the_whole_lease():
    shared = SharedWindow(cooldown_ends_at=NOW, ramp_limit=1, members={"a": member(), "b": member()})
    shared.members["a"].in_flight.append(InFlight(NOW, NOW + 75))

    assert not shared.decide("b", Priority.INTERACTIVE, NOW + 9).granted
    assert shared.decide("b", Priority.INTERACTIVE, NOW + 11).granted


def test_what_is_forgotten_is_brought_back_and_nobody_gets_a_permit_for_a_moment():
    remembered = SharedWindow(members={"a": member(expiry_times=[NOW + 30] * 60), "b": member(revision=5)})
    forgetful = SharedWindow(members={"b": member(revision=4)})

    forgetful.bring_back(remembered, NOW)

    assert forgetful.members == remembered.members
    assert forgetful.held_until == NOW + HOLD
    assert not forgetful.decide("b", Priority.INTERACTIVE, NOW).granted


def test_after_a_loss_nobody_gets_a_permit_until_each_process_has_written():
    away_since, back = NOW - 5, NOW
    shared = SharedWindow(members={name: member(written_at=away_since - 1) for name in "abc"})

    shared.members["a"].written_at = back
    shared.wait_for_others("a", away_since, back)
    shared.members["b"].written_at = back + HOLD
    assert not shared.decide("a", Priority.BULK, back + HOLD).granted
    for name in "ac":
        shared.members[name].written_at = back + HOLD + 0.1

    assert shared.decide("a", Priority.BULK, back + HOLD + 0.1).granted


def test_after_a_loss_nobody_waits_for_longer_than_that_for_a_process_that_does_not_come_back():
    away_since, back = NOW - 5, NOW
    shared = SharedWindow(members={name: member(written_at=away_since - 1) for name in "ab"})

    shared.members["a"].written_at = back
    shared.wait_for_others("a", away_since, back)

    assert not shared.decide("a", Priority.BULK, back + MAX_HOLD - 0.001).granted
    assert shared.decide("a", Priority.BULK, back + MAX_HOLD).granted


def test_what_is_dropped_on_purpose_is_not_brought_back():
    shared = SharedWindow(members={"a": member(in_flight=[InFlight(NOW, NOW + MAX_LEASE)])})
    remembered = decode(encode(shared, NOW))
    later = NOW + MAX_LEASE + LIMIT.per
    shared.members["a"].in_flight.clear()

    shared.normalize(later - 0.1)
    assert shared.members
    shared.normalize(later)
    shared.bring_back(remembered, later)

    assert not shared.members
    assert shared.held_until == -math.inf


@settings(max_examples=examples(200))
@given(windows, st.integers(200, 10**9))
def test_a_clock_that_was_set_back_changes_nothing_between_the_times(window: SharedWindow, back: int):
    read = decode(encode(window, NOW))
    now = NOW - back / 1000

    read.follow_clock(now)

    later, before = json.loads(encode(read, now)), json.loads(encode(window, NOW))
    assert before.pop("time") - later.pop("time") == back
    assert later == before


def test_a_cooldown_that_is_over_does_not_come_back_with_the_clock():
    shared = decode(encode(SharedWindow(cooldown_ends_at=NOW - 1, members={"a": member()}), NOW))

    shared.follow_clock(NOW - 100)

    assert shared.decide("a", Priority.BULK, NOW - 100).granted


def test_the_lowest_limit_of_all_counts():
    shared = SharedWindow(members={"a": member(), "b": member(limit=RateLimit(50, per=60.0))})

    assert shared.limit == RateLimit(50, per=60.0)
    assert shared.union(NOW).current_limit(NOW) == 50
