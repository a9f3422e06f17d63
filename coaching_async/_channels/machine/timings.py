"""Times and limits of a listener. All times are in seconds."""

from typing import Final

__all__ = [
    "ATTEMPTS_BEFORE_READY",
    "AUDIT_INTERVAL",
    "CATCH_UP_SPACING",
    "CHANNEL_LIFETIME",
    "CLOSING_SPREAD",
    "DEAD_AFTER",
    "DEAF_AFTER",
    "MAX_OPENINGS",
    "MAX_PAUSE",
    "MAX_RETRY_AFTER",
    "MAX_TAKEN",
    "MIN_CHANNEL_LIFETIME",
    "OVERLAP",
    "PING_AFTER",
    "POLL_INTERVAL",
    "ROTATION",
    "STEADY_AFTER",
    "TAKEN_WINDOW",
    "TOKEN_INTERVAL",
]

PING_AFTER: Final = 35.0
"""Silence after which a ping asks whether the service is there. It sends a heartbeat every 30 s."""

DEAD_AFTER: Final = 10.0
"""Silence after that ping that shows that the socket is dead."""

OVERLAP: Final = 5.0
"""Time for which a socket is read on after the next one has replaced it."""

MAX_PAUSE: Final = 60.0
"""Longest pause before another attempt. The pause after the n-th failure is a random part of 2^(n-1) s."""

MAX_RETRY_AFTER: Final = 180.0
"""Longest Retry-After that is obeyed."""

STEADY_AFTER: Final = 60.0
"""Life of a socket after which earlier failures no longer count."""

CLOSING_SPREAD: Final = 15.0
"""Moves begin at a random time within this after the service has announced that it closes the socket.

It does so a minute before, to many clients at once.
"""

CHANNEL_LIFETIME: Final = 86_400.0
"""Life of a channel if the service does not say when it expires."""

MIN_CHANNEL_LIFETIME: Final = 300.0
"""Shortest life of a channel that is believed, so that a wrong one does not cause a storm of moves."""

ROTATION: Final = (0.75, 0.85)
"""Part of a channel's life after which it is replaced, at random between these."""

MAX_OPENINGS: Final = 10
"""Sockets that are opened to one channel, one after another."""

MAX_TAKEN: Final = 3
"""Times that the channel may be taken away within `TAKEN_WINDOW`."""

TAKEN_WINDOW: Final = 600.0

ATTEMPTS_BEFORE_READY: Final = 3
"""Attempts to open the first socket, before the failure is the caller's."""

TOKEN_INTERVAL: Final = 60.0
"""Time between two looks at the client's token. A look costs no request."""

POLL_INTERVAL: Final = 60.0
"""Time between two catch-ups while there is no live socket."""

AUDIT_INTERVAL: Final = 600.0
"""Time between two catch-ups that check whether a live socket brings the events."""

DEAF_AFTER: Final = 15.0
"""Time for a live socket to bring what an audit has found."""

CATCH_UP_SPACING: Final = 5.0
"""Time between two catch-ups for unreadable messages or dropped events."""
