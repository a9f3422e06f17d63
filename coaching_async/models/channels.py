"""The notification socket: channels, what they are subscribed to, and the frames that come.

A coaching notification comes as a `ChannelEvent[Notification]`, the state of a job as a
`ChannelEvent[ScheduleSlotsJob]`, a heartbeat or the answer to a ping as a `ChannelEvent[ChannelMessage]`, and what the
service says of the socket itself (topics `v2.system.…`) as a `ChannelEvent[SystemMessage]`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs

from coaching_async._value import Value

from .coercion import EMPTY_MAPPING, FrozenDict
from .types import OpenEnum

__all__ = [
    "Channel",
    "ChannelEvent",
    "ChannelMessage",
    "ChannelTopic",
    "ChannelTopicState",
    "EventMetadata",
    "SystemMessage",
    "SystemReason",
    "SystemTopicType",
]

T = TypeVar("T")


class ChannelTopicState(OpenEnum):
    """Whether a subscription was granted."""

    PERMITTED = "Permitted"
    REJECTED = "Rejected"


class SystemTopicType(OpenEnum):
    """What happened to a socket."""

    NO_LONGER_SUBSCRIBED = "no_longer_subscribed"
    SUBSCRIPTION_CHANGED = "subscription_changed"
    TOKEN_REVOKED = "token_revoked"


class SystemReason(OpenEnum):
    """Why it happened."""

    ANOTHER_CHANNEL_SUBSCRIBED = "another_channel_subscribed"
    USER_TOKENS_REVOKED = "user_tokens_revoked"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Channel(Value):
    """A way for notifications to come. `connect_uri` is a secret: who has it reads along."""

    id: str
    connect_uri: str = attrs.field(repr=False)
    expires: datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelTopic(Value):
    """A topic, to subscribe to or subscribed to. Its `id` is its name."""

    id: str
    state: ChannelTopicState | None = None
    rejection_reason: str | None = None
    missing_permissions: tuple[str, ...] = ()
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventMetadata(Value):
    """What a frame says of itself."""

    correlation_id: str | None = attrs.field(default=None, metadata={"wire": "CorrelationId"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelEvent(Value, Generic[T]):
    """A frame of the socket."""

    topic_name: str
    event_body: T
    version: str | None = None
    metadata: EventMetadata | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelMessage(Value):
    """A word about the channel: "ping", "pong", "WebSocket Heartbeat"."""

    message: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SystemMessage(Value):
    """What the service says of a socket: that it closes soon, that the token was revoked."""

    channel_id: str | None = None
    system_topic_type: SystemTopicType | None = None
    correlation_id: str | None = None
    organization_id: str | None = None
    user_id: str | None = None
    oauth_client_id: str | None = None
    oauth_client_org_id: str | None = None
    reason: SystemReason | None = None
    message: str | None = None
    data: Mapping[str, Any] = attrs.field(default=EMPTY_MAPPING, converter=FrozenDict)
