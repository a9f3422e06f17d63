"""Rows 109 to 111: misleading URLs, cookies, and the TLS version."""

import contextlib
import inspect
import json
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from coaching_async import (
    CoachingClient,
    ConfigurationError,
    NotFound,
    TransportError,
)
from coaching_async._transport.http_client import new_tls_context
from tests.faults.security import NO_RETRIES, SET_COOKIE, a_client
from tests.faults.support import (
    APPOINTMENT,
    COOKIE,
    TOKEN,
    Source,
    chain,
    client_to,
    credentials,
    failing,
)
from tests.support.doubles import Service, answer, http_of, refusal
from tests.support.fault_server import HOST, Authority, Conversation, FaultServer, ok

pytestmark = pytest.mark.anyio

GOOD = "https://api.mypurecloud.com"
BAD_URLS = [
    "http://api.mypurecloud.com",
    "http://localhost.evil.test",
    "http://127.0.0.1.evil.test",
    "http://0.0.0.0",
    "http://2130706433",
    "http://0x7f.1",
    f"{GOOD}@evil.test",
    f"{GOOD}:443@evil.test",
    f"{GOOD}\\@evil.test",
    f"{GOOD}\\.evil.test",
    f"{GOOD}%40evil.test",
    f"{GOOD}/\\evil.test",
    f"{GOOD}?to=evil.test",
    f"{GOOD}#@evil.test",
    f"{GOOD}\n.evil.test",
    f"{GOOD}\t",
    f"{GOOD}\r\nHost: evil.test",
    f"{GOOD}\x00.evil.test",
    f" {GOOD}",
    f"{GOOD} .evil.test",
    f"{GOOD}\uff20evil.test",
    f"{GOOD}\u2100evil.test",
    f"{GOOD}:no-port",
    f"{GOOD}:99999",
    "https://user@api.mypurecloud.com",
    "https://user:pw@api.mypurecloud.com",
    "https://@evil.test",
    "https://",
    "https:///path",
    "https://:443",
    "https://[::1",
    "https://.",
    "https://a..b",
    f"https://{'a' * 64}.test",
    "//evil.test",
    "api.mypurecloud.com",
    "ftp://api.mypurecloud.com",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "",
]


@contextlib.contextmanager
def refused_before_any_request() -> Iterator[Service]:
    service = Service([answer(APPOINTMENT)])
    with failing(ConfigurationError) as caught:
        yield service
    assert isinstance(caught.value, ValueError)
    assert caught.value.processed == "no"
    assert service.requests == []


async def ask(service: Service, **where: str) -> None:
    async with CoachingClient(Source(), http_client=service.http, **where) as client:  # type: ignore[arg-type]
        await client.appointments.get("1")
    raise AssertionError(f"this went to {service.requests[0].url}")


@pytest.mark.parametrize("url", BAD_URLS)
async def test_row_109_an_invalid_or_misleading_base_url_is_refused(url: str):
    with refused_before_any_request() as service:
        await ask(service, base_url=url)


@pytest.mark.parametrize("url", BAD_URLS)
async def test_row_109_an_invalid_or_misleading_login_url_is_refused(url: str):
    with refused_before_any_request() as service:
        await ask(service, base_url=GOOD, login_url=url)


@pytest.mark.parametrize(
    "region", ["mypurecloud.com@evil.test", "evil.test/x", "mypurecloud.com\\@evil.test", "eu west"]
)
async def test_row_109_a_misleading_region_is_refused(region: str):
    with refused_before_any_request() as service:
        await ask(service, region=region)


@pytest.mark.real_time
async def test_row_109_the_host_behind_an_at_sign_gets_no_connection():
    with FaultServer(ok(APPOINTMENT)) as evil:
        for url in (f"https://api.mypurecloud.com@{HOST}:{evil.port}", f"http://localhost\\@{HOST}:{evil.port}"):
            with failing(ConfigurationError):
                client_to(url)
        assert evil.accepted == 0


def setting_cookies(conversation: Conversation) -> None:
    """Set cookies in several ways, on each kind of response."""
    lines = (
        f"Set-Cookie: {SET_COOKIE}\r\nSet-Cookie: plain={COOKIE}\r\n"
        f"Set-Cookie: d={COOKIE}; Domain={HOST}; Path=/; SameSite=None; Max-Age=9999\r\n"
    )
    asked = 0
    while (request := conversation.request()) is not None:
        status, body = "200 OK", b'{"id": "1"}'
        if request.target == "/oauth/token":
            body = b'{"access_token": "%s-%d", "expires_in": 999}' % (TOKEN.encode(), len(conversation.server.requests))
        else:
            asked += 1
            status = {2: "401 Unauthorized", 4: "503 Unavailable", 6: "404 Not Found"}.get(asked, status)
            if status != "200 OK":
                body = json.dumps(refusal(int(status[:3]))).encode()
        head = f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        conversation.send(head.encode() + body)


async def cookies_sent(client: CoachingClient, server: FaultServer) -> list[str | None]:
    for number in range(8):
        with contextlib.suppress(NotFound):
            await client.appointments.get(str(number))
    assert len([request for request in server.requests if request.target == "/oauth/token"]) == 2
    assert len(server.requests) >= 12
    return [request.headers.get("cookie") for request in server.requests]


@pytest.mark.real_time
async def test_row_110_cookies_are_never_returned():
    with FaultServer(setting_cookies) as server:
        async with client_to(server.url, auth=credentials(), max_concurrency=1) as client:
            assert set(await cookies_sent(client, server)) == {None}
            assert list(http_of(client).cookies.jar) == []


@pytest.mark.real_time
async def test_row_110_a_borrowed_client_returns_no_cookie_either():
    with FaultServer(setting_cookies) as server:
        async with a_client("borrowed", server, None, auth=credentials(), max_concurrency=1) as client:
            assert set(await cookies_sent(client, server)) == {None}


def allow(context: ssl.SSLContext, lowest: ssl.TLSVersion, highest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Allow a context old TLS versions, and the hashes that these need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = lowest
        context.maximum_version = highest or context.maximum_version
    return context


@pytest.fixture
def system_minimum(monkeypatch: pytest.MonkeyPatch) -> Callable[[ssl.TLSVersion], None]:
    """Return a function that sets the system's minimum TLS version, as OpenSSL's `MinProtocol` does."""
    create = ssl.create_default_context

    def set_minimum(version: ssl.TLSVersion) -> None:
        monkeypatch.setattr(
            ssl, "create_default_context", lambda *given, **named: allow(create(*given, **named), version)
        )

    return set_minimum


def can_be_had(authority: Authority, version: ssl.TLSVersion) -> bool:
    """Return whether this machine's OpenSSL supports a TLS version on both sides."""
    at_server, at_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = (allow(each, version, version) for each in (authority.server(), authority.client()))
    ends = [
        server.wrap_bio(at_server, at_client, server_side=True),
        client.wrap_bio(at_client, at_server, server_hostname="localhost"),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return False
    return ends[0].version() is not None


def test_row_111_tls_1_2_is_the_minimum_if_the_system_allows_less(system_minimum: Callable[[ssl.TLSVersion], None]):
    system_minimum(ssl.TLSVersion.MINIMUM_SUPPORTED)
    assert new_tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
    system_minimum(ssl.TLSVersion.TLSv1_3)
    assert new_tls_context().minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.real_time
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
async def test_row_111_a_server_with_old_tls_is_refused(
    version: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system_minimum: Callable[[ssl.TLSVersion], None],
):
    authority, old = Authority(), ssl.TLSVersion[version]
    monkeypatch.setenv("SSL_CERT_FILE", authority.pem(tmp_path))
    system_minimum(ssl.TLSVersion.MINIMUM_SUPPORTED)
    with FaultServer(ok(APPOINTMENT), tls=authority.server()) as server:
        async with client_to(server.url) as client:
            await client.appointments.get("1")  # all else is right

    if not can_be_had(authority, old):
        return  # only the minimum version can be tested, as above
    with FaultServer(ok(APPOINTMENT), tls=allow(authority.server(), old, old)) as server:
        async with client_to(server.url, retry=NO_RETRIES) as client:
            for use in (client.appointments.get("1"), client.appointments.delete("1")):
                with failing(TransportError) as caught:
                    await use
                assert caught.value.processed == "no"
                assert any(isinstance(each, ssl.SSLError) for each in chain(caught.value))
        assert server.requests == []


@pytest.mark.real_time
async def test_row_111_a_borrowed_client_uses_the_tls_versions_that_its_owner_allows():
    authority, old = Authority(), ssl.TLSVersion.TLSv1_1
    versions = (old, old) if can_be_had(authority, old) else (ssl.TLSVersion.MINIMUM_SUPPORTED, None)
    context = allow(authority.client(), *versions)
    minimum = context.minimum_version
    with FaultServer(ok(APPOINTMENT), tls=allow(authority.server(), *versions)) as server:
        async with httpx.AsyncClient(verify=context) as http, client_to(server.url, http_client=http) as client:
            await client.appointments.get("1")
    assert context.minimum_version == minimum


def test_row_111_certificate_verification_cannot_be_disabled():
    taken = {*inspect.signature(CoachingClient).parameters, *inspect.signature(CoachingClient.with_options).parameters}
    assert not [each for each in taken if any(word in each for word in ("verify", "insecure", "ssl", "tls", "cert"))]
    with pytest.raises(TypeError, match="verify"):
        CoachingClient(Source(), verify=False)  # type: ignore[call-arg]
    context = new_tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
