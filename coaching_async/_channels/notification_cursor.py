"""Cursors of notifications: what was handed out, as opaque text, with which another process goes on.

A cursor contains no ids. It has digests of the notifications that are known, and of the user whom they belong to.
"""

import re
from collections.abc import Iterable
from typing import Final, get_args

from .catch_up import Start
from .known import DIGEST_LENGTH, KnownNotifications, notification_digest

__all__ = ["decode_cursor", "encode_cursor", "known_at_start"]


CURSOR: Final = re.compile(rf"notifications-1\.([\w-]{{8}})?\.((?:[\w-]{{{DIGEST_LENGTH}}})*)", re.ASCII)
"""The version, the digest of the user, and the digests of the notifications."""


def known_at_start(start: Start, cursor: object) -> tuple[KnownNotifications, Start]:
    """Return what is known at the start, and which of the other notifications in the list are handed out.

    Raises `ValueError` if `start` is none, if the cursor is none of notifications, or if there are both.
    """
    if start not in get_args(Start):
        raise ValueError('start is "new", "unread" or "all"')
    if cursor is None:
        return KnownNotifications(), start
    if start != "new":
        raise ValueError("start and cursor exclude each other: a cursor says what was handed out")
    return decode_cursor(cursor), "all"


def encode_cursor(known: KnownNotifications, waiting: Iterable[str] = ()) -> str:
    """Return the cursor of what is known, without the notifications that are `waiting` to be handed out, by their ids."""
    left_out = frozenset(map(notification_digest, waiting))
    digests = "".join(digest for digest in known.digests() if digest not in left_out)
    return f"notifications-1.{known.owner or ''}.{digests}"


def decode_cursor(cursor: object) -> KnownNotifications:
    """Return what was known. Raises `ValueError` if the text is no cursor of notifications."""
    match = CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if match is None:
        raise ValueError(
            "cursor is not one of notifications: give the text that the `.cursor` of a watch or stream was"
        )
    return KnownNotifications(re.findall(f".{{{DIGEST_LENGTH}}}", match[2]), match[1])
