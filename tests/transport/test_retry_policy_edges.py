"""Limits of the retry policy: first and last status of a range, longest wait, last retry of a budget."""

import math
import time
from collections.abc import Iterator

import pytest

from coaching_async import RetryPolicy
from coaching_async._transport.retry_policy import (
    Fault,
    RetryBudget,
    fault_from_status,
    parse_http_date,
    parse_retry_after,
)


@pytest.mark.parametrize(
    "last, first, before, after",
    [
        (199, 200, Fault.UNEXPECTED_STATUS, None),
        (299, 300, None, Fault.UNEXPECTED_STATUS),
        (399, 400, Fault.UNEXPECTED_STATUS, None),
        (499, 501, None, Fault.UNEXPECTED_STATUS),
    ],
)
def test_a_range_of_statuses_ends_where_the_next_one_starts(
    last: int, first: int, before: Fault | None, after: Fault | None
):
    assert (fault_from_status(last), fault_from_status(first)) == (before, after)


def test_a_retry_after_of_exactly_the_maximum_is_waited_for():
    policy = RetryPolicy(max_retry_after=5.0)

    for fault in (Fault.THROTTLED, Fault.UNAVAILABLE):
        waits = [
            policy.wait(fault, failures=1, throttles=1, retry_after=seconds, random=lambda: 0.0)
            for seconds in (5.0, math.nextafter(5.0, 6.0))
        ]
        assert waits == [5.0, None]


def test_there_is_no_attempt_after_the_last_one():
    policy = RetryPolicy(attempts=2)

    waits = [
        policy.wait(Fault.CONNECTION_LOST, failures=failures, throttles=0, retry_after=None, random=lambda: 0.0)
        for failures in (1, 2, 3)
    ]

    assert waits == [0, None, None]


def test_the_smallest_policy_makes_one_attempt_and_never_waits():
    policy = RetryPolicy(attempts=1, max_backoff=0, throttle_waits=0, max_retry_after=0)

    assert policy.wait(Fault.NOT_SENT, failures=1, throttles=0, retry_after=None, random=lambda: 0.5) is None
    assert policy.wait(Fault.THROTTLED, failures=0, throttles=1, retry_after=0, random=lambda: 0.5) is None


def failures(budget: RetryBudget, count: int) -> list[bool]:
    return [budget.failed() for _ in range(count)]


def test_the_budget_allows_retries_while_more_than_half_is_left():
    budget = RetryBudget()

    assert failures(budget, 11) == [True] * 9 + [False] * 2


def test_an_exhausted_budget_is_zero_and_not_negative():
    budget = RetryBudget()

    failures(budget, 50)

    assert budget.left == 0


def test_each_success_refunds_a_tenth_up_to_the_full_budget():
    budget = RetryBudget()
    failures(budget, 10)

    budget.succeeded()
    assert budget.left == pytest.approx(10.1)

    for _ in range(200):
        budget.succeeded()
    assert budget.left == 20


def test_a_date_in_the_far_past_means_no_wait():
    assert parse_retry_after("Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT") == 0


@pytest.fixture
def far_from_gmt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "XYZ-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_gmt")
@pytest.mark.parametrize(
    "text", ["Mon, 23 Nov 2026 12:00:00 GMT", "Mon Nov 23 12:00:00 2026", "Mon, 23 Nov 2026 13:00:00 +0100"]
)
def test_a_date_is_read_and_returned_in_gmt_whatever_the_time_zone_of_the_machine_is(text: str):
    assert str(parse_http_date(text)) == "2026-11-23 12:00:00+00:00"
