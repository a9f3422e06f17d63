import anyio
import pytest

from coaching_async import AuthError
from coaching_async._auth.bearer import BearerAuthMiddleware
from coaching_async._auth.secret import Secret
from coaching_async._transport.messages import Request, Response
from coaching_async._transport.retry_policy import Safety
from tests.support.doubles import Script, api_response, request_of

pytestmark = pytest.mark.anyio


class Tokens:
    """Returns t1, and t2 after a token was rejected."""

    def __init__(self) -> None:
        self.rejected: list[str] = []

    async def token(self, rejected: str | None = None) -> str:
        self.rejected += [rejected] if rejected else []
        return "t2" if self.rejected else "t1"


def authorizations(script: Script) -> list[str]:
    return [request.headers["Authorization"] for request in script.sent]


async def test_a_request_gets_the_bearer_token():
    script = Script(200)

    await BearerAuthMiddleware(script, Tokens())(request_of())

    assert authorizations(script) == ["Bearer t1"]


async def test_a_rejected_token_is_replaced_and_the_request_sent_again_even_a_write():
    script, tokens = Script(401, 200), Tokens()

    response = await BearerAuthMiddleware(script, tokens)(request_of(Safety.WRITE))

    assert response.status == 200
    assert authorizations(script) == ["Bearer t1", "Bearer t2"]
    assert tokens.rejected == ["t1"]


async def test_a_second_401_is_returned():
    script = Script(401)

    assert (await BearerAuthMiddleware(script, Tokens())(request_of())).status == 401
    assert len(script.sent) == 2


async def test_without_another_token_the_request_is_not_sent_again():
    class OneToken:
        async def token(self, rejected: str | None = None) -> str:
            return "only"

    script = Script(401)

    assert (await BearerAuthMiddleware(script, OneToken())(request_of())).status == 401
    assert len(script.sent) == 1


@pytest.mark.parametrize("token", ["", "a\n", "é", "a b", None, 5])
async def test_a_token_that_is_no_valid_header_is_refused_and_not_shown(token: object):
    class Source:
        async def token(self, rejected: str | None = None) -> str:
            return token  # type: ignore[return-value]

    script = Script(200)
    with pytest.raises(AuthError, match="the token source gave no access token") as caught:
        await BearerAuthMiddleware(script, Source())(request_of())

    assert script.sent == []
    assert not token or str(token) not in str(caught.value)


# Tokens that are rejected as soon as they come


class Issuer:
    """A login that gives another token whenever one is rejected, and an API that accepts some of them."""

    def __init__(self, *, latency: float = 0.0) -> None:
        self.issued, self.latency = 1, latency
        self.accepted: set[str] = set()
        self.requests = 0

    async def token(self, rejected: str | None = None) -> str:
        if rejected == f"t{self.issued}":
            self.issued += 1
            await anyio.sleep(self.latency)
        return f"t{self.issued}"

    async def __call__(self, request: Request) -> Response:
        self.requests += 1
        await anyio.sleep(self.latency)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return api_response(200 if token in self.accepted else 401)


async def statuses(send: BearerAuthMiddleware, count: int, *, apart: float = 0.0) -> list[int]:
    found: list[int] = []
    for _ in range(count):
        found.append((await send(request_of())).status)
        await anyio.sleep(apart)
    return found


async def test_a_service_that_rejects_every_token_does_not_cost_a_token_a_call():
    issuer = Issuer()

    assert await statuses(BearerAuthMiddleware(issuer, issuer), 100) == [401] * 100

    assert issuer.issued == 2
    assert issuer.requests == 101


async def test_other_tokens_are_requested_at_doubling_intervals_of_up_to_half_a_minute():
    issuer = Issuer()

    await statuses(BearerAuthMiddleware(issuer, issuer), 1200, apart=0.1)

    assert issuer.issued == 2 + 7, "after 1, 3, 7, 15, 31, 61 and 91 seconds"


async def test_concurrent_calls_share_one_replacement_and_one_pause():
    issuer = Issuer(latency=0.1)
    send = BearerAuthMiddleware(issuer, issuer)

    for _ in range(2):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(send, request_of())
        await anyio.sleep(0.2)
    assert issuer.issued == 2

    await anyio.sleep(1)
    await send(request_of())
    assert issuer.issued == 3


async def test_a_call_that_starts_with_the_replacement_of_another_call_requests_none():
    issuer = Issuer(latency=1.0)
    send = BearerAuthMiddleware(issuer, issuer)

    async with anyio.create_task_group() as group:
        group.start_soon(send, request_of())
        await anyio.sleep(2.5)  # the first call has got its second token, and not yet its second 401
        group.start_soon(send, request_of())

    assert issuer.issued == 2


async def test_calls_that_start_before_the_replacement_is_known_to_others_request_none():
    issuer = Issuer()
    send = BearerAuthMiddleware(issuer, issuer)

    assert (await send.tokens.token(), await send.tokens.token(rejected="t1")) == ("t1", "t2")
    assert send.rejected.may_replace(Secret("t1"), anyio.current_time())
    assert await statuses(send, 5) == [401] * 5

    assert issuer.issued == 2


async def test_a_token_that_was_only_told_what_does_not_exist_is_replaced_at_once():
    issuer = Issuer()

    async def nothing_there(request: Request) -> Response:
        return api_response(404 if (await issuer(request)).status == 200 else 401)

    send = BearerAuthMiddleware(nothing_there, issuer)
    for number in range(1, 10):
        issuer.accepted = {f"t{number}"}
        assert await statuses(send, 2) == [404, 404]


async def test_once_the_tokens_are_good_again_calls_succeed_after_the_pause():
    issuer = Issuer()
    send = BearerAuthMiddleware(issuer, issuer)
    assert await statuses(send, 3) == [401] * 3

    issuer.accepted = {"t3", "t4", "t5"}
    await anyio.sleep(1)

    assert await statuses(send, 2) == [200, 200]
    assert issuer.issued == 3


async def test_a_rejected_token_that_the_api_accepts_later_is_used_at_once():
    issuer = Issuer()
    send = BearerAuthMiddleware(issuer, issuer)
    assert await statuses(send, 1) == [401]

    issuer.accepted = {"t2"}

    assert await statuses(send, 5) == [200] * 5
    assert issuer.issued == 2


async def test_a_token_that_was_accepted_once_is_replaced_at_once_however_often_that_happens():
    issuer = Issuer()
    send = BearerAuthMiddleware(issuer, issuer)

    for number in range(1, 20):
        issuer.accepted = {f"t{number}"}
        assert await statuses(send, 2) == [200, 200]

    assert issuer.issued == 19


async def test_where_only_some_calls_are_rejected_they_do_not_cost_a_token_each():
    issuer = Issuer()

    async def half(request: Request) -> Response:
        return api_response(200) if request.safety is Safety.SAFE else await issuer(request)

    send = BearerAuthMiddleware(half, issuer)
    for _ in range(100):
        assert (await send(request_of())).status == 200
        assert (await send(request_of(Safety.WRITE))).status == 401

    assert issuer.issued == 2


async def test_a_source_that_has_no_other_token_is_not_asked_in_each_call_either():
    class Stubborn:
        asked = 0

        async def token(self, rejected: str | None = None) -> str:
            self.asked += rejected is not None
            return "same"

    script, source = Script(401), Stubborn()
    send = BearerAuthMiddleware(script, source)

    assert await statuses(send, 10) == [401] * 10
    assert source.asked == 1
    await anyio.sleep(1)
    await statuses(send, 10)
    assert source.asked == 2


@pytest.mark.parametrize("status", [403, 404, 429, 503])
async def test_no_other_status_is_a_rejection_or_lifts_one(status: int):
    issuer = Issuer()
    send = BearerAuthMiddleware(issuer, issuer)
    await statuses(send, 2)

    assert (await BearerAuthMiddleware(Script(status), issuer, send.rejected)(request_of())).status == status
    await statuses(send, 5)

    assert issuer.issued == 2


async def test_a_gateways_401_says_nothing_about_the_token():
    issuer = Issuer()

    assert await statuses(BearerAuthMiddleware(Script(Response(401)), issuer), 5) == [401] * 5

    assert issuer.issued == 1
