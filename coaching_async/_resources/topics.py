"""Topics: the operations below `/api/v2/notifications`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coaching_async._channels.streams import TopicStream
from coaching_async._refusals.arguments import checked_count, checked_flag, kind_of
from coaching_async.models.channels import AvailableTopic, Channel
from coaching_async.models.coercion import has_blank_end
from coaching_async.models.common import Page

from .base import Resource

__all__ = ["Topics", "checked_topics"]


MAX_TOPICS: Final = 1000
"""Topics of one channel."""


MAX_TOPIC_LENGTH: Final = 200


RESERVED: Final = ("channel.metadata", "v2.system.")
"""Beginnings of topics that the service sends without a subscription."""


EXPAND: Final = (
    "description",
    "enforced",
    "visibility",
    "transports",
    "requiresPermissions",
    "topicParameters",
)
"""What the service says of a topic only if it is asked."""


class Topics(Resource):
    """Topics of notification channels: any events of the platform, as they happen.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`.
    """

    __slots__ = ()

    async def available(self) -> tuple[AvailableTopic, ...]:
        """Return the topics that exist, with the permissions that each requires.

            for topic in await client.topics.available():
                print(topic.id, topic.requires_permissions)

        HTTP: GET /api/v2/notifications/availabletopics
        Permission: none
        Raises: nothing more.
        """
        page = await self._api.get(
            Page[AvailableTopic], "topics.available", "notifications", "availabletopics", filters={"expand": EXPAND}
        )
        return page.entities

    async def channels(self) -> tuple[Channel, ...]:
        """Return the channels of the token's user and OAuth client, of which there can be 20.

            print(len(await client.topics.channels()), "of 20")

        HTTP: GET /api/v2/notifications/channels
        Permission: none
        Raises: nothing more.
        """
        page = await self._api.get(
            Page[Channel], "topics.channels", "notifications", "channels", filters={"includechannels": "oauthclient"}
        )
        return page.entities

    def subscribe(self, *topics: str, buffer: int = 1000, partial: bool = False) -> TopicStream:
        """Return a stream of the events of `topics`, as they happen.

            topic = f"v2.users.{user_id}.wem.coaching.notification"
            async with client.topics.subscribe(topic) as events:
                async for event in events:
                    print(event)

        `buffer` events wait for a reader that is slow. With `partial` the stream does without topics that the service refuses;
        `rejected` has them. A stream has a channel of its own, of the 20 that a user and OAuth client can have. It needs the
        extra `live`.

        HTTP: POST /api/v2/notifications/channels, PUT /api/v2/notifications/channels/{channelId}/subscriptions
        and a WebSocket; again whenever that is replaced
        Permission: none, but that of each topic, which `available` tells
        Raises: `ValueError` and `TypeError` now for invalid arguments: no topic, more than 1,000, one of more than 200
        characters, or one that the service sends without a subscription. When the block is entered: `ConfigurationError` without
        the extra, and what follows, which later is raised by the step of the loop: `Forbidden`, which names the missing
        permissions, `ChannelTaken`.
        """
        return TopicStream(
            self._api,
            checked_topics(topics),
            checked_count("buffer", buffer),
            is_partial=checked_flag("partial", partial),
        )


def checked_topics(topics: Iterable[str]) -> tuple[str, ...]:
    """Return topics without duplicates. Raises `ValueError` and `TypeError`."""
    unique = tuple(dict.fromkeys(topics))
    if not unique:
        raise ValueError("no topic is given: client.topics.available() returns those that exist")
    if len(unique) > MAX_TOPICS:
        raise ValueError(
            f"a channel has up to {MAX_TOPICS:,} topics, and {len(unique):,} are given: use several streams"
        )
    for topic in unique:
        if not isinstance(topic, str):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
            raise TypeError(f"a topic is a str, not {kind_of(topic)}")
        if not topic or has_blank_end(topic):
            raise ValueError("a topic is empty, or begins or ends with a blank, a line end or an invisible character")
        if len(topic) > MAX_TOPIC_LENGTH:
            raise ValueError(f"a topic has up to {MAX_TOPIC_LENGTH} characters, and one of {len(topic)} is given")
        if topic.startswith(RESERVED):
            raise ValueError(
                "the service sends channel.metadata and v2.system.* without a subscription: leave them out"
            )
    return unique
