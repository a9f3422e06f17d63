"""Row 80, and priorities: walks and bulk calls beside interactive calls, on a virtual clock."""

import math
from collections import deque

import anyio
import httpx
import pytest

from coaching_async import ClientCredentials, ClientMisuse, CoachingClient, DeadlineExceeded, RateLimit, RateLimited
from coaching_async._transport.priority import bulk_priority
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.faults.support import Source
from tests.support.doubles import answer, page
from tests.support.effort import on_one_backend

pytestmark = pytest.mark.anyio


class Limited:
    """A service that accepts `limit` requests in any window of 60 s, responds within 0.1 s, and has a list of ten pages."""

    def __init__(self, limit: int, *, says: int | None = None) -> None:
        self.limit, self.says = limit, says
        self.let_through: deque[float] = deque()
        self.sent, self.refused = list[float](), 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.05)
        now = anyio.current_time()
        self.sent.append(now)
        while self.let_through and self.let_through[0] <= now - 60:
            self.let_through.popleft()
        if len(self.let_through) >= self.limit:
            self.refused += 1
            wait = min(60, math.ceil(self.let_through[0] + 60 - now)) if self.says is None else self.says
            return answer({"code": "too.many.requests"}, 429, Retry_After=str(wait))
        self.let_through.append(now)
        await anyio.sleep(0.05)
        if request.url.path.endswith("/appointments"):
            number = int(request.url.params["pageNumber"])
            return answer(page(f"a-{number}", number=number, count=10, total=10))
        return answer({"id": "1"})

    def client(self, **options: object) -> CoachingClient:
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return CoachingClient(Source(), base_url="https://api.test", http_client=self.http, **options)  # type: ignore[arg-type]


async def many(client: CoachingClient, count: int) -> None:
    left = iter(range(count))

    async def work() -> None:
        with bulk_priority():
            for _ in left:
                await client.appointments.get("1")

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(work)


@on_one_backend
async def test_row_80_a_thousand_reads_at_300_a_minute_get_no_429_and_delay_no_interactive_call():
    service, waits = Limited(300), list[float]()
    async with service.client() as client:

        async def handle() -> None:
            while True:
                await anyio.sleep(3.3)
                asked = anyio.current_time()
                await client.appointments.get("1")
                waits.append(anyio.current_time() - asked)

        start = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await many(client, 1000)
            seconds = anyio.current_time() - start
            tasks.cancel_scope.cancel()
        assert client.stats().throttled == 0

    assert service.refused == 0
    assert (
        max(waits) <= 0.1 + 0.2 + 0.1
    )  # its own response, one permit that comes free, and the response before that permit
    assert len(service.sent) >= 0.99 * 300 * seconds / 60


@on_one_backend
async def test_row_80_if_half_is_allowed_all_calls_succeed_with_few_429s():
    service = Limited(150)
    async with service.client() as client:
        start = anyio.current_time()
        await many(client, 1000)

    later = len([at for at in service.sent if at > start + 60])
    assert len(service.sent) - service.refused == 1000
    assert service.refused - 1 <= 0.05 * later


async def test_the_deadline_of_a_walks_page_starts_with_its_permit():
    service = Limited(300)
    async with service.client(rate_limit=RateLimit(2, per=600.0), timeout=5.0) as client:
        start = anyio.current_time()
        items = await client.appointments.list("u").collect()

    assert [item.id for item in items] == [f"a-{number}" for number in range(1, 11)]
    assert 4 * 600 <= anyio.current_time() - start < 5 * 600


async def test_a_page_past_its_deadline_fails_however_long_it_waited_for_its_permit():
    async def silent(_: httpx.Request) -> httpx.Response:
        sent.append(anyio.current_time())
        await anyio.sleep(0 if len(sent) == 1 else math.inf)
        return answer(page("1", count=2, total=2))

    sent = list[float]()
    async with httpx.AsyncClient(transport=httpx.MockTransport(silent)) as http:
        options = {"rate_limit": RateLimit(1, per=600.0), "timeout": 5.0}
        async with CoachingClient(Source(), base_url="https://api.test", http_client=http, **options) as client:
            walk = aiter(client.appointments.list("u"))
            await anext(walk)
            with pytest.raises(DeadlineExceeded, match="no answer within 5 s"):
                await anext(walk)

    assert sent[1] - sent[0] == pytest.approx(600)
    assert anyio.current_time() - sent[1] == pytest.approx(5)


async def test_after_a_429_a_walk_waits_and_an_interactive_call_raises_retry_after():
    service = Limited(3, says=50)
    async with service.client(timeout=5.0) as client:
        with bulk_priority():
            for _ in range(3):
                await client.appointments.get("1")
        with pytest.raises(RateLimited) as caught:
            await client.appointments.get("1")
        assert caught.value.retry_after == pytest.approx(50)

        items = await client.appointments.list("u").collect(limit=3)

    assert len(items) == 3


async def test_a_walk_fails_after_a_429_with_too_long_a_retry_after():
    service = Limited(0, says=86400)
    async with service.client() as client:
        with pytest.raises(RateLimited) as caught:
            await client.appointments.list("u").collect()

    assert caught.value.retry_after == 86400


async def test_a_walk_that_waits_for_a_permit_ends_at_its_callers_deadline():
    service = Limited(1)
    async with service.client(rate_limit=RateLimit(1, per=600.0)) as client:
        walk = aiter(client.appointments.list("u"))
        await anext(walk)
        with anyio.move_on_after(5) as scope:
            await anext(walk)
        assert scope.cancelled_caught

        await anyio.sleep(600)
        service.limit = 0
        service.says = 60
        with anyio.fail_after(5), pytest.raises(RateLimited):  # a `Retry-After` beyond the deadline is an error at once
            await anext(walk)


@pytest.mark.parametrize("limit", [RateLimit(1, per=600.0), RateLimit(300)], ids=["by the pacer", "by the service"])
async def test_a_walk_that_waits_for_a_permit_ends_when_its_client_is_closed(limit: RateLimit):
    service = Limited(1)
    client = service.client(rate_limit=limit)
    walk = aiter(client.appointments.list("u"))
    await anext(walk)

    async def close() -> None:
        await anyio.sleep(5)
        await client.aclose()

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        with pytest.raises(ClientMisuse, match="closed"):
            await anext(walk)
    await service.http.aclose()
    assert anyio.current_time() - start == pytest.approx(5)


async def test_total_and_first_of_a_list_are_interactive_calls():
    service = Limited(300)
    async with service.client(rate_limit=RateLimit(1, per=600.0), timeout=5.0) as client:
        assert await client.appointments.list("u").total() == 10
        for look in (client.appointments.list("u").total, client.appointments.list("u").first):
            with pytest.raises(RateLimited, match="past the deadline"):
                await look()


@pytest.mark.real_time
@pytest.mark.parametrize("allowed", [200, 100], ids=["as much as was thought", "half of it"])
@on_one_backend
async def test_row_80_over_sockets_a_whole_bulk_succeeds_without_needless_429s(allowed: int):
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    with Sandbox(rate_limit=allowed, rate_window=0.5) as sandbox:
        ids = [row["id"] for row in sandbox.state.appointments.values()]
        limit = RateLimit(200, per=0.5)
        async with CoachingClient(auth, base_url=sandbox.base_url, rate_limit=limit) as client:
            result = await client.appointments.get_many(ids[number % len(ids)] for number in range(250))
            throttled = client.stats().throttled

    assert len(result.outcomes) == 250
    assert not result.failed
    assert not throttled or allowed < 200
