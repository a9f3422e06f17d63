"""The notifications that are known, so that each is handed out once. Does no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from coaching_async._pagination.cursor import id_digest

__all__ = ["DIGEST_LENGTH", "KnownNotifications", "notification_digest"]


DIGEST_SIZE: Final = 9
"""Bytes. The chance that one of a million new ids has the digest of one of ten thousand known ones is 1 in 400 billion."""


DIGEST_LENGTH: Final = DIGEST_SIZE * 4 // 3
"""Characters."""


MAX_UNLISTED: Final = 10_000
"""Notifications that stay known although the list lacks them."""


def notification_digest(id_: str) -> str:
    """Return the digest by which a notification is known, here and in cursors."""
    return id_digest(id_, DIGEST_SIZE)


class KnownNotifications:
    """Notifications that were handed out or are not wanted, and what the list consisted of when it was last read.

    Known are the rows of that list; what was added since; and the newest 10,000 that the list lacked, because the service may
    still send one of them. Ids are kept as digests, so a cursor is a copy of them.
    """

    def __init__(self, digests: Iterable[str] = (), owner: str | None = None) -> None:
        self.owner = owner
        """Digest of the id of the user whose notifications they are; None if it is not known."""
        self._listed: dict[str, bool] = dict.fromkeys(digests, True)
        """The rows of the list, in its order, and whether each is known. A row that cannot be read is not."""
        self._others: dict[str, None] = {}
        """Those that were added since, and those that the list lacked, the oldest first."""

    @property
    def has_list(self) -> bool:
        """Whether any row of the list is known from an earlier reading."""
        return bool(self._listed)

    def set_owner(self, user_id: str) -> None:
        """Set the user whose notifications they are. Raises `ValueError` if the cursor that they come from is of another one."""
        owner = id_digest(user_id.casefold())
        if self.owner not in {None, owner}:
            raise ValueError("cursor belongs to another user: go on with a token of the same user as before")
        self.owner = owner

    def __contains__(self, id_: str) -> bool:
        return self._is_known(notification_digest(id_))

    def _is_known(self, digest: str) -> bool:
        return self._listed.get(digest, False) or digest in self._others

    def add(self, id_: str) -> bool:
        """Add a notification that is handed out now. Return whether it was unknown."""
        digest = notification_digest(id_)
        if self._is_known(digest):
            return False
        self._others[digest] = None
        return True

    def digests(self) -> Iterable[str]:
        """Return the digests of all known notifications."""
        return chain(self._others, (digest for digest, is_known in self._listed.items() if is_known))

    def are_unlisted(self, digests: Iterable[str]) -> bool:
        """Return whether the list lacked all of these when it was last read."""
        return self._listed.keys().isdisjoint(digests)

    def are_listed(self, digests: Iterable[str]) -> bool:
        """Return whether the list had all of these when it was last read."""
        return all(digest in self._listed for digest in digests)

    def expected_list(self, first_rows: Sequence[str], last_rows: Sequence[str], *, has_end: bool) -> list[str]:
        """Return the digests of the list as it is if nothing but its ends has changed since it was last read.

        `first_rows` and `last_rows` are the digests of the rows that were read at its ends, `has_end` whether none come after
        them. What stood between the old rows in them is expected to be there still.
        """
        order = list(self._listed)

        def places(rows: Iterable[str]) -> Iterator[int]:
            return (order.index(row) for row in rows if row in self._listed)

        start = next(places(reversed(first_rows)), -1) + 1
        end = next(places(last_rows), len(order))
        after = len(order) if has_end else next(places(reversed(last_rows)), end - 1) + 1
        return list(dict.fromkeys(chain(first_rows, order[start:end], last_rows, order[after:])))

    def set_list(self, digests: Sequence[str]) -> None:
        """Record what the list consists of now."""
        if digests == list(self._listed) and all(self._listed.values()) and len(self._others) <= MAX_UNLISTED:
            return
        listed = {digest: self._is_known(digest) for digest in digests}
        known = self.digests()
        self._others = dict.fromkeys([digest for digest in known if digest not in listed][-MAX_UNLISTED:])
        self._listed = listed
