import anyio
import httpx
import pytest

from coaching_async import AuthError, OutcomeUnknown, RateLimit, RateLimited, RetryPolicy, TransportError
from coaching_async._auth.bearer import BearerAuthMiddleware
from coaching_async._events import RetryScheduled
from coaching_async._transport.messages import BodyError, Request, Response, SendError
from coaching_async._transport.rate_limit import RateLimiter, RateLimitMiddleware
from coaching_async._transport.retry import RetryMiddleware
from coaching_async._transport.retry_policy import RETRY_TABLE, Action, Fault, RetryBudget, Safety
from coaching_async._transport.throttling import Cooldown
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
async def test_the_loop_does_what_the_table_says(fault: Fault, safety: Safety):
    script, request = Script(outcome(fault), 200), request_of(safety)
    verdict = RETRY_TABLE[fault][safety]

    if verdict.action is Action.RAISE and isinstance(outcome(fault), SendError):
        with pytest.raises(TransportError) as caught:
            await retrying(script)(request)
        assert isinstance(caught.value, OutcomeUnknown) == (verdict.processed != "no")
        assert isinstance(caught.value.__cause__, httpx.ReadError)
        assert caught.value.__context__ is None
    else:
        stopped = outcome(fault)  # an answer
        answer = await retrying(script)(request)
        if verdict.action is Action.RAISE:
            assert answer == stopped or answer.status == stopped
        else:
            assert answer.status == (204 if verdict.action is Action.TREAT_AS_DONE else 200)

    again = verdict.action in {Action.RETRY, Action.RETRY_ONCE}
    assert len(script.sent) == (2 if again else 1)
    if not again:
        assert request.call.processed == verdict.processed


@pytest.mark.parametrize("first", [failure(Fault.INVALID_HTTP), failure(Fault.CONNECTION_LOST)])
async def test_what_may_be_sent_once_more_is_not_sent_a_third_time(first: Outcome):
    script = Script(first, failure(Fault.INVALID_HTTP))

    with pytest.raises(TransportError):
        await retrying(script)(request_of())

    assert len(script.sent) == 2


async def test_retries_stop_when_too_little_goes_well_and_go_on_when_it_does_again():
    script, requests = Script(503), 0
    layer = retrying(script)
    for _ in range(500):
        await layer(request_of())
        requests += 1
    assert len(script.sent) <= requests + 10

    script.outcomes = [200]
    for _ in range(120):
        await layer(request_of())
    script.outcomes, script.sent = [503, 200], []
    assert (await layer(request_of())).status == 200


async def test_429s_do_not_use_up_what_retries_draw_on():
    layer = retrying(Script(throttled("1"), throttled("1"), 200))
    for _ in range(30):
        await layer(request_of())

    assert layer.retry_budget.left == RetryBudget.FULL


async def test_it_gives_up_after_as_many_attempts_as_the_policy_has():
    script = Script(failure(Fault.CONNECTION_LOST))
    with pytest.raises(TransportError, match=r"tests\.call: no answer from api\.test: cut"):
        await retrying(script)(request_of(policy=RetryPolicy(attempts=4)))
    assert len(script.sent) == 4

    script = Script(503)
    assert (await retrying(script)(request_of(policy=RetryPolicy(attempts=2)))).status == 503
    assert len(script.sent) == 2


async def test_it_waits_between_attempts_and_says_so():
    events: list[object] = []
    start = anyio.current_time()

    await retrying(Script(503, failure(Fault.CONNECTION_LOST), 200))(request_of(events=events))

    assert anyio.current_time() - start == pytest.approx(0.5 + 1.0)
    assert events == [
        RetryScheduled("tests.call", 0, 0.5, "503"),
        RetryScheduled("tests.call", 0, 1.0, "ReadError"),
    ]


class Told(Cooldown):
    """Remembers how long it was told to last."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[float] = []

    def start(self, seconds: float) -> None:
        self.told.append(seconds)


async def test_429s_are_waited_for_apart_from_faults_and_told_to_everybody():
    script = Script(throttled("3"), throttled(), throttled("3"), 503, 200)
    start = anyio.current_time()

    response = await retrying(script, cooldown=(pause := Told()))(
        request_of(Safety.WRITE, policy=RetryPolicy(attempts=2))
    )

    assert response.status == 503  # a write is not sent again after that
    assert anyio.current_time() - start == pytest.approx(9)
    assert pause.told == [3, 3, 3]
    assert {request.cooldown for request in script.sent} == {pause}


async def test_an_endless_429_ends():
    script = Script(throttled("1"))

    assert (await retrying(script)(request_of())).status == 429
    assert len(script.sent) == 6


@pytest.mark.parametrize("header", ["86400", "999999999999999999999"])
async def test_a_429_for_a_day_is_not_waited_for(header: str):
    start = anyio.current_time()

    response = await retrying(Script(throttled(header)), cooldown=(pause := Told()))(request_of())

    assert (response.status, anyio.current_time() - start) == (429, 0)
    assert pause.told == [180]


async def test_no_wait_is_begun_that_the_deadline_would_cut():
    script = Script(throttled("10"))
    start = anyio.current_time()

    with anyio.fail_after(5):
        assert (await retrying(script)(request_of())).status == 429

    assert anyio.current_time() == start
    assert len(script.sent) == 1


@pytest.mark.parametrize("unclear", [failure(Fault.CONNECTION_LOST), 503, 408])
@pytest.mark.parametrize("gone", [404, 410])
async def test_a_delete_that_finds_nothing_after_an_unclear_attempt_is_done(unclear: Outcome, gone: int):
    assert (await retrying(Script(unclear, gone))(request_of(Safety.DELETE))).status == 204


async def test_a_delete_that_finds_nothing_at_first_is_not():
    assert (await retrying(Script(404))(request_of(Safety.DELETE))).status == 404
    assert (
        await retrying(Script(throttled("1"), failure(Fault.NOT_SENT), 404))(request_of(Safety.DELETE))
    ).status == 404


async def test_a_lost_delete_stays_unclear_whatever_comes_after():
    script = Script(failure(Fault.CONNECTION_LOST), failure(Fault.NOT_SENT))

    with pytest.raises(OutcomeUnknown, match="Look before you send it again") as caught:
        await retrying(script)(request_of(Safety.DELETE))

    assert caught.value.processed == "maybe"
    assert len(script.sent) == 4


async def test_a_write_that_was_answered_was_carried_out():
    request = request_of(Safety.WRITE)
    await retrying(Script(201))(request)
    assert request.call.processed == "yes"

    request = request_of(Safety.WRITE)
    await retrying(Script(400))(request)
    assert request.call.processed == "no"


class Tokens:
    """Gives t1, then, when that is rejected, t2, and no other."""

    def __init__(self) -> None:
        self.rejected: list[str] = []

    async def token(self, rejected: str | None = None) -> str:
        self.rejected += [rejected] if rejected else []
        return "t2" if self.rejected else "t1"


def signatures(script: Script) -> list[str]:
    return [request.headers["Authorization"] for request in script.sent]


async def test_a_request_is_signed():
    script = Script(200)

    await BearerAuthMiddleware(script, Tokens())(request_of())

    assert signatures(script) == ["Bearer t1"]


async def test_a_rejected_token_is_replaced_and_the_request_sent_once_more_a_write_too():
    script, tokens = Script(401, 200), Tokens()

    response = await BearerAuthMiddleware(script, tokens)(request_of(Safety.WRITE))

    assert response.status == 200
    assert signatures(script) == ["Bearer t1", "Bearer t2"]
    assert tokens.rejected == ["t1"]


async def test_a_second_401_goes_to_the_caller():
    script = Script(401)

    assert (await BearerAuthMiddleware(script, Tokens())(request_of())).status == 401
    assert len(script.sent) == 2


async def test_without_another_token_there_is_no_second_try():
    class OneToken:
        async def token(self, rejected: str | None = None) -> str:
            return "only"

    script = Script(401)

    assert (await BearerAuthMiddleware(script, OneToken())(request_of())).status == 401
    assert len(script.sent) == 1


async def test_pacing_takes_a_permit_for_each_request():
    class Counting(Script):
        async def __call__(self, request: Request) -> Response:
            request.call.attempts += 1
            return await super().__call__(request)

    paced = RateLimitMiddleware(Counting(200), RateLimiter(RateLimit(2, per=10.0)))
    start = anyio.current_time()

    for _ in range(3):
        await paced(request_of())

    assert anyio.current_time() - start == pytest.approx(10)


async def test_pacing_charges_nothing_for_what_was_not_sent():
    paced = RateLimitMiddleware(Script(AuthError("no")), RateLimiter(RateLimit(2, per=10.0)))

    with anyio.fail_after(1):
        for _ in range(10):
            with pytest.raises(AuthError):
                await paced(request_of())


@pytest.mark.parametrize("token", ["", "a\n", "é", "a b", None, 5])
async def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: object):
    class Source:
        async def token(self, rejected: str | None = None) -> str:
            return token  # type: ignore[return-value]

    script = Script(200)
    with pytest.raises(AuthError, match="the token source gave no access token") as caught:
        await BearerAuthMiddleware(script, Source())(request_of())

    assert script.sent == []
    assert not token or str(token) not in str(caught.value)


@pytest.mark.parametrize("then", [RateLimited("no room"), AuthError("no token"), 401, throttled("999")])
async def test_a_delete_for_whose_next_attempt_there_is_no_way_is_unclear(then: Outcome):
    script = Script(failure(Fault.CONNECTION_LOST), then)

    with pytest.raises(OutcomeUnknown, match="an attempt may have been carried out") as caught:
        await retrying(script)(request_of(Safety.DELETE))
    assert (caught.value.processed, caught.value.__context__) == ("maybe", None)

    if isinstance(then, Exception):
        with pytest.raises(type(then)):
            await retrying(Script(then))(request_of(Safety.DELETE))
    else:
        assert (await retrying(Script(then))(request_of(Safety.DELETE))).status in {401, 429}


async def test_nothing_of_a_request_or_an_answer_shows_but_what_may():
    request = request_of().with_header("Authorization", "Bearer s3cret")
    response = Response(200, httpx.Headers({"x": "s3cret"}), b"s3cret")

    assert "s3cret" not in f"{request!r} {response!r}"
    assert isinstance(request, Request)
    assert SendError(Fault.CONNECTION_LOST, httpx.ReadError("cut")).args == ("cut",)


async def test_one_calls_policy_does_not_shorten_everybodys_pause():
    policy = RetryPolicy(max_retry_after=0.5)

    await retrying(Script(throttled("30")), cooldown=(pause := Told()))(request_of(policy=policy))

    assert pause.told == [30]
