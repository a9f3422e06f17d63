"""Rows 77 to 82: bulks, in which each call has its own outcome. (Row 80 is in test_pacing.py.)"""

import gc
import json
import logging
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import anyio
import attrs
import httpx
import pytest

from coaching_async import (
    AppointmentCreate,
    CoachingClient,
    NotFound,
    Outcome,
    OutcomeUnknown,
    RateLimit,
    ServerError,
    TransportError,
)
from tests.faults.support import NEW, client_to, eventually
from tests.support.doubles import answer, refusal
from tests.support.effort import FULL, on_one_backend
from tests.support.fault_server import HANG, Conversation, FaultServer, tasks_now

pytestmark = pytest.mark.anyio

PLENTY = RateLimit(10**6, per=0.01)
LIMIT = 10
IDS = [f"id-{number}" for number in range(10_000 if FULL else 1_000)]


def id_of(target: str) -> str:
    return target.rpartition("/")[2]


class Peer:
    """A service in memory with latency, that counts simultaneous requests. `fates` are the failures by id."""

    def __init__(self, fates: dict[str, int | None]) -> None:
        self.fates = fates
        self.under_way = self.peak = self.tasks = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        self.tasks = max(self.tasks, tasks_now())
        await anyio.sleep(0.01)
        self.under_way -= 1
        id_ = id_of(request.url.path)
        status = self.fates.get(id_, 200)
        if status is None:
            raise httpx.RemoteProtocolError("cut")
        return answer({"id": id_, "name": f"name of {id_}"} if status == 200 else refusal(status), status)

    def client(self) -> CoachingClient:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return client_to("https://api.test", http_client=http, rate_limit=PLENTY, max_concurrency=LIMIT)


@pytest.fixture
def quietly(caplog: pytest.LogCaptureFixture) -> None:
    """Drop the debug records of many calls, which pytest would keep in memory. Other tests check them."""
    caplog.set_level(logging.WARNING)


# 77


@pytest.mark.usefixtures("quietly")
@on_one_backend
async def test_row_77_many_ids_are_read_ten_at_a_time_and_returned_in_their_order():
    peer, tasks = Peer({}), tasks_now()

    async with peer.client() as client:
        result = await client.appointments.get_many(IDS)

    assert [outcome.item for outcome in result.outcomes] == IDS
    assert [outcome.result().id for outcome in result.outcomes] == IDS
    assert peer.peak == LIMIT
    # A task for each call, one for each exchange, and one that takes the items, besides the caller's.
    assert peer.tasks - tasks == 2 * LIMIT + 1


@pytest.mark.usefixtures("quietly")
@on_one_backend
async def test_row_77_memory_does_not_grow_with_the_items():
    """Only the values of a bulk grow, and here there are none."""
    peer = Peer({})
    async with peer.client() as client:

        async def forget(id_: str) -> None:
            await client.appointments.get(id_)

        await client.bulk(forget, IDS[:100])
        peaks: list[int] = []
        for count in (100, 900):  # far apart, because of what waits for the collector
            gc.collect()
            tracemalloc.start()
            await client.bulk(forget, IDS[:count])
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert (peaks[1] - peaks[0]) / (count - 100) < 300, "an outcome, which tests/bulk/test_runner.py measures"


# 78


def misfortunes(ids: list[str]) -> dict[str, int | None]:
    """Choose 5 % of the ids for a 404, 5 % for a 500, and 1 % for a cut connection."""
    hundredth = len(ids) // 100
    chosen = iter(random.Random(78).sample(ids, 11 * hundredth))
    fates: dict[str, int | None] = {}
    for status, count in [(404, 5), (500, 5), (None, 1)]:
        fates |= {next(chosen): status for _ in range(count * hundredth)}
    return fates


def as_ordered(outcome: Outcome[str, Any], status: int | None) -> bool:
    """Return whether an outcome is that of a read with this status. None stands for no response."""
    match status:
        case 200:
            return outcome.result().id == outcome.item
        case 404:
            return isinstance(outcome.error, NotFound)
        case 500:
            return isinstance(outcome.error, ServerError) and outcome.error.status == 500
        case _:
            return type(outcome.error) is TransportError and outcome.error.processed == "no"


@pytest.mark.usefixtures("quietly")
@on_one_backend
async def test_row_78_each_of_many_items_has_its_result_or_typed_error_in_its_place():
    fates = misfortunes(IDS)
    peer, tasks = Peer(fates), tasks_now()

    async with peer.client() as client:
        result = await client.appointments.get_many(IDS)

    assert [outcome.item for outcome in result.outcomes] == IDS
    assert all(as_ordered(outcome, fates.get(outcome.item, 200)) for outcome in result.outcomes)
    assert len(result.failed) == len(IDS) * 11 // 100
    assert peer.peak == LIMIT
    assert peer.tasks - tasks == 2 * LIMIT + 1


@pytest.mark.real_time
async def test_row_78_so_it_is_over_sockets():
    ids = IDS[:100]
    fates = misfortunes(ids)

    def behave(conversation: Conversation) -> None:
        while received := conversation.request():
            status = fates.get(id_of(received.target), 200)
            if status is None:
                conversation.reset()
                return
            conversation.answer({"id": id_of(received.target)} if status == 200 else refusal(status), status)

    with FaultServer(behave) as server:
        async with client_to(server.url, rate_limit=PLENTY, max_concurrency=LIMIT) as client:
            result = await client.appointments.get_many(ids)

    assert [outcome.item for outcome in result.outcomes] == ids
    assert all(as_ordered(outcome, fates.get(outcome.item, 200)) for outcome in result.outcomes)


# 79


def silent_but_for(answered: set[str]) -> Callable[[Conversation], None]:
    """Return a behavior that responds to some ids and never to the others."""

    def behave(conversation: Conversation) -> None:
        while received := conversation.request():
            if id_of(received.target) not in answered:
                conversation.pause()
            conversation.answer({"id": id_of(received.target)})

    return behave


@pytest.mark.real_time
async def test_row_79_an_exception_of_the_callers_function_is_raised_unchanged_and_ends_all_other_calls():
    error, tasks = ZeroDivisionError(), tasks_now()
    with FaultServer(silent_but_for(set())) as server:
        async with client_to(server.url, rate_limit=PLENTY, max_concurrency=LIMIT) as client:

            async def read(id_: str) -> Any:
                if id_ == "id-4":
                    await eventually(lambda: len(server.requests) == LIMIT - 1)
                    raise error
                return await client.appointments.get(id_)

            with anyio.fail_after(HANG), pytest.raises(ZeroDivisionError) as caught:
                await client.bulk(read, IDS)

            assert caught.value is error
            assert tasks_now() == tasks
            await eventually(lambda: server.open == 0)
            assert len(server.requests) == LIMIT - 1


# 81


@pytest.mark.real_time
@pytest.mark.parametrize("error", [None, ZeroDivisionError()], ids=["breaks", "raises"])
async def test_row_81_a_stream_that_is_left_early_leaves_no_call_in_flight(error: Exception | None):
    tasks = tasks_now()
    with FaultServer(silent_but_for({"id-0"})) as server:
        async with client_to(server.url, rate_limit=PLENTY, max_concurrency=LIMIT) as client:

            async def read() -> None:
                async with client.bulk_stream(client.appointments.get, IDS) as outcomes:
                    async for outcome in outcomes:
                        assert outcome.result().id == "id-0"
                        await eventually(
                            lambda: len(server.requests) == LIMIT + 1
                        )  # that of id-0, and ten concurrent ones
                        if error is not None:
                            raise error
                        break

            with anyio.fail_after(HANG):
                if error is None:
                    await read()
                else:
                    with pytest.raises(ZeroDivisionError) as caught:
                        await read()
                    assert caught.value is error

            assert tasks_now() == tasks
            await eventually(lambda: server.open == 0)


# 82


@pytest.mark.real_time
async def test_row_82_of_fifty_creates_the_one_without_a_response_is_uncertain_and_not_sent_again():
    store = list[str]()

    def behave(conversation: Conversation) -> None:
        while received := conversation.request():
            name = json.loads(received.body)["name"]
            store.append(name)
            if name == "new 7":
                conversation.reset()
                return
            conversation.answer({"id": f"id of {name}"}, status=201)

    bodies: list[AppointmentCreate] = [attrs.evolve(NEW, name=f"new {number}") for number in range(50)]
    with FaultServer(behave) as server:
        async with client_to(server.url, rate_limit=PLENTY, max_concurrency=LIMIT) as client:
            result = await client.bulk(client.appointments.create, bodies)
            again = await result.retry_failed()

    assert [outcome.is_ok for outcome in result.outcomes] == [number != 7 for number in range(50)]
    in_doubt = result.outcomes[7].error
    assert isinstance(in_doubt, OutcomeUnknown)
    assert in_doubt.processed == "maybe"
    assert all(outcome.result().id == f"id of {outcome.item.name}" for outcome in result.outcomes if outcome.is_ok)
    assert sorted(store) == sorted(body.name for body in bodies)
    assert again is result
