"""`RedisSharedState` over coredis, redis-py and valkey, against a real server."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import anyio
import coredis
import pytest
import redis
import redis.asyncio
import valkey
import valkey.asyncio

from coaching_async.integrations.redis import RedisSharedState
from tests.support.fault_server import HANG
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_time,
    # coredis 6.9 does not close its streams of anyio where it cannot connect.
    pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning"),
]

LIBRARIES: dict[str, Callable[..., Any]] = {
    "coredis": coredis.Redis.from_url,
    "redis": redis.asyncio.Redis.from_url,
    "valkey": valkey.asyncio.Valkey.from_url,
}
CLUSTERS: dict[str, Callable[[int], AbstractAsyncContextManager[Any]]] = {
    "coredis": lambda port: coredis.RedisCluster("127.0.0.1", port),
    "redis": lambda port: redis.asyncio.RedisCluster(host="127.0.0.1", port=port),
    "valkey": lambda port: valkey.asyncio.ValkeyCluster(host="127.0.0.1", port=port),
}
of_each_library = pytest.mark.parametrize(
    "library, anyio_backend",
    [
        pytest.param(library, (backend, {}), id=f"{library}-{backend}")
        for library, backend in (
            ("coredis", "asyncio"),
            ("coredis", "trio"),
            ("redis", "asyncio"),
            ("valkey", "asyncio"),
        )
    ],
)


@pytest.fixture(scope="module", autouse=True)
def what_coredis_leaves_is_collected_here() -> Iterator[None]:
    yield
    gc.collect()


@pytest.mark.parametrize(
    "client, name",
    [
        (redis.Redis(), "a redis.client.Redis"),
        (valkey.Valkey(), "a valkey.client.Valkey"),
        (redis.asyncio.Redis, "the class Redis"),
        (redis.asyncio.Redis().pipeline(), "a redis.asyncio.client.Pipeline"),
        (redis.asyncio.ConnectionPool(), "a redis.asyncio.connection.ConnectionPool"),
        ("redis://:secret@host", "str; RedisSharedState.from_url(url) makes one"),
        (None, "None"),
    ],
)
def test_what_is_no_asynchronous_client_is_refused(client: Any, name: str):
    with pytest.raises(TypeError) as refused:
        RedisSharedState(client)

    assert "a coredis.Redis, a redis.asyncio.Redis, a valkey.asyncio.Valkey" in str(refused.value)
    assert str(refused.value).endswith(f", not {name}")


@pytest.mark.parametrize("prefix", [b"prefix:", None])
def test_a_prefix_that_is_no_text_is_refused(prefix: Any):
    with pytest.raises(TypeError, match="prefix is a str"):
        RedisSharedState(redis.asyncio.Redis(), prefix=prefix)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("decodes", [False, True], ids=["bytes", "text"])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_client_may_decode_responses_and_speak_either_protocol(
    library: str, decodes: bool, protocol: int, redis_server: RedisServer
):
    redis_server.command("FLUSHALL")
    options: dict[str, Any] = {"decode_responses": decodes}
    if library != "coredis":  # which speaks the newer one
        options["protocol"] = protocol
    async with LIBRARIES[library](redis_server.url, **options) as client:
        state = RedisSharedState(client)

        assert await state.swap("a", None, "ü", 60)
        assert not await state.swap("a", "u", "", 60)
        text, time = await state.load("a")
        assert (text, type(time)) == ("ü", float)
        assert (await state.load("b"))[0] is None


@of_each_library
async def test_each_key_begins_with_the_prefix_and_the_client_stays_open(library: str, redis_server: RedisServer):
    redis_server.command("FLUSHALL")
    async with LIBRARIES[library](redis_server.url) as client:
        await RedisSharedState(client).swap("a", None, "1", 60)
        await RedisSharedState(client, prefix="other:").swap("a", None, "2", 60)

        assert sorted(await client.keys("*")) == [b"coaching_async:a", b"other:a"]


@of_each_library
async def test_it_needs_four_commands_on_keys_of_its_prefix(library: str, redis_server: RedisServer):
    redis_server.command("FLUSHALL")
    redis_server.command("ACL SETUSER fleet reset on >word ~coaching_async:* +eval +get +set +time +hello")
    async with LIBRARIES[library](redis_server.url.replace("://", "://fleet:word@")) as client:
        state = RedisSharedState(client)

        assert await state.swap("a", None, "1", 60)
        assert (await state.load("a"))[0] == "1"
        with pytest.raises(Exception, match=r"permission|access"):
            await RedisSharedState(client, prefix="other:").load("a")


@of_each_library
async def test_an_operation_that_was_cancelled_leaves_no_answer_to_the_next_one(library: str):
    with RedisServer() as server:
        async with LIBRARIES[library](server.url) as client:
            state = RedisSharedState(client)
            for number in range(4):
                await state.swap(str(number), None, f"text {number}", 600)
            server.hang()
            for number in range(2):
                with anyio.move_on_after(0.02) as scope:
                    await state.load(str(number))
                assert scope.cancelled_caught
            server.resume()

            for number in (3, 2, 1):
                assert (await state.load(str(number)))[0] == f"text {number}"


@of_each_library
@pytest.mark.parametrize("is_native", [False, True], ids=["scope", "native"])
async def test_operations_that_are_cancelled_at_any_time_leave_no_answer_to_others(
    library: str, is_native: bool, redis_server: RedisServer, anyio_backend_name: str
):
    redis_server.command("FLUSHALL")
    wrong: list[object] = []

    async with LIBRARIES[library](redis_server.url) as client:
        state = RedisSharedState(client)
        for number in range(5):
            await state.swap(str(number), None, f"text {number}", 600)

        async def load(number: int) -> None:
            text, _ = await state.load(str(number))
            if text != f"text {number}":
                wrong.append((number, text))

        async def cancelled(number: int, delay: float) -> None:
            if is_native and anyio_backend_name == "asyncio":
                task = asyncio.ensure_future(load(number))
                await asyncio.wait([task], timeout=delay)
                task.cancel()
                await asyncio.wait([task])
            else:
                with anyio.move_on_after(delay):
                    await load(number)

        for step in range(40):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancelled, step % 5, step * 0.0001)
                tasks.start_soon(load, (step + 2) % 5)
            await load((step + 1) % 5)

    assert not wrong


@of_each_library
@pytest.mark.filterwarnings(
    "ignore:Unclosed:ResourceWarning"
)  # coredis 6.9 leaves its channels open where it cannot connect
async def test_a_server_that_is_killed_is_used_again_when_it_is_back_and_has_forgotten_all(library: str):
    with RedisServer() as server:
        async with LIBRARIES[library](server.url) as client:
            state = RedisSharedState(client)

            async def load() -> str | None:
                with anyio.fail_after(0.5):  # as the connection of a client does; coredis may wait for ever
                    return (await state.load("a"))[0]

            await state.swap("a", None, "1", 600)
            server.command("SCRIPT", "FLUSH")
            assert (await state.load("a"))[0] == "1"

            server.kill()
            with pytest.raises(Exception):  # noqa: B017, PT011 # each library has its own
                await load()
            server.restart()

            text: str | None = "no answer"
            with anyio.fail_after(HANG):
                while text == "no answer":
                    with suppress(Exception):  # it may take a moment to connect
                        text = await load()
            assert text is None
            assert await state.swap("a", None, "2", 600)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisServer]:
    with RedisServer(cluster=True) as server:
        yield server


@of_each_library
async def test_the_client_of_a_cluster_will_do(library: str, cluster: RedisServer):
    cluster.command("FLUSHALL")
    async with CLUSTERS[library](cluster.port) as client:
        state = RedisSharedState(client)
        for name in "abc":
            assert await state.swap(name, None, "1", 60)
            assert (await state.load(name))[0] == "1"
