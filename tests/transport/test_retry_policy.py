"""The retry table, row by row, and the waits (backoff, jitter, Retry-After)."""

from collections.abc import Callable

import pytest

from coaching_async import RetryPolicy
from coaching_async._transport.retry_policy import (
    RETRY_TABLE,
    Action,
    Decision,
    Fault,
    Safety,
    cooldown_seconds,
    fault_from_status,
    parse_retry_after,
)

RETRY, ONCE, RAISE, DONE = Action.RETRY, Action.RETRY_ONCE, Action.RAISE, Action.TREAT_AS_DONE

# fault:                SAFE             DELETE            UPDATE            WRITE
ROWS = {
    Fault.NOT_SENT: ((RETRY, "no"), (RETRY, "no"), (RETRY, "no"), (RETRY, "no")),
    Fault.NOT_CONNECTABLE: ((RAISE, "no"), (RAISE, "no"), (RAISE, "no"), (RAISE, "no")),
    Fault.THROTTLED: ((RETRY, "no"), (RETRY, "no"), (RETRY, "no"), (RETRY, "no")),
    Fault.UNAVAILABLE: ((RETRY, "no"), (RETRY, "maybe"), (RETRY, "maybe"), (RAISE, "maybe")),
    Fault.CONNECTION_LOST: ((RETRY, "no"), (RETRY, "maybe"), (RETRY, "maybe"), (RAISE, "maybe")),
    Fault.INVALID_HTTP: ((ONCE, "no"), (ONCE, "maybe"), (ONCE, "maybe"), (RAISE, "maybe")),
    Fault.BODY_TRUNCATED: ((RETRY, "no"), (DONE, "yes"), (RETRY, "yes"), (RAISE, "yes")),
    Fault.BODY_CORRUPT: ((ONCE, "no"), (DONE, "yes"), (ONCE, "yes"), (RAISE, "yes")),
    Fault.UNEXPECTED_STATUS: ((RAISE, "no"), (RAISE, "maybe"), (RAISE, "maybe"), (RAISE, "maybe")),
}


@pytest.mark.parametrize("fault", Fault)
def test_each_row_of_the_table_is_as_designed(fault: Fault):
    assert RETRY_TABLE[fault] == {safety: Decision(*cell) for safety, cell in zip(Safety, ROWS[fault], strict=True)}


def test_a_write_that_may_have_been_carried_out_is_never_retried():
    for fault in Fault:
        decision = RETRY_TABLE[fault][Safety.WRITE]
        assert decision.action is RAISE or decision.processed == "no"


@pytest.mark.parametrize(
    "statuses, fault",
    [
        ((200, 201, 202, 204, 206), None),
        ((400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451), None),
        ((429,), Fault.THROTTLED),
        ((408, 500, 502, 503, 504), Fault.UNAVAILABLE),
        ((101, 301, 302, 303, 304, 307, 308, 501, 505, 599), Fault.UNEXPECTED_STATUS),
    ],
)
def test_each_status_is_a_fault_or_none(statuses: tuple[int, ...], fault: Fault | None):
    assert {fault_from_status(status) for status in statuses} == {fault}


DATE = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    "value, date, seconds",
    [
        (None, None, None),
        ("42", None, 42.0),
        (" 0 ", None, 0.0),
        ("1000000000", None, 1e9),
        ("soon", None, None),
        ("", None, None),
        ("-1", None, None),
        ("1e9", None, None),
        ("NaN", None, None),
        ("inf", None, None),
        ("٣", None, None),
        ("10.0", None, 10.0),
        ("6.5", None, 7.0),
        ("0.0", None, 0.0),
        (".2", None, 1.0),
        ("7.", None, 7.0),
        ("1.2.3", None, None),
        ("9" * 400, None, 1e9),
        ("3, 4", None, 4.0),
        ("30,,x", None, 30.0),
        ("5, Mon, 23 Nov 2026 12:00:30 GMT", DATE, 30.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT, Monday, 23-Nov-26 12:00:40 GMT", DATE, 40.0),
        ("Mon Nov 23 12:00:30 2026", DATE, 30.0),
        ("Mon Nov 23 12:00:30 2026", "Mon Nov 23 12:00:00 2026", 30.0),
        ("Monday, 23-Nov-26 12:00:30 GMT", DATE, 30.0),
        ("Mon, 23 Nov 2026 13:00:30 +0100", DATE, 30.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", DATE, 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", DATE, 0.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", "nonsense", None),
        ("Mon, 99 Nov 2026 12:00:30 GMT", DATE, None),
        ("Mon, 23 Nov 2026 12:00:30", DATE, 30.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", None, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_none(value: str | None, date: str | None, seconds: float | None):
    assert parse_retry_after(value, date) == seconds


def wait(policy: RetryPolicy, fault: Fault, *, failures: int = 1, throttles: int = 1, retry_after: float | None = None):
    return policy.wait(fault, failures=failures, throttles=throttles, retry_after=retry_after, random=lambda: 0.5)


def test_backoff_doubles_with_full_jitter_up_to_its_maximum():
    policy = RetryPolicy(attempts=10)

    waits = [wait(policy, Fault.CONNECTION_LOST, failures=failures) for failures in range(1, 8)]

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_attempts_include_the_first_one():
    policy = RetryPolicy(attempts=4)

    assert wait(policy, Fault.CONNECTION_LOST, failures=3) is not None
    assert wait(policy, Fault.CONNECTION_LOST, failures=4) is None
    assert wait(RetryPolicy(attempts=1), Fault.NOT_SENT, failures=1) is None


def test_retry_after_replaces_a_shorter_backoff():
    assert wait(RetryPolicy(), Fault.UNAVAILABLE, retry_after=7.0) == 7.0
    assert wait(RetryPolicy(), Fault.THROTTLED, throttles=5, retry_after=1.0) == 1.0, "the service knows its limit"


@pytest.mark.parametrize("random, waits", [(lambda: 0.0, [0.5, 1, 2, 4, 8]), (lambda: 0.5, [0.75, 1.5, 3, 6, 12])])
@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNAVAILABLE])
def test_a_retry_after_of_zero_waits_for_the_backoff(fault: Fault, random: Callable[[], float], waits: list[float]):
    policy = RetryPolicy(attempts=10)

    counts = [{"failures": count, "throttles": count} for count in range(1, 6)]

    assert [policy.wait(fault, **count, retry_after=0.0, random=random) for count in counts] == waits


def test_a_retry_after_shorter_than_the_backoff_is_extended_after_a_failure():
    assert wait(RetryPolicy(), Fault.UNAVAILABLE, failures=3, retry_after=1.0) == 3.0


def test_a_429_without_retry_after_waits_three_seconds():
    assert wait(RetryPolicy(), Fault.THROTTLED) == 3.0
    assert cooldown_seconds(None) == 3.0


def test_429s_are_counted_apart_from_failures():
    assert wait(RetryPolicy(), Fault.THROTTLED, failures=99, throttles=5) is not None
    assert wait(RetryPolicy(), Fault.THROTTLED, throttles=6) is None


def test_a_retry_after_above_the_maximum_is_not_waited_for():
    assert wait(RetryPolicy(), Fault.THROTTLED, retry_after=181.0) is None
    assert wait(RetryPolicy(max_retry_after=200), Fault.THROTTLED, retry_after=181.0) == 181.0
    assert cooldown_seconds(86400.0) == 180.0


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"max_backoff": -1}, {"throttle_waits": -1}, {"max_retry_after": -1}]
)
def test_an_invalid_policy_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy(**wrong)
