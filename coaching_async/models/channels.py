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
    """A notification channel. Its secrets are None if it was created with another token."""

    id: str | None = attrs.field(default=None, repr=False)
    """Id of the channel, a secret, because it is the last part of `connect_uri`."""
    connect_uri: str | None = attrs.field(default=None, repr=False)
    """Address of the WebSocket, a secret: it needs no token."""
    expires: datetime | None = None
    """When the channel ends (UTC), 24 hours after it was last subscribed."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AvailableTopic(Value):
    """A topic that a channel can be subscribed to."""

    id: str
    """Name of the topic, with a place holder for each id: `v2.users.{id}.wem.coaching.notification`."""
    description: str | None = None
    """What its events are about."""
    requires_permissions: tuple[str, ...] = ()
    """Permissions of which the token needs one."""
    requires_division_permissions: bool | None = None
    """Whether the permission has to hold in the division of the object."""
    requires_any_validator: bool | None = None
    """Whether one of several conditions is enough."""
    requires_current_user: bool | None = None
    """Whether the id has to be that of the token's user."""
    requires_current_user_or_permission: bool | None = None
    """Whether the token needs no permission if the id is that of its user."""
    enforced: bool | None = None
    """Whether the permissions are checked already."""
    visibility: str | None = None
    """Who sees the topic. The API does not document its values."""
    transports: tuple[str, ...] = ()
    """Ways in which the events are delivered."""
    topic_parameters: tuple[str, ...] = ()
    """Names of the place holders in `id`."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelTopic(Value):
    """A topic that a channel is or will be subscribed to."""

    id: str
    """Name of the topic."""
    state: ChannelTopicState | None = None
    """Whether the service has accepted the subscription. None in a request."""
    rejection_reason: str | None = None
    """Why it was rejected. None if it was accepted."""
    missing_permissions: tuple[str, ...] = ()
    """Permissions that the token lacks for it."""
    self_uri: str | None = None
    """Path of this resource at the API host."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventMetadata(Value):
    """Metadata of a frame."""

    correlation_id: str | None = attrs.field(default=None, metadata={"wire": "CorrelationId"})
    """Identifies the event, for the vendor's support."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelEvent(Value, Generic[T]):
    """A frame of the WebSocket."""

    topic_name: str
    """Topic that the event belongs to."""
    event_body: T
    """What happened: a model that depends on the topic."""
    version: str | None = None
    """Version of the event's format, as the service names it."""
    metadata: EventMetadata | None = None
    """Data about the event itself."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelMessage(Value):
    """A message about the channel."""

    message: str
    """Text: "ping", "pong" or "WebSocket Heartbeat"."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SystemMessage(Value):
    """A message about the WebSocket: it closes soon, or the token was revoked."""

    channel_id: str | None = None
    """Channel that the message is about, a secret."""
    system_topic_type: SystemTopicType | None = None
    """What has happened."""
    correlation_id: str | None = None
    """Identifies the message, for the vendor's support."""
    organization_id: str | None = None
    """Organization of the channel."""
    user_id: str | None = None
    """User of the token that created the channel."""
    oauth_client_id: str | None = None
    """OAuth client of that token."""
    oauth_client_org_id: str | None = None
    """Organization of that OAuth client."""
    reason: SystemReason | None = None
    """Why it has happened."""
    message: str | None = None
    """Explanation, as text."""
    data: Mapping[str, Any] = attrs.field(default=EMPTY_MAPPING, converter=FrozenDict)
    """Further values. The API does not document them."""
