"""Whose task an exchange runs in: in one of ours where nobody else's code does, and else in a child of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import anyio
import httpx
import pytest

from coaching_async import Appointment, CoachingClient, Listing, Page
from coaching_async._appointments import Appointments
from coaching_async._tasks import current_task

from .support import Service, answer, page

pytestmark = pytest.mark.anyio

Use: TypeAlias = Callable[[CoachingClient], Awaitable[object]]


class Tasks:
    """In which tasks code of the user's ran, and in which an exchange."""

    def __init__(self) -> None:
        self.users: set[object] = set()
        self.exchanges: set[object] = set()
        self.has_child: set[bool] = set()

    def look(self) -> None:
        self.users.add(current_task())

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.exchanges.add(current_task())
        self.has_child.add("in_child_task" in str(anyio.get_current_task().name))
        if (number := request.url.params.get("pageNumber")) is None:
            return answer({"id": request.url.path.rpartition("/")[2]})
        return answer(page(f"{number}-1", f"{number}-2", number=int(number), count=3, total=6, size=2))


tasks = Tasks()


class Watched(partial[Any]):
    """Some function of the user's that is a partial."""

    async def __call__(self, *args: Any) -> Any:
        tasks.look()
        return await super().__call__(*args)


class Proxy:
    """A wrapper that looks like what it wraps, as those of wrapt do."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    async def __call__(self, *args: Any) -> Any:
        tasks.look()
        return await self.function(*args)


class Mine(Appointments):
    """A subclass of the user's."""

    async def get(self, appointment_id: str) -> Appointment:
        tasks.look()
        return await super().get(appointment_id)


async def a_function(client: CoachingClient) -> None:
    async def get(id_: str) -> Appointment:
        tasks.look()
        return await client.appointments.get(id_)

    await client.bulk(get, ["1", "2"])


async def a_partial_of_its_own_kind(client: CoachingClient) -> None:
    await client.bulk(Watched(client.appointments.get), ["1", "2"])


async def a_wrapper_that_passes_for_what_it_wraps(client: CoachingClient) -> None:
    await client.bulk(Proxy(client.appointments.get), ["1", "2"])


async def a_subclass_of_a_resource(client: CoachingClient) -> None:
    await client.bulk(Mine(client._api).get, ["1", "2"])


async def a_method_that_was_replaced(client: CoachingClient) -> None:
    get = Appointments.get

    async def replaced(self: Appointments, appointment_id: str) -> Appointment:
        tasks.look()
        return await get(self, appointment_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Appointments, "get", replaced)
        await client.bulk(client.appointments.get, ["1", "2"])


async def a_list_made_by_hand(client: CoachingClient) -> None:
    async def fetch(number: int, size: int) -> Page[Appointment]:
        tasks.look()
        return await client.appointments.list("1", page_size=size)._chunks[0](number, size)

    async with Listing((fetch,), 2).stream(4) as items:
        assert len([item async for item in items]) == 6


async def what_progress_starts_in_a_bulk_of_bulks(client: CoachingClient) -> None:
    async with anyio.create_task_group() as group:

        async def get() -> None:
            tasks.look()
            await client.appointments.get("3")

        many = partial(client.appointments.get_many, on_progress=lambda _: group.start_soon(get))
        await client.bulk(many, [["1"], ["2"]])


async def what_an_input_starts_in_a_bulk_of_bulks(client: CoachingClient) -> None:
    async with anyio.create_task_group() as group:

        async def get() -> None:
            tasks.look()
            await client.appointments.get("3")

        class Ids:
            def __iter__(self) -> Iterator[str]:
                group.start_soon(get)
                return iter("12")

        await client.bulk(client.appointments.get_many, [Ids()])


async def an_input_of_a_bulk_of_bulks(client: CoachingClient) -> None:
    async def ids() -> AsyncIterator[str]:
        tasks.look()
        yield (await client.appointments.get("1")).id

    await client.bulk(client.appointments.get_many, [ids()])


@pytest.mark.parametrize(
    "use",
    [
        a_function,
        a_partial_of_its_own_kind,
        a_wrapper_that_passes_for_what_it_wraps,
        a_subclass_of_a_resource,
        a_method_that_was_replaced,
        a_list_made_by_hand,
        what_progress_starts_in_a_bulk_of_bulks,
        what_an_input_starts_in_a_bulk_of_bulks,
        an_input_of_a_bulk_of_bulks,
    ],
)
async def test_no_exchange_runs_in_a_task_where_code_of_the_users_does(use: Use, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "tasks", Tasks())
    async with Service(tasks.answer).client() as client:
        await use(client)

    assert tasks.users
    assert tasks.exchanges
    assert not tasks.users & tasks.exchanges


async def a_bulk(client: CoachingClient) -> None:
    await client.appointments.get_many(["1", "2"])


async def a_bulk_of_bulks(client: CoachingClient) -> None:
    await client.bulk(partial(client.appointments.get_many, concurrency=1), [["1", "2"], ["3"]])


async def a_stream_of_outcomes(client: CoachingClient) -> None:
    async with client.bulk_stream(partial(client.appointments.get), ["1", "2"]) as outcomes:
        assert len([outcome async for outcome in outcomes]) == 2


@pytest.mark.parametrize("use", [a_bulk, a_bulk_of_bulks, a_stream_of_outcomes])
async def test_a_call_of_a_bulk_over_an_operation_has_one_task(use: Use, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "tasks", Tasks())
    async with Service(tasks.answer).client() as client:
        await use(client)

    assert tasks.has_child == {False}


async def test_a_page_that_is_read_ahead_has_one_task(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "tasks", Tasks())
    async with Service(tasks.answer).client() as client, client.appointments.list("1", page_size=2).stream(4) as items:
        assert len([item async for item in items]) == 6

    assert len(tasks.exchanges) == 3
    assert tasks.has_child == {True, False}  # the first is read by who asks for it
