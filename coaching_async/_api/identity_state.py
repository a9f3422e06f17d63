"""Identities: an authentication with its rate limit, and their state, which outlives event loops."""

from collections.abc import Callable

import anyio
import attrs

from coaching_async._auth.grants import Grant
from coaching_async._auth.rejected_tokens import RejectedTokens
from coaching_async._auth.token_source import TokenSource, TokenState
from coaching_async._concurrency.event_loop import lasting_clock
from coaching_async._transport.cooldown import Cooldown
from coaching_async._transport.rate_limit.limit import RateLimit
from coaching_async._transport.rate_limit.limiter import RateLimiter
from coaching_async._transport.rate_limit.membership import Membership
from coaching_async._transport.retry_policy import RetryBudget

from .name_cache import NameCache

__all__ = ["Identity", "IdentityState"]


@attrs.define(eq=False, repr=False)
class IdentityState:
    """What is known about the tokens and the usage of an identity. Its times are those of one event loop's clock."""

    rate_limiter: RateLimiter
    tokens: TokenState = attrs.field(factory=TokenState)
    rejected_tokens: RejectedTokens = attrs.field(factory=RejectedTokens)
    cooldown: Cooldown = attrs.field(factory=Cooldown)
    retry_budget: RetryBudget = attrs.field(factory=RetryBudget)
    login_cooldown: Cooldown = attrs.field(factory=Cooldown)
    login_retry_budget: RetryBudget = attrs.field(factory=RetryBudget)
    names: NameCache = attrs.field(factory=NameCache)
    _membership: Membership | None = attrs.field(default=None, init=False)
    _clock: Callable[[], float] = attrs.field(factory=lasting_clock, init=False)

    def membership(self) -> Membership:
        """Return what is known of the processes that share the limit."""
        if self._membership is None:
            self._membership = Membership(self.rate_limiter.window.limit)
        return self._membership

    def enter_event_loop(self) -> None:
        """Continue in the running event loop. The loop before has ended."""
        shift = anyio.current_time() - self._clock()
        self._clock = lasting_clock()
        self.rate_limiter.rebase(shift)
        if self._membership is not None:
            self._membership.rebase(shift)
        self.tokens.rebase(shift)
        self.rejected_tokens.rebase(shift)
        self.cooldown.rebase(shift)
        self.login_cooldown.rebase(shift)
        self.names.rebase(shift)


@attrs.define(eq=False, repr=False)
class Identity:
    """An authentication, and the rate limit of its requests."""

    auth: Grant | TokenSource
    rate_limit: RateLimit
    _state: IdentityState | None = attrs.field(default=None, init=False)

    def enter_event_loop(self) -> IdentityState:
        """Return the state for the running event loop. It is made at the first use, because most views are short-lived."""
        if self._state is None:
            self._state = IdentityState(RateLimiter(self.rate_limit))
        else:
            self._state.enter_event_loop()
        return self._state
