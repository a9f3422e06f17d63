"""Checks of what a listener needs: a channel, the permission for its topic, and a WebSocket."""

import uuid
from collections.abc import Iterable
from typing import Final

import anyio

from coaching_async import (
    AvailableTopic,
    ClientMisuse,
    CoachingClient,
    CoachingError,
    ConfigurationError,
    Forbidden,
    RawResponse,
    TopicStream,
    TransportError,
    User,
)

from ._advice import network_advice
from ._operations import Answer, Grants, covers
from ._results import Check

__all__ = ["SUBSCRIBE", "check_channels", "check_topic", "check_websocket", "tried_operations"]

WEBSOCKET: Final = "websocket"
"""The name of the check that opens one."""

CREATE: Final = "topics.create_channel"

SUBSCRIBE: Final = "topics.subscribe"
"""The operation for which a WebSocket is opened."""

CHANNEL_LIMIT: Final = 20

TOPIC: Final = "v2.users.{id}.wem.coaching.notification"

PATIENCE: Final = 40.0
"""Seconds for a channel and a WebSocket."""

PING_PATIENCE: Final = 10.0
"""Seconds for the answer to the ping that a stream sends when its WebSocket is open."""

LET_THROUGH: Final = "Check that the proxy and the firewall of this machine let WebSockets through."

OWN_CLIENT: Final = (
    "Give what listens an OAuth client of its own, because the service removes a channel for another one."
)


def check_channels(answer: Answer | None) -> Check:
    """Check how many channels are in use."""
    if not isinstance(answer, RawResponse):
        return Check("channels", "not known", _unanswered(answer))
    used = len(answer.value)
    sentence = f"{used} of {CHANNEL_LIMIT} are in use by this user and OAuth client"
    if used >= CHANNEL_LIMIT:
        return Check("channels", "problem", sentence, OWN_CLIENT)
    return Check("channels", "ok", sentence)


def check_topic(answer: Answer | None, grants: Grants | None) -> Check:
    """Check what the topic of a user's notifications requires."""
    if not isinstance(answer, RawResponse):
        return Check("notification topic", "not known", _unanswered(answer))
    topics: tuple[AvailableTopic, ...] = answer.value
    topic = next((each for each in topics if each.id == TOPIC), None)
    if topic is None:
        return Check("notification topic", "not known", "the service does not list the topic of notifications")
    needed = topic.requires_permissions
    if topic.requires_current_user:
        return Check("notification topic", "ok", "a user's token hears the notifications of that user, and no others")
    if not needed:
        return Check("notification topic", "ok", "it requires no permission")
    own = "; one's own require none" if topic.requires_current_user_or_permission else ""
    sentence = f"notifications of others require {' or '.join(needed)}{own}"
    if grants is None:
        return Check("notification topic", "not known", f"{sentence}; its roles cannot be read")
    if any(covers(grants, permission) for permission in needed):
        return Check("notification topic", "ok", f"{sentence}; its roles grant that")
    return Check("notification topic", "not allowed", f"{sentence}; its roles do not grant that")


async def check_websocket(client: CoachingClient, me: Answer | None, channels: Check, *, is_needed: bool) -> Check:
    """Check whether a WebSocket can be opened, by opening one if that is asked for and removes no other channel."""
    if not is_needed:
        return Check(
            WEBSOCKET, "not known", f"none was opened, because that makes a channel: --operation {SUBSCRIBE} does"
        )
    if channels.state == "problem":
        return Check(WEBSOCKET, "not known", "none was opened, because that would remove another channel")
    # A client's own token has no user. Of a job that does not exist nothing will come.
    user: User | None = me.value if isinstance(me, RawResponse) else None
    topic = f"v2.coaching.scheduleslots.jobs.{uuid.uuid4()}" if user is None else TOPIC.format(id=user.id)
    try:
        with anyio.fail_after(PATIENCE):
            async with client.topics.subscribe(topic, partial=True) as stream:
                is_heard = await _is_heard(stream)
    except ClientMisuse:
        raise
    except ConfigurationError as error:
        return Check(WEBSOCKET, "problem", str(error))
    except Forbidden as error:
        return Check(WEBSOCKET, "not known", f"none was opened, because the topic is refused: {error}")
    except TransportError as error:
        return Check(WEBSOCKET, "problem", str(error), network_advice(error))
    except CoachingError as error:
        return Check(WEBSOCKET, "problem", str(error))
    except TimeoutError:
        return Check(WEBSOCKET, "problem", f"none was open after {PATIENCE:g} s", LET_THROUGH)
    if not is_heard:
        sentence = f"one was opened, and nothing came over it for {PING_PATIENCE:g} s, not even the answer to a ping"
        return Check(WEBSOCKET, "problem", sentence, LET_THROUGH)
    return Check(WEBSOCKET, "ok", "one was opened, a ping was answered, and it was closed again")


async def _is_heard(stream: TopicStream) -> bool:
    with anyio.move_on_after(PING_PATIENCE):
        while stream.silence is None:  # noqa: ASYNC110 # it ends without an event
            await anyio.sleep(0.02)
    return stream.silence is not None


def tried_operations(checks: Iterable[Check]) -> list[Check]:
    """Return the checks of the operations that opening a WebSocket has tried."""
    if any(check.name == WEBSOCKET and check.state == "ok" for check in checks):
        return [Check(name, "ok", "it was tried, and succeeded") for name in (CREATE, SUBSCRIBE)]
    return []


def _unanswered(answer: Answer | None) -> str:
    return "it was not answered in time" if answer is None else str(answer)
