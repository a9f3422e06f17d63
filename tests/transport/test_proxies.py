"""Tests of proxies that open no connection: the error names the proxy, and the request counts as not sent."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import httpx2
import httpx_aiohttp
import pytest

from coaching_async import (
    AccessToken,
    AppointmentUpdate,
    ClientCredentials,
    CoachingClient,
    DeadlineExceeded,
    HttpClient,
    RetryPolicy,
    TransportError,
)
from coaching_async._transport.failures import classify
from coaching_async._transport.retry_policy import Fault
from tests.support.doubles import TOKEN
from tests.support.fault_server import HANG, Behaviour, Conversation, FaultServer, answering, then
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

API = "https://api.test.invalid"
SECRET = "hunter2"
RETRY = RetryPolicy(max_backoff=0.0)


@pytest.fixture(autouse=True)
def no_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def says_ssh(conversation: Conversation) -> None:
    conversation.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


def hangs_up(conversation: Conversation) -> None:
    conversation.close()


REFUSALS: dict[str, tuple[Behaviour, str, int]] = {
    "403": (answering(status=403), "opens no connection: 403", 1),
    "407": (answering(status=407), "opens no connection: 407", 1),
    "502": (answering(status=502), "opens no connection: 502", 4),
    "hangs up": (hangs_up, "opens no connection", 4),
    "no HTTP": (says_ssh, "opens no connection", 4),
}

BORROWED: dict[str, Callable[[str], HttpClient]] = {
    "httpx": lambda url: httpx.AsyncClient(proxy=url),
    "httpx2": lambda url: httpx2.AsyncClient(proxy=url),
    "aiohttp": lambda url: httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport(proxy=httpx.Proxy(url))),
}


@asynccontextmanager
async def client_through(
    kind: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[CoachingClient]:
    """A client that reaches its hosts through a proxy, whose user has a password."""
    if kind != "aiohttp":  # its way to take a password is deprecated, and warns
        url = url.replace("//", f"//someone:{SECRET}@")
    arguments: dict[str, Any] = {"base_url": API, "timeout": HANG, "retry": RETRY} | options
    if kind == "own":
        monkeypatch.setenv("HTTPS_PROXY", url)
        async with CoachingClient(AccessToken(TOKEN), **arguments) as client:
            yield client
        return
    http = BORROWED[kind](url)
    async with CoachingClient(AccessToken(TOKEN), http_client=http, **arguments) as client:
        yield client
    await http.aclose()


def skip_aiohttp_on_trio(kind: str, backend: str) -> None:
    if kind == "aiohttp" and backend == "trio":
        pytest.skip("aiohttp supports only asyncio")


@pytest.mark.parametrize("kind", ["own", *BORROWED])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_a_proxy_refuses_is_told_as_its_own_with_its_address_and_without_its_password(
    kind: str, refusal: str, monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
):
    skip_aiohttp_on_trio(kind, anyio_backend_name)
    if kind == "aiohttp" and refusal in {"hangs up", "no HTTP"}:
        pytest.skip("aiohttp does not tell which connection failed")
    behaviour, text, attempts = REFUSALS[refusal]
    with FaultServer(then(behaviour)) as proxy:
        async with client_through(kind, proxy.url, monkeypatch) as client:
            for each in (client, client.with_auth(ClientCredentials("id", "secret"))):
                host = "api.test.invalid" if each is client else "login.test.invalid"
                with pytest.raises(TransportError) as caught:
                    await each.appointments.get("1")

                assert f"no answer from {host}: the proxy 127.0.0.1:{proxy.port} {text}" in str(caught.value)
                assert SECRET not in str(caught.value) + repr(caught.value.__cause__)
                assert caught.value.processed == "no"
                assert type(caught.value.__cause__).__name__ == "ProxyError"
            assert client.stats().retries == 2 * (attempts - 1)


@pytest.mark.parametrize("kind", ["own", *BORROWED])
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-proxy.invalid"])
async def test_a_proxy_that_cannot_be_reached_is_named(
    kind: str, host: str, monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
):
    skip_aiohttp_on_trio(kind, anyio_backend_name)
    port = free_port()
    async with client_through(kind, f"http://{host}:{port}", monkeypatch, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(TransportError, match=f"the proxy {host}:{port} cannot be reached: ") as caught:
            await client.appointments.get("1")

    assert SECRET not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("kind", ["own", "httpx", "httpx2"])
@pytest.mark.parametrize("behaviour", [hangs_up, says_ssh])
async def test_a_write_that_a_proxy_did_not_let_through_was_certainly_not_carried_out(
    kind: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
):
    with FaultServer(then(behaviour)) as proxy:
        async with client_through(kind, proxy.url, monkeypatch) as client:
            for write in (
                client.appointments.update("1", AppointmentUpdate(name="n")),
                client.appointments.delete("1"),
            ):
                with pytest.raises(TransportError, match="the proxy") as caught:
                    await write
                assert (type(caught.value), caught.value.processed) == (TransportError, "no")

    assert proxy.accepted == 8


async def test_a_write_whose_deadline_passes_while_a_proxy_is_silent_was_not_sent(monkeypatch: pytest.MonkeyPatch):
    with FaultServer(then(Conversation.pause)) as proxy:
        async with client_through("own", proxy.url, monkeypatch, timeout=0.3) as client:
            with pytest.raises(DeadlineExceeded) as caught:
                await client.appointments.update("1", AppointmentUpdate(name="n"))

    assert caught.value.processed == "no"


async def test_what_a_service_does_wrong_behind_a_proxy_is_not_told_as_the_proxys(monkeypatch: pytest.MonkeyPatch):
    def tunnels_to_nobody(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        conversation.close()

    with FaultServer(then(tunnels_to_nobody)) as proxy:
        async with client_through("own", proxy.url, monkeypatch) as client:
            with pytest.raises(TransportError, match=r"no answer from api\.test\.invalid") as caught:
                await client.appointments.update("1", AppointmentUpdate(name="n"))

    assert "the proxy" not in str(caught.value)
    assert caught.value.processed == "no"


async def test_a_socks_proxy_that_breaks_its_protocol_is_named():
    class SOCKSError(Exception):
        __module__ = "socksio.exceptions"

    class ProtocolError(SOCKSError):
        __module__ = "socksio.exceptions"

    failure = classify(ProtocolError("Malformed reply"), API, borrowed=False, is_unsent=True, proxy="127.0.0.1:1080")

    assert failure is not None
    assert (failure.fault, type(failure.cause)) == (Fault.NOT_SENT, httpx.ProxyError)
    assert str(failure) == "the proxy 127.0.0.1:1080 opens no connection: Malformed reply"


@pytest.mark.parametrize("value", ["socks://127.0.0.1:1", "socks5://127.0.0.1:1", "nonsense://", "http://%zz"])
async def test_what_stays_on_this_machine_works_whatever_the_proxy_variables_say(
    value: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "[::1],fd00::/8,[,:,%")
    with FaultServer(then(answering({"id": "1"}))) as server:
        async with CoachingClient(AccessToken(TOKEN), base_url=server.url) as client:
            assert (await client.appointments.get("1")).id == "1"


async def test_a_tunnel_waits_no_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch):
    with FaultServer(then(Conversation.pause)) as proxy:
        async with client_through("own", proxy.url, monkeypatch, timeout=0.2) as client:
            with anyio.fail_after(HANG), pytest.raises(DeadlineExceeded):
                await client.appointments.get("1")
