"""Row 41: the retry budget limits retries while all requests fail, and refills with successes."""

from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    CoachingClient,
    CoachingError,
    RateLimit,
    RetryPolicy,
)
from tests.faults.statuses import GET, service_of, throttled
from tests.faults.support import APPOINTMENT
from tests.support.doubles import answer
from tests.support.effort import calls, on_one_backend

pytestmark = pytest.mark.anyio


# The budget of retries

NO_LIMIT: dict[str, Any] = {"rate_limit": RateLimit(1_000_000)}
IN_FLIGHT = 10
MANY = calls(500)


class UnreliableService:
    """A service that fails while it is `bad`."""

    def __init__(self, failure: int | Exception) -> None:
        self.bad, self.sent, self._failure = True, 0, failure

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.sent += 1
        if not self.bad:
            return answer(APPOINTMENT)
        if isinstance(self._failure, Exception):
            raise self._failure
        return answer({}, self._failure)


async def several(client: CoachingClient, count: int, *, at_once: bool) -> None:
    async def one() -> None:
        try:
            await GET(client)
        except CoachingError as error:
            failed.append(error)

    failed: list[CoachingError] = []
    if at_once:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
    else:
        for _ in range(count):
            await one()
    assert len(failed) == count


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize("failure", [503, httpx.ConnectError("refused"), httpx.ReadError("cut")], ids=str)
@on_one_backend
async def test_row_41_while_all_requests_fail_retries_are_few_and_they_return_with_success(
    failure: int | Exception, at_once: bool
):
    service = UnreliableService(failure)
    async with service_of(service, max_concurrency=IN_FLIGHT, **NO_LIMIT) as (_, client, _waits):
        await several(client, MANY, at_once=at_once)
        assert MANY < service.sent <= MANY + 10 + IN_FLIGHT

        service.sent = 0
        await several(client, 50, at_once=at_once)
        assert service.sent == 50, "the budget is spent"

        service.bad = False
        for _ in range(200):
            await GET(client)

        service.bad, service.sent = True, 0
        await several(client, 1, at_once=at_once)
        assert service.sent == 4, "it has been refilled"


async def test_row_41_a_hundred_successes_refund_ten_failures():
    service = UnreliableService(503)
    async with service_of(service, **NO_LIMIT) as (_, client, _waits):
        await several(client, 3, at_once=False)
        first = service.sent
        assert 3 < first <= 13

        service.bad = False
        for _ in range(100):
            await GET(client)

        service.bad, service.sent = True, 0
        await several(client, 3, at_once=False)
        assert service.sent == first


async def test_row_41_waits_for_429s_take_nothing_from_the_budget():
    async with service_of([throttled("0")], retry=RetryPolicy(max_backoff=0), **NO_LIMIT) as (service, client, _):
        await several(client, 100, at_once=False)

    assert len(service.requests) == 600
