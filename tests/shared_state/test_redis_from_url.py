"""A `RedisSharedState` that is made from a URL opens and closes a client of its own, and changes nothing else of its block."""

import asyncio
from collections.abc import Iterator

import anyio
import coredis
import pytest

from coaching_async import ClientMisuse
from coaching_async.integrations.redis import RedisSharedState
from tests.support.doubles import Service, answer
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

HARMFUL = "hunter2"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def connections(server: RedisServer) -> int:
    """Return how many connections the server has, apart from the one that asks."""
    return server.command("CLIENT", "LIST").count("id=") - 1


async def test_texts_are_shared_and_the_connections_are_closed_at_the_end(server: RedisServer):
    for expected in (None, "1"):
        async with RedisSharedState.from_url(server.url, prefix=f"{anyio.get_cancelled_exc_class()}:") as shared:
            assert (await shared.load("a"))[0] == expected
            assert await shared.swap("a", expected, "1", 60.0)
            assert connections(server) > 0
        with anyio.fail_after(60):
            while connections(server):  # noqa: ASYNC110 # another process makes it true
                await anyio.sleep(0.01)


async def test_a_client_refuses_one_that_is_not_entered_and_goes_on_without_one_that_is_left(server: RedisServer):
    shared = RedisSharedState.from_url(server.url)
    async with Service([answer({"id": "1"})] * 2).client(shared_state=shared) as client:
        with pytest.raises(ClientMisuse, match="this RedisSharedState is not open: enter it with `async with`"):
            await client.appointments.get("1")
        async with shared:
            await client.appointments.get("1")
        await client.appointments.get("1")


async def test_an_error_of_the_block_is_raised_as_it_is(server: RedisServer):
    with pytest.raises(LookupError, match="of the block"):
        async with RedisSharedState.from_url(server.url):
            raise LookupError("of the block")


async def test_a_cancelled_block_ends(server: RedisServer):
    with anyio.move_on_after(0.1) as scope:
        async with RedisSharedState.from_url(server.url) as shared:
            await shared.load("a")
            await anyio.sleep_forever()

    assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_natively_cancelled_block_ends(server: RedisServer):
    async def use() -> None:
        async with RedisSharedState.from_url(server.url) as shared:
            await shared.load("a")
            await anyio.sleep_forever()

    task = asyncio.create_task(use())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_server_that_cannot_be_reached_is_no_error_of_the_block():
    async with RedisSharedState.from_url(f"redis://127.0.0.1:{free_port()}"):
        pass


async def test_a_borrowed_client_stays_open(server: RedisServer):
    async with coredis.Redis.from_url(server.url) as client:
        async with RedisSharedState(client) as shared:
            await shared.load("a")
        assert await client.ping()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        f"memcached://u:{HARMFUL}@host",
        f"redis://u:{HARMFUL}@h:777777",
        f"redis://:{HARMFUL}@[::1",
        "redis:///0",
        f"redis://u:{HARMFUL}@/0",
        "rediss://",
        "unix://",
    ],
)
async def test_what_is_no_url_of_a_redis_is_refused_without_its_password(url: str):
    with pytest.raises(ValueError, match="URL of a Redis") as raised:
        RedisSharedState.from_url(url)

    assert HARMFUL not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_a_url_is_a_text():
    with pytest.raises(TypeError, match="not int"):
        RedisSharedState.from_url(6379)  # type: ignore[arg-type]
