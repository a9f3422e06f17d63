"""Cursors of notifications: what was handed out, as opaque text, with which another process goes on.

A cursor contains no ids. It has digests of the notifications that are known, and of the user whom they belong to.
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

from coaching_async._pagination.cursor import id_digest

from .known import DIGEST_LENGTH, KnownNotifications, notification_digest

__all__ = ["NotificationCursor", "decode_cursor", "encode_cursor"]


CURSOR: Final = re.compile(rf"notifications-1\.([\w-]{{8}})?\.((?:[\w-]{{{DIGEST_LENGTH}}})*)", re.ASCII)
"""The version, the digest of the user, and the digests of the notifications."""


@attrs.frozen(repr=False)
class NotificationCursor:
    """What a cursor says."""

    owner: str | None
    """Digest of the id of the user whose notifications these are; None if it was not known."""
    digests: tuple[str, ...]
    """Digests of the notifications that are known."""

    def check_owner(self, user_id: str) -> None:
        """Raise `ValueError` if it belongs to another user."""
        if self.owner not in {None, _owner_digest(user_id)}:
            raise ValueError("cursor belongs to another user: go on with a token of the same user as before")


def encode_cursor(known: KnownNotifications, owner: str | None, waiting: Iterable[str] = ()) -> str:
    """Return the cursor of the known notifications of a user, without those that are `waiting` to be handed out, by their ids."""
    left_out = frozenset(map(notification_digest, waiting))
    digests = "".join(digest for digest in known.digests() if digest not in left_out)
    return f"notifications-1.{'' if owner is None else _owner_digest(owner)}.{digests}"


def decode_cursor(cursor: object) -> NotificationCursor:
    """Return what a cursor says. Raises `ValueError` if it is none of notifications."""
    match = CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if match is None:
        raise ValueError(
            "cursor is not one of notifications: give the text that the `.cursor` of a watch or stream was"
        )
    owner, digests = match[1], match[2]
    return NotificationCursor(owner, tuple(re.findall(f".{{{DIGEST_LENGTH}}}", digests)))


def _owner_digest(user_id: str) -> str:
    return id_digest(user_id.casefold())
