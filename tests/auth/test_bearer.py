import pytest

from coaching_async import AuthError
from coaching_async._auth.bearer import BearerAuthMiddleware
from coaching_async._transport.retry_policy import Safety
from tests.support.doubles import Script, request_of

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
