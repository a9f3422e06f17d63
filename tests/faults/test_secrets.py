"""Row 107: no token, client secret or cookie shows in errors, log records, events or pickles."""

import base64
import contextlib
import inspect
import logging
import pickle
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

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
    ServerError,
    TransportError,
    Unauthorized,
)
from tests.faults.security import NO_RETRIES, SET_COOKIE, a_client, raw_answer
from tests.faults.support import (
    ANNOTATION,
    APPOINTMENT,
    CANARY,
    CLIENT_ID,
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
from tests.support.deadlines import in_doubt_at_its_deadline
from tests.support.doubles import Service, answer
from tests.support.fault_server import Authority, Conversation, FaultServer, Received
from tests.support.secrets_logged import SecretsLogged

pytestmark = pytest.mark.anyio

BASIC = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
"""The client secret as it is sent, in which the canary does not show."""


def test_row_107_a_secret_in_a_record_of_the_lowest_level_is_found():
    secrets = SecretsLogged("planted")

    with pytest.raises(AssertionError), secrets.watching():
        logging.getLogger("any").log(1, "the token is %s", "planted")

    assert secrets.messages == ["the token is planted"]


class Backend:
    """The API and the token endpoint. Each response sets a cookie. The id of an appointment chooses the response."""

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
        """Respond to a request, and return whether the connection stays open."""
        assert request.headers["authorization"].startswith(f"Bearer {TOKEN}")
        fate = request.target.split("?")[0].split("/")[-1]
        body: Any = ANNOTATION if "annotations" in request.target else APPOINTMENT
        match fate:
            case _ if fate in FATES and fate.isdecimal():
                conversation.answer(
                    {"code": "c", "status": int(fate)}, int(fate), set_cookie=SET_COOKIE, retry_after="0"
                )
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


def is_shown(said: str) -> bool:
    return CANARY in said or BASIC in said


def show_nothing(error: BaseException) -> None:
    """Assert `show_no_secret`, and that the secret as it is sent shows in no frame but those of tests."""
    show_no_secret(error)
    for each in chain(error):
        said = [repr(each), str(each), repr(vars(each)), *getattr(each, "__notes__", ())]
        said += [repr(frame.f_locals) for frame in frames(each) if "/tests/" not in frame.f_code.co_filename]
        assert not is_shown(" ".join(said)), type(each)


def show_no_secret_within(thing: object, depth: int = 3) -> None:
    """Assert that neither the text of an object nor that of its attributes shows a secret."""
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
    """Assert that no attribute of a record shows a secret, and return the libraries that logged."""
    formatter = logging.Formatter("%(message)s %(args)s")
    for record in caplog.records:
        said = f"{formatter.format(record)} {vars(record)}"
        assert not is_shown(said), record
    return {record.name.partition(".")[0] for record in caplog.records}


def no_pickle_shows_a_secret(thing: object) -> None:
    with contextlib.suppress(Exception):  # most objects cannot be pickled
        assert not is_shown(pickle.dumps(thing).decode("latin-1"))


@pytest.mark.real_time
@pytest.mark.parametrize("kind", ["own", "borrowed"])
async def test_row_107_no_secret_shows_from_the_first_call_to_the_last(
    kind: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(1)
    authority, backend = Authority(), Backend()
    monkeypatch.setenv("SSL_CERT_FILE", authority.pem(tmp_path))
    errors = list[CoachingError]()
    events = list[object]()
    auth = credentials()

    async def fails(expected: type[CoachingError], use: Any) -> None:
        with failing(CoachingError) as caught:
            await use
        assert type(caught.value) is expected
        errors.append(caught.value)

    with FaultServer(backend, tls=authority.server()) as server:
        async with a_client(kind, server, authority, auth=auth, retry=NO_RETRIES, on_event=events.append) as client:
            await client.appointments.create(NEW)
            await client.appointments.update("1", AppointmentUpdate(name="x"))
            await client.appointments.get("expired")
            assert backend.tokens == 2
            await client.annotations.create("1", "t", access_type="Public")
            await client.appointments.delete("1")
            raw = await client.raw(client.appointments.get, "1")
            assert not is_shown(repr(raw))
            for fate, expected in FATES.items():
                view = client.with_options(timeout=0.5) if fate == "silent" else client
                await fails(expected, view.appointments.get(fate))
            for fate in ("cut", "hollow"):
                await fails(OutcomeUnknown, client.annotations.update("1", fate, "t"))
            silent = await in_doubt_at_its_deadline(
                lambda seconds: client.with_options(timeout=seconds).annotations.update("1", "silent", "t")
            )
            show_no_secret(silent)
            errors.append(silent)

            backend.refuses = True
            await fails(AuthError, client.appointments.get("401"))
            for thing in (client, client.with_options(timeout=1), auth, client.stats(), *events):
                show_no_secret_within(thing)
                no_pickle_shows_a_secret(thing)
        await fails(ClientMisuse, client.appointments.get("1"))

        assert any(request.body and request.target != "/oauth/token" for request in server.requests)

    stranger = Authority()
    with FaultServer(backend, tls=stranger.server()) as server:
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
        lambda: CoachingClient.from_env({"GENESYSCLOUD_ACCESS_TOKEN": f"{TOKEN} x"}),
        lambda: CoachingClient.from_env({"GENESYSCLOUD_OAUTHCLIENT_SECRET": SECRET}),
    ],
    ids=["token", "credentials", "environment", "half an environment"],
)
def test_row_107_an_invalid_secret_is_not_quoted(make: Callable[[], object]):
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
    """This holds for the text only, because the caller's frames contain the URL."""
    with pytest.raises(ConfigurationError) as caught:
        CoachingClient(Source(), **where)  # type: ignore[arg-type]
    for each in chain(caught.value):
        assert not is_shown(f"{each!r} {vars(each)}")
    no_pickle_shows_a_secret(caught.value)


async def test_row_107_the_password_of_an_invalid_proxy_is_not_quoted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"gopher://user:{SECRET}@proxy.test")

    with failing(ConfigurationError) as caught:
        async with CoachingClient(Source(), base_url="https://api.test"):
            pass
    show_nothing(caught.value)


async def test_row_107_a_token_that_is_invalid_in_a_header_is_not_quoted():
    class Broken:
        async def token(self, rejected: str | None = None) -> str:
            return f"{TOKEN}\r\nX: y"

    service = Service([answer(APPOINTMENT)])
    async with service.client(Broken()) as client:
        with failing(AuthError) as caught:
            await client.appointments.get("1")
    show_nothing(caught.value)
    assert service.requests == []


@pytest.mark.real_time
async def test_row_107_a_cookie_in_a_broken_header_line_is_not_quoted():
    broken = f"HTTP/1.1 200 OK\r\nSet-Cookie : {SET_COOKIE}\r\nContent-Length: 0\r\n\r\n"
    with FaultServer(raw_answer(broken.encode())) as server:
        async with client_to(server.url, retry=NO_RETRIES) as client:
            with failing(TransportError):
                await client.appointments.get("1")


async def test_row_107_a_token_endpoint_that_echoes_the_credentials_is_not_quoted():
    def backend(request: httpx.Request) -> httpx.Response:
        said = f"no client {request.headers['authorization']}"
        return answer({"error": "invalid_request", "error_description": said}, 400)

    async with Service(backend).client(credentials()) as client:
        with failing(AuthError) as caught:
            await client.appointments.get("1")
    show_nothing(caught.value)
