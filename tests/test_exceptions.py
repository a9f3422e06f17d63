import copy
import pickle

import pytest

import coaching_async
from coaching_async import (
    Appointment,
    AppointmentReference,
    CoachingError,
    DeadlineExceeded,
    ErrorDetail,
    NotFound,
    OutcomeUnknown,
    ResponseError,
    ServerError,
    TransportError,
)
from coaching_async._exceptions import worst_processed

CLASSES = [
    value
    for name in coaching_async.__all__
    if isinstance(value := getattr(coaching_async, name), type) and issubclass(value, CoachingError)
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_can_be_pickled_and_copied_with_its_attributes(cls: type[CoachingError]):
    error = cls("something happened", processed="maybe")
    error.attempts, error.operation = 3, "appointments.get"
    error.partial = (Appointment(id="1"),)
    error.add_note("a note")

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert str(twin) == "something happened"
        assert twin.args == error.args
        assert vars(twin) == vars(error)


def test_every_error_has_the_attributes_of_its_class():
    error = OutcomeUnknown("x")
    error.reference = AppointmentReference(id="1")
    assert pickle.loads(pickle.dumps(error)).reference == AppointmentReference(id="1")
    answered = NotFound("x")
    answered.status, answered.details = 404, (ErrorDetail(field_name="f"),)
    assert pickle.loads(pickle.dumps(answered)).details == (ErrorDetail(field_name="f"),)


def test_errors_are_also_the_matching_builtin_exceptions():
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert issubclass(coaching_async.ConfigurationError, ValueError)
    assert issubclass(coaching_async.ClientMisuse, RuntimeError)
    assert issubclass(OutcomeUnknown, TransportError)
    assert not issubclass(coaching_async.DecodeError, ValueError)


@pytest.mark.parametrize(
    "status, cls",
    [
        (302, ResponseError),
        (400, coaching_async.BadRequest),
        (401, coaching_async.Unauthorized),
        (403, coaching_async.Forbidden),
        (404, NotFound),
        (405, ResponseError),
        (408, ServerError),
        (409, coaching_async.Conflict),
        (413, ResponseError),
        (429, coaching_async.RateLimited),
        (500, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_exception_class(status: int, cls: type[ResponseError]):
    assert ResponseError.of_status(status) is cls


def test_the_worst_of_two_processed_values_is_the_later_one():
    assert worst_processed("no", "maybe") == worst_processed("maybe", "no") == "maybe"
    assert worst_processed("yes", "maybe") == "yes"
    assert worst_processed("no", "no") == "no"
