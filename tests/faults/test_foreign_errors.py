"""Row 100: errors of borrowed transports, hooks and token sources are raised unchanged."""

import anyio
import anyio.lowlevel
import httpx
import pytest

from coaching_async import (
    CoachingClient,
)
from tests.faults.cancellation import PERMITS, read, warnings_of
from tests.faults.support import APPOINTMENT, client_to
from tests.support.cancelling import (
    assert_nothing_is_held,
)
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio


class OfTheirOwn(Exception):
    """An exception of the caller's."""


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which would end the test run."""


FOREIGN = [OfTheirOwn("theirs"), Interrupt("stop"), SystemExit(3)]


class Raising(httpx.AsyncBaseTransport):
    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return answer(APPOINTMENT)


async def comes_out_as_itself(client: CoachingClient, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await read(client)
    assert caught.value is error
    assert_nothing_is_held(client, PERMITS, mocked=True)


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
async def test_row_100_an_error_of_a_borrowed_transport_is_raised_unchanged(error: BaseException):
    transport = Raising(error)
    http = httpx.AsyncClient(transport=transport)
    async with http, client_to("https://api.test", http_client=http) as client:
        await comes_out_as_itself(client, error)
        transport.error = None
        await read(client)


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
@pytest.mark.parametrize("event", ["request", "response"])
async def test_row_100_an_error_of_a_borrowed_clients_hook_is_raised_unchanged(event: str, error: BaseException):
    async def hook(_: object) -> None:
        raise error

    http = httpx.AsyncClient(transport=Raising(None), event_hooks={event: [hook]})
    async with http, client_to("https://api.test", http_client=http) as client:
        await comes_out_as_itself(client, error)
        http.event_hooks = {}
        await read(client)


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
async def test_row_100_an_error_of_a_token_source_is_raised_unchanged(error: BaseException):
    class Failing:
        async def token(self, rejected: str | None = None) -> str:
            raise error

    async with Service([answer(APPOINTMENT)]).client(Failing()) as client:
        await comes_out_as_itself(client, error)


async def test_row_100_an_exception_of_on_event_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture):
    """`on_event` only observes, as the client's docstring says. A BaseException that is no Exception is raised."""
    failure: BaseException = OfTheirOwn("theirs")

    def hook(_: object) -> None:
        raise failure

    async with Service([answer(APPOINTMENT)]).client(on_event=hook) as client:
        await read(client)
        assert {each.split(" on ")[0] for each in warnings_of(caplog)} == {"on_event failed"}
        failure = Interrupt("stop")
        with pytest.raises(Interrupt) as caught:
            await read(client)
        assert caught.value is failure
        assert_nothing_is_held(client, PERMITS, mocked=True)
