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
    until: float = 0.0
    memory: float = 1.0

    def counts(self) -> bool:
        """Whether it is told instead of asking."""
        return self.error is not None and anyio.current_time() < self.until

    def refuse(self) -> None:
        """Raise it while it counts."""
        if self.error is not None and self.counts():
            raise copy.copy(self.error)

    def remember(self, error: CoachingError) -> None:
        """It counts for good where the same credentials would meet it again, else for seconds, and each time longer."""
        self.error = copy.copy(error)
        self.until = math.inf if is_permanent(error) else anyio.current_time() + self.memory
        self.memory = min(2 * self.memory, MAX_FAILURE_TTL)

    def forget(self) -> None:
        """It went well."""
        self.error, self.memory = None, 1.0


@attrs.define(eq=False, repr=False)
class CachedTokenSource:
    """Keeps one token for everybody; whoever comes first when it is due fetches the next, the others wait for it.

    The fetch runs in that caller's own task and time. When that caller is cancelled the next in line takes over.
    """

    grant: Grant
    login: TokenEndpoint
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
                    token = await self._fetched()
                elif _needs_refresh(token):
                    token = await self._renewed(token)
        return token.text.reveal()

    async def _fetched(self) -> Token:
        self._failure.refuse()
        call = self.login.call()
        try:
            token = self._current = await self._posted(call)
        except CoachingError as error:
            # That this caller had no time for another try is not held against the next.
            if not call.is_out_of_time and not isinstance(error, RateLimited):
                self._failure.remember(error)
            raise
        return token

    async def _renewed(self, old: Token) -> Token:
        # Ahead of time nothing depends on it: a login host that stalls or refuses must not cost a call.
        now = anyio.current_time()
        self._current = attrs.evolve(old, renew_at=now + REFRESH_RETRY_DELAY)
        with anyio.move_on_after(min(EARLY_REFRESH_TIMEOUT, (anyio.current_effective_deadline() - now) / 2)):
            try:
                self._current = await self._posted(self.login.call())
            except CoachingError as error:
                # Refused for good: once more when the old one has ended, and no sooner.
                if is_permanent(error) and _usable(self._current, None):
                    self._current = attrs.evolve(old, renew_at=math.inf)
        # Others may have had it rejected, or seen it end, meanwhile.
        return _usable(self._current, None) or await self._fetched()

    async def _posted(self, call: CallContext) -> Token:
        token, _ = await self.login(self.grant, call)
        self._failure.forget()
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
    detach: SpawnBackgroundTask
    _current: Token | None = attrs.field(default=None, init=False)
    _failure: FailureCache = attrs.field(factory=FailureCache, init=False)
    _errand: _RefreshTask | None = attrs.field(default=None, init=False)
    _refresh: Secret | None = attrs.field(default=None, init=False)
    _stored: Secret | None = attrs.field(default=None, init=False)
    _spent: set[Secret | None] = attrs.field(factory=set[Secret | None], init=False)
    _issued: int = attrs.field(default=0, init=False)
    _is_code_spent: bool = attrs.field(default=False, init=False)
    _unclear: int = attrs.field(default=0, init=False)
    """How often what is to be posted next was posted already, without a clear answer."""

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now: the current one unless it is `rejected` or at its end."""
        bad = None if rejected is None else Secret(rejected)
        del rejected  # an error's frames must not show it
        token = self._current = _usable(self._current, bad)
        if token is None:
            token = await self._brought()
        elif _needs_refresh(token) and not (self._errand or self._unclear or self._failure.counts()):
            self._current = attrs.evolve(token, renew_at=anyio.current_time() + REFRESH_RETRY_DELAY)
            self._send_off()  # and what still works serves on
        return token.text.reveal()

    async def _brought(self) -> Token:
        """The token of the errand that is under way, or of a new one."""
        while self._current is None:
            await checkpoint_if_past_deadline()
            if self._errand is None:
                self._failure.refuse()
            errand = self._errand or self._send_off()
            await errand.done.wait()
            if errand.failure is not None:
                raise copy.copy(errand.failure)
        return self._current

    def _send_off(self) -> _RefreshTask:
        errand = self._errand = _RefreshTask()

        async def run() -> None:
            try:
                errand.failure = await self._in_time()
            except Exception as error:  # noqa: BLE001 # whatever the store raises; its text may quote the token
                errand.failure = AuthError(f"the store of the refresh token failed: {type(error).__name__}")

        def ended() -> None:
            self._errand = None
            errand.done.set()

        self.detach(run, ended)
        return errand

    async def _in_time(self) -> CoachingError | None:
        before = self._issued
        try:
            with anyio.move_on_after(REFRESH_TIMEOUT):
                await self._rotate()
                return None
        except CoachingError as error:
            self._failure.remember(error)
            return error
        if self._issued > before:  # it came, and keeping the refresh token took too long
            logger.error("a new refresh token could not be kept within %g s", REFRESH_TIMEOUT)
            return None
        late = AuthError(f"the login host gave no token within {REFRESH_TIMEOUT:g} s")
        self._failure.remember(late)
        return late

    async def _rotate(self) -> None:
        await self._look_into_the_store()
        if self._is_used_up():
            raise AuthError("the sign-in is used up, or its last renewal got lost: let the user sign in again")
        try:
            await self._post()
        except AuthError as error:
            if error.code != "invalid_grant" or not await self._look_into_the_store():
                raise
            await self._post()  # another process had renewed it

    async def _look_into_the_store(self) -> bool:
        """Take the refresh token that is there; whether it is another one than was known, and none that was spent."""
        self._stored = await load_refresh_token(self.grant)
        kept = self._stored or self._refresh or self.grant.first_refresh_token
        if kept is None or kept == self._refresh or kept in self._spent:
            return False
        self._refresh, self._unclear = kept, 0
        return True

    def _is_used_up(self) -> bool:
        """A code is good for one request, a refresh token for one and, if that got lost, one more."""
        if self._refresh is None:
            return self._is_code_spent or self._unclear > 0
        return self._unclear > 1

    async def _post(self) -> None:
        posted, call = self._refresh, self.login.call()
        self._unclear += 1
        try:
            self._current, new = await self.login(self.grant, call, renewing=posted)
        except BaseException:  # cut short by the errand's own patience, too
            self._unclear -= call.processed == "no"
            raise
        self._unclear, self._is_code_spent = 0, True
        self._issued += 1
        self._failure.forget()
        if new is not None and new != posted:
            self._refresh = new  # before anything else may fail
            self._spent.add(posted)
            await save_refresh_token(self.grant, self._stored, new)


def token_source_for(
    grant: Grant, login: TokenEndpoint, detach: SpawnBackgroundTask
) -> CachedTokenSource | RotatingTokenSource:
    """Who keeps the tokens of a grant."""
    if isinstance(grant, RotatingGrant):
        return RotatingTokenSource(grant, login, detach)
    return CachedTokenSource(grant, login)


def _usable(token: Token | None, bad: Secret | None) -> Token | None:
    """`token`, unless it is at its end, or the one rejected: a late 401 names an older one, and discards nothing."""
    if token is None or token.text == bad or anyio.current_time() >= token.expires_at:
        return None
    return token


def _needs_refresh(token: Token) -> bool:
    return anyio.current_time() >= token.renew_at


class TokenSource(Protocol):
    """Anything that gives access tokens."""

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now; one other than `rejected`, if another can be had."""
        ...
