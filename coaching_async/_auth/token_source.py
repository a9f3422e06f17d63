"""Token sources: access tokens cached, refreshed early, and requested once for all callers (single flight).

`CachedTokenSource` is for grants that can be sent again, `RotatingTokenSource` for grants with a rotating refresh token.
"""

import copy
import logging
import math
import os
from functools import partial
from typing import Final, Protocol

import anyio
import attrs

from coaching_async._concurrency.deadlines import checkpoint_if_past_deadline
from coaching_async._concurrency.tasks import SpawnBackgroundTask
from coaching_async._exceptions import AuthError, CoachingError, RateLimited
from coaching_async._transport.messages import CallContext

from .failure_cache import FailureCache, is_permanent
from .grants import Grant, RotatingGrant, is_shared_store, load_refresh_token, save_refresh_token
from .secret import Secret
from .shared_token_cache import SharedTokenCache
from .token_endpoint import REFRESH_RETRY_DELAY, Token, TokenEndpoint

__all__ = [
    "CachedTokenSource",
    "RotatingTokenSource",
    "TokenSource",
    "TokenState",
    "token_source_for",
]


logger: Final = logging.getLogger("coaching_async")


EARLY_REFRESH_TIMEOUT: Final = 5.0
"""Seconds that a caller spends at most on an early refresh."""


REFRESH_TIMEOUT: Final = 15.0
"""Seconds that a refresh in a background task takes at most, with saving the new refresh token."""


class TokenSource(Protocol):
    """A source of access tokens."""

    async def token(self, rejected: str | None = None) -> str:
        """Return a token to use now: another one than `rejected`, if there is one."""
        ...


@attrs.define(eq=False, repr=False)
class TokenState:
    """What a token source knows: it outlives the event loop in which the source works."""

    current: Token | None = None
    rejected: set[Secret] = attrs.field(factory=set[Secret])
    """The tokens that were rejected since the current one came. Another process may still share one of them."""
    failure: FailureCache = attrs.field(factory=FailureCache)
    refresh: "RefreshState" = attrs.field(factory=lambda: RefreshState())

    def reject(self, token: str) -> Secret:
        """Record that a token was rejected. Return it as a secret."""
        rejected = Secret(token)
        self.rejected.add(rejected)
        return rejected

    def rebase(self, shift: float) -> None:
        """Continue in another event loop, whose clock is `shift` seconds ahead."""
        self.failure.expires_at += shift
        if self.current is not None:
            self.current = self.current.shifted(shift)


@attrs.define(eq=False, repr=False)
class CachedTokenSource:
    """Caches one access token and refreshes it (single flight), alone or with other processes that share it.

    The first caller that needs a new token requests it, in its own task and within its own deadline. Concurrent callers
    wait. If that caller is cancelled, the next one takes over.
    """

    grant: Grant
    endpoint: TokenEndpoint
    state: TokenState = attrs.field(factory=TokenState)
    shared: SharedTokenCache | None = None
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)

    async def token(self, rejected: str | None = None) -> str:
        """Return the current token, or a new one if it is rejected or has expired. Refresh it early if it is due."""
        rejected_token = None if rejected is None else self.state.reject(rejected)
        del rejected  # an error's frames must not show it
        token = self.state.current = _usable(self.state.current, rejected_token)
        # While one task refreshes early, the others keep using the current token.
        if token is None or (_needs_refresh(token) and not self._lock.locked()):
            async with self._lock:
                # Another task may have refreshed it meanwhile. A token that came since is not the rejected one, even if equal.
                token = self.state.current = _usable(self.state.current, None)
                if token is None:
                    token = await self._fetch()
                elif _needs_refresh(token):
                    token = await self._refresh_early(token)
        return token.value.reveal()

    async def _fetch(self) -> Token:
        if self.shared is not None and self.state.failure.is_active():
            found = await self.shared.find(self.state.rejected)  # another process may have been luckier
            if found is not None:
                return self._accept(found)
        self.state.failure.raise_if_active()
        call = self.endpoint.new_call_context()
        request = partial(self._request_token, call)
        try:
            if self.shared is None:
                return self._accept(await request())
            return self._accept(await self.shared.get(request, self.state.rejected))
        except CoachingError as error:
            # A caller that had no time for another attempt says nothing about the next caller.
            if not call.deadline_too_close and not isinstance(error, RateLimited):
                self.state.failure.store(error)
            raise

    async def _refresh_early(self, old: Token) -> Token:
        # The old token still works, so a token endpoint that stalls or refuses must not fail a call.
        now = anyio.current_time()
        self.state.current = attrs.evolve(old, refresh_at=now + REFRESH_RETRY_DELAY)
        request = partial(self._request_token, self.endpoint.new_call_context())
        with anyio.move_on_after(min(EARLY_REFRESH_TIMEOUT, (anyio.current_effective_deadline() - now) / 2)):
            try:
                if self.shared is None:
                    self._accept(await request())
                elif (token := await self.shared.renew(request, self.state.rejected)) is not None:
                    self._accept(token)
            except CoachingError as error:
                # The credentials are tried once more, when the old token has expired.
                if is_permanent(error) and _usable(self.state.current, None):
                    self.state.current = attrs.evolve(old, refresh_at=math.inf)
        # The token may have expired, or another task's request may have been rejected with it, meanwhile.
        return _usable(self.state.current, None) or await self._fetch()

    async def _request_token(self, call: CallContext) -> Token:
        token, _ = await self.endpoint(self.grant, call)
        return token

    def _accept(self, token: Token) -> Token:
        self.state.failure.clear()
        self.state.rejected.clear()
        self.state.current = token
        return token


@attrs.define(eq=False, repr=False)
class _RefreshTask:
    done: anyio.Event = attrs.field(factory=anyio.Event)
    failure: CoachingError | None = attrs.field(
        factory=lambda: AuthError.temporary("the renewing of the token was ended from outside: call again")
    )


@attrs.define(eq=False, repr=False)
class RefreshState:
    """The refresh token to send next, and what is known about earlier ones.

    | transition | when | `token` | `uncertain_attempts` | besides |
    |---|---|---|---|---|
    | `adopt` | the grant or the store has another token, which is not used | that token | 0 | |
    | `sent` | before a token request | | + 1 | |
    | `not_processed` | the request failed, and was not processed | | - 1 | |
    | `succeeded` | an access token came | | 0 | `is_code_used`, `successes` + 1 |
    | `rotated` | and a new refresh token with it | the new token | | the old token is in `used` |

    A request that failed, and may have been processed, has no transition: it stays an uncertain attempt.
    """

    token: Secret | None = None
    """The refresh token to send next; None if the authorization code is to be sent."""
    used: set[Secret] = attrs.field(factory=set[Secret])
    """Refresh tokens that the token endpoint replaced. They are never sent again."""
    uncertain_attempts: int = 0
    """Number of requests with `token`, or with the code, that may have been processed."""
    is_code_used: bool = False
    successes: int = 0
    process: int | None = None
    """The process that sent a request last. A process that was forked from it has a copy of this state."""

    def adopt(self, token: Secret | None) -> bool:
        """Take a token of the grant or the store. Return False if there is none, or if it is known already."""
        if token is None or token == self.token or token in self.used:
            return False
        self.token, self.uncertain_attempts = token, 0
        return True

    def sent(self) -> None:
        """Count a request as uncertain until its response is known."""
        self.uncertain_attempts += 1
        self.process = os.getpid()

    def not_processed(self) -> None:
        """Take back the last request: it had no effect."""
        self.uncertain_attempts -= 1

    def succeeded(self) -> None:
        """Record that an access token came."""
        self.uncertain_attempts, self.is_code_used = 0, True
        self.successes += 1

    def rotated(self, new: Secret) -> None:
        """Replace the token by the new one that came."""
        if self.token is not None:
            self.used.add(self.token)
        self.token = new

    def is_forked(self) -> bool:
        """Return whether this is a copy of another process's state. Both would send the same refresh token."""
        return self.process not in {None, os.getpid()}

    def is_exhausted(self) -> bool:
        """Return whether no request may be sent: a code is sent once, a refresh token again if one response was lost."""
        if self.token is None:
            return self.is_code_used or self.uncertain_attempts > 0
        return self.uncertain_attempts > 1


@attrs.define(eq=False, repr=False)
class RotatingTokenSource:
    """Caches one access token and refreshes it, for grants with a rotating refresh token.

    Each response may invalidate the refresh token that was sent. It refreshes in a background task, because a shield does
    not stop a native asyncio cancellation, and a lost response would invalidate the refresh token for good. Callers wait for
    that task (single flight) and may be cancelled without affecting it.
    """

    grant: RotatingGrant
    endpoint: TokenEndpoint
    spawn: SpawnBackgroundTask
    state: TokenState = attrs.field(factory=TokenState)
    _refresh_task: _RefreshTask | None = attrs.field(default=None, init=False)
    _stored: Secret | None = attrs.field(default=None, init=False)
    """The refresh token that was in the store when it was loaded last."""

    async def token(self, rejected: str | None = None) -> str:
        """Return the current token, or a new one if it is rejected or has expired. Start a refresh early if it is due."""
        rejected_token = None if rejected is None else Secret(rejected)
        del rejected  # an error's frames must not show it
        token = self.state.current = _usable(self.state.current, rejected_token)
        if token is None:
            token = await self._wait_for_refresh()
        elif _needs_refresh(token) and self._may_refresh_early():
            self.state.current = attrs.evolve(token, refresh_at=anyio.current_time() + REFRESH_RETRY_DELAY)
            self._start_refresh()  # meanwhile the current token is used
        return token.value.reveal()

    def _may_refresh_early(self) -> bool:
        return not (self._refresh_task or self.state.refresh.uncertain_attempts or self.state.failure.is_active())

    async def _wait_for_refresh(self) -> Token:
        """Return the token of the running refresh, or of a new one."""
        while self.state.current is None:
            await checkpoint_if_past_deadline()
            if self._refresh_task is None:
                self.state.failure.raise_if_active()
            task = self._refresh_task or self._start_refresh()
            await task.done.wait()
            if task.failure is not None:
                raise copy.copy(task.failure)
        return self.state.current

    def _start_refresh(self) -> _RefreshTask:
        task = self._refresh_task = _RefreshTask()

        async def run() -> None:
            try:
                task.failure = await self._refresh_with_timeout()
            except Exception as error:  # noqa: BLE001 # any error of the store; its text may quote the token
                task.failure = AuthError.temporary(f"the store of the refresh token failed: {type(error).__name__}")

        def on_done() -> None:
            self._refresh_task = None
            task.done.set()

        self.spawn(run, on_done)
        return task

    async def _refresh_with_timeout(self) -> CoachingError | None:
        """Refresh the token. Return the error if there is no new access token."""
        successes = self.state.refresh.successes
        try:
            with anyio.move_on_after(REFRESH_TIMEOUT):
                await self._refresh()
                return None
        except CoachingError as error:
            self.state.failure.store(error)
            return error
        if (
            self.state.refresh.successes > successes
        ):  # the access token came, but saving the refresh token took too long
            logger.error("a new refresh token could not be kept within %g s", REFRESH_TIMEOUT)
            return None
        timeout = AuthError.temporary(f"the login host {self.endpoint.host} gave no token within {REFRESH_TIMEOUT:g} s")
        self.state.failure.store(timeout)
        return timeout

    async def _refresh(self) -> None:
        await self._load_from_store()
        if self.state.refresh.is_forked() and not is_shared_store(self.grant.store):
            raise AuthError(
                "the sign-in was in use before the process forked, and only one process may renew it: let the user sign in"
                " again in this one, or give the grant a store that both share"
            )
        if self.state.refresh.is_exhausted():
            raise AuthError("the sign-in is used up, or its last renewal got lost: let the user sign in again")
        try:
            await self._request_token()
        except AuthError as error:
            if error.code != "invalid_grant" or not await self._load_from_store():
                raise
            await self._request_token()  # another process had rotated the refresh token

    async def _load_from_store(self) -> bool:
        """Load the refresh token. Return whether there is another one to send."""
        self._stored = await load_refresh_token(self.grant)
        return self.state.refresh.adopt(self._stored or self.state.refresh.token or self.grant.first_refresh_token)

    async def _request_token(self) -> None:
        state, call = self.state.refresh, self.endpoint.new_call_context()
        state.sent()
        try:
            self.state.current, new = await self.endpoint(self.grant, call, refresh_token=state.token)
        except BaseException:  # the cancellation after REFRESH_TIMEOUT included
            if call.processed == "no":
                state.not_processed()
            raise
        state.succeeded()
        self.state.failure.clear()
        if new is not None and new != state.token:
            state.rotated(new)  # before it is saved, which may fail
            await save_refresh_token(self.grant, self._stored, new)


def token_source_for(
    auth: Grant | TokenSource,
    endpoint: TokenEndpoint,
    spawn: SpawnBackgroundTask,
    state: TokenState,
    shared: SharedTokenCache | None = None,
) -> TokenSource:
    """Return the token source of a grant. A token source is returned as it is."""
    if isinstance(auth, RotatingGrant):
        return RotatingTokenSource(auth, endpoint, spawn, state)
    if isinstance(auth, Grant):
        return CachedTokenSource(auth, endpoint, state, shared)
    return auth


def _usable(token: Token | None, rejected: Secret | None) -> Token | None:
    """Return `token` unless it has expired or is the rejected one. A late 401 names an older token, and discards nothing."""
    if token is None or token.value == rejected or anyio.current_time() >= token.expires_at:
        return None
    return token


def _needs_refresh(token: Token) -> bool:
    return anyio.current_time() >= token.refresh_at
