"""Each kind of failure while a stream is live: the reader gets every notification once, and sees nothing else."""

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import anyio
import attrs
import httpx
import pytest

from coaching_async import (
    AccessToken,
    AuthError,
    ChannelLost,
    ClientMisuse,
    CoachingClient,
    Event,
    FillFailed,
    FrameUnreadable,
    RetryPolicy,
    Unauthorized,
)
from coaching_async.sandbox import Fault, Operation, Sandbox
from coaching_async.testing import fails, route
from tests.support.effort import combinations
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left", "no_pauses")]

BACKENDS = ["asyncio", "trio"]

Order: TypeAlias = Callable[[Sandbox], object]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    with Sandbox(appointments=4, users=2) as sandbox:
        yield sandbox


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def client(sandbox: Sandbox, events: list[Event]) -> AsyncIterator[CoachingClient]:
    auth = AccessToken(sandbox.user_token(sandbox.state.user_ids[0]))
    once = RetryPolicy(attempts=1, throttle_waits=0)
    with anyio.fail_after(HANG):
        async with CoachingClient(auth, base_url=sandbox.base_url, retry=once, on_event=events.append) as client:
            yield client


def closed(code: int) -> Order:
    return lambda sandbox: sandbox.sockets.close(code)


def refused(status: int) -> Order:
    """Refuse two handshakes after the WebSocket is lost."""

    def order(sandbox: Sandbox) -> None:
        sandbox.sockets.refuse_handshakes(status, status)
        sandbox.sockets.drop()

    return order


def failing(operation: Operation, *faults: Fault, lose: Order = lambda sandbox: sandbox.sockets.drop()) -> Order:
    """Let the requests of an operation fail after the WebSocket is lost."""

    def order(sandbox: Sandbox) -> None:
        method, path = route(operation)
        for fault in faults:
            sandbox.faults.add(attrs.evolve(fault, method=method, path=path))
        lose(sandbox)

    return order


def status(number: int) -> Fault:
    return Fault("status", status=number, times=2)


ROWS: dict[str, Order] = {
    "connection lost": lambda sandbox: sandbox.sockets.drop(),
    **{f"closed with {code}": closed(code) for code in (1000, 1001, 1011, 1012, 4000)},
    **{f"handshake answered {code}": refused(code) for code in (302, 400, 401, 403, 404, 410, 429, 503)},
    "channel taken": lambda sandbox: sandbox.sockets.evict(),
    "event twice": lambda sandbox: (sandbox.notify(sandbox.state.user_ids[0]), sandbox.sockets.double()),
    "topics not set, 503": failing("topics.subscribe", status(503)),
    "topics not set, 429": failing("topics.subscribe", Fault("status", status=429, retry_after=1)),
    "topics not set, 404": failing("topics.subscribe", Fault("status", status=404)),
    "topics not set, web page": failing("topics.subscribe", Fault("html")),
    "topics not set, response lost": failing("topics.subscribe", Fault("drop_after")),
    "channel not created, 503": failing(
        "topics.create_channel", status(503), lose=lambda sandbox: sandbox.sockets.evict()
    ),
    "list not read, 503": failing("notifications.list", Fault("status", status=503)),
    "list not read, web page": failing("notifications.list", Fault("html")),
    "list not read, connection lost": failing("notifications.list", Fault("drop_before")),
    "message of more than 1 MiB": lambda sandbox: sandbox.sockets.say("x" * (2**20 + 1)),
}
UNREADABLE = {
    "no JSON": "nothing",
    "nested too deep": "[" * 200_000,
    "no topic": "{}",
    "topic that is no text": '{"topicName": 7, "eventBody": {}}',
    "notification without id": '{"topicName": "v2.users.u.wem.coaching.notification", "eventBody": {"name": "n"}}',
    "garbled": None,
}


async def received(client: CoachingClient, sandbox: Sandbox, order: Order) -> tuple[list[str], list[str]]:
    """Return the ids that were made during a failure and after it, and those that came."""
    me = sandbox.state.user_ids[0]
    known = set(sandbox.state.notifications)
    async with client.notifications.listen() as stream:
        order(sandbox)
        sandbox.notify(me)
        made = set(sandbox.state.notifications) - known
        got = [(await anext(stream)).id for _ in made]
        while stream.state != "live" or not len(sandbox.sockets):  # noqa: ASYNC110 # the fixture of the client reports a hang
            await anyio.sleep(0.01)
        last = sandbox.notify(me)["id"]
        while got[-1] != last:
            got.append((await anext(stream)).id)
    return sorted([*made, last]), sorted(got)


@pytest.mark.parametrize("anyio_backend, row", combinations(BACKENDS, ROWS))
async def test_a_reader_sees_nothing_of_it(sandbox: Sandbox, client: CoachingClient, row: str):
    made, got = await received(client, sandbox, ROWS[row])

    assert got == made


@pytest.mark.parametrize("anyio_backend, row", combinations(BACKENDS, UNREADABLE))
async def test_a_message_that_cannot_be_read_is_told_and_costs_no_connection(
    sandbox: Sandbox, client: CoachingClient, events: list[Event], row: str
):
    text = UNREADABLE[row]
    order: Order = (lambda sandbox: sandbox.sockets.garble()) if text is None else (lambda box: box.sockets.say(text))

    made, got = await received(client, sandbox, order)

    assert got == made
    assert FrameUnreadable() in events
    assert not [event for event in events if isinstance(event, ChannelLost)]


async def test_a_list_that_is_not_read_is_an_event(sandbox: Sandbox, client: CoachingClient, events: list[Event]):
    await received(client, sandbox, ROWS["list not read, 503"])

    assert FillFailed("opened", "ServerError") in events


@pytest.mark.parametrize(("operation", "number"), [("topics.subscribe", 403), ("topics.subscribe", 401)])
async def test_a_refusal_ends_the_stream_as_itself(
    sandbox: Sandbox, client: CoachingClient, operation: Operation, number: int
):
    async with client.notifications.listen() as stream:
        fails(sandbox, operation, number, times=5)
        sandbox.sockets.drop()
        with pytest.raises((Unauthorized, AuthError) if number == 401 else Exception) as caught:
            await anext(stream)
        assert getattr(caught.value, "status", None) == number
        with pytest.raises(ClientMisuse, match="ended with an error"):
            await anext(stream)


async def test_a_socket_client_that_opens_no_websockets_is_refused(sandbox: Sandbox):
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(101))) as mock:
        auth = AccessToken(sandbox.user_token(sandbox.state.user_ids[0]))
        async with CoachingClient(auth, base_url=sandbox.base_url, socket_client=mock) as client:
            with pytest.raises(ClientMisuse, match="opens no WebSockets"):
                async with client.notifications.listen():
                    pass


async def test_a_socket_client_opens_the_websockets_and_stays_open(sandbox: Sandbox):
    async with httpx.AsyncClient() as http:
        auth = AccessToken(sandbox.user_token(sandbox.state.user_ids[0]))
        async with (
            CoachingClient(auth, base_url=sandbox.base_url, socket_client=http) as client,
            client.notifications.listen() as stream,
        ):
            made = sandbox.notify(sandbox.state.user_ids[0])["id"]
            assert (await anext(stream)).id == made
        assert not http.is_closed
