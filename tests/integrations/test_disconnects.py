"""Browsers that disconnect during a request, in both example applications."""

import json
import socket
import threading

import httpx
import pytest

from coaching_async import AppointmentCreate, to_dict
from coaching_async.testing import build
from tests.support.example_servers import COMMANDS, USER, serving
from tests.support.fault_server import HANG, HOST, Conversation, FaultServer, answering, ok, then

pytestmark = pytest.mark.parametrize("framework", COMMANDS)

TOKEN = {"access_token": "t", "token_type": "bearer", "expires_in": 86400}
FOUND = {"id": USER, "name": "Call opening"}
FIRST_PAGE = {"entities": [FOUND], "pageNumber": 1, "pageSize": 1, "pageCount": 2, "total": 2}


class DisconnectingBrowser:
    """A browser that sends a request and disconnects before the response is complete."""

    def __init__(self, browser: httpx.Client) -> None:
        self._socket = socket.create_connection((browser.base_url.host, browser.base_url.port or 80))

    def send(self, method: str, path: str, body: object = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def read_until(self, text: bytes) -> None:
        read = b""
        while text not in read:
            read += self._socket.recv(65536) or pytest.fail(f"the response ended: {read!r}")

    def disconnect(self) -> None:
        self._socket.close()


def test_a_disconnect_cancels_the_calls_of_that_request_and_no_others(framework: str):
    stalled = then(answering(TOKEN), Conversation.pause)
    stalled_at_page_2 = then(answering(FIRST_PAGE), Conversation.pause)
    with FaultServer(stalled, stalled_at_page_2, ok(FOUND)) as service, serving(framework, service.url) as browser:
        asking = DisconnectingBrowser(browser)
        asking.send("GET", f"/appointments/{USER}")
        service.wait_until(lambda: len(service.requests) == 2)
        asking.disconnect()
        service.wait_until(lambda: service.open == 0)

        streaming = DisconnectingBrowser(browser)
        streaming.send("GET", f"/appointments?user_id={USER}")
        streaming.read_until(b"Call opening")
        service.wait_until(lambda: len(service.requests) == 4)
        streaming.disconnect()
        service.wait_until(lambda: service.open == 0)

        assert browser.get(f"/appointments/{USER}").json() == FOUND


@pytest.mark.usefixtures("idle_connections_are_kept")
def test_a_write_continues_after_a_disconnect(framework: str):
    has_left, is_answered = threading.Event(), threading.Event()

    def slow(conversation: Conversation) -> None:
        assert has_left.wait(HANG)
        conversation.answer(FOUND, 201)
        is_answered.set()
        ok(FOUND)(conversation)

    with FaultServer(then(answering(TOKEN), slow), ok(FOUND)) as service, serving(framework, service.url) as browser:
        writing = DisconnectingBrowser(browser)
        writing.send("POST", "/appointments", to_dict(build(AppointmentCreate)))
        service.wait_until(lambda: len(service.requests) == 2)
        writing.disconnect()
        assert browser.get(f"/appointments/{USER}").json() == FOUND  # over another connection
        assert service.open == 2

        has_left.set()
        assert is_answered.wait(HANG)
        assert browser.get(f"/appointments/{USER}").json() == FOUND
        assert (service.accepted, service.open) == (2, 2), "the connection of the write was kept for the next request"
