"""Reports of a listener: what it has received, and the gaps in it."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import attrs

from coaching_async._serialization.rows import LeftOutRow
from coaching_async._value import Value

__all__ = ["CHANNEL_LIMIT", "Counts", "Gap", "GapReason", "ListenReport"]

GapReason: TypeAlias = Literal[
    "closed",
    "lost",
    "too large",
    "invalid",
    "silent",
    "channel taken",
    "token revoked",
    "unreadable",
    "overflow",
]
"""Why events may be missing.

The service closed the WebSocket; its connection was lost; a message was larger than 1 MiB; the service did not keep to the
protocol; it was silent for 45 s; another listener took the channel; the token was revoked; a frame could not be read; or
the buffer was full.
"""


CHANNEL_LIMIT: Final = 20
"""Channels per user and OAuth client. The service removes one of them when another is created."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Gap(Value):
    """A time in which events may have been missed, because no WebSocket was open, or because they were dropped."""

    reason: GapReason
    """Why events may be missing."""
    since: datetime
    """When it began, by the clock of the service (UTC)."""
    seconds: float
    """Seconds that it lasted."""
    dropped: int = 0
    """Events that came and were not handed out."""
    is_filled: bool = False
    """Whether what was missed was read from the list of notifications, and handed out."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ListenReport(Value):
    """Counts of a listener so far."""

    frames: int = 0
    """Events that came over a WebSocket."""
    duplicates: int = 0
    """Events that were known already, and dropped."""
    filled: int = 0
    """Notifications that were read from the list and handed out, because no event had brought them."""
    dropped: int = 0
    """Events that were dropped because the buffer was full. Those of one's own notifications are read from the list later."""
    gaps: int = 0
    """Times in which events may have been missed."""
    channels: int = 0
    """Channels that were created."""
    reconnects: int = 0
    """WebSockets that were opened after the first one."""
    pages: int = 0
    """Pages of the list that were read."""
    failures: int = 0
    """Attempts to read the list that failed, and were repeated later."""
    rows_left_out: int = 0
    """Rows of the list that cannot be read, and were left out. On a client that is `strict` they are an error."""
    left_out: tuple[LeftOutRow, ...] = ()
    """The first 1,000 of them."""


@attrs.define
class Counts:
    """What a listener counts itself for its `ListenReport`."""

    frames: int = 0
    duplicates: int = 0
    dropped: int = 0
    gaps: int = 0
    reconnects: int = 0
    failures: int = 0
