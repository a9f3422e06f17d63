"""The retry table's edges: the last status of a range, the last second that is waited for, the last retry of a budget."""

import math

import pytest

from coaching_async import RetryPolicy
from coaching_async._transport.retry_policy import Fault, RetryBudget, fault_from_status, parse_retry_after


@pytest.mark.parametrize(
    "last, first, before, after",
    [
        (199, 200, Fault.UNEXPECTED_STATUS, None),
        (299, 300, None, Fault.UNEXPECTED_STATUS),
        (399, 400, Fault.UNEXPECTED_STATUS, None),
        (499, 501, None, Fault.UNEXPECTED_STATUS),
    ],
)
def test_a_range_of_statuses_ends_where_the_next_begins(
    last: int, first: int, before: Fault | None, after: Fault | None
):
    assert (fault_from_status(last), fault_from_status(first)) == (before, after)


def test_the_longest_wait_that_is_allowed_is_begun():
    policy = RetryPolicy(max_retry_after=5.0)

    for fault in (Fault.THROTTLED, Fault.UNAVAILABLE):
        waits = [
            policy.wait(fault, failures=1, throttles=1, retry_after=seconds, random=lambda: 0.0)
            for seconds in (5.0, math.nextafter(5.0, 6.0))
        ]
        assert waits == [5.0, None]


def test_there_is_no_attempt_beyond_the_last():
    policy = RetryPolicy(attempts=2)

    waits = [
        policy.wait(Fault.CONNECTION_LOST, failures=failures, throttles=0, retry_after=None, random=lambda: 0.0)
        for failures in (1, 2, 3)
    ]

    assert waits == [0, None, None]


def test_the_least_policy_tries_once_and_waits_for_nothing():
    policy = RetryPolicy(attempts=1, max_backoff=0, throttle_waits=0, max_retry_after=0)

    assert policy.wait(Fault.NOT_SENT, failures=1, throttles=0, retry_after=None, random=lambda: 0.5) is None
    assert policy.wait(Fault.THROTTLED, failures=0, throttles=1, retry_after=0, random=lambda: 0.5) is None


def failures(budget: RetryBudget, count: int) -> list[bool]:
    return [budget.failed() for _ in range(count)]


def test_a_budget_allows_retries_down_to_its_half_and_not_at_it():
    budget = RetryBudget()

    assert failures(budget, 11) == [True] * 9 + [False] * 2


def test_a_budget_that_is_used_up_holds_nothing_and_owes_nothing():
    budget = RetryBudget()

    failures(budget, 50)

    assert budget.left == 0


def test_a_budget_gets_a_tenth_back_for_each_success_up_to_what_it_was():
    budget = RetryBudget()
    failures(budget, 10)

    budget.succeeded()
    assert budget.left == pytest.approx(10.1)

    for _ in range(200):
        budget.succeeded()
    assert budget.left == 20


def test_a_date_in_the_far_past_is_no_wait_at_all():
    assert parse_retry_after("Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT") == 0
