"""`CachedTokenSource` and the token endpoint: caching, early refresh, failures, and credentials that are not shown."""

import base64
import json
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import AccessToken, AuthError, ClientCredentials, RetryPolicy
from coaching_async._auth.token_endpoint import NormalizeThrottlingMiddleware, TokenEndpoint
from coaching_async._auth.token_source import CachedTokenSource
from coaching_async._events import TokenIssued
from coaching_async._transport.messages import Response
from coaching_async._transport.retry import RetryMiddleware
from coaching_async._transport.retry_policy import Fault, Safety
from tests.support.doubles import Script, failure, request_of

pytestmark = pytest.mark.anyio

SECRET = "s3cret+é%:"


def token_response(text: str = "t1", **fields: Any) -> Response:
    body = {"access_token": text, "token_type": "bearer", "expires_in": 1000} | fields
    return Response(200, content=json.dumps({k: v for k, v in body.items() if v is not None}).encode())


def error_response(error: str, text: str = "no", status: int = 400) -> Response:
    return Response(status, httpx.Headers(), f'{{"error": "{error}", "error_description": "{text}"}}'.encode())


class SlowTokenEndpoint(Script):
    """A token endpoint that takes a second to respond."""

    async def __call__(self, request) -> Response:
        await anyio.sleep(1)
        return await super().__call__(request)


def new_token_source(script: Script, events: list[object] | None = None) -> CachedTokenSource:
    emit = (lambda _: None) if events is None else events.append
    return CachedTokenSource(
        ClientCredentials("id", SECRET), TokenEndpoint("https://login.test/oauth/token", script, emit, RetryPolicy())
    )


async def test_the_token_request_follows_the_rfc():
    script = Script(token_response())
    await new_token_source(script).token()

    request = script.sent[0]
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()

    assert (request.method, request.url) == ("POST", "https://login.test/oauth/token")
    assert request.content == b"grant_type=client_credentials"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert pair == "id:s3cret%2B%C3%A9%25%3A"  # form-encoded before Basic, RFC 6749 §2.3.1
    assert request.safety is Safety.SAFE


async def test_a_thousand_concurrent_callers_request_one_token():
    script, events = SlowTokenEndpoint(token_response()), list[object]()
    source, tokens = new_token_source(script, events), list[str]()

    async def get_token() -> None:
        tokens.append(await source.token())

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(get_token)

    assert tokens == ["t1"] * 1000
    assert len(script.sent) == 1
    assert events == [TokenIssued(1000.0)]


async def test_a_thousand_callers_whose_token_is_rejected_request_one_new_token():
    script = SlowTokenEndpoint(token_response("t1"), token_response("t2"))
    source, tokens = new_token_source(script), list[str]()
    await source.token()

    async def get_token(delay: float) -> None:
        await anyio.sleep(delay)
        tokens.append(await source.token(rejected="t1"))

    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(get_token, number / 100)  # some of them long after the new token came

    assert tokens == ["t2"] * 1000
    assert len(script.sent) == 2


async def test_if_the_caller_that_requests_a_token_is_cancelled_the_next_one_takes_over():
    script = SlowTokenEndpoint(token_response())
    source, tokens = new_token_source(script), list[str]()

    async def get_token() -> None:
        tokens.append(await source.token())

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.5):
            async with anyio.create_task_group() as first:
                first.start_soon(get_token)
                await anyio.sleep(0.1)
                tasks.start_soon(get_token)
                await anyio.sleep_forever()

    assert tokens == ["t1"]
    assert len(script.sent) == 1  # the first request was never sent


async def test_a_token_is_refreshed_when_a_tenth_of_its_life_is_left():
    script = Script(token_response("t1", expires_in=100), token_response("t2"))
    source = new_token_source(script)

    assert await source.token() == "t1"
    await anyio.sleep(89)
    assert await source.token() == "t1"
    await anyio.sleep(1)
    assert await source.token() == "t2"


async def test_a_long_lived_token_is_refreshed_five_minutes_early():
    script = Script(token_response("t1", expires_in=86400), token_response("t2"))
    source = new_token_source(script)
    await source.token()

    await anyio.sleep(86400 - 301)
    assert await source.token() == "t1"
    await anyio.sleep(2)
    assert await source.token() == "t2"


async def test_while_one_caller_refreshes_early_the_others_use_the_current_token():
    script = SlowTokenEndpoint(token_response("t1", expires_in=100), token_response("t2"))
    source, tokens = new_token_source(script), list[str]()
    await source.token()
    await anyio.sleep(92)

    async with anyio.create_task_group() as tasks:

        async def renew() -> None:
            tokens.append(await source.token())

        tasks.start_soon(renew)
        await anyio.sleep(0.5)
        assert await source.token() == "t1"

    assert tokens == ["t2"]


async def test_after_a_failed_early_refresh_the_current_token_is_used_and_the_next_attempt_comes_later():
    script = Script(
        token_response("t1", expires_in=1000), error_response("server_error", status=503), token_response("t2")
    )
    source = new_token_source(script)
    await source.token()

    await anyio.sleep(901)
    assert await source.token() == "t1"
    assert await source.token() == "t1"
    assert len(script.sent) == 2
    await anyio.sleep(11)
    assert await source.token() == "t2"


async def test_a_token_endpoint_that_stalls_an_early_refresh_fails_no_call():
    class Stalling(Script):
        async def __call__(self, request) -> Response:
            if self.sent:
                await anyio.sleep(3600)
            return await super().__call__(request)

    source = new_token_source(Stalling(token_response("t1", expires_in=1000)))
    await source.token()
    await anyio.sleep(901)
    started = anyio.current_time()

    assert await source.token() == "t1"
    assert anyio.current_time() - started == 5
    assert await source.token() == "t1"
    assert anyio.current_time() - started == 5


async def test_a_refused_early_refresh_does_not_make_the_credentials_unusable():
    script = Script(token_response("t1", expires_in=1000), error_response("invalid_client"), token_response("t2"))
    source = new_token_source(script)
    await source.token()
    await anyio.sleep(901)
    assert await source.token() == "t1"

    await anyio.sleep(100)

    assert await source.token() == "t2"


async def test_a_failure_is_raised_for_all_waiting_callers_and_expires_soon():
    script = SlowTokenEndpoint(error_response("server_error", status=500), token_response("t1"))
    source, failures = new_token_source(script), list[AuthError]()

    async def get_token() -> None:
        try:
            await source.token()
        except AuthError as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(get_token)

    assert len(failures) == 30
    assert len(script.sent) == 1
    await anyio.sleep(4)
    assert await source.token() == "t1"


async def test_an_expired_token_is_never_returned():
    script = Script(token_response("t1", expires_in=10), error_response("server_error", status=503))
    source = new_token_source(script)
    await source.token()

    await anyio.sleep(10)

    with pytest.raises(AuthError, match="503 server_error no"):
        await source.token()


async def test_the_lifetime_of_a_token_starts_before_its_request():
    script = SlowTokenEndpoint(token_response("t1", expires_in=10), token_response("t2"))
    source = new_token_source(script)
    await source.token()  # takes a second

    await anyio.sleep(8.5)

    assert await source.token() == "t2"


@pytest.mark.parametrize(
    "answer",
    [
        error_response("invalid_client"),
        error_response("invalid_grant"),
        error_response("unauthorized_client"),
        error_response("x", status=401),
    ],
)
async def test_credentials_that_were_refused_are_not_sent_again(answer: Response):
    script = Script(answer)
    source = new_token_source(script)

    for _ in range(10):
        await anyio.sleep(3600)
        with pytest.raises(AuthError, match=r"the login host login\.test gives no token") as caught:
            await source.token()

    assert len(script.sent) == 1
    assert caught.value.code == script.outcomes[0].content.decode().split('"')[3]  # type: ignore[union-attr]


async def test_a_request_waits_for_the_rate_limit_of_the_token_endpoint():
    script = Script(error_response("invalid_request", "rate limit exceeded; wait a little"), token_response())
    start = anyio.current_time()

    assert await new_token_source(RetryMiddleware(NormalizeThrottlingMiddleware(script))).token() == "t1"  # type: ignore[arg-type]

    assert anyio.current_time() - start == pytest.approx(3)


async def test_a_client_credentials_request_with_an_unknown_outcome_is_sent_again():
    script = Script(503, connection_lost(), token_response())

    assert await new_token_source(RetryMiddleware(NormalizeThrottlingMiddleware(script))).token() == "t1"  # type: ignore[arg-type]


def connection_lost():
    return failure(Fault.CONNECTION_LOST)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, content=b"<html>s3cret</html>"),
        Response(200, content=b"[]"),
        token_response("s3cret\r\nX: y"),
        token_response("s3cret s3cret"),
        token_response("s3crét"),
        token_response(""),
        token_response(None),  # type: ignore[arg-type]
        token_response(token_type="mac"),
        token_response(token_type=5),
        token_response(expires_in=0),
        token_response(expires_in=-5),
        token_response(expires_in="abc"),
        token_response(expires_in=True),
        Response(200, content=b'{"access_token": "s3cret", "expires_in": 1e999}'),
        Response(200, content=b'{"access_token": "s3cret", "expires_in": 1' + b"0" * 400 + b"}"),
    ],
)
async def test_a_response_without_a_valid_token_raises_an_error_that_does_not_quote_it(answer: Response):
    with pytest.raises(AuthError, match="no token: ") as caught:
        await new_token_source(Script(answer)).token()

    assert "s3cr" not in str(caught.value)


async def test_a_token_without_expires_in_lives_for_an_hour():
    script = Script(token_response("t1", expires_in=None, token_type=None), token_response("t2"))
    source = new_token_source(script)
    await source.token()

    await anyio.sleep(3600 - 301)
    assert await source.token() == "t1"
    await anyio.sleep(2)
    assert await source.token() == "t2"


async def test_the_examples_of_the_contract_are_parsed(example: Any):
    for name, text in (
        ("token", "invented-access-token-0123456789abcdefghijklmnopqrstuvwxyz"),
        ("token_with_refresh", "invented-access-token-code-grant"),
    ):
        assert await new_token_source(Script(Response(200, content=json.dumps(example(name)).encode()))).token() == text
    with pytest.raises(AuthError, match="400 invalid_client unknown client"):
        await new_token_source(Script(Response(400, content=json.dumps(example("oauth_error_400")).encode()))).token()
    limited = Response(400, content=json.dumps(example("oauth_error_400_rate_limit")).encode())
    assert (await NormalizeThrottlingMiddleware(Script(limited))(request_of())).status == 429


async def test_an_access_token_from_elsewhere_is_used_unchanged():
    source = AccessToken("abc")

    assert await source.token() == "abc"
    assert await source.token(rejected="abc") == "abc"
    assert "abc" not in repr(source)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nb", "é"])
def test_an_access_token_with_invalid_characters_raises_an_error_that_does_not_quote_it(token: str):
    with pytest.raises(ValueError, match=r"credentials are non-empty|an access token has only") as caught:
        AccessToken(token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("pair", [("", "x"), ("x", ""), ("x", None)])
def test_empty_credentials_raise_value_error(pair: Any):
    with pytest.raises(ValueError, match=r"credentials are non-empty|client_id"):
        ClientCredentials(*pair)


def test_credentials_do_not_show_their_secret():
    assert SECRET not in repr(ClientCredentials("id", SECRET))


async def test_if_the_token_is_rejected_during_an_early_refresh_another_one_is_requested():
    class Stalling(Script):
        async def __call__(self, request: Any) -> Response:
            answer = await super().__call__(request)
            if len(self.sent) == 2:
                await anyio.sleep(60)
            return answer

    script = Stalling(token_response("t1", expires_in=3), token_response("t2"), token_response("t3"))
    source, tokens = new_token_source(script), list[str]()
    await source.token()
    await anyio.sleep(2.8)

    async def get_token(rejected: str | None = None) -> None:
        tokens.append(await source.token(rejected))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get_token)
        await anyio.sleep(0.1)
        tasks.start_soon(get_token, "t1")

    assert tokens == ["t3", "t3"]


async def test_a_caller_that_runs_out_of_time_causes_no_cached_failure():
    limited = Response(429, httpx.Headers({"Retry-After": "2"}), b'{"error": "x"}')
    source = new_token_source(RetryMiddleware(Script(limited, token_response())))  # type: ignore[arg-type]

    with anyio.move_on_after(1), pytest.raises(AuthError, match="429"):
        await source.token()

    assert await source.token() == "t1"


async def test_an_early_refresh_takes_at_most_half_of_the_callers_time():
    class Stalling(Script):
        async def __call__(self, request: Any) -> Response:
            if self.sent:
                await anyio.sleep(3600)
            return await super().__call__(request)

    source = new_token_source(Stalling(token_response("t1", expires_in=1000)))
    await source.token()
    await anyio.sleep(901)
    started = anyio.current_time()

    with anyio.fail_after(2):
        assert await source.token() == "t1"
    assert anyio.current_time() - started == pytest.approx(1)


async def test_credentials_refused_in_an_early_refresh_are_sent_again_only_after_the_token_expired():
    script = Script(token_response("t1", expires_in=1000), error_response("invalid_client"))
    source = new_token_source(script)
    await source.token()
    await anyio.sleep(901)

    for _ in range(4):
        assert await source.token() == "t1"
        await anyio.sleep(20)
    assert len(script.sent) == 2
    for _ in range(3):
        await anyio.sleep(100)
        with pytest.raises(AuthError):
            await source.token()
    assert len(script.sent) == 3


BAD_CREDENTIALS = [
    lambda: AccessToken("s3cret tok"),
    lambda: ClientCredentials("", "s3cret"),
    lambda: ClientCredentials("id", "s3cret\udc80"),
    lambda: ClientCredentials("id\udc80", "s3cret"),
]


@pytest.mark.parametrize("make", BAD_CREDENTIALS)
def test_invalid_credentials_are_in_no_frame_of_the_traceback(make: Any):
    with pytest.raises(ValueError, match=r"credentials are|client_id is|is no id|an access token has only") as caught:
        make()

    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None
    traceback = caught.value.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename != __file__:
            assert "s3cret" not in repr(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
