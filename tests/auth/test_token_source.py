import base64
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import AccessToken, AuthError, ClientCredentials, RetryPolicy
from coaching_async._auth.token_endpoint import NormalizeThrottlingMiddleware
from coaching_async._auth.token_endpoint import TokenEndpoint as Posting
from coaching_async._auth.token_source import CachedTokenSource
from coaching_async._events import TokenIssued
from coaching_async._transport.messages import Response
from coaching_async._transport.retry import RetryMiddleware
from coaching_async._transport.retry_policy import Safety
from tests.support.doubles import Script

pytestmark = pytest.mark.anyio

SECRET = "s3cret+é%:"


def token_answer(text: str = "t1", **fields: Any) -> Response:
    import json

    body = {"access_token": text, "token_type": "bearer", "expires_in": 1000} | fields
    return Response(200, content=json.dumps({k: v for k, v in body.items() if v is not None}).encode())


def refusal(error: str, text: str = "no", status: int = 400) -> Response:
    return Response(status, httpx.Headers(), f'{{"error": "{error}", "error_description": "{text}"}}'.encode())


class Login(Script):
    """A login host that takes a second to answer."""

    async def __call__(self, request) -> Response:
        await anyio.sleep(1)
        return await super().__call__(request)


def keeper(script: Script, events: list[object] | None = None) -> CachedTokenSource:
    emit = (lambda _: None) if events is None else events.append
    return CachedTokenSource(
        ClientCredentials("id", SECRET), Posting("https://login.test/oauth/token", script, emit, RetryPolicy())
    )


async def test_the_token_request_is_what_the_rfc_says():
    script = Script(token_answer())
    await keeper(script).token()

    request = script.sent[0]
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()

    assert (request.method, request.url) == ("POST", "https://login.test/oauth/token")
    assert request.content == b"grant_type=client_credentials"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert pair == "id:s3cret%2B%C3%A9%25%3A"  # form-encoded before Basic, RFC 6749 §2.3.1
    assert request.safety is Safety.SAFE


async def test_a_thousand_cold_calls_mint_one_token():
    script, events = Login(token_answer()), list[object]()
    shared, got = keeper(script, events), list[str]()

    async def ask() -> None:
        got.append(await shared.token())

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(ask)

    assert got == ["t1"] * 1000
    assert len(script.sent) == 1
    assert events == [TokenIssued(1000.0)]


async def test_a_thousand_tasks_whose_token_is_rejected_mint_one():
    script = Login(token_answer("t1"), token_answer("t2"))
    shared, got = keeper(script), list[str]()
    await shared.token()

    async def ask(delay: float) -> None:
        await anyio.sleep(delay)
        got.append(await shared.token(rejected="t1"))

    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(ask, number / 100)  # some long after the new one has come

    assert got == ["t2"] * 1000
    assert len(script.sent) == 2


async def test_when_the_one_who_fetches_is_cancelled_the_next_takes_over():
    script = Login(token_answer())
    shared, got = keeper(script), list[str]()

    async def ask() -> None:
        got.append(await shared.token())

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.5):
            async with anyio.create_task_group() as first:
                first.start_soon(ask)
                await anyio.sleep(0.1)
                tasks.start_soon(ask)
                await anyio.sleep_forever()

    assert got == ["t1"]
    assert len(script.sent) == 1  # the first one never got through


async def test_a_token_is_renewed_when_a_tenth_of_its_life_is_left():
    script = Script(token_answer("t1", expires_in=100), token_answer("t2"))
    shared = keeper(script)

    assert await shared.token() == "t1"
    await anyio.sleep(89)
    assert await shared.token() == "t1"
    await anyio.sleep(1)
    assert await shared.token() == "t2"


async def test_a_long_life_is_renewed_five_minutes_early():
    script = Script(token_answer("t1", expires_in=86400), token_answer("t2"))
    shared = keeper(script)
    await shared.token()

    await anyio.sleep(86400 - 301)
    assert await shared.token() == "t1"
    await anyio.sleep(2)
    assert await shared.token() == "t2"


async def test_while_one_renews_ahead_of_time_the_others_go_on():
    script = Login(token_answer("t1", expires_in=100), token_answer("t2"))
    shared, got = keeper(script), list[str]()
    await shared.token()
    await anyio.sleep(92)

    async with anyio.create_task_group() as tasks:

        async def renew() -> None:
            got.append(await shared.token())

        tasks.start_soon(renew)
        await anyio.sleep(0.5)
        assert await shared.token() == "t1"

    assert got == ["t2"]


async def test_when_renewing_ahead_of_time_fails_the_old_one_serves_on_and_the_next_try_comes_later():
    script = Script(token_answer("t1", expires_in=1000), refusal("server_error", status=503), token_answer("t2"))
    shared = keeper(script)
    await shared.token()

    await anyio.sleep(901)
    assert await shared.token() == "t1"
    assert await shared.token() == "t1"
    assert len(script.sent) == 2
    await anyio.sleep(11)
    assert await shared.token() == "t2"


async def test_a_login_host_that_stalls_ahead_of_time_costs_no_call():
    class Stalling(Script):
        async def __call__(self, request) -> Response:
            if self.sent:
                await anyio.sleep(3600)
            return await super().__call__(request)

    shared = keeper(Stalling(token_answer("t1", expires_in=1000)))
    await shared.token()
    await anyio.sleep(901)
    started = anyio.current_time()

    assert await shared.token() == "t1"
    assert anyio.current_time() - started == 5
    assert await shared.token() == "t1"
    assert anyio.current_time() - started == 5


async def test_a_refusal_ahead_of_time_is_not_held_against_the_credentials():
    script = Script(token_answer("t1", expires_in=1000), refusal("invalid_client"), token_answer("t2"))
    shared = keeper(script)
    await shared.token()
    await anyio.sleep(901)
    assert await shared.token() == "t1"

    await anyio.sleep(100)

    assert await shared.token() == "t2"


async def test_a_failure_is_told_to_all_who_wait_and_forgotten_soon():
    script = Login(refusal("server_error", status=500), token_answer("t1"))
    shared, failures = keeper(script), list[AuthError]()

    async def ask() -> None:
        try:
            await shared.token()
        except AuthError as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(ask)

    assert len(failures) == 30
    assert len(script.sent) == 1
    await anyio.sleep(4)
    assert await shared.token() == "t1"


async def test_an_expired_token_is_not_served_whatever_happens():
    script = Script(token_answer("t1", expires_in=10), refusal("server_error", status=503))
    shared = keeper(script)
    await shared.token()

    await anyio.sleep(10)

    with pytest.raises(AuthError, match="503 server_error no"):
        await shared.token()


async def test_a_life_starts_before_the_request_for_it():
    script = Login(token_answer("t1", expires_in=10), token_answer("t2"))
    shared = keeper(script)
    await shared.token()  # takes a second

    await anyio.sleep(8.5)

    assert await shared.token() == "t2"


@pytest.mark.parametrize(
    "answer",
    [refusal("invalid_client"), refusal("invalid_grant"), refusal("unauthorized_client"), refusal("x", status=401)],
)
async def test_credentials_that_are_refused_are_not_offered_again(answer: Response):
    script = Script(answer)
    shared = keeper(script)

    for _ in range(10):
        await anyio.sleep(3600)
        with pytest.raises(AuthError, match="the login host gives no token") as caught:
            await shared.token()

    assert len(script.sent) == 1
    assert caught.value.code == script.outcomes[0].content.decode().split('"')[3]  # type: ignore[union-attr]


async def test_the_login_hosts_own_rate_limit_is_waited_for():
    script = Script(refusal("invalid_request", "rate limit exceeded; wait a little"), token_answer())
    start = anyio.current_time()

    assert await keeper(RetryMiddleware(NormalizeThrottlingMiddleware(script))).token() == "t1"  # type: ignore[arg-type]

    assert anyio.current_time() - start == pytest.approx(3)


async def test_an_unclear_token_request_is_sent_again():
    script = Script(503, httpx_cut(), token_answer())

    assert await keeper(RetryMiddleware(NormalizeThrottlingMiddleware(script))).token() == "t1"  # type: ignore[arg-type]


def httpx_cut():
    from coaching_async._transport.retry_policy import Fault
    from tests.support.doubles import failure

    return failure(Fault.CONNECTION_LOST)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, content=b"<html>s3cret</html>"),
        Response(200, content=b"[]"),
        token_answer("s3cret\r\nX: y"),
        token_answer("s3cret s3cret"),
        token_answer("s3crét"),
        token_answer(""),
        token_answer(None),  # type: ignore[arg-type]
        token_answer(token_type="mac"),
        token_answer(token_type=5),
        token_answer(expires_in=0),
        token_answer(expires_in=-5),
        token_answer(expires_in="abc"),
        token_answer(expires_in=1e999 if False else True),
        Response(200, content=b'{"access_token": "s3cret", "expires_in": 1e999}'),
        Response(200, content=b'{"access_token": "s3cret", "expires_in": 1' + b"0" * 400 + b"}"),
    ],
)
async def test_an_answer_that_is_no_token_is_refused_without_being_shown(answer: Response):
    with pytest.raises(AuthError, match="the login host's answer is no token") as caught:
        await keeper(Script(answer)).token()

    assert "s3cr" not in str(caught.value)


async def test_a_life_that_is_not_told_is_an_hour():
    script = Script(token_answer("t1", expires_in=None, token_type=None), token_answer("t2"))
    shared = keeper(script)
    await shared.token()

    await anyio.sleep(3600 - 301)
    assert await shared.token() == "t1"
    await anyio.sleep(2)
    assert await shared.token() == "t2"


async def test_examples_of_the_contract_are_understood(example: Any):
    import json

    for name, text in (
        ("token", "invented-access-token-0123456789abcdefghijklmnopqrstuvwxyz"),
        ("token_with_refresh", "invented-access-token-code-grant"),
    ):
        assert await keeper(Script(Response(200, content=json.dumps(example(name)).encode()))).token() == text
    with pytest.raises(AuthError, match="400 invalid_client unknown client"):
        await keeper(Script(Response(400, content=json.dumps(example("oauth_error_400")).encode()))).token()
    limited = Response(400, content=json.dumps(example("oauth_error_400_rate_limit")).encode())
    from tests.support.doubles import request_of

    assert (await NormalizeThrottlingMiddleware(Script(limited))(request_of())).status == 429


async def test_a_token_somebody_else_obtained_is_used_as_it_is():
    source = AccessToken("abc")

    assert await source.token() == "abc"
    assert await source.token(rejected="abc") == "abc"
    assert "abc" not in repr(source)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nb", "é"])
def test_an_access_token_that_no_header_can_carry_is_refused_without_being_shown(token: str):
    with pytest.raises(ValueError, match=r"credentials are non-empty|an access token has only") as caught:
        AccessToken(token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("pair", [("", "x"), ("x", ""), ("x", None)])
def test_credentials_are_not_empty(pair: Any):
    with pytest.raises(ValueError, match=r"credentials are non-empty|client_id"):
        ClientCredentials(*pair)


def test_credentials_do_not_show_their_secret():
    assert SECRET not in repr(ClientCredentials("id", SECRET))


async def test_a_renewal_during_which_the_old_token_ends_or_is_rejected_fetches_another():
    class Stalling(Script):
        async def __call__(self, request: Any) -> Response:
            answer = await super().__call__(request)
            if len(self.sent) == 2:
                await anyio.sleep(60)
            return answer

    script = Stalling(token_answer("t1", expires_in=3), token_answer("t2"), token_answer("t3"))
    shared, got = keeper(script), list[str]()
    await shared.token()
    await anyio.sleep(2.8)

    async def ask(rejected: str | None = None) -> None:
        got.append(await shared.token(rejected))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.1)
        tasks.start_soon(ask, "t1")

    assert got == ["t3", "t3"]


async def test_that_one_caller_had_no_time_is_not_held_against_the_next():
    limited = Response(429, httpx.Headers({"Retry-After": "2"}), b'{"error": "x"}')
    shared = keeper(RetryMiddleware(Script(limited, token_answer())))  # type: ignore[arg-type]

    with anyio.move_on_after(1), pytest.raises(AuthError, match="429"):
        await shared.token()

    assert await shared.token() == "t1"


async def test_a_renewal_leaves_the_call_half_of_its_time():
    class Stalling(Script):
        async def __call__(self, request: Any) -> Response:
            if self.sent:
                await anyio.sleep(3600)
            return await super().__call__(request)

    shared = keeper(Stalling(token_answer("t1", expires_in=1000)))
    await shared.token()
    await anyio.sleep(901)
    started = anyio.current_time()

    with anyio.fail_after(2):
        assert await shared.token() == "t1"
    assert anyio.current_time() - started == pytest.approx(1)


async def test_credentials_refused_ahead_of_time_are_offered_again_only_when_the_token_has_ended():
    script = Script(token_answer("t1", expires_in=1000), refusal("invalid_client"))
    shared = keeper(script)
    await shared.token()
    await anyio.sleep(901)

    for _ in range(4):
        assert await shared.token() == "t1"
        await anyio.sleep(20)
    assert len(script.sent) == 2
    for _ in range(3):
        await anyio.sleep(100)
        with pytest.raises(AuthError):
            await shared.token()
    assert len(script.sent) == 3


BAD_CREDENTIALS = [
    lambda: AccessToken("s3cret tok"),
    lambda: ClientCredentials("", "s3cret"),
    lambda: ClientCredentials("id", "s3cret\udc80"),
    lambda: ClientCredentials("id\udc80", "s3cret"),
]


@pytest.mark.parametrize("make", BAD_CREDENTIALS)
def test_credentials_that_are_refused_are_in_no_frame_of_the_error(make: Any):
    with pytest.raises(ValueError, match=r"credentials are|client_id is|an access token has only") as caught:
        make()

    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None
    traceback = caught.value.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename != __file__:
            assert "s3cret" not in repr(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
