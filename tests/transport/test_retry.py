import anyio
import httpx
import pytest

from coaching_async import AuthError, OutcomeUnknown, RateLimited, RetryPolicy, TransportError
from coaching_async._events import RetryScheduled
from coaching_async._transport.cooldown import Cooldown
from coaching_async._transport.messages import BodyError, Request, Response, SendError
from coaching_async._transport.retry import RetryMiddleware
from coaching_async._transport.retry_policy import RETRY_TABLE, Action, Fault, RetryBudget, Safety
from tests.support.doubles import Outcome, Script, failure, request_of, throttled

pytestmark = pytest.mark.anyio


def retrying(script: Script, **options) -> RetryMiddleware:
    return RetryMiddleware(script, random=lambda: 0.5, **options)


def outcome(fault: Fault) -> Outcome:
    by_status = {
        Fault.THROTTLED: throttled("1"),
        Fault.UNAVAILABLE: 503,
        Fault.UNEXPECTED_STATUS: 302,
        Fault.BODY_CORRUPT: Response(200, body_error=BodyError("broken", is_transient=True)),
    }
    return by_status.get(fault) or failure(fault)


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("fault", Fault)
async def test_the_middleware_follows_the_retry_table(fault: Fault, safety: Safety):
    script, request = Script(outcome(fault), 200), request_of(safety)
    decision = RETRY_TABLE[fault][safety]

    if decision.action is Action.RAISE and isinstance(outcome(fault), SendError):
        with pytest.raises(TransportError) as caught:
            await retrying(script)(request)
        assert isinstance(caught.value, OutcomeUnknown) == (decision.processed != "no")
        assert isinstance(caught.value.__cause__, httpx.ReadError)
        assert caught.value.__context__ is None
    else:
        final = outcome(fault)  # a response
        response = await retrying(script)(request)
        if decision.action is Action.RAISE:
            assert response == final or response.status == final
        else:
            assert response.status == (204 if decision.action is Action.TREAT_AS_DONE else 200)

    is_retried = decision.action in {Action.RETRY, Action.RETRY_ONCE}
    assert len(script.sent) == (2 if is_retried else 1)
    if not is_retried:
        assert request.call.processed == decision.processed


@pytest.mark.parametrize("first", [failure(Fault.INVALID_HTTP), failure(Fault.CONNECTION_LOST)])
async def test_a_fault_that_may_be_retried_once_is_not_retried_twice(first: Outcome):
    script = Script(first, failure(Fault.INVALID_HTTP))

    with pytest.raises(TransportError):
        await retrying(script)(request_of())

    assert len(script.sent) == 2


async def test_retries_stop_when_too_few_requests_succeed_and_resume_when_enough_do():
    script, requests = Script(503), 0
    middleware = retrying(script)
    for _ in range(500):
        await middleware(request_of())
        requests += 1
    assert len(script.sent) <= requests + 10

    script.outcomes = [200]
    for _ in range(120):
        await middleware(request_of())
    script.outcomes, script.sent = [503, 200], []
    assert (await middleware(request_of())).status == 200


async def test_429s_do_not_use_up_the_retry_budget():
    middleware = retrying(Script(throttled("1"), throttled("1"), 200))
    for _ in range(30):
        await middleware(request_of())

    assert middleware.retry_budget.left == RetryBudget.FULL


async def test_the_policy_bounds_the_number_of_attempts():
    script = Script(failure(Fault.CONNECTION_LOST))
    with pytest.raises(TransportError, match=r"tests\.call: no answer from api\.test: cut"):
        await retrying(script)(request_of(policy=RetryPolicy(attempts=4)))
    assert len(script.sent) == 4

    script = Script(503)
    assert (await retrying(script)(request_of(policy=RetryPolicy(attempts=2)))).status == 503
    assert len(script.sent) == 2


async def test_a_reason_that_ends_with_a_full_stop_gets_no_second_one():
    disconnected = SendError(Fault.CONNECTION_LOST, httpx.RemoteProtocolError("Server disconnected."))

    with pytest.raises(OutcomeUnknown, match=r"Server disconnected\. Look before"):
        await retrying(Script(disconnected))(request_of(Safety.WRITE))


async def test_each_wait_between_attempts_is_an_event():
    events: list[object] = []
    start = anyio.current_time()

    await retrying(Script(503, failure(Fault.CONNECTION_LOST), 200))(request_of(events=events))

    assert anyio.current_time() - start == pytest.approx(0.5 + 1.0)
    assert events == [
        RetryScheduled("tests.call", 0, 0.5, "503"),
        RetryScheduled("tests.call", 0, 1.0, "ReadError"),
    ]


class RecordingCooldown(Cooldown):
    """Records the seconds that it is started with."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[float] = []

    def start(self, seconds: float) -> None:
        self.started.append(seconds)


async def test_429s_are_counted_apart_from_failures_and_each_starts_the_shared_cooldown():
    script = Script(throttled("3"), throttled(), throttled("3"), 503, 200)
    start = anyio.current_time()

    response = await retrying(script, cooldown=(cooldown := RecordingCooldown()))(
        request_of(Safety.WRITE, policy=RetryPolicy(attempts=2))
    )

    assert response.status == 503  # a write is not retried after that
    assert anyio.current_time() - start == pytest.approx(9)
    assert cooldown.started == [3, 3, 3]
    assert {request.cooldown for request in script.sent} == {cooldown}


async def test_the_policy_bounds_the_number_of_waits_after_a_429():
    script = Script(throttled("1"))

    assert (await retrying(script)(request_of())).status == 429
    assert len(script.sent) == 6


@pytest.mark.parametrize("header", ["86400", "999999999999999999999"])
async def test_a_retry_after_of_a_day_is_not_waited_for(header: str):
    start = anyio.current_time()

    response = await retrying(Script(throttled(header)), cooldown=(cooldown := RecordingCooldown()))(request_of())

    assert (response.status, anyio.current_time() - start) == (429, 0)
    assert cooldown.started == [180]


async def test_a_wait_that_would_exceed_the_deadline_does_not_start():
    script = Script(throttled("10"))
    start = anyio.current_time()

    with anyio.fail_after(5):
        assert (await retrying(script)(request_of())).status == 429

    assert anyio.current_time() == start
    assert len(script.sent) == 1


@pytest.mark.parametrize("uncertain", [failure(Fault.CONNECTION_LOST), 503, 408])
@pytest.mark.parametrize("gone", [404, 410])
async def test_a_delete_that_finds_nothing_after_an_uncertain_attempt_is_done(uncertain: Outcome, gone: int):
    assert (await retrying(Script(uncertain, gone))(request_of(Safety.DELETE))).status == 204


async def test_a_delete_that_finds_nothing_at_its_first_attempt_is_not_done():
    assert (await retrying(Script(404))(request_of(Safety.DELETE))).status == 404
    assert (
        await retrying(Script(throttled("1"), failure(Fault.NOT_SENT), 404))(request_of(Safety.DELETE))
    ).status == 404


async def test_a_lost_delete_stays_uncertain_after_other_failures():
    script = Script(failure(Fault.CONNECTION_LOST), failure(Fault.NOT_SENT))

    with pytest.raises(OutcomeUnknown, match="Look before you send it again") as caught:
        await retrying(script)(request_of(Safety.DELETE))

    assert caught.value.processed == "maybe"
    assert len(script.sent) == 4


async def test_a_write_with_a_successful_response_was_carried_out():
    request = request_of(Safety.WRITE)
    await retrying(Script(201))(request)
    assert request.call.processed == "yes"

    request = request_of(Safety.WRITE)
    await retrying(Script(400))(request)
    assert request.call.processed == "no"


@pytest.mark.parametrize("next_outcome", [RateLimited("no room"), AuthError("no token"), 401, throttled("999")])
async def test_a_lost_delete_that_cannot_be_sent_again_is_uncertain(next_outcome: Outcome):
    script = Script(failure(Fault.CONNECTION_LOST), next_outcome)

    with pytest.raises(OutcomeUnknown, match="an attempt may have been carried out") as caught:
        await retrying(script)(request_of(Safety.DELETE))
    assert (caught.value.processed, caught.value.__context__) == ("maybe", None)

    if isinstance(next_outcome, Exception):
        with pytest.raises(type(next_outcome)):
            await retrying(Script(next_outcome))(request_of(Safety.DELETE))
    else:
        assert (await retrying(Script(next_outcome))(request_of(Safety.DELETE))).status in {401, 429}


async def test_request_and_response_do_not_show_headers_or_content():
    request = request_of().with_header("Authorization", "Bearer s3cret")
    response = Response(200, httpx.Headers({"x": "s3cret"}), b"s3cret")

    assert "s3cret" not in f"{request!r} {response!r}"
    assert isinstance(request, Request)
    assert SendError(Fault.CONNECTION_LOST, httpx.ReadError("cut")).args == ("cut",)


async def test_the_policy_of_one_call_does_not_shorten_the_shared_cooldown():
    policy = RetryPolicy(max_retry_after=0.5)

    await retrying(Script(throttled("30")), cooldown=(cooldown := RecordingCooldown()))(request_of(policy=policy))

    assert cooldown.started == [30]
