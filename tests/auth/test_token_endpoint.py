"""What the login host says: in other words, in other spellings, and what something else says in its place."""

import json
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import AuthError
from coaching_async._auth.grants import ClientCredentials
from coaching_async._auth.token_endpoint import NormalizeThrottlingMiddleware, TokenEndpoint
from coaching_async._auth.token_source import CachedTokenSource
from coaching_async._transport.messages import Response
from coaching_async._transport.retry import RetryMiddleware
from coaching_async._transport.retry_policy import RetryPolicy
from tests.support.doubles import Script

pytestmark = pytest.mark.anyio


def source_of(*answers: Response) -> tuple[CachedTokenSource, Script]:
    script = Script(*answers)
    send = RetryMiddleware(NormalizeThrottlingMiddleware(script))
    endpoint = TokenEndpoint("https://login.test/oauth/token", send, lambda _: None, RetryPolicy())
    return CachedTokenSource(ClientCredentials("id", "s3cret"), endpoint), script


def told(body: Any, status: int = 200, **headers: str) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), content)


TOKEN = told({"access_token": "t1", "token_type": "bearer", "expires_in": 3600})
HTML = {"Content_Type": "text/html"}


@pytest.mark.parametrize(
    "text",
    [
        "rate limit exceeded; wait",
        "Rate limit exceeded",
        "RATE LIMIT EXCEEDED",
        "Rate limit exceeded the maximum. Retry the request in [1] seconds",
        "The client's rate  limit\nwas exceeded.",
        "rate_limit_exceeded",
        "RateLimit reached",
        "Too many requests",
        "429 Too Many Token Requests",
    ],
)
@pytest.mark.parametrize("name", ["description", "error_description", "error"])
async def test_the_rate_limit_of_the_login_host_is_waited_for_in_whatever_words(name: str, text: str):
    source, script = source_of(told({"error": "invalid_request", name: text}, 400, Retry_After="7"), TOKEN)
    start = anyio.current_time()

    assert await source.token() == "t1"

    assert anyio.current_time() - start == pytest.approx(7)
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_client", "description": "unknown client"},
        {"error": "invalid_request", "description": ["rate limit exceeded"]},
        {"error": "invalid_request", "description": "the scope is limited"},
        {"other": "rate limit exceeded"},
        ["rate limit exceeded"],
    ],
)
async def test_another_400_is_a_refusal(body: Any):
    source, script = source_of(told(body, 400), TOKEN)

    with pytest.raises(AuthError):
        await source.token()
    assert len(script.sent) == 1


@pytest.mark.parametrize("value", ["3600", " 3600 ", "3600.0", "3600.", 3600.0])
async def test_a_lifetime_may_be_written_as_text(value: object):
    source, script = source_of(told({"access_token": "t1", "expires_in": value}), told({"access_token": "t2"}))

    assert await source.token() == "t1"
    await anyio.sleep(3200)
    assert await source.token() == "t1"
    await anyio.sleep(500)
    assert await source.token() == "t2"
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    "value", ["", "1h", "-1", "+5", "1e3", "0x10", "0", "0.0", "NaN", "inf", "٣", "1_0", "9" * 400, [], {}]
)
async def test_other_text_is_no_lifetime(value: object):
    source, _ = source_of(told({"access_token": "t1", "expires_in": value}))

    with pytest.raises(AuthError, match="expires_in is no number of seconds"):
        await source.token()


@pytest.mark.parametrize(
    "answer, said",
    [
        (told(b"<html>Please accept the terms</html>", **HTML), "200 .* with a web page \\(text/html\\)"),
        (told(b"welcome", Content_Type="text/plain"), "200 .* with a body \\(text/plain\\)"),
        (told(b"", 302, Location="http://portal.test/?s3cret"), "302 .* with a redirect"),
        (told(b"<html>Blocked", 403, **HTML), "403 .* with a web page"),
        (told(b"", 404), "404 .* with no body"),
        (
            told({"message": "Forbidden"}, 403, Content_Type="application/json"),
            "403 .* with a body \\(application/json\\)",
        ),
        (told(b"<html>Log in", 401, **HTML), "401 .* with a web page"),
        (told({"code": "900901", "message": "Runtime Error"}, 401), "401 .* with a body"),
    ],
)
async def test_what_stands_in_place_of_the_login_host_is_told_from_it_and_refuses_no_credentials(
    answer: Response, said: str
):
    source, script = source_of(answer, TOKEN)

    with pytest.raises(AuthError, match=rf"no token: {said}.*check the URL, the proxy and the network") as caught:
        await source.token()
    assert caught.value.is_from_gateway
    assert caught.value.is_temporary
    assert "before login.test" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.code is None

    await anyio.sleep(1.1)
    assert await source.token() == "t1", "the credentials are sent again"
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    "answer",
    [
        told({"error": "invalid_client"}, 401),
        told({"error": "invalid_grant"}, 400),
        told({"code": "bad.credentials", "message": "m", "status": 401}, 401),
        told(b"", 401, ININ_Correlation_Id="c"),
    ],
)
async def test_what_the_login_host_refuses_itself_is_not_sent_again(answer: Response):
    source, script = source_of(answer, TOKEN)

    for _ in range(3):
        with pytest.raises(AuthError, match=r"the login host login\.test gives no token: ") as caught:
            await source.token()
        assert not caught.value.is_from_gateway
        assert not caught.value.is_temporary
        await anyio.sleep(100)
    assert len(script.sent) == 1
