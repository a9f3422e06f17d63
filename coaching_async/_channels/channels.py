"""The channels of one listener: creating them, setting their topics, and the token that each was created with."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from coaching_async._api.client import PLATFORM_ROOT, ApiClient
from coaching_async._auth.secret import Secret
from coaching_async._auth.token_source import TokenSource
from coaching_async._exceptions import Forbidden, redact
from coaching_async._transport.httpcore_hooks import hiding_urls
from coaching_async._value import Value
from coaching_async.models.channels import ChannelTopic, ChannelTopicState
from coaching_async.models.common import Page

from .socket.connect_uri import check_connect_uri

__all__ = ["CREATE", "SUBSCRIBE", "Channels"]

CREATE: Final = "topics.create_channel"
SUBSCRIBE: Final = "topics.subscribe"
"""The operations of the two requests that prepare a channel."""


MAX_UNUSED: Final = 2
"""Channels that are remembered besides those in use, because the next WebSocket may be opened to one of them."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreatedChannel(Value):
    """The response to the creation of a channel: of a `Channel`, what a listener cannot do without."""

    id: str = attrs.field(repr=False)
    connect_uri: str = attrs.field(repr=False)
    expires: datetime | None = None


@attrs.frozen(eq=False, repr=False)
class OwnChannel:
    """A channel of the listener. All of it is secret."""

    id: Secret
    connect_uri: Secret
    token: Secret


class Channels:
    """The channels of one listener, by the numbers that its state machine gives them.

    Every request may be repeated like a GET: a channel whose creation was not noticed is not used, and the service forgets it.
    """

    def __init__(self, api: ApiClient, topics: Sequence[str], *, is_partial: bool) -> None:
        self._api = attrs.evolve(api, root=PLATFORM_ROOT)
        self._topics = tuple(topics)
        self._is_partial = is_partial
        self._channels: dict[int, OwnChannel] = {}
        self.created = 0
        """Number of channels that were created."""
        self.rejected: tuple[ChannelTopic, ...] = ()
        """The topics that the service refused when they were last set."""

    def __contains__(self, number: int) -> bool:
        return number in self._channels

    @property
    def topic_count(self) -> int:
        """Number of topics of the listener."""
        return len(self._topics)

    def connect_uri(self, number: int) -> str:
        """Return the address of a channel's WebSocket, which is a secret."""
        return self._channels[number].connect_uri.reveal()

    async def create(self, number: int) -> float | None:
        """Create a channel. Return the number of seconds until it expires, by the clock of the service; None if unknown.

        Raises `DecodeError` if its address leads to another host.
        """
        token = (
            await self._tokens.token()
        )  # before the request, so that a token which came meanwhile is noticed as another
        created = await self._api.send_safely(CreatedChannel, CREATE, "POST", "notifications", "channels")
        check_connect_uri(created.connect_uri, self._api.base_url)
        self._channels[number] = OwnChannel(Secret(created.id), Secret(created.connect_uri), Secret(token))
        self.created += 1
        if created.expires is None:
            return None
        return (created.expires - self._api.clock.to_service_time(datetime.now(UTC))).total_seconds()

    def keep(self, used: Iterable[int]) -> None:
        """Forget channels that are not used, and are not among the newest."""
        unused = sorted(self._channels.keys() - set(used))
        for number in unused[:-MAX_UNUSED]:
            del self._channels[number]

    async def subscribe(self, number: int) -> None:
        """Give a channel exactly the topics of the listener.

        Raises `NotFound` if it does not exist any more, and `Forbidden`, which names the missing permissions, if the service
        refuses a topic. If the listener is partial, all of them have to be refused.
        """
        with hiding_urls():
            answer = await self._api.send_safely(
                Page[ChannelTopic],
                SUBSCRIBE,
                "PUT",
                *("notifications", "channels", self._channels[number].id.reveal(), "subscriptions"),
                filters={"ignore_errors": True},
                body=[{"id": topic} for topic in self._topics],
            )
        self.rejected = tuple(topic for topic in answer.entities if topic.state == ChannelTopicState.REJECTED)
        if self.rejected and (not self._is_partial or len(self.rejected) >= len(self._topics)):
            raise self._refusal()

    async def has_other_token(self, number: int) -> bool:
        """Return whether the client has another token than the one that a channel was created with."""
        return Secret(await self._tokens.token()) != self._channels[number].token

    async def discard_token(self, number: int) -> None:
        """Discard the token that a channel was created with, if the client still has it."""
        await self._tokens.token(rejected=self._channels[number].token.reveal())

    @property
    def _tokens(self) -> TokenSource:
        return self._api.get_session().pipeline(self._api.identity).tokens

    def _refusal(self) -> Forbidden:
        permissions = dict.fromkeys(name for topic in self.rejected for name in topic.missing_permissions)
        reasons = dict.fromkeys(topic.rejection_reason for topic in self.rejected if topic.rejection_reason)
        why = f"the token lacks {redact(', '.join(permissions))}" if permissions else redact("; ".join(reasons))
        is_any_left = len(self.rejected) < len(self._topics)
        error = Forbidden(
            f"{SUBSCRIBE}: the service refuses {len(self.rejected)} of {len(self._topics)} topics"
            f"{f': {why}' if why else ''}{'; partial=True does without them' if is_any_left else ''}"
        )
        error.status, error.operation = 403, SUBSCRIBE
        return error
