"""The access token of an OAuth client in the shared state, from which the token source of each process takes it."""

import math
import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from random import uniform
from typing import Final, TypeAlias

import anyio
import attrs

from coaching_async._exceptions import AuthError
from coaching_async._shared_state.connection import Loaded, SharedStateConnection, SharedStateUnavailable

from .secret import Secret
from .shared_token import LEASE_DURATION, Lease, SharedToken
from .token_endpoint import Token

__all__ = ["SharedTokenCache"]

RequestToken: TypeAlias = Callable[[], Awaitable[Token]]


POLL_INTERVALS: Final = (0.05, 0.15)
"""Least and most seconds between two looks for the token that another process fetches."""


MAX_WAIT: Final = 15.0
"""Seconds for which a caller waits for other processes after the first of them has failed. Each may take as long as all of its
own retries, so one after the other would take longer than any caller waits."""


WRITE_RETRY_DELAY: Final = 1.0
"""Seconds between attempts to write a token while the shared state is lost."""


@attrs.define(eq=False, repr=False)
class _Fetch:
    """One attempt of this process to fetch a token."""

    holder: str = attrs.field(factory=lambda: secrets.token_hex(8))
    """Identifies its lease."""
    token: Token | None = None
    ended: anyio.Event = attrs.field(factory=anyio.Event)


@attrs.define(eq=False, repr=False)
class _Waiting:
    """The waiting of a caller for the token that other processes fetch."""

    holder: str | None = None
    """The holder of the lease when the waiting began."""
    ends_at: float = math.inf

    def is_in_vain(self, lease: Lease | None, now: float) -> bool:
        """Return whether to stop. The first holder may take as long as it needs, those after it have `MAX_WAIT` seconds."""
        holder = None if lease is None else lease.holder
        self.holder = self.holder or holder
        if holder != self.holder:
            self.ends_at = min(self.ends_at, now + MAX_WAIT)
        return now >= self.ends_at


@attrs.define(eq=False, repr=False)
class SharedTokenCache:
    """Gives a process the token that all processes of its OAuth client share.

    One process at a time fetches a token. It takes a lease before, which the others wait for, unless they have a token that
    works. While the shared state is lost, each process fetches a token of its own.

    A background task renews the lease, and writes the token, because the caller that fetches it may be cancelled at any time.
    """

    connection: SharedStateConnection
    name: str
    _latest: _Fetch | None = attrs.field(default=None, init=False)
    """The last fetch of this process."""

    async def find(self, rejected: Collection[Secret]) -> Token | None:
        """Return the shared token, None if there is none that can be used."""
        return _usable(await self._load(), rejected)

    async def get(self, request: RequestToken, rejected: Collection[Secret]) -> Token:
        """Return the shared token. If there is none, request it, or wait until another process has it.

        Raises `AuthError` if several processes have failed one after the other, and what `request` raises.
        """
        waiting = _Waiting()
        while True:
            found = await self._load()
            token = _usable(found, rejected)
            if token is None and found is not None and found.value.is_being_fetched(found.time):
                if waiting.is_in_vain(found.value.lease, anyio.current_time()):
                    raise AuthError.temporary("several processes of this OAuth client got no token: see their errors")
                await anyio.sleep(uniform(*POLL_INTERVALS))  # noqa: S311 # no secret
            else:
                token = token or await self._fetch(found, request)
            if token is not None:
                return token

    async def renew(self, request: RequestToken, rejected: Collection[Secret]) -> Token | None:
        """Return a shared token that is not due yet. If there is none, request it, unless another process does (None).

        While the shared state is lost, the token that the process has is used until it expires.
        """
        found = await self._load()
        if found is None:
            return None
        token = _usable(found, rejected)
        if token is not None and anyio.current_time() < token.refresh_at:
            return token
        return None if found.value.is_being_fetched(found.time) else await self._fetch(found, request)

    async def _load(self) -> Loaded[SharedToken] | None:
        """Return what is in the text, None if the shared state is lost."""
        with suppress(SharedStateUnavailable):
            return await self.connection.load(self.name, SharedToken.parse)
        return None

    async def _fetch(self, found: Loaded[SharedToken] | None, request: RequestToken) -> Token | None:
        """Request a token, with the lease unless the shared state is lost. Return None if another process has changed the text."""
        fetch = self._latest = _Fetch()
        self.connection.spawn(partial(self._keep_lease_and_write_result, fetch), _do_nothing)
        try:
            if found is not None and not await self._take_lease(fetch, found):
                return None
            del found  # an error's frames must not show it
            fetch.token = await request()
            return fetch.token
        finally:
            fetch.ended.set()

    async def _take_lease(self, fetch: _Fetch, found: Loaded[SharedToken]) -> bool:
        """Write the lease. Return False if another process has changed the text. It is not needed if the shared state is lost."""
        with suppress(SharedStateUnavailable):
            return await self._swap(found, found.value.with_lease(fetch.holder, found.time))
        return True

    async def _swap(self, found: Loaded[SharedToken], new: SharedToken) -> bool:
        return await self.connection.swap(self.name, found.text, Secret(new.encode()), new.keep(found.time))

    async def _keep_lease_and_write_result(self, fetch: _Fetch) -> None:
        while not fetch.ended.is_set():
            with anyio.move_on_after(LEASE_DURATION / 3):
                await fetch.ended.wait()
                break
            with suppress(SharedStateUnavailable):
                await self._update(lambda value, time: value.with_lease_renewed(fetch.holder, time))
        while not await self._write_result(fetch) and self._token_of(fetch) and not self.connection.is_closing:
            await self.connection.pause(WRITE_RETRY_DELAY)

    def _token_of(self, fetch: _Fetch) -> Token | None:
        """Return the token that was fetched, unless this process has begun to fetch another one since."""
        return fetch.token if fetch is self._latest else None

    async def _write_result(self, fetch: _Fetch) -> bool:
        """Remove the lease, and write the token if there is one. Return False if the shared state is lost."""

        def change(value: SharedToken, time: float) -> SharedToken:
            token = self._token_of(fetch)
            return value.with_result(fetch.holder, token and token.shifted(time - anyio.current_time()), time)

        with suppress(SharedStateUnavailable):
            await self._update(change)
            return True
        return False

    async def _update(self, change: Callable[[SharedToken, float], SharedToken]) -> None:
        """Change the text, also if other processes change it meanwhile. Raises `SharedStateUnavailable`."""
        while True:
            found = await self.connection.load(self.name, SharedToken.parse)
            new = change(found.value, found.time)
            if new == found.value or await self._swap(found, new):
                return


def _usable(found: Loaded[SharedToken] | None, rejected: Collection[Secret]) -> Token | None:
    """Return the token that was found, with the times of the event loop's clock."""
    token = None if found is None else found.value.usable_token(found.time, rejected)
    return None if token is None or found is None else token.shifted(-found.ahead)


def _do_nothing() -> None:
    """The end of a background task that nothing waits for."""
