"""Frames of a notification channel: their text as events. Does no I/O."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, TypeAlias, cast

from coaching_async._serialization.codec import from_dict
from coaching_async._serialization.json import check_size, parse_json, parse_with_orjson
from coaching_async.models.channels import ChannelEvent
from coaching_async.models.coercion import FrozenDict
from coaching_async.models.notifications import Notification
from coaching_async.models.schedule_slots import ScheduleSlotsJob

__all__ = ["PING", "Frame", "FrameKind", "notification_topic", "read_frame"]


class FrameKind(Enum):
    """What a frame means that is no event of a topic."""

    HEARD = auto()
    """A heartbeat, the answer to a ping, or something about the channel that changes nothing."""
    CLOSING = auto()
    """The service will close the socket within a minute."""
    CHANNEL_TAKEN = auto()
    """The channel has lost its topics, or is gone."""
    TOKEN_REVOKED = auto()
    """The token that the channel was created with is revoked."""
    UNREADABLE = auto()
    """It is no frame that can be read. It may have been an event."""


Frame: TypeAlias = ChannelEvent[Any] | FrameKind


PING: Final = '{"message":"ping"}'
"""The question that the service answers with a frame of the topic `channel.metadata`."""


SYSTEM_MESSAGES: Final[Mapping[str, FrameKind]] = {
    "socket_closing": FrameKind.CLOSING,
    "no_longer_subscribed": FrameKind.CHANNEL_TAKEN,
    "token_revoked": FrameKind.TOKEN_REVOKED,
}
"""Meanings of the topics `v2.system.{name}` and `v2.system.{name}.{id}`."""


NOTIFICATION: Final = re.compile(r"v2\.users\.([^.]+)\.wem\.coaching\.notification")
JOB: Final = re.compile(r"v2\.coaching\.scheduleslots\.jobs\.[^.]+")


def notification_topic(user_id: str) -> str:
    """Return the topic of a user's notifications."""
    return f"v2.users.{user_id}.wem.coaching.notification"


def read_frame(text: str) -> Frame:
    """Return what a frame says. Whatever the text is, it raises nothing."""
    try:
        return _read_object(_parse(text))
    except (RecursionError, UnicodeError, ValueError):
        return FrameKind.UNREADABLE


def _parse(text: str) -> dict[str, Any]:
    content = text.encode()
    check_size(content)
    frame = parse_with_orjson(content)
    if frame is None:
        frame = parse_json(content)
    if not isinstance(frame, dict):
        raise ValueError("a frame is an object")  # noqa: TRY004 # the text is at fault, not the program
    return cast("dict[str, Any]", frame)


def _read_object(frame: dict[str, Any]) -> Frame:
    topic = frame.get("topicName")
    if topic is None and "result" in frame:  # the answer to a request over the socket, or to the opening of it
        return FrameKind.CHANNEL_TAKEN if str(frame["result"]) == "404" else FrameKind.HEARD
    if not isinstance(topic, str) or not topic:
        return FrameKind.UNREADABLE
    if topic.startswith("v2.system."):
        return SYSTEM_MESSAGES.get(topic.split(".")[2], FrameKind.HEARD)
    if topic == "channel.metadata":
        return FrameKind.HEARD
    if (match := NOTIFICATION.fullmatch(topic)) is not None:
        return from_dict(ChannelEvent[Notification], _with_user(frame, match[1]))
    if JOB.fullmatch(topic):
        return from_dict(ChannelEvent[ScheduleSlotsJob], frame)
    event = from_dict(ChannelEvent[Mapping[str, Any]], frame)
    return ChannelEvent(
        topic_name=topic, event_body=FrozenDict(event.event_body), version=event.version, metadata=event.metadata
    )


def _with_user(frame: dict[str, Any], user_id: str) -> dict[str, Any]:
    """Return the frame of a notification with its user, whom only the topic names."""
    body = frame.get("eventBody")
    return {**frame, "eventBody": {**body, "user": {"id": user_id}}} if isinstance(body, dict) else frame
