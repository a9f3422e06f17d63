"""Options of a wrong kind are refused where they are given, before anything is sent, in a sentence that says what to give."""

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unittest.mock import AsyncMock, Mock

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthorizationCode,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    ConfigurationError,
    FileSharedState,
    MemoryTokenStore,
    RateLimit,
    RefreshToken,
    RetryPolicy,
)
from coaching_async.sandbox import Sandbox
from coaching_async.testing import MemorySharedState
from tests.support.doubles import TOKEN, Service, answer

AUTH = AccessToken(TOKEN)


class TokenSource:
    async def token(self, rejected: str | None = None) -> str:
        raise NotImplementedError


class SynchronousTokenStore:
    def load(self) -> None: ...

    def save(self, old: str | None, new: str) -> bool:
        raise NotImplementedError


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"auth": "my-token"}, "auth is a grant such as .*, not str"),
        ({"auth": None}, "auth is a grant such as .*, not None"),
        ({"auth": ClientCredentials}, "not the class ClientCredentials"),
        ({"auth": TokenSource}, "not the class TokenSource"),
        ({"auth": MemoryTokenStore()}, "not MemoryTokenStore"),
        ({"retry": 3}, r"retry is a RetryPolicy\(\.\.\.\), not int; with RetryPolicy\(attempts=1\)"),
        ({"retry": None}, "not None"),
        ({"retry": False}, "not bool"),
        ({"retry": RetryPolicy}, "not the class RetryPolicy"),
        ({"rate_limit": 300}, r"rate_limit is a RateLimit\(\.\.\.\), such as RateLimit\(300, per=60\.0\), not int"),
        ({"rate_limit": None}, "not None"),
        ({"rate_limit": RateLimit}, "not the class RateLimit"),
        ({"timeout": "60"}, "timeout has to be a number of seconds"),
        ({"timeout": True}, "timeout has to be a number of seconds"),
        ({"timeout": httpx.Timeout(5)}, "timeout has to be a number of seconds"),
        ({"max_concurrency": True}, "max_concurrency is a whole number"),
        ({"http_client": httpx.Client()}, "http_client is an httpx.AsyncClient or an httpx2.AsyncClient, not Client"),
        ({"http_client": httpx.AsyncClient}, "not the class AsyncClient"),
        ({"socket_client": httpx.AsyncHTTPTransport()}, "socket_client is .*, not AsyncHTTPTransport"),
        ({"on_event": "print"}, "on_event is a plain function"),
        ({"on_event": anyio.sleep}, "on_event is a plain function"),
        ({"on_event": TokenSource}, "on_event is a plain function"),
        ({"shared_state": "coaching.state"}, "shared_state is .*, not str"),
        ({"shared_state": FileSharedState}, "not the class FileSharedState"),
        ({"shared_state": MemoryTokenStore()}, "not MemoryTokenStore"),
        ({"strict": 1}, "strict is True or False, not int"),
        ({"allow_http": "no"}, "allow_http is True or False, not str"),
        ({"region": 5}, "region is a str, not int"),
        ({"base_url": httpx.URL("https://api.test")}, "base_url is a str, not URL"),
        ({"base_url": "https://api.test", "login_url": b"https://login.test"}, "login_url is a str, not bytes"),
    ],
)
def test_an_option_of_a_client_is_refused_when_the_client_is_made(options: dict[str, Any], problem: str):
    with pytest.raises(ConfigurationError, match=problem):
        CoachingClient(**{"auth": AUTH} | options)


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"retry": 3}, "retry is a RetryPolicy"),
        ({"rate_limit": None}, "rate_limit is a RateLimit"),
        ({"shared_state": MemorySharedState}, "the class MemorySharedState"),
        ({"allow_http": "no"}, "allow_http is True or False"),
        ({"environ": ".env"}, "environ is a mapping such as os.environ, not str"),
    ],
)
def test_an_option_beside_the_environment_is_refused(options: dict[str, Any], problem: str):
    with pytest.raises(ConfigurationError, match=problem):
        CoachingClient.from_env(**{"environ": {"GENESYSCLOUD_ACCESS_TOKEN": TOKEN}} | options)


@pytest.mark.parametrize(
    "view, problem",
    [
        (lambda client: client.with_options(timeout=None), "timeout has to be"),
        (lambda client: client.with_options(retry=None), "retry is a RetryPolicy"),
        (lambda client: client.with_auth(TokenSource), "the class TokenSource"),
        (lambda client: client.with_auth(AUTH, rate_limit=300), "rate_limit is a RateLimit"),
    ],
)
def test_an_option_of_a_view_is_refused_when_the_view_is_made(view: Callable[[CoachingClient], object], problem: str):
    client = CoachingClient(AUTH)

    with pytest.raises(ConfigurationError, match=problem):
        view(client)


@pytest.mark.parametrize(
    "make, kind, problem",
    [
        (lambda: RateLimit(-1), ValueError, "requests is a whole number, at least 1, not -1"),
        (lambda: RateLimit("300"), TypeError, "requests is a whole number, at least 1, not str"),  # type: ignore[arg-type]
        (lambda: RateLimit(0.5), TypeError, "requests is a whole number, at least 1, not float"),  # type: ignore[arg-type]
        (lambda: RateLimit(True), TypeError, "not bool"),
        (lambda: RateLimit(0), ValueError, "requests is a whole number, at least 1, not 0"),
        (lambda: RateLimit(per="60"), TypeError, "per is a number of seconds above 0, not str"),  # type: ignore[arg-type]
        (lambda: RateLimit(per=0), ValueError, "per is a number of seconds above 0, not 0"),
        (lambda: RateLimit(per=float("nan")), ValueError, "per is a number of seconds above 0, not nan"),
        (lambda: RetryPolicy(None), TypeError, "attempts is a whole number, at least 1, not None"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(0), ValueError, "attempts is a whole number, at least 1, not 0"),
        (lambda: RetryPolicy(throttle_waits=0.5), TypeError, "throttle_waits is a whole number"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(throttle_waits=-1), ValueError, "throttle_waits is a whole number, at least 0, not -1"),
        (lambda: RetryPolicy(max_backoff=Decimal(5)), TypeError, "max_backoff is a number of seconds"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(max_backoff=-0.1), ValueError, "max_backoff is a number of seconds, at least 0, not -0.1"),
        (lambda: RetryPolicy(max_retry_after=float("nan")), ValueError, "max_retry_after is a number of seconds"),
        (lambda: RetryPolicy(repeat_updates=1), TypeError, "repeat_updates is True or False, not int"),  # type: ignore[arg-type]
    ],
)
def test_a_number_of_a_limit_or_policy_is_refused_in_one_sentence(
    make: Callable[[], object], kind: type[Exception], problem: str
):
    with pytest.raises(kind) as raised:
        make()

    assert problem in str(raised.value)
    assert len(raised.value.args) == 1


@pytest.mark.parametrize("grant", [RefreshToken, AuthorizationCode])
@pytest.mark.parametrize(
    "options, problem",
    [
        (
            {"store": SynchronousTokenStore()},
            "store is .* async methods load and save, as a MemoryTokenStore is, not SynchronousTokenStore",
        ),
        ({"store": MemoryTokenStore}, "not the class MemoryTokenStore"),
        ({"store": "token.json"}, "not str"),
        ({"on_rotated": "print"}, "on_rotated is a function, not str"),
    ],
)
def test_a_place_that_would_lose_the_refresh_token_is_refused(
    grant: type[RefreshToken | AuthorizationCode], options: dict[str, Any], problem: str
):
    given = (
        ["id", "secret", "token"] if grant is RefreshToken else ["id", "secret", "code", "https://app.test/callback"]
    )

    with pytest.raises(ValueError, match=problem):
        grant(*given, **options)


def decorated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any) -> Any:
        return method(*args)

    return call


class DecoratedTokenStore:
    load = decorated(MemoryTokenStore.load)
    save = decorated(MemoryTokenStore.save)


@pytest.mark.parametrize(
    "store", [DecoratedTokenStore(), AsyncMock(), Mock(spec=MemoryTokenStore), Mock(load=AsyncMock(), save=AsyncMock())]
)
def test_a_token_store_may_be_decorated_or_a_double(store: Any):
    assert RefreshToken("id", "secret", "token", store=store).store is store


@pytest.mark.parametrize(
    "options, kind, problem",
    [
        ({"appointments": "5"}, TypeError, "appointments must be a whole number, not '5'"),
        ({"users": None}, TypeError, "users must be a whole number, not None"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number, not 1.5"),
        ({"rate_limit": RateLimit(300)}, TypeError, "rate_limit must be a whole number, not RateLimit"),
        ({"rate_window": "60"}, TypeError, "rate_window must be a number, not '60'"),
        ({"latency": True}, TypeError, "latency must be a number, not True"),
        ({"users": 0}, ValueError, "users must be 1 or more, not 0"),
        ({"heartbeat": float("nan")}, ValueError, "heartbeat must be more than 0, not nan"),
    ],
)
def test_a_number_of_a_sandbox_is_refused_when_it_is_made(options: dict[str, Any], kind: type[Exception], problem: str):
    with pytest.raises(kind) as raised:
        Sandbox(**options)

    assert problem in str(raised.value)


class Opened(MemorySharedState):
    """A shared state that has to be opened."""

    is_open = False


@pytest.mark.anyio
async def test_a_shared_state_that_is_not_open_is_refused_at_each_call_until_it_is_open():
    service, shared_state = Service([answer({"id": "1"})] * 2), Opened()
    async with service.client(shared_state=shared_state) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.appointments.get("1"),
            lambda: client.appointments.list("1").total(),
            client.warmup,
            client.sharing,
        ]
        for call in calls:
            with pytest.raises(ClientMisuse, match=r"this Opened is not open$"):
                await call()
        assert not service.requests

        shared_state.is_open = True
        assert (await client.appointments.get("1")).id == "1"
        shared_state.is_open = False
        assert (await client.with_auth(AUTH).appointments.get("1")).id == "1", "what was open is looked at no more"
