"""Rows 107 to 112: what is secret or personal shows nowhere, and travels only where it has to."""

import ast
import base64
import contextlib
import inspect
import io
import logging
import pickle
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest

import coaching_async
from coaching_async import (
    AccessToken,
    AppointmentUpdate,
    AuthError,
    BadRequest,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    CoachingError,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
    Unauthorized,
)
from coaching_async._transport.http_client import new_tls_context
from tests.faults.conftest import SecretsLogged
from tests.faults.support import (
    ANNOTATION,
    APPOINTMENT,
    CANARY,
    CLIENT_ID,
    COOKIE,
    NEW,
    SECRET,
    TOKEN,
    Source,
    chain,
    client_to,
    credentials,
    failing,
    frames,
    show_no_secret,
)
from tests.support.doubles import Service, answer, http_of
from tests.support.fault_server import HOST, Authority, Conversation, FaultServer, Received, ok

pytestmark = pytest.mark.anyio

BASIC = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
"""How the client secret travels: the canary does not show in it."""

SET_COOKIE = f"session={COOKIE}; Path=/; HttpOnly"


# 107


def test_row_107_a_secret_in_a_record_of_the_lowest_level_is_found():
    secrets = SecretsLogged()

    for argument in ("unknown", TOKEN):
        secrets.handle(logging.makeLogRecord({"levelno": 1, "msg": "the token is %s", "args": (argument,)}))

    assert secrets.messages == [f"the token is {TOKEN}"]


class Office:
    """API and login host in one. Every answer sets a cookie; the id of an appointment is what becomes of it."""

    def __init__(self) -> None:
        self.tokens = 0
        self.refuses = False

    def __call__(self, conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            if request.target == "/oauth/token":
                self.login(conversation, request)
            elif not self.api(conversation, request):
                return

    def login(self, conversation: Conversation, request: Received) -> None:
        assert request.headers["authorization"] == f"Basic {BASIC}"
        self.tokens += 1
        if self.refuses:
            conversation.answer({"error": "invalid_client"}, 401, set_cookie=SET_COOKIE)
        else:
            token = {"access_token": f"{TOKEN}-{self.tokens}", "token_type": "bearer", "expires_in": 86400}
            conversation.answer(token, set_cookie=SET_COOKIE)

    def api(self, conversation: Conversation, request: Received) -> bool:
        """Whether the connection lives on."""
        assert request.headers["authorization"].startswith(f"Bearer {TOKEN}")
        fate = request.target.split("?")[0].split("/")[-1]
        body: Any = ANNOTATION if "annotations" in request.target else APPOINTMENT
        match fate:
            case _ if fate in FATES and fate.isdecimal():
                conversation.answer({"code": "c"}, int(fate), set_cookie=SET_COOKIE, retry_after="0")
            case "expired" if request.headers["authorization"].endswith("-1"):
                conversation.answer({"code": "bad.credentials"}, 401, set_cookie=SET_COOKIE)
            case "cut":
                return False
            case "silent":
                conversation.pause()
            case "hollow":
                conversation.answer({}, set_cookie=SET_COOKIE)
            case "html":
                conversation.answer(b"<html>", set_cookie=SET_COOKIE)
            case _:
                conversation.answer(body, set_cookie=SET_COOKIE)
        return True


FATES: dict[str, type[CoachingError]] = {
    "400": BadRequest,
    "401": Unauthorized,
    "403": Forbidden,
    "404": NotFound,
    "409": Conflict,
    "429": RateLimited,
    "500": ServerError,
    "cut": TransportError,
    "silent": DeadlineExceeded,
    "hollow": DecodeError,
    "html": DecodeError,
}
SOBER = RetryPolicy(attempts=1, throttle_waits=0, max_backoff=0.01)


def is_shown(said: str) -> bool:
    return CANARY in said or BASIC in said


def show_nothing(error: BaseException) -> None:
    """`show_no_secret`, and the secret as it travels, in every frame but the tests' own."""
    show_no_secret(error)
    for each in chain(error):
        said = [repr(each), str(each), repr(vars(each)), *getattr(each, "__notes__", ())]
        said += [repr(frame.f_locals) for frame in frames(each) if "/tests/" not in frame.f_code.co_filename]
        assert not is_shown(" ".join(said)), type(each)


def show_no_secret_within(thing: object, depth: int = 3) -> None:
    """Look at what it prints as, and at what it holds; a `Secret` may hold one, and the HTTP library its headers."""
    assert not is_shown(repr(thing)), type(thing)
    assert not is_shown(str(thing)), type(thing)
    if not depth:
        return
    held: list[object] = list(getattr(thing, "__dict__", {}).values())
    if attrs.has(type(thing)):
        held += [getattr(thing, each.name, None) for each in attrs.fields(type(thing))]
    if inspect.isfunction(thing) or inspect.ismethod(thing):
        held += [cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()]
    for each in held:
        show_no_secret_within(each, depth - 1)


def show_no_secret_in_records(caplog: pytest.LogCaptureFixture) -> set[str]:
    """More than the message: what a formatter, or an error reporter, may make of a record. Whose records there are."""
    formatter = logging.Formatter("%(message)s %(args)s")
    for record in caplog.records:
        said = f"{formatter.format(record)} {vars(record)}"
        assert not is_shown(said), record
    return {record.name.partition(".")[0] for record in caplog.records}


def no_pickle_shows_a_secret(thing: object) -> None:
    with contextlib.suppress(Exception):  # most are not pickled at all
        assert not is_shown(pickle.dumps(thing).decode("latin-1"))


@contextlib.asynccontextmanager
async def a_client(
    kind: str, server: FaultServer, authority: Authority | None, **options: Any
) -> AsyncIterator[CoachingClient]:
    if kind == "own":
        async with client_to(server.url, **options) as client:
            yield client
    else:
        http = httpx.AsyncClient(http2=False, verify=authority.client() if authority else True)
        async with http, client_to(server.url, http_client=http, **options) as client:
            yield client


@pytest.mark.real_time
@pytest.mark.parametrize("kind", ["own", "borrowed"])
async def test_row_107_in_a_whole_life_no_secret_shows(
    kind: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(1)
    authority, office = Authority(), Office()
    monkeypatch.setenv("SSL_CERT_FILE", authority.pem(tmp_path))
    errors = list[CoachingError]()
    events = list[object]()
    auth = credentials()

    async def fails(expected: type[CoachingError], use: Any) -> None:
        with failing(CoachingError) as caught:
            await use
        assert type(caught.value) is expected
        errors.append(caught.value)

    with FaultServer(office, tls=authority.server()) as server:
        async with a_client(kind, server, authority, auth=auth, retry=SOBER, on_event=events.append) as client:
            await client.appointments.create(NEW)
            await client.appointments.update("1", AppointmentUpdate(name="x"))
            await client.appointments.get("expired")
            assert office.tokens == 2
            await client.annotations.create("1", "t", access_type="Public")
            await client.appointments.delete("1")
            raw = await client.raw(client.appointments.get, "1")
            assert not is_shown(repr(raw))
            for fate, expected in FATES.items():
                view = client.with_options(timeout=0.5) if fate == "silent" else client
                await fails(expected, view.appointments.get(fate))
            for fate in ("cut", "silent", "hollow"):
                view = client.with_options(timeout=0.5) if fate == "silent" else client
                await fails(OutcomeUnknown, view.annotations.update("1", fate, "t"))

            office.refuses = True
            await fails(AuthError, client.appointments.get("401"))
            for thing in (client, client.with_options(timeout=1), auth, client.stats(), *events):
                show_no_secret_within(thing)
                no_pickle_shows_a_secret(thing)
        await fails(ClientMisuse, client.appointments.get("1"))

        assert any(request.body and request.target != "/oauth/token" for request in server.requests)

    stranger = Authority()
    with FaultServer(office, tls=stranger.server()) as server:
        async with a_client(kind, server, authority, auth=Source()) as client:
            await fails(TransportError, client.appointments.get("1"))
            assert any(isinstance(each, ssl.SSLCertVerificationError) for each in chain(errors[-1]))
        async with a_client(kind, server, authority, auth=credentials()) as client:
            await fails(TransportError, client.appointments.get("1"))
        assert server.requests == []

    assert {type(each) for each in errors} == {*FATES.values(), AuthError, ClientMisuse, OutcomeUnknown}
    for error in errors:
        show_nothing(error)
        no_pickle_shows_a_secret(error)
    assert show_no_secret_in_records(caplog) >= {"coaching_async", "httpcore", "httpx"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: AccessToken(f"{TOKEN}\r\nX: y"),
        lambda: ClientCredentials("", SECRET),
        lambda: CoachingClient.from_env({"GENESYSCLOUD_ACCESS_TOKEN": f"{TOKEN} "}),
        lambda: CoachingClient.from_env({"GENESYSCLOUD_OAUTHCLIENT_SECRET": SECRET}),
    ],
    ids=["token", "credentials", "environment", "half an environment"],
)
def test_row_107_a_secret_that_was_given_wrongly_is_not_quoted(make: Callable[[], object]):
    with failing(ValueError):
        make()


@pytest.mark.parametrize(
    "where",
    [
        {"base_url": f"https://user:{SECRET}@api.test"},
        {"base_url": f"https://api.test?token={TOKEN}"},
        {"base_url": "https://api.test", "login_url": f"https://user:{SECRET}@login.test"},
    ],
)
def test_row_107_a_password_in_a_url_is_not_quoted(where: dict[str, str]):
    """In the text: the frames hold the URL, which is where it does not belong."""
    with pytest.raises(ConfigurationError) as caught:
        CoachingClient(Source(), **where)  # type: ignore[arg-type]
    for each in chain(caught.value):
        assert not is_shown(f"{each!r} {vars(each)}")
    no_pickle_shows_a_secret(caught.value)


async def test_row_107_a_proxy_with_a_password_that_is_wrong_is_not_quoted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"gopher://user:{SECRET}@proxy.test")

    with failing(ConfigurationError) as caught:
        async with CoachingClient(Source(), base_url="https://api.test"):
            pass
    show_nothing(caught.value)


async def test_row_107_a_token_that_no_header_can_carry_is_not_quoted():
    class Broken:
        async def token(self, rejected: str | None = None) -> str:
            return f"{TOKEN}\r\nX: y"

    service = Service([answer(APPOINTMENT)])
    async with service.client(Broken()) as client:
        with failing(AuthError) as caught:
            await client.appointments.get("1")
    show_nothing(caught.value)
    assert service.requests == []


def raw_answer(data: bytes) -> Callable[[Conversation], None]:
    def behave(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(data)

    return behave


@pytest.mark.real_time
async def test_row_107_a_cookie_in_a_broken_header_line_is_not_quoted():
    broken = f"HTTP/1.1 200 OK\r\nSet-Cookie : {SET_COOKIE}\r\nContent-Length: 0\r\n\r\n"
    with FaultServer(raw_answer(broken.encode())) as server:
        async with client_to(server.url, retry=SOBER) as client:
            with failing(TransportError):
                await client.appointments.get("1")


async def test_row_107_a_login_host_that_repeats_what_it_was_sent_is_not_quoted():
    def office(request: httpx.Request) -> httpx.Response:
        said = f"no client {request.headers['authorization']}"
        return answer({"error": "invalid_request", "error_description": said}, 400)

    async with Service(office).client(credentials()) as client:
        with failing(AuthError) as caught:
            await client.appointments.get("1")
    show_nothing(caught.value)


# 108

UUID = "3f0c8f0e-6d0b-4a57-9a7e-0d7f6f3f9a11"
MAIL = "jane.doe@example.com"
PERSONAL = (UUID, UUID.upper(), MAIL)
CHATTY = {
    "code": f"not.found.{UUID}",
    "message": f"no user {UUID}, {UUID.upper()} or <{MAIL}> in 'x'",
    "details": [{"errorCode": "e", "fieldName": f"attendeeIds.{UUID}"}],
}


def ours(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("coaching_async"))


def assert_impersonal(text: str) -> None:
    assert not [each for each in PERSONAL if each in text], text


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 409, 413, 429, 500, 503])
async def test_row_108_no_id_is_in_the_text_of_an_error_or_a_record(status: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    location = f"https://api.test/users/{UUID}"
    service = Service(lambda _: answer(CHATTY, status, Location=location))
    async with service.client(retry=SOBER) as client:
        for use in (
            client.appointments.get(UUID),
            client.appointments.delete(UUID),
            client.appointments.create(attrs.evolve(NEW, attendee_ids=[UUID], name=MAIL)),
            client.annotations.update(UUID, UUID, MAIL),
            client.appointments.list([UUID]).first(),
            client.notifications.get(UUID),
            client.request("GET", f"/api/v2/users/{UUID}", query={"email": MAIL}),
        ):
            with failing(CoachingError) as caught:
                await use
            assert str(status) in str(caught.value)
            for each in chain(caught.value):
                assert_impersonal(str(each))
    assert ours(caplog)
    assert_impersonal(ours(caplog))


@pytest.mark.parametrize(
    "body",
    [
        {"id": 5, MAIL: UUID},
        {"id": UUID, "lengthInMinutes": MAIL},
        {"id": UUID, "dateStart": UUID},
        {"id": UUID, "attendees": [{"id": UUID, "name": MAIL}, {UUID: MAIL}]},
        [UUID, MAIL],
        MAIL,
        b"<p>%s %s</p>" % (UUID.encode(), MAIL.encode()),
    ],
)
async def test_row_108_no_id_of_an_unreadable_answer_is_told(body: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    async with Service(lambda _: httpx.Response(200, **content)).client() as client:
        for use, kind in (
            (client.appointments.get(UUID), DecodeError),
            (client.appointments.update(UUID, AppointmentUpdate(name=MAIL)), OutcomeUnknown),
        ):
            with failing(kind) as caught:
                await use
            for each in chain(caught.value):
                assert_impersonal(str(each))
    assert_impersonal(ours(caplog))


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
async def test_row_108_no_id_is_told_where_no_answer_comes(error: Exception, caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    async with Service([error]).client(retry=SOBER) as client:
        for use in (client.appointments.get(UUID), client.annotations.update(UUID, UUID, MAIL)):
            with failing(TransportError) as caught:
                await use
            for each in chain(caught.value):
                assert_impersonal(str(each))
    assert_impersonal(ours(caplog))


async def test_row_108_no_id_of_a_cancelled_write_is_told(caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)

    async def never(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with Service(never).client() as client:  # type: ignore[arg-type]
        with anyio.move_on_after(1):
            await client.annotations.update(UUID, UUID, MAIL)
    assert "cancelled in flight" in ours(caplog)
    assert_impersonal(ours(caplog))


async def test_row_108_no_id_is_in_what_the_login_host_says():
    refusal = {"error": "invalid_request", "error_description": f"client {UUID} of {MAIL} is unknown"}
    async with Service(lambda _: answer(refusal, 400)).client(credentials()) as client:
        with failing(AuthError) as caught:
            await client.appointments.get("1")
    assert_impersonal(str(caught.value))


@pytest.mark.real_time
async def test_row_108_no_id_in_what_is_no_http_is_told():
    with FaultServer(raw_answer(f"no user {UUID} <{MAIL}>\r\n\r\n".encode())) as server:
        async with client_to(server.url, retry=SOBER) as client:
            with failing(TransportError) as caught:
                await client.appointments.get("1")
    for each in chain(caught.value):
        assert_impersonal(str(each))


# 109

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
def refused_without_a_word() -> Iterator[Service]:
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
async def test_row_109_a_base_url_that_is_none_or_misleads_is_refused(url: str):
    with refused_without_a_word() as service:
        await ask(service, base_url=url)


@pytest.mark.parametrize("url", BAD_URLS)
async def test_row_109_a_login_url_that_is_none_or_misleads_is_refused(url: str):
    with refused_without_a_word() as service:
        await ask(service, base_url=GOOD, login_url=url)


@pytest.mark.parametrize(
    "region", ["mypurecloud.com@evil.test", "evil.test/x", "mypurecloud.com\\@evil.test", "eu west"]
)
async def test_row_109_a_region_that_misleads_is_refused(region: str):
    with refused_without_a_word() as service:
        await ask(service, region=region)


@pytest.mark.real_time
async def test_row_109_who_stands_behind_the_at_sign_hears_nothing():
    with FaultServer(ok(APPOINTMENT)) as evil:
        for url in (f"https://api.mypurecloud.com@{HOST}:{evil.port}", f"http://localhost\\@{HOST}:{evil.port}"):
            with failing(ConfigurationError):
                client_to(url)
        assert evil.accepted == 0


# 110


def setting_cookies(conversation: Conversation) -> None:
    """On every kind of answer, and in every way."""
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
        head = f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        conversation.send(head.encode() + body)


async def cookies_sent(client: CoachingClient, server: FaultServer) -> list[str | None]:
    for number in range(8):
        with contextlib.suppress(NotFound):
            await client.appointments.get(str(number))
    assert len([each for each in server.requests if each.target == "/oauth/token"]) == 2
    assert len(server.requests) >= 12
    return [each.headers.get("cookie") for each in server.requests]


@pytest.mark.real_time
async def test_row_110_a_cookie_is_never_returned():
    with FaultServer(setting_cookies) as server:
        async with client_to(server.url, auth=credentials(), max_concurrency=1) as client:
            assert set(await cookies_sent(client, server)) == {None}
            assert list(http_of(client).cookies.jar) == []


@pytest.mark.real_time
async def test_row_110_a_cookie_is_never_returned_by_a_borrowed_client_either():
    with FaultServer(setting_cookies) as server:
        async with a_client("borrowed", server, None, auth=credentials(), max_concurrency=1) as client:
            assert set(await cookies_sent(client, server)) == {None}


# 111


def allow(context: ssl.SSLContext, lowest: ssl.TLSVersion, highest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Let a context use old versions, and the hashes that they need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = lowest
        context.maximum_version = highest or context.maximum_version
    return context


@pytest.fixture
def system_minimum(monkeypatch: pytest.MonkeyPatch) -> Callable[[ssl.TLSVersion], None]:
    """Sets which version of TLS the system's settings ask for, as OpenSSL's `MinProtocol` does."""
    create = ssl.create_default_context

    def set_minimum(version: ssl.TLSVersion) -> None:
        monkeypatch.setattr(
            ssl, "create_default_context", lambda *given, **named: allow(create(*given, **named), version)
        )

    return set_minimum


def can_be_had(authority: Authority, version: ssl.TLSVersion) -> bool:
    """Whether this machine's OpenSSL still speaks it, on both sides, when it is asked to."""
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


def test_row_111_tls_1_2_is_asked_for_where_the_system_asks_for_less(system_minimum: Callable[[ssl.TLSVersion], None]):
    system_minimum(ssl.TLSVersion.MINIMUM_SUPPORTED)
    assert new_tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
    system_minimum(ssl.TLSVersion.TLSv1_3)
    assert new_tls_context().minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.real_time
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
async def test_row_111_a_server_of_old_tls_is_refused(
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
        return  # the minimum of the test above has to do
    with FaultServer(ok(APPOINTMENT), tls=allow(authority.server(), old, old)) as server:
        async with client_to(server.url, retry=SOBER) as client:
            for use in (client.appointments.get("1"), client.appointments.delete("1")):
                with failing(TransportError) as caught:
                    await use
                assert caught.value.processed == "no"
                assert any(isinstance(each, ssl.SSLError) for each in chain(caught.value))
        assert server.requests == []


@pytest.mark.real_time
async def test_row_111_a_borrowed_client_uses_the_tls_that_its_owner_allows():
    authority, old = Authority(), ssl.TLSVersion.TLSv1_1
    versions = (old, old) if can_be_had(authority, old) else (ssl.TLSVersion.MINIMUM_SUPPORTED, None)
    context = allow(authority.client(), *versions)
    minimum = context.minimum_version
    with FaultServer(ok(APPOINTMENT), tls=allow(authority.server(), *versions)) as server:
        async with httpx.AsyncClient(verify=context) as http, client_to(server.url, http_client=http) as client:
            await client.appointments.get("1")
    assert context.minimum_version == minimum


def test_row_111_nobody_can_switch_the_checking_of_certificates_off():
    taken = {*inspect.signature(CoachingClient).parameters, *inspect.signature(CoachingClient.with_options).parameters}
    assert not [each for each in taken if any(word in each for word in ("verify", "insecure", "ssl", "tls", "cert"))]
    with pytest.raises(TypeError, match="verify"):
        CoachingClient(Source(), verify=False)  # type: ignore[call-arg]
    context = new_tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


# 112

FILES = ("file", "folder", "directory", "dest", "output", "save", "download", "upload", "stream_to")


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """All that the package's public names offer to call."""
    client = CoachingClient(Source())
    things = {name: getattr(coaching_async, name) for name in coaching_async.__all__}
    things |= {name: type(each) for name, each in vars(client).items() if not name.startswith("_")}
    for name, thing in things.items():
        if not callable(thing):
            continue
        yield name, thing
        for inner, member in inspect.getmembers(thing, callable):
            if not inner.startswith("_") and not hasattr(str, inner):
                yield f"{name}.{inner}", member


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # one of C's
        return {}


def test_row_112_nothing_takes_the_name_of_a_file():
    offered = dict(callables())
    assert {"CoachingClient", "CoachingClient.request", "appointments.create", "Listing.collect"} <= offered.keys()

    for name, function in offered.items():
        if name.endswith("TokenStore.save"):  # a token
            continue
        assert not [word for word in FILES if word in name.rpartition(".")[2].lower()], name
        for each, parameter in parameters(function).items():
            assert not [word for word in FILES if word in each.lower()], (name, each)
            assert each != "path" or name == "CoachingClient.request", "that one is a URL's"
            assert not [word for word in ("Path", "IO[") if word in str(parameter.annotation)], (name, each)


def test_row_112_nothing_in_the_core_opens_a_file():
    package = Path(coaching_async.__file__).parent
    openers = {"open", "fdopen", "write_text", "write_bytes", "NamedTemporaryFile", "mkstemp", "makedirs", "mkdir"}
    read = 0
    around = {"cli", "doctor", "export", "integrations", "sandbox", "testing"}
    for source in package.rglob("*.py"):
        if source.relative_to(package).parts[0] in around:
            continue
        read += 1
        tree = ast.parse(source.read_text())
        called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = {each.id if isinstance(each, ast.Name) else getattr(each, "attr", "") for each in called}
        assert not names & openers, source.name
        imported = {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"pathlib", "tempfile", "shutil", io.__name__}, source.name
    assert read > 20
