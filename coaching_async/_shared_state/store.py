"""`SharedState`: a place that several processes see, and that keeps short texts."""

from typing import Protocol

__all__ = ["SharedState"]


class SharedState(Protocol):
    """A place that several processes see, where a short text can be swapped for another one (compare and swap).

    Clients of one OAuth client that are given the same place use one access token and one rate limit together. The place
    decides nothing: it may forget, fail, or hang, and the clients go on, each with its share of the limit.

    A place that has to be opened first may have a property `is_open`. Calls of a client raise `ClientMisuse` as long as it is
    False. Once it was True the client looks at it no more: what is lost later is lost as by a failure.

    The texts hold the access token as it is. Whoever reads them may do what the OAuth client may, as long as the token lives.
    """

    async def load(self, name: str) -> tuple[str | None, float]:
        """Return the text of this name, None if there is none, and the time by the clock of the place.

        The time is in seconds since any moment. All processes must be told the same clock.
        """
        ...

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        """Replace the text `old` by `new` in one step, and return True. Change nothing and return False if it is not `old`.

        `old` is None where there must be no text yet. After `keep` seconds the new text may be forgotten.
        """
        ...
