import base64
import inspect
import re
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    ConfigurationError,
    Event,
    Stats,
)
from tests.support.doubles import TOKEN, Service, answer, http_of, pipeline_of

pytestmark = pytest.mark.anyio

CREDENTIALS = {"GENESYSCLOUD_OAUTHCLIENT_ID": "id", "GENESYSCLOUD_OAUTHCLIENT_SECRET": "s3cret"}
BAD_OPTIONS: list[dict[str, Any]] = [
    {"timeout": 0},
    {"timeout": None},
    {"timeout": -1},
    {"timeout": float("nan")},
    {"max_concurrency": 0},
    {"max_concurrency": 2.5},
]


async def test_a_borrowed_http_client_is_used_and_left_open():
    service = Service([answer({"id": "1"})])

    async with service.client() as client:
        assert (await client.appointments.get("1")).id == "1"

    assert not service.http.is_closed
    assert "authorization" not in service.http.headers
    await service.http.aclose()


async def test_the_clients_own_http_client_is_closed_at_the_end_and_closing_is_idempotent():
    async with CoachingClient(AccessToken(TOKEN)) as client:
        pass
    await client.aclose()

    assert http_of(client).is_closed


async def test_a_call_of_a_closed_client_raises_client_misuse():
    service = Service([answer({"id": "1"})])
    async with service.client() as client:
        pass

    with pytest.raises(ClientMisuse, match="this client is closed") as caught:
        await client.appointments.get("1")

    assert caught.value.processed == "no"
    assert service.requests == []
    await service.http.aclose()


async def test_the_clients_own_http_client_follows_no_redirects_and_keeps_no_cookies():
    async with CoachingClient(AccessToken(TOKEN)) as client:
        http = http_of(client)
        http.cookies.extract_cookies(
            httpx.Response(
                200, headers={"Set-Cookie": "a=b"}, request=httpx.Request("GET", "https://api.mypurecloud.com")
            )
        )
        assert dict(http.cookies) == {}
        assert not http.follow_redirects


async def test_the_token_is_fetched_from_the_login_host_and_used_at_the_api_host():
    token = answer({"access_token": "t1", "token_type": "bearer", "expires_in": 1000})
    service = Service(lambda request: token if request.url.path.endswith("/token") else answer({"id": "1"}))

    async with service.client(ClientCredentials("id", "s3cret")) as client, service.http:
        for _ in range(3):
            await client.appointments.get("1")

    assert [(request.url.host, request.url.path) for request in service.requests[:2]] == [
        ("login.test", "/oauth/token"),
        ("api.test", "/api/v2/coaching/appointments/1"),
    ]
    assert len(service.requests) == 4
    assert client.stats() == Stats(calls=3, requests=3, tokens=1)


async def test_up_to_max_concurrency_requests_are_sent_at_the_same_time():
    inside = most = 0

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await anyio.sleep(1)
            inside -= 1
            return answer({"id": "1"})

    async with httpx.AsyncClient(transport=Slow()) as http:
        client = CoachingClient(AccessToken(TOKEN), http_client=http, max_concurrency=3)
        async with client, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.appointments.get, "1")

    assert most == 3


async def test_the_path_of_a_gateway_precedes_the_path_of_the_api():
    service = Service([answer({"id": "1"})])
    client = CoachingClient(
        AccessToken(TOKEN), base_url="https://gw.test/gc/", login_url="https://gw.test/login", http_client=service.http
    )

    async with client, service.http:
        await client.appointments.get("1")

    assert str(service.requests[0].url) == "https://gw.test/gc/api/v2/coaching/appointments/1"


@pytest.mark.parametrize("wrong", BAD_OPTIONS)
def test_invalid_options_are_rejected(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        CoachingClient(AccessToken(TOKEN), **wrong)


@pytest.mark.parametrize(
    "variable, value, problem",
    [
        ("ALL_PROXY", "socks5://user:s3cret@127.0.0.1:1080", r"pip install 'httpx\[socks\]'"),
        ("HTTPS_PROXY", "gopher://user:s3cret@127.0.0.1", "is no proxy's URL"),
        ("HTTPS_PROXY", "http://user:s3cret/@127.0.0.1", "is no proxy's URL"),
        ("SSLKEYLOGFILE", "/no/such/folder/keys", "the file that SSLKEYLOGFILE names cannot be written"),
        ("SSL_CERT_FILE", "/no/such/file", "certificates that SSL_CERT_FILE names cannot be read: FileNotFoundError"),
    ],
)
async def test_an_invalid_environment_is_reported_when_the_client_is_opened(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
):
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match=problem) as caught:
        async with CoachingClient(AccessToken(TOKEN)):
            pass

    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


def url_of(client: CoachingClient) -> str:
    return client.appointments._api.base_url


def test_the_environment_configures_a_client():
    client = CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_REGION": "eu_central_1"})
    assert url_of(client) == "https://api.mypurecloud.de"
    assert url_of(CoachingClient.from_env(CREDENTIALS)) == "https://api.mypurecloud.com"
    assert url_of(CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_REGION": ""})) == "https://api.mypurecloud.com"
    local = CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_REGION": "http://127.0.0.1:8080"})
    assert url_of(local) == "http://127.0.0.1:8080"


async def test_from_env_passes_options_on():
    told: list[Event] = []
    service = Service([answer({"id": "1"})])
    token = {"GENESYSCLOUD_ACCESS_TOKEN": TOKEN, "GENESYSCLOUD_REGION": "https://api.test"}

    async with CoachingClient.from_env(token, http_client=service.http, on_event=told.append) as client:
        await client.appointments.get("1")

    assert told
    with pytest.raises(ConfigurationError, match="max_concurrency"):
        CoachingClient.from_env(CREDENTIALS, max_concurrency=0)


def test_from_env_takes_every_option_that_a_client_takes_with_the_same_type_and_default():
    def options(function: Callable[..., object], *others: str) -> list[inspect.Parameter]:
        return [each for name, each in inspect.signature(function).parameters.items() if name not in others]

    assert options(CoachingClient.from_env, "environ") == options(
        CoachingClient, "auth", "region", "base_url", "login_url"
    )


def test_from_env_reads_the_process_environment_by_default(monkeypatch: pytest.MonkeyPatch):
    for name in ("GENESYSCLOUD_REGION", "GENESYSCLOUD_ACCESS_TOKEN", *CREDENTIALS):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError):
        CoachingClient.from_env()
    monkeypatch.setenv("GENESYSCLOUD_ACCESS_TOKEN", "abc")
    CoachingClient.from_env()


async def test_an_access_token_in_the_environment_takes_precedence():
    client = CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_ACCESS_TOKEN": "abc"})

    tokens = pipeline_of(client).send.send.tokens
    assert await tokens.token() == "abc"
    assert "abc" not in repr(tokens)
    await client.aclose()


@pytest.mark.parametrize(
    "given, missing",
    [
        ({}, "GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET"),
        ({"GENESYSCLOUD_OAUTHCLIENT_ID": "id"}, "lacks GENESYSCLOUD_OAUTHCLIENT_SECRET;"),
        (
            {"GENESYSCLOUD_OAUTHCLIENT_SECRET": "s", "GENESYSCLOUD_OAUTHCLIENT_ID": ""},
            "lacks GENESYSCLOUD_OAUTHCLIENT_ID;",
        ),
    ],
)
def test_missing_environment_variables_are_named(given: dict[str, str], missing: str):
    with pytest.raises(ConfigurationError, match=re.escape(missing)) as caught:
        CoachingClient.from_env(given)
    assert "GENESYSCLOUD_ACCESS_TOKEN instead" in str(caught.value)


def test_an_invalid_token_in_the_environment_is_a_configuration_error_that_does_not_show_it():
    given = CREDENTIALS | {"GENESYSCLOUD_ACCESS_TOKEN": "s3cret token"}

    with pytest.raises(ConfigurationError, match="GENESYSCLOUD_ACCESS_TOKEN: an access token has only") as caught:
        CoachingClient.from_env(given)

    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


AROUND = ["{}\n", "{}\r\n", " {}", "\t{} ", "\ufeff{}", "{}\u200b", "{}\u00a0", "{}\x00"]


@pytest.mark.parametrize("around", AROUND, ids=ascii)
@pytest.mark.parametrize("variable", ["GENESYSCLOUD_REGION", "GENESYSCLOUD_ACCESS_TOKEN", *CREDENTIALS])
async def test_blanks_and_line_ends_around_a_variable_do_not_count(variable: str, around: str):
    environ = CREDENTIALS | {"GENESYSCLOUD_REGION": "https://api.test"}
    if variable == "GENESYSCLOUD_ACCESS_TOKEN":
        environ |= {variable: TOKEN}
    environ[variable] = around.format(environ[variable])
    token = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 60}
    service = Service(lambda request: answer(token if request.url.path == "/oauth/token" else {"id": "1"}))

    async with CoachingClient.from_env(environ, http_client=service.http) as client:
        await client.appointments.get("1")

    sent = [(request.url.host, request.headers["Authorization"]) for request in service.requests]
    login = ("login.test", f"Basic {base64.b64encode(b'id:s3cret').decode()}")
    assert sent == [login] * (variable != "GENESYSCLOUD_ACCESS_TOKEN") + [("api.test", f"Bearer {TOKEN}")]


@pytest.mark.parametrize("variable", ["GENESYSCLOUD_REGION", "GENESYSCLOUD_ACCESS_TOKEN", *CREDENTIALS])
@pytest.mark.parametrize(
    "form, says",
    [
        ('"{}"', "begins or ends with a quote: set it without"),
        ("'{}'\n", "begins or ends with a quote: set it without"),
        ("{}'", "begins or ends with a quote: set it without"),
        ("{}\n{}", "has a line end or an invisible character in it: set it without"),
    ],
)
def test_quotes_around_a_variable_and_line_ends_in_it_are_an_error_that_names_it(variable: str, form: str, says: str):
    with pytest.raises(ConfigurationError, match=f"^{variable} {says}$") as caught:
        CoachingClient.from_env(CREDENTIALS | {variable: form.format("s3cret", "s3cret")})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("blank", [" ", "\n", "\ufeff"], ids=ascii)
def test_a_variable_of_blanks_counts_as_not_set(blank: str):
    with pytest.raises(ConfigurationError, match="lacks GENESYSCLOUD_OAUTHCLIENT_SECRET;"):
        CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_OAUTHCLIENT_SECRET": blank})
    assert (
        url_of(CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_REGION": blank})) == "https://api.mypurecloud.com"
    )


@pytest.mark.parametrize(
    "region, says",
    [
        ("nowhere", "unknown region 'nowhere'"),
        ("https://gate way.test", "region may have a scheme"),
        ("https://gateway.test/genesys", "region has a path, so it is a gateway: give base_url and login_url instead"),
        ("http://api.test", "region would send the token in the clear"),
        ("https://:80", "region has to be a URL"),
    ],
)
def test_an_invalid_region_in_the_environment_names_its_variable(region: str, says: str):
    with pytest.raises(ConfigurationError, match=f"^GENESYSCLOUD_REGION: {says}"):
        CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_REGION": region})


def test_a_region_in_the_environment_may_be_plain_http_if_the_program_allows_it():
    environ = CREDENTIALS | {"GENESYSCLOUD_REGION": "http://api.test"}
    assert url_of(CoachingClient.from_env(environ, allow_http=True)) == "http://api.test"


def test_an_invalid_region_in_the_environment_shows_no_secret_in_any_frame():
    with pytest.raises(ConfigurationError, match="unknown region") as caught:
        CoachingClient.from_env(CREDENTIALS | {"GENESYSCLOUD_REGION": "nowhere"})

    frames = [frame for frame in walk(caught.value) if "coaching_async" in frame.f_code.co_filename]
    assert frames
    assert "s3cret" not in repr([frame.f_locals for frame in frames])


def walk(error: BaseException) -> Iterator[FrameType]:
    traceback = error.__traceback__
    while traceback:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def test_no_repr_of_a_clients_parts_shows_a_secret():
    client = CoachingClient(ClientCredentials("id", "s3cret"))

    assert "s3cret" not in f"{client!r} {client.appointments!r} {vars(client)!r}"
