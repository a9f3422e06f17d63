"""Messages between the state machine of a listener and its driver: inputs and actions.

Sockets, and attempts to open one, are known by a number (`slot`), and channels by another (`channel`). The driver keeps the
channel itself, because its id and its URI are secrets. Each input about a slot or a channel that the machine no longer knows is ignored.
"""

from collections.abc import Collection
from typing import Literal, TypeAlias

import attrs

__all__ = [
    "Action",
    "BufferDrained",
    "BufferFilled",
    "BytesReceived",
    "CatchUp",
    "CatchUpFailed",
    "CatchUpReason",
    "CaughtUp",
    "ChannelCreated",
    "ChannelTakenAway",
    "Close",
    "DiscardToken",
    "EndReason",
    "Entered",
    "Fail",
    "HandshakeFailed",
    "Input",
    "Leave",
    "LookAtToken",
    "LossReason",
    "MessageReceived",
    "MoveReason",
    "OpenSocket",
    "Ping",
    "ReportGap",
    "ReportLost",
    "ReportMoved",
    "ReportOpened",
    "SlotInput",
    "SocketClosing",
    "SocketLost",
    "SocketOpened",
    "Start",
    "Subscribe",
    "SubscribeFailed",
    "Subscribed",
    "TokenChanged",
    "TokenRevoked",
    "UnreadableFrame",
]

LossReason: TypeAlias = Literal["closed", "lost", "too large", "invalid", "silent", "channel taken", "token revoked"]
MoveReason: TypeAlias = Literal["closing", "rotation", "token", "deaf"]
CatchUpReason: TypeAlias = Literal["opened", "moved", "unreadable", "overflow", "audit", "poll"]
EndReason: TypeAlias = Literal["refused", "channel taken"]


# Inputs


@attrs.frozen
class Start:
    """The block of the listener was entered, and its baseline is known."""


@attrs.frozen
class ChannelCreated:
    """A channel was created for a slot. `lifetime` is the number of seconds until it expires, by the clock of the service."""

    slot: int
    lifetime: float | None = None


@attrs.frozen
class Subscribed:
    """The channel of a slot has exactly the topics of the listener."""

    slot: int


@attrs.frozen
class SubscribeFailed:
    """The channel of a slot was not created, or its topics were not set.

    `kind` says what may help: another attempt ("passing"), a new channel ("channel gone", only for a channel that existed),
    or nothing ("fatal"). `retry_after` is in seconds.
    """

    slot: int
    kind: Literal["passing", "channel gone", "fatal"]
    error: Exception
    retry_after: float | None = None


@attrs.frozen
class SocketOpened:
    """The handshake of a slot has succeeded."""

    slot: int


@attrs.frozen
class HandshakeFailed:
    """The socket of a slot was not opened. `status` is the one of the refusal, if there was a response."""

    slot: int
    error: Exception
    status: int | None = None
    retry_after: float | None = None


@attrs.frozen
class BytesReceived:
    """Anything arrived on a socket, a part of a message or a control frame included."""

    slot: int


@attrs.frozen
class MessageReceived:
    """A whole message arrived that can be read: an event, a heartbeat or the answer to a ping.

    `notification_id` is given for a notification of a listener that has a list.
    """

    slot: int
    notification_id: str | None = None


@attrs.frozen
class UnreadableFrame:
    """A whole message arrived that cannot be read. It may have been an event."""

    slot: int


@attrs.frozen
class SocketClosing:
    """The service announces that it will close the socket."""

    slot: int


@attrs.frozen
class ChannelTakenAway:
    """The service says that the channel no longer has its topics, or is gone."""

    slot: int


@attrs.frozen
class TokenRevoked:
    """The service says that the token which the channel was created with is revoked."""

    slot: int


@attrs.frozen
class TokenChanged:
    """The client has another token than the one which the channel was created with. It responds to `LookAtToken`."""

    slot: int


@attrs.frozen
class SocketLost:
    """The socket of a slot is closed, by the service or by a failure."""

    slot: int
    reason: Literal["closed", "lost", "too large", "invalid"]
    code: int | None = None


@attrs.frozen
class BufferFilled:
    """The first event was dropped because the buffer is full."""


@attrs.frozen
class BufferDrained:
    """The buffer is empty again after events were dropped. `since` is when the first of them was."""

    since: float


@attrs.frozen
class Entered:
    """The block was entered, perhaps before the first catch-up has ended. Failures that may pass are waited out from now on."""


@attrs.frozen
class CaughtUp:
    """The catch-up has ended. `found` are the ids of the notifications that it handed out."""

    found: Collection[str] = ()


@attrs.frozen
class CatchUpFailed:
    """The catch-up was not finished. Another attempt may help, unless it `is_fatal`. `retry_after` is in seconds."""

    error: Exception
    is_fatal: bool = False
    retry_after: float | None = None


@attrs.frozen
class Leave:
    """The block of the listener is left."""


SlotInput: TypeAlias = (
    ChannelCreated
    | Subscribed
    | SubscribeFailed
    | SocketOpened
    | HandshakeFailed
    | BytesReceived
    | MessageReceived
    | UnreadableFrame
    | SocketClosing
    | ChannelTakenAway
    | TokenRevoked
    | TokenChanged
    | SocketLost
)

Input: TypeAlias = Start | SlotInput | Entered | BufferFilled | BufferDrained | CaughtUp | CatchUpFailed | Leave


# Actions


@attrs.frozen
class Subscribe:
    """Set the topics of a channel; create it first if it does not exist.

    The driver responds with `ChannelCreated` if it created the channel, then with `Subscribed` or `SubscribeFailed`.
    """

    slot: int
    channel: int


@attrs.frozen
class OpenSocket:
    """Open a socket to a channel. The driver responds with `SocketOpened` or `HandshakeFailed`, and with `SocketLost` at its end."""

    slot: int
    channel: int


@attrs.frozen
class Ping:
    """Send a ping."""

    slot: int


@attrs.frozen
class Close:
    """Close the socket of a slot, or cancel the attempt to open it. The driver does not respond."""

    slot: int
    code: int = 1000


@attrs.frozen
class CatchUp:
    """Read the list and hand out what is new. The driver responds with `CaughtUp` or `CatchUpFailed`. There is only one at a time."""

    reason: CatchUpReason


@attrs.frozen
class LookAtToken:
    """Compare the client's token with the one that the channel of a slot was created with."""

    slot: int


@attrs.frozen
class DiscardToken:
    """Discard the token that the channel of a slot was created with, if the client still has it."""

    slot: int


@attrs.frozen
class ReportOpened:
    """A socket is live. `away` is the number of seconds without one, and `attempts` how many sockets were tried in them."""

    slot: int
    away: float
    attempts: int


@attrs.frozen
class ReportLost:
    """The live socket was lost, and no other is open in its place. `lived` is in seconds."""

    slot: int
    reason: LossReason
    code: int | None
    lived: float


@attrs.frozen
class ReportMoved:
    """Another socket is live in place of the previous one. Both were open for `overlap` seconds."""

    slot: int
    reason: MoveReason
    overlap: float


@attrs.frozen
class ReportGap:
    """Events from `since` until now may be missing."""

    reason: LossReason | Literal["unreadable", "overflow"]
    since: float


@attrs.frozen
class Fail:
    """End the listener with `error`; without one, because its channel was taken away again and again."""

    reason: EndReason
    error: Exception | None = None


Action: TypeAlias = (
    Subscribe
    | OpenSocket
    | Ping
    | Close
    | CatchUp
    | LookAtToken
    | DiscardToken
    | ReportOpened
    | ReportLost
    | ReportMoved
    | ReportGap
    | Fail
)
