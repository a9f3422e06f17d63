"""The access token that several processes share, with the lease of the process that fetches it, as a text. No I/O, no clock."""

from collections.abc import Collection
from typing import Final

import attrs

from coaching_async._serialization.json import dumps, parse_json
from coaching_async._value import Value

from .secret import B64TOKEN, Secret
from .token_endpoint import REFRESH_RETRY_DELAY, Token

__all__ = ["LEASE_DURATION", "Lease", "SharedToken"]


LEASE_DURATION: Final = 15.0
"""Seconds after which another process fetches the token, if the one that fetches it has died."""


MIN_KEEP: Final = 60.0
"""Seconds for which a text is kept at least."""


VERSION: Final = 1
"""Version of the text. A text of another version is not read."""


@attrs.frozen(eq=False, repr=False)
class Lease(Value):
    """The right of one process to fetch the token, and the time at which it ends unless it is renewed."""

    holder: str
    expires_at: float

    def is_valid(self, now: float) -> bool:
        """Return whether the lease still holds. If it seems to last for too long, the clock was set back since."""
        return now < self.expires_at <= now + 2 * LEASE_DURATION


@attrs.frozen(eq=False, repr=False)
class SharedToken(Value):
    """The shared token, and the lease of the process that fetches another one. All times are those of the shared state's clock."""

    token: Token | None = None
    lease: Lease | None = None

    def usable_token(self, now: float, rejected: Collection[Secret]) -> Token | None:
        """Return the token, unless there is none, or it has expired or was rejected."""
        if self.token is None or now >= self.token.expires_at or self.token.value in rejected:
            return None
        return self.token

    def is_being_fetched(self, now: float) -> bool:
        """Return whether a process fetches a token."""
        return self.lease is not None and self.lease.is_valid(now)

    def with_lease(self, holder: str, now: float) -> "SharedToken":
        """Return it with a lease, new or renewed, of `holder`."""
        return SharedToken(self.token, Lease(holder, now + LEASE_DURATION))

    def with_lease_renewed(self, holder: str, now: float) -> "SharedToken":
        """Return it with the lease of `holder` renewed, if it still has one."""
        return self.with_lease(holder, now) if self._is_leased_to(holder) else self

    def with_result(self, holder: str, token: Token | None, now: float) -> "SharedToken":
        """Return it without the lease of `holder`, and with the token that it has fetched.

        Without the lease, a token that expires later is kept, because another process has fetched it meanwhile. If the fetch
        failed (None), no process refreshes the old token early for some seconds.
        """
        is_leased = self._is_leased_to(holder)
        lease = None if is_leased else self.lease
        if token is not None and (is_leased or self.token is None or self.token.expires_at < token.expires_at):
            return SharedToken(token, lease)
        if token is None and is_leased and self.token is not None:
            refresh_at = max(self.token.refresh_at, now + REFRESH_RETRY_DELAY)
            return SharedToken(attrs.evolve(self.token, refresh_at=refresh_at), lease)
        return SharedToken(self.token, lease)

    def keep(self, now: float) -> float:
        """Return the number of seconds after which the text may be forgotten."""
        return max([MIN_KEEP] + [part.expires_at - now for part in (self.token, self.lease) if part is not None])

    def encode(self) -> str:
        """Return it as a text. The token is in it as it is."""
        token = self.token and {
            "value": self.token.value.reveal(),
            "refresh_at": self.token.refresh_at,
            "expires_at": self.token.expires_at,
        }
        lease = self.lease and {"holder": self.lease.holder, "expires_at": self.lease.expires_at}
        return dumps({"version": VERSION, "token": token, "lease": lease}).decode()

    @classmethod
    def parse(cls, text: str | None) -> "SharedToken":
        """Return what `encode` made a text of. Raises `ValueError` for any other text."""
        if text is None:
            return cls()
        match parse_json(text.encode(errors="replace")):
            case {"token": token, "lease": lease}:
                parsed = cls(_parse_token(token), _parse_lease(lease))
                if parsed.encode() == text:
                    return parsed
            case _:
                pass
        raise ValueError("no text of a shared token of this version")

    def _is_leased_to(self, holder: str) -> bool:
        return self.lease is not None and self.lease.holder == holder


def _parse_token(value: object) -> Token | None:
    match value:
        case {"value": str() as text, "refresh_at": float() as refresh_at, "expires_at": float() as expires_at}:
            return Token(Secret(text), refresh_at, expires_at) if B64TOKEN.fullmatch(text) else None
        case _:
            return None  # what is not null makes another text


def _parse_lease(value: object) -> Lease | None:
    match value:
        case {"holder": str() as holder, "expires_at": float() as expires_at}:
            return Lease(holder, expires_at)
        case _:
            return None
