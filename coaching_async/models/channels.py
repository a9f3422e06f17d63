"""Notification channels: their topics, and the frames of their WebSocket.

A frame with a coaching notification is a `ChannelEvent[Notification]`, one with the state of a job a
`ChannelEvent[ScheduleSlotsJob]`, a heartbeat or the response to a ping a `ChannelEvent[ChannelMessage]`, and one about
the WebSocket itself (topics `v2.system.…`) a `ChannelEvent[SystemMessage]`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs

from coaching_async._value import Value

from .coercion import EMPTY_MAPPING, FrozenDict
from .types import OpenEnum

__all__ = [
    "AvailableTopic",
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
    """The state of a subscription."""

    PERMITTED = "Permitted"
    REJECTED = "Rejected"


class SystemTopicType(OpenEnum):
    """The kind of a system message."""

    NO_LONGER_SUBSCRIBED = "no_longer_subscribed"
    SUBSCRIPTION_CHANGED = "subscription_changed"
    TOKEN_REVOKED = "token_revoked"


class SystemReason(OpenEnum):
    """The reason of a system message."""

    ANOTHER_CHANNEL_SUBSCRIBED = "another_channel_subscribed"
    USER_TOKENS_REVOKED = "user_tokens_revoked"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Channel(Value):
    """A notification channel. `id` and `connect_uri` are secrets, because they give access to the notifications.

    Both are None for a channel that was created with another token.
    """

    id: str | None = attrs.field(default=None, repr=False)
    connect_uri: str | None = attrs.field(default=None, repr=False)
    expires: datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AvailableTopic(Value):
    """A topic that a channel can be subscribed to, with a place holder for each id: `v2.users.{id}.wem.coaching.notification`.

    The token needs `requires_permissions`, or none if `requires_current_user_or_permission` and the id is its own user's. With
    `requires_current_user` the id has to be that. Without `enforced` the permissions are not checked yet.
    """

    id: str
    description: str | None = None
    requires_permissions: tuple[str, ...] = ()
    requires_division_permissions: bool | None = None
    requires_any_validator: bool | None = None
    requires_current_user: bool | None = None
    requires_current_user_or_permission: bool | None = None
    enforced: bool | None = None
    visibility: str | None = None
    transports: tuple[str, ...] = ()
    topic_parameters: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelTopic(Value):
    """A topic that a channel is or will be subscribed to. Its `id` is its name."""

    id: str
    state: ChannelTopicState | None = None
    rejection_reason: str | None = None
    missing_permissions: tuple[str, ...] = ()
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventMetadata(Value):
    """Metadata of a frame."""

    correlation_id: str | None = attrs.field(default=None, metadata={"wire": "CorrelationId"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelEvent(Value, Generic[T]):
    """A frame of the WebSocket."""

    topic_name: str
    event_body: T
    version: str | None = None
    metadata: EventMetadata | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelMessage(Value):
    """A message about the channel: "ping", "pong" or "WebSocket Heartbeat"."""

    message: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SystemMessage(Value):
    """A message about the WebSocket: it closes soon, or the token was revoked."""

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
