"""Token sources: they fetch each token once, whoever asks, and lose none."""

import copy
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeAlias

import anyio
import attrs

from coaching_async._concurrency.deadlines import checkpoint_if_past_deadline
from coaching_async._exceptions import AuthError, CoachingError, RateLimited
from coaching_async._transport.messages import CallContext

from .grants import Grant, RotatingGrant, load_refresh_token, save_refresh_token
from .secret import Secret
from .token_endpoint import Token, TokenEndpoint

__all__ = ["CachedTokenSource", "RotatingTokenSource", "SpawnBackgroundTask", "TokenSource", "token_source_for"]


logger: Final = logging.getLogger("coaching_async")


SpawnBackgroundTask: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]], Callable[[], None]], None]
"""Starts a short task that no caller's cancellation reaches, and that closing waits for; and what is called at its end."""


REFRESH_RETRY_DELAY: Final = 10.0
"""Seconds until the next try, when renewing ahead of time failed."""


EARLY_REFRESH_TIMEOUT: Final = 5.0
"""Seconds that the one call that renews ahead of time spends on it."""


REFRESH_TIMEOUT: Final = 15.0
"""Seconds that a detached renewal may take, with the keeping of what it brought."""


MAX_FAILURE_TTL: Final = 30.0
"""Seconds for which a failure to get a token is told to everybody without asking again: 1, doubling up to this."""


PERMANENT_ERRORS: Final = {"invalid_client", "invalid_grant", "unauthorized_client"}
"""Refusals that the same credentials will meet again: they are not offered a second time."""


def is_permanent(error: CoachingError) -> bool:
    """Whether the same credentials would meet it again."""
    return isinstance(error, AuthError) and (error.status == 401 or error.code in PERMANENT_ERRORS)


@attrs.define(eq=False, repr=False)
class FailureCache:
    """What getting a token failed with last, told to everybody for a while instead of asking again."""

    error: CoachingError | None = None
    expires_at: float = 0.0
    ttl: float = 1.0

    def is_active(self) -> bool:
        """Whether it is told instead of asking."""
        return self.error is not None and anyio.current_time() < self.expires_at

    def raise_if_active(self) -> None:
        """Raise it while it counts."""
        if self.error is not None and self.is_active():
            raise copy.copy(self.error)

    def store(self, error: CoachingError) -> None:
        """It counts for good where the same credentials would meet it again, else for seconds, and each time longer."""
        self.error = copy.copy(error)
        self.expires_at = math.inf if is_permanent(error) else anyio.current_time() + self.ttl
        self.ttl = min(2 * self.ttl, MAX_FAILURE_TTL)

    def clear(self) -> None:
        """It went well."""
        self.error, self.ttl = None, 1.0


@attrs.define(eq=False, repr=False)
class CachedTokenSource:
    """Keeps one token for everybody; whoever comes first when it is due fetches the next, the others wait for it.

    The fetch runs in that caller's own task and time. When that caller is cancelled the next in line takes over.
    """

    grant: Grant
    endpoint: TokenEndpoint
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    _current: Token | None = attrs.field(default=None, init=False)
    _failure: FailureCache = attrs.field(factory=FailureCache, init=False)

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now: the current one unless it is `rejected` or due."""
        bad = None if rejected is None else Secret(rejected)
        del rejected  # an error's frames must not show it
        token = self._current = _usable(self._current, bad)
        # While one task renews ahead of time, the others go on with what still works.
        if token is None or (_needs_refresh(token) and not self._lock.locked()):
            async with self._lock:
                # Somebody else may have been here first; and what came since is not what was rejected, even if it looks so.
                token = self._current = _usable(self._current, None)
                if token is None:
                    token = await self._fetch()
                elif _needs_refresh(token):
                    token = await self._refresh_early(token)
        return token.value.reveal()

    async def _fetch(self) -> Token:
        self._failure.raise_if_active()
        call = self.endpoint.new_call_context()
        try:
            token = self._current = await self._request_token(call)
        except CoachingError as error:
            # That this caller had no time for another try is not held against the next.
            if not call.deadline_too_close and not isinstance(error, RateLimited):
                self._failure.store(error)
            raise
        return token

    async def _refresh_early(self, old: Token) -> Token:
        # Ahead of time nothing depends on it: a login host that stalls or refuses must not cost a call.
        now = anyio.current_time()
        self._current = attrs.evolve(old, refresh_at=now + REFRESH_RETRY_DELAY)
        with anyio.move_on_after(min(EARLY_REFRESH_TIMEOUT, (anyio.current_effective_deadline() - now) / 2)):
            try:
                self._current = await self._request_token(self.endpoint.new_call_context())
            except CoachingError as error:
                # Refused for good: once more when the old one has ended, and no sooner.
                if is_permanent(error) and _usable(self._current, None):
                    self._current = attrs.evolve(old, refresh_at=math.inf)
        # Others may have had it rejected, or seen it end, meanwhile.
        return _usable(self._current, None) or await self._fetch()

    async def _request_token(self, call: CallContext) -> Token:
        token, _ = await self.endpoint(self.grant, call)
        self._failure.clear()
        return token


@attrs.define(eq=False, repr=False)
class _RefreshTask:
    done: anyio.Event = attrs.field(factory=anyio.Event)
    failure: CoachingError | None = attrs.field(
        factory=lambda: AuthError("the renewing of the token was ended from outside: call again")
    )


@attrs.define(eq=False, repr=False)
class RotatingTokenSource:
    """A `TokenKeeper` for grants whose every answer may end the refresh token that was posted for it.

    Each renewal goes on an errand of its own, a detached task: no shield stops a native cancel, and an answer that nobody
    took would be the end of the sign-in. Whoever needs the token waits for the errand, and may be cancelled.
    """

    grant: RotatingGrant
    login: TokenEndpoint
    spawn: SpawnBackgroundTask
    _current: Token | None = attrs.field(default=None, init=False)
    _failure: FailureCache = attrs.field(factory=FailureCache, init=False)
    _errand: _RefreshTask | None = attrs.field(default=None, init=False)
    _refresh: Secret | None = attrs.field(default=None, init=False)
    _stored: Secret | None = attrs.field(default=None, init=False)
    _used_refresh_tokens: set[Secret | None] = attrs.field(factory=set[Secret | None], init=False)
    _refresh_count: int = attrs.field(default=0, init=False)
    _is_code_spent: bool = attrs.field(default=False, init=False)
    _uncertain_attempts: int = attrs.field(default=0, init=False)
    """How often what is to be posted next was posted already, without a clear answer."""

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now: the current one unless it is `rejected` or at its end."""
        bad = None if rejected is None else Secret(rejected)
        del rejected  # an error's frames must not show it
        token = self._current = _usable(self._current, bad)
        if token is None:
            token = await self._wait_for_refresh()
        elif _needs_refresh(token) and not (self._errand or self._uncertain_attempts or self._failure.is_active()):
            self._current = attrs.evolve(token, refresh_at=anyio.current_time() + REFRESH_RETRY_DELAY)
            self._start_refresh()  # and what still works serves on
        return token.value.reveal()

    async def _wait_for_refresh(self) -> Token:
        """The token of the errand that is under way, or of a new one."""
        while self._current is None:
            await checkpoint_if_past_deadline()
            if self._errand is None:
                self._failure.raise_if_active()
            errand = self._errand or self._start_refresh()
            await errand.done.wait()
            if errand.failure is not None:
                raise copy.copy(errand.failure)
        return self._current

    def _start_refresh(self) -> _RefreshTask:
        errand = self._errand = _RefreshTask()

        async def run() -> None:
            try:
                errand.failure = await self._refresh_with_timeout()
            except Exception as error:  # noqa: BLE001 # whatever the store raises; its text may quote the token
                errand.failure = AuthError(f"the store of the refresh token failed: {type(error).__name__}")

        def ended() -> None:
            self._errand = None
            errand.done.set()

        self.spawn(run, ended)
        return errand

    async def _refresh_with_timeout(self) -> CoachingError | None:
        before = self._refresh_count
        try:
            with anyio.move_on_after(REFRESH_TIMEOUT):
                await self._rotate()
                return None
        except CoachingError as error:
            self._failure.store(error)
            return error
        if self._refresh_count > before:  # it came, and keeping the refresh token took too long
            logger.error("a new refresh token could not be kept within %g s", REFRESH_TIMEOUT)
            return None
        late = AuthError(f"the login host gave no token within {REFRESH_TIMEOUT:g} s")
        self._failure.store(late)
        return late

    async def _rotate(self) -> None:
        await self._load_from_store()
        if self._is_exhausted():
            raise AuthError("the sign-in is used up, or its last renewal got lost: let the user sign in again")
        try:
            await self._request_token()
        except AuthError as error:
            if error.code != "invalid_grant" or not await self._load_from_store():
                raise
            await self._request_token()  # another process had renewed it

    async def _load_from_store(self) -> bool:
        """Take the refresh token that is there; whether it is another one than was known, and none that was spent."""
        self._stored = await load_refresh_token(self.grant)
        kept = self._stored or self._refresh or self.grant.first_refresh_token
        if kept is None or kept == self._refresh or kept in self._used_refresh_tokens:
            return False
        self._refresh, self._uncertain_attempts = kept, 0
        return True

    def _is_exhausted(self) -> bool:
        """A code is good for one request, a refresh token for one and, if that got lost, one more."""
        if self._refresh is None:
            return self._is_code_spent or self._uncertain_attempts > 0
        return self._uncertain_attempts > 1

    async def _request_token(self) -> None:
        posted, call = self._refresh, self.login.new_call_context()
        self._uncertain_attempts += 1
        try:
            self._current, new = await self.login(self.grant, call, renewing=posted)
        except BaseException:  # cut short by the errand's own patience, too
            self._uncertain_attempts -= call.processed == "no"
            raise
        self._uncertain_attempts, self._is_code_spent = 0, True
        self._refresh_count += 1
        self._failure.clear()
        if new is not None and new != posted:
            self._refresh = new  # before anything else may fail
            self._used_refresh_tokens.add(posted)
            await save_refresh_token(self.grant, self._stored, new)


def token_source_for(auth: "Grant | TokenSource", endpoint: TokenEndpoint, spawn: SpawnBackgroundTask) -> "TokenSource":
    """Return the token source of a grant; a token source is its own."""
    if isinstance(auth, RotatingGrant):
        return RotatingTokenSource(auth, endpoint, spawn)
    if isinstance(auth, Grant):
        return CachedTokenSource(auth, endpoint)
    return auth


def _usable(token: Token | None, bad: Secret | None) -> Token | None:
    """`token`, unless it is at its end, or the one rejected: a late 401 names an older one, and discards nothing."""
    if token is None or token.value == bad or anyio.current_time() >= token.expires_at:
        return None
    return token


def _needs_refresh(token: Token) -> bool:
    return anyio.current_time() >= token.refresh_at


class TokenSource(Protocol):
    """Anything that gives access tokens."""

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now; one other than `rejected`, if another can be had."""
        ...
