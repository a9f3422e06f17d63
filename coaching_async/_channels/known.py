"""The notifications that are known, so that each is handed out once. Does no I/O."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Final

from coaching_async._pagination.cursor import id_digest

__all__ = ["DIGEST_LENGTH", "KnownNotifications", "notification_digest"]


DIGEST_SIZE: Final = 9
"""Bytes. The chance that one of a million new ids has the digest of one of ten thousand known ones is 1 in 400 billion."""


DIGEST_LENGTH: Final = DIGEST_SIZE * 4 // 3
"""Characters."""


MAX_RECENT: Final = 10_000
"""Notifications that stay known although the list lacks them."""


def notification_digest(id_: str) -> str:
    """Return the digest by which a notification is known, here and in cursors."""
    return id_digest(id_, DIGEST_SIZE)


class KnownNotifications:
    """Notifications that were handed out, or that the caller did not want, and what the list consisted of when it was last read.

    It consists of three parts: the rows of the list, in its order; those that were added since, whose place in the list is
    not known yet; and the newest 10,000 that are no longer in the list, because the service may still send one of them. Ids are
    kept as digests, so a cursor is a copy of them.
    """

    def __init__(self, digests: Iterable[str] = ()) -> None:
        self._listed: dict[str, bool] = dict.fromkeys(digests, True)
        """Whether each row of the list is known. A row that cannot be read is not."""
        self._added: dict[str, None] = {}
        self._recent: dict[str, None] = {}

    def __contains__(self, id_: str) -> bool:
        return self.has_digest(notification_digest(id_))

    def has_digest(self, digest: str) -> bool:
        """Return whether the notification with this digest is known."""
        return self._listed.get(digest, False) or digest in self._added or digest in self._recent

    def has_seen_any(self, digests: Iterable[str]) -> bool:
        """Return whether any of these is known, or was a row of the list that cannot be read."""
        return any(digest in self._listed or self.has_digest(digest) for digest in digests)

    def add(self, id_: str) -> bool:
        """Add a notification that is handed out now. Return whether it was unknown."""
        digest = notification_digest(id_)
        if self.has_digest(digest):
            return False
        self._added[digest] = None
        return True

    def digests(self) -> Iterable[str]:
        """Return the digests of the known notifications. Those that the list lacked come first, the oldest of them first."""
        return chain(self._recent, (digest for digest, is_known in self._listed.items() if is_known), self._added)

    def expected_list(self, first_rows: Sequence[str], last_rows: Sequence[str]) -> list[str]:
        """Return the digests of the list as it is if nothing but its ends has changed since it was last read.

        `first_rows` and `last_rows` are the digests of the rows that were read at its ends. What stood between the old rows in
        them is expected to be there still.
        """
        order = list(self._listed)
        place = {digest: index for index, digest in enumerate(order)}
        start = next((place[digest] + 1 for digest in reversed(first_rows) if digest in place), 0)
        end = next((place[digest] for digest in last_rows if digest in place), len(order))
        return list(dict.fromkeys(chain(first_rows, order[start:end], last_rows)))

    def count_added(self, digests: Collection[str]) -> int:
        """Return how many notifications were added since the list was last read that are not among the digests."""
        return len(self._added.keys() - digests)

    def set_list(self, digests: Sequence[str], *, is_whole: bool) -> None:
        """Record what the list consists of. Known notifications that it lacks become recent ones.

        Unless the list `is_whole`, those that were added may be in it at a place that was not read.
        """
        if not self._added and digests == list(self._listed):
            return
        known = list(self.digests())
        self._listed = {digest: self.has_digest(digest) for digest in digests}
        self._added = {} if is_whole else {digest: None for digest in self._added if digest not in self._listed}
        missing = [digest for digest in known if digest not in self._listed and digest not in self._added]
        self._recent = dict.fromkeys(missing[-MAX_RECENT:])
