"""Redis, Valkey: one access token and one rate limit for the processes on several machines.

async with RedisSharedState.from_url("rediss://...") as shared_state:
    async with CoachingClient.from_env(shared_state=shared_state) as client: ...
"""

import inspect
import math
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast
from urllib.parse import urlsplit

from coaching_async._refusals.arguments import kind_of

from ._extras import extra

__all__ = ["RedisSharedState"]


class Coredis(Protocol):
    """What is needed of a `coredis.Redis` or a `coredis.RedisCluster`."""

    def eval(self, script: str, /, keys: list[str], args: list[bytes]) -> Awaitable[Any]:
        """Run a script."""
        ...


class RedisPy(Protocol):
    """What is needed of a `redis.asyncio.Redis`, a `valkey.asyncio.Valkey`, or one of their cluster clients."""

    def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script."""
        ...


PREFIX: Final = "coaching_async:"

SCHEMES: Final = ("redis://", "rediss://", "unix://")

LOAD: Final = """
local time = redis.call('TIME')
return {redis.call('GET', KEYS[1]), time[1], time[2]}
"""

SWAP: Final = """
if redis.call('GET', KEYS[1]) ~= (ARGV[3] or false) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


def _require_place(url: str) -> None:
    """Raise `ValueError` if the URL names neither a host nor a socket: coredis would notice when it connects."""
    parts = urlsplit(url)
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError


class RedisSharedState:
    """A `SharedState` in Redis 5 or newer, or in Valkey, for processes on several machines.

    `from_url` makes a client of its own. Enter it with `async with`, before the `CoachingClient`.

    `client` is an open `coredis.Redis`, which runs on asyncio and on trio, or a `redis.asyncio.Redis` or `valkey.asyncio.Valkey`,
    which run on asyncio, or a cluster client of these libraries. It is borrowed, and not closed. It has to outlive the
    `CoachingClient`. Its user needs the commands EVAL, GET, SET and TIME, for keys that begin with `prefix`.

    Raises: `TypeError` if `client` is none of these, or `prefix` is no text.
    """

    def __init__(self, client: Coredis | RedisPy, *, prefix: str = PREFIX) -> None:
        if isinstance(client, type) or not inspect.iscoroutinefunction(getattr(client, "execute_command", None)):
            raise _no_client(client)
        if not isinstance(cast("object", prefix), str):
            raise TypeError(f"prefix is a str, not {kind_of(prefix)}")
        self._client: Final = client
        self._takes_numkeys: Final = "numkeys" in inspect.signature(client.eval).parameters
        self._prefix: Final = prefix
        self._own_client: AbstractAsyncContextManager[object] | None = None
        self._is_open = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={getattr(self, '_prefix', None)!r})"  # `__init__` may have raised

    @classmethod
    def from_url(cls, url: str, *, prefix: str = PREFIX) -> Self:
        """Return the shared state in the Redis of a URL, such as rediss://user:password@host:6379/0, on asyncio and trio.

            async with RedisSharedState.from_url(url) as shared_state: ...

        The connections are opened when they are needed, and closed at the end of the block. Errors of the block are raised as they
        are. In the block of a `coredis.Redis` they are raised in an `ExceptionGroup`, because it is a task group.

        Raises: `TypeError` or `ValueError` if it is no such URL; the text does not quote it. `ModuleNotFoundError` without coredis.
        """
        with extra("redis"):
            import coredis
        if not isinstance(cast("object", url), str):
            raise TypeError(f"the URL of a Redis is a str, not {kind_of(url)}")
        if not url.casefold().startswith(SCHEMES):
            raise ValueError(f"the URL of a Redis begins with {', '.join(SCHEMES)}")
        try:
            _require_place(url)
            client = coredis.Redis.from_url(url)
        except Exception:  # noqa: BLE001 # of any kind; its text may quote the password
            raise ValueError("this is no URL of a Redis, such as rediss://user:password@host:6379/0") from None
        shared_state = cls(client, prefix=prefix)
        shared_state._own_client = client  # of this class
        shared_state._is_open = False  # of this class
        return shared_state

    @property
    def is_open(self) -> bool:
        """Whether it is entered. Of a borrowed client that is not known, so it counts as open."""
        return self._is_open

    async def __aenter__(self) -> Self:
        if self._own_client is not None:
            await self._own_client.__aenter__()
            self._is_open = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._own_client is None:
            return
        self._is_open = False
        if isinstance(exc, Exception):  # its task group would wrap it
            exc_type = exc = traceback = None
        await self._own_client.__aexit__(exc_type, exc, traceback)

    async def load(self, name: str) -> tuple[str | None, float]:
        """Return the text of this name, None if there is none, and the time of the server, in seconds since 1970.

        Raises: what the client raises; `RuntimeError` if it is not open.
        """
        text, seconds, microseconds = await self._eval(LOAD, name)
        return text.decode() if isinstance(text, bytes) else text, int(seconds) + int(microseconds) / 1e6

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        """Replace the text `old` by `new` in one step, and return True. Change nothing and return False if it is not `old`.

        A client that sends a command again after a lost connection may return False for a swap that was carried out.
        Raises: what the client raises; `RuntimeError` if it is not open.
        """
        texts = [new] if old is None else [new, old]
        texts.insert(1, str(math.ceil(keep * 1000)))
        return bool(await self._eval(SWAP, name, *texts))

    async def _eval(self, script: str, name: str, *args: str) -> Any:
        if not self._is_open:
            raise RuntimeError("this RedisSharedState is not open")
        key = self._prefix + name
        encoded = [arg.encode() for arg in args]
        if self._takes_numkeys:
            return await cast("RedisPy", self._client).eval(script, 1, key, *encoded)
        return await cast("Coredis", self._client).eval(script, keys=[key], args=encoded)


def _no_client(found: object) -> TypeError:
    kind = type(found)
    # A `redis.Redis` is not async: with its class alone it would look like the right one.
    what = (
        kind_of(found)
        if isinstance(found, type) or kind.__module__ == "builtins"
        else f"a {kind.__module__}.{kind.__name__}"
    )
    hint = "; RedisSharedState.from_url(url) makes one" if isinstance(found, str) else ""
    return TypeError(
        "RedisSharedState takes a client: a coredis.Redis, a redis.asyncio.Redis, a valkey.asyncio.Valkey, or a cluster client of "
        f"these libraries, not {what}{hint}"
    )
