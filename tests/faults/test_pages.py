"""Rows 64 to 76: lists that change, wrong page counts, pages that fail, and walks that are left early or shared."""

import gc
import random
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from coaching_async import (
    AccessToken,
    BadRequest,
    ClientMisuse,
    DecodeError,
    WalkReport,
)
from tests.faults.support import client_to, credentials, eventually, failing
from tests.support.cancelling import Way, assert_nothing_is_held, every_way, skip_where_unknown
from tests.support.changing_lists import MOVE, Change, ChangingList, listing_of, read_items
from tests.support.fault_server import Behaviour, Conversation, FaultServer, answering

pytestmark = pytest.mark.anyio

SIZE = 2


class Paged:
    """A list over sockets with two items a page. `before` is called with the number of each request, and may change it."""

    def __init__(self, letters: str, before: Callable[["Paged", int], None] = lambda *_: None, **says: Any) -> None:
        self.letters = letters
        self.says = says
        self.numbers: list[int] = []
        self._before = before

    def __call__(self, conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            query = parse_qs(urlsplit(request.target).query)
            number = int(query["pageNumber"][0])
            self.numbers.append(number)
            self._before(self, len(self.numbers))
            conversation.answer(self.page(number))

    def page(self, number: int) -> dict[str, Any]:
        letters = self.letters[(number - 1) * SIZE : number * SIZE]
        return {
            "entities": [{"id": letter} for letter in letters],
            "pageNumber": number,
            "pageSize": SIZE,
            "pageCount": -(-len(self.letters) // SIZE),
            "total": len(self.letters),
        } | self.says


def becomes(**states: str) -> Callable[[Paged, int], None]:
    """Return a function that changes the list at the n-th request: `becomes(at_2="bcd")`."""

    def change(service: Paged, request: int) -> None:
        service.letters = states.get(f"at_{request}", service.letters)

    return change


async def walked(server: FaultServer, **how: Any) -> tuple[str, WalkReport]:
    async with client_to(server.url) as client:
        walk = aiter(client.appointments.list("u", page_size=SIZE, **how))
        return "".join([item.id async for item in walk]), walk.report


@pytest.mark.real_time
async def test_row_64_after_an_insert_at_the_head_no_item_is_returned_twice():
    service = Paged("abcdef", becomes(at_2="xabcdef"))
    with FaultServer(service) as server:
        found, report = await walked(server)

    assert found == "abcdef"
    assert report.duplicates == 1
    assert service.numbers == [1, 2, 3, 4]


@pytest.mark.real_time
async def test_row_65_an_item_that_moves_up_after_a_delete_is_not_missed():
    service = Paged("abcdef", becomes(at_2="bcdef"))
    with FaultServer(service) as server:
        found, report = await walked(server)

    assert found == "abcdef", "c is not missed"
    assert (report.re_reads, report.suspected_gaps) == (1, 0)


async def test_row_66_with_an_unstable_order_no_item_is_returned_twice_and_verify_finds_all():
    choices = random.Random(66)
    for _ in range(200):
        length, size = choices.randrange(13), choices.randrange(1, 5)
        script = [[Change(MOVE, choices.random(), choices.random())] for _ in range(length // size)]
        moving, moved = (ChangingList("x", length, script) for _ in range(2))

        found = await read_items(listing_of([moving], size))
        everything = await read_items(listing_of([moved], size, verify=True))

        assert len(found) == len(set(found))
        assert sorted(everything) == sorted(moved.ids)


@pytest.mark.real_time
@pytest.mark.parametrize("says", [{"pageCount": 10**9, "total": -1}, {"pageCount": None, "total": None}, {"total": 5}])
async def test_row_67_a_walk_ends_if_the_service_repeats_its_last_page(says: dict[str, Any]):
    class Endless(Paged):
        def page(self, number: int) -> dict[str, Any]:
            return super().page(min(number, 3)) | {"pageNumber": number}

    service = Endless("abcde", **says)
    with FaultServer(service) as server:
        assert (await walked(server))[0] == "abcde"

    assert len(service.numbers) <= 3 + 2


@pytest.mark.real_time
@pytest.mark.parametrize("says", [{"pageCount": 10**9, "total": -1}, {"pageCount": 10**9}, {"pageCount": None}])
async def test_row_67_a_walk_ends_with_any_page_count_and_total(says: dict[str, Any]):
    service = Paged("abcde", **says)
    with FaultServer(service) as server:
        assert (await walked(server))[0] == "abcde"

    assert len(service.numbers) <= 3 + 2


@pytest.mark.real_time
@pytest.mark.parametrize("hidden", ["c", "cd"])
async def test_row_68_after_a_page_that_is_not_full_a_walk_continues_and_reports_it(hidden: str):
    class Leaky(Paged):
        def page(self, number: int) -> dict[str, Any]:
            page = super().page(number)
            return page | {"entities": [entity for entity in page["entities"] if entity["id"] not in hidden]}

    service = Leaky("abcdef")
    with FaultServer(service) as server:
        found, report = await walked(server)

    assert found == "".join(each for each in "abcdef" if each not in hidden)
    assert report.suspected_gaps == 1
    assert len(service.numbers) <= 3 + 2


@pytest.mark.real_time
async def test_row_69_a_page_other_than_the_requested_one_is_refused_with_a_clear_message():
    with FaultServer(Paged("abcdef", pageNumber=1)) as server:
        async with client_to(server.url) as client:
            walk = aiter(client.appointments.list("u", page_size=SIZE))
            assert [(await anext(walk)).id for _ in range(2)] == ["a", "b"]
            with failing(DecodeError, "page 2 was asked for, and page 1 came") as caught:
                await anext(walk)

    error = caught.value
    assert (error.status, error.operation, error.attempts) == (200, "appointments.list", 1)


@pytest.mark.real_time
async def test_row_69_no_row_is_missed_if_pages_are_smaller_than_requested():
    service = Paged("abcdefg", becomes(at_3="abdefg"))
    with FaultServer(service) as server:
        async with client_to(server.url) as client:
            found = [item.id async for item in client.appointments.list("u", page_size=100)]

    assert "".join(found) == "abcdefg"


FAULTS: dict[str, tuple[int, Behaviour]] = {
    "429": (0, answering({"code": "too.many.requests"}, 429, retry_after="0")),
    "503": (0, answering(b"", 503)),
    "cut": (0, Conversation.close),
    "half": (0, answering(b'{"entities": [', content_length="400")),
    "401": (1, answering({"code": "bad.credentials"}, 401)),
}


@pytest.mark.real_time
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_row_70_a_retried_page_is_invisible_to_the_reader(fault: str, concurrency: int):
    logins, answer = FAULTS[fault]
    failed = list[int]()

    class Failing(Paged):
        def __call__(self, conversation: Conversation) -> None:
            while (request := conversation.request()) is not None:
                if request.target.startswith("/oauth"):
                    conversation.answer({"access_token": f"token-{len(failed)}", "expires_in": 3600})
                    continue
                number = int(parse_qs(urlsplit(request.target).query)["pageNumber"][0])
                if number == 3 and not failed:
                    failed.append(number)
                    answer(conversation)
                    if fault in {"cut", "half"}:
                        return
                else:
                    conversation.answer(self.page(number))

    with FaultServer(Failing("abcdefgh")) as server:
        auth = credentials() if logins else AccessToken("a-token")
        async with client_to(server.url, login_url=server.url, auth=auth) as client:
            found = await client.appointments.list("u", page_size=SIZE).collect(concurrency=concurrency)

    assert "".join(item.id for item in found) == "abcdefgh"
    assert failed == [3]


class Broken(Paged):
    """Page 3 gets a 400 until it is `mended`."""

    mended = False

    def __call__(self, conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            number = int(parse_qs(urlsplit(request.target).query)["pageNumber"][0])
            self.numbers.append(number)
            if number == 3 and not self.mended:
                conversation.answer({"code": "bad.request"}, 400)
            else:
                conversation.answer(self.page(number))


@pytest.mark.real_time
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_row_71_an_error_keeps_the_items_before_it_and_its_cursor_continues(
    concurrency: int,
):
    service = Broken("abcdefgh")
    with FaultServer(service) as server:
        async with client_to(server.url) as client:
            with failing(BadRequest) as caught:
                await client.appointments.list("u", page_size=SIZE).collect(concurrency=concurrency)
            service.mended = True
            rest = await client.appointments.list("u", page_size=SIZE, cursor=caught.value.cursor).collect()

    assert "".join(item.id for item in caught.value.partial) == "abcd"
    assert "".join(item.id for item in rest) == "efgh"


@pytest.mark.real_time
async def test_row_71_the_same_walk_can_continue_too():
    service = Broken("abcdefgh")
    with FaultServer(service) as server:
        async with client_to(server.url) as client:
            walk = aiter(client.appointments.list("u", page_size=SIZE))
            found = [(await anext(walk)).id for _ in range(4)]
            with failing(BadRequest):
                await anext(walk)
            service.mended = True
            found += [item.id async for item in walk]

    assert "".join(found) == "abcdefgh"


@pytest.mark.real_time
async def test_row_72_a_walk_may_be_left_after_one_item():
    service = Paged("abcdefgh")
    with FaultServer(service) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with client_to(server.url) as client:
            async for _ in client.appointments.list("u", page_size=SIZE):
                break
            async for _ in client.appointments.list("u", page_size=SIZE).pages():
                break
            gc.collect()
            assert service.numbers == [1, 1]
            assert_nothing_is_held(client, 10)
    assert caught == []


@pytest.mark.real_time
async def test_row_72_a_stream_may_be_left_after_one_item():
    service = Paged("abcdefgh")
    with FaultServer(service) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with client_to(server.url) as client:
            async with client.appointments.list("u", page_size=SIZE).stream(2) as items:
                async for _ in items:
                    break
            gc.collect()
            assert_nothing_is_held(client, 10)
            assert [item.id async for item in client.appointments.list("u", page_size=SIZE)] == list("abcdefgh")
    assert caught == []


class Stuck(Paged):
    """Page 2 gets no response while it `is_stuck`."""

    is_stuck = True

    def __call__(self, conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            number = int(parse_qs(urlsplit(request.target).query)["pageNumber"][0])
            self.numbers.append(number)
            if number == 2 and self.is_stuck:
                conversation.pause()
            conversation.answer(self.page(number))


@pytest.mark.real_time
@every_way
async def test_row_73_a_cancelled_walk_can_continue(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    service = Stuck("abcdef")
    with FaultServer(service) as server:
        async with client_to(server.url) as client:
            walk = aiter(client.appointments.list("u", page_size=SIZE))
            found = [(await anext(walk)).id, (await anext(walk)).id]

            async def step() -> Any:
                return await anext(walk)

            assert await cancel(step, lambda: eventually(lambda: 2 in service.numbers))
            assert_nothing_is_held(client, 10)
            service.is_stuck = False
            found += [item.id async for item in walk]

    assert "".join(found) == "abcdef"


@pytest.mark.real_time
@every_way
async def test_row_73_a_cancelled_stream_leaves_the_client_usable(cancel: Way, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    service = Stuck("abcdef")
    with FaultServer(service) as server:
        async with client_to(server.url) as client:
            listing = client.appointments.list("u", page_size=SIZE)

            async def use() -> Any:
                async with listing.stream(3) as items:
                    return [item.id async for item in items]

            assert await cancel(use, lambda: eventually(lambda: 2 in service.numbers))
            assert_nothing_is_held(client, 10)
            service.is_stuck = False
            assert "".join(await use()) == "abcdef"


@pytest.mark.real_time
async def test_row_74_the_urls_in_a_page_are_never_requested():
    with FaultServer(answering(b"")) as evil:
        says = dict.fromkeys(("nextUri", "selfUri", "firstUri", "lastUri", "previousUri"), f"{evil.url}/x")
        with FaultServer(Paged("abcdef", **says)) as server:
            assert (await walked(server))[0] == "abcdef"
            async with client_to(server.url) as client:
                assert len(await client.appointments.list("u", page_size=SIZE).collect(concurrency=3)) == 6

    assert evil.accepted == 0


@pytest.mark.real_time
async def test_row_75_two_tasks_that_share_a_walk_get_an_error():
    service = Stuck("abcdef")
    with FaultServer(service) as server:
        async with client_to(server.url) as client, anyio.create_task_group() as tasks:
            walk = aiter(client.appointments.list("u", page_size=SIZE))
            await anext(walk)
            await anext(walk)
            tasks.start_soon(anext, walk)
            await eventually(lambda: 2 in service.numbers)
            with failing(ClientMisuse, "two tasks share one walk"):
                await anext(walk)
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_row_75_so_do_two_tasks_that_take_turns():
    with FaultServer(Paged("abcdef")) as server:
        async with client_to(server.url) as client, anyio.create_task_group() as tasks:
            walk = aiter(client.appointments.list("u", page_size=SIZE))
            theirs = anyio.Event()

            async def step_and_stay() -> None:
                await anext(walk)
                theirs.set()
                await anyio.sleep_forever()

            await anext(walk)
            tasks.start_soon(step_and_stay)
            await theirs.wait()
            with failing(ClientMisuse, "two tasks share one walk"):
                await anext(walk)
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_row_76_the_next_page_is_read_after_the_service_closed_the_idle_connection():
    class HangingUp(Paged):
        def __call__(self, conversation: Conversation) -> None:
            request = conversation.request()
            assert request is not None
            number = int(parse_qs(urlsplit(request.target).query)["pageNumber"][0])
            conversation.answer(self.page(number))

    with FaultServer(HangingUp("abcdef")) as server:
        async with client_to(server.url) as client:
            found = list[str]()
            async for page in client.appointments.list("u", page_size=SIZE).pages():
                found += [item.id for item in page.entities]
                await eventually(lambda: server.open <= 1)

    assert "".join(found) == "abcdef"
    assert server.accepted == 3
