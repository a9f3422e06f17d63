"""Problem responses of a web application for errors of the client."""

import inspect

import pytest

import coaching_async
from coaching_async import (
    AuthError,
    ClientMisuse,
    CoachingError,
    ConfigurationError,
    DeadlineExceeded,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    Unauthorized,
)
from coaching_async.integrations._problems import problem

ERRORS = [
    value
    for value in vars(coaching_async).values()
    if inspect.isclass(value) and issubclass(value, CoachingError) and value is not CoachingError
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_a_problem_unless_the_application_caused_it(kind: type[CoachingError]):
    told = problem(kind("in words"))

    if kind in {ClientMisuse, ConfigurationError}:
        assert told is None
    else:
        assert told is not None
        assert told.status == told.body["status"]
        assert told.body["detail"] == "in words"


@pytest.mark.parametrize(
    "kind, status",
    [
        (NotFound, 404),
        (ServerError, 502),
        (OutcomeUnknown, 502),
        (AuthError, 502),
        (RateLimited, 503),
        (DeadlineExceeded, 504),
    ],
)
def test_the_status_distinguishes_errors_of_the_caller_from_those_of_the_service(
    kind: type[CoachingError], status: int
):
    told = problem(kind("in words"))

    assert told is not None
    assert told.status == status


def test_a_problem_of_a_write_states_whether_it_was_carried_out_and_one_of_a_read_does_not():
    read, write = problem(ServerError("in words")), problem(ServerError("in words", processed="maybe"))

    assert read is not None
    assert write is not None
    assert "processed" not in read.body
    assert write.body["processed"] == "maybe"


def test_a_problem_has_the_headers_that_its_status_requires():
    error = RateLimited("in words")
    error.retry_after = 1.2
    limited, unauthorized = problem(error), problem(Unauthorized("in words"))

    assert limited is not None
    assert unauthorized is not None
    assert limited.headers == {"Retry-After": "2"}
    assert unauthorized.headers == {"WWW-Authenticate": "Bearer"}
