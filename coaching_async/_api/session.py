"""What a client is in one event loop: the way that its requests take, and the calls that are under way."""

import os
import warnings
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

import anyio
import attrs

from coaching_async._auth.grants import Grant
from coaching_async._auth.token_source import TokenSource
from coaching_async._concurrency.synchronization import Signal
from coaching_async._concurrency.tasks import BackgroundTasks
from coaching_async._exceptions import ClientMisuse
from coaching_async._transport.http_client import LazyHttpClient
from coaching_async._transport.messages import Request, Response, Send
from coaching_async._transport.rate_limit import RateLimit

__all__ = ["CLIENT_CLOSED", "AcceptAnyStatus", "Identity", "Pipeline", "Session"]


CLIENT_CLOSED: Final = "this client is closed: make a new one, or call inside its `async with` block"


CLOSE_GRACE_PERIOD: Final = 2.0
"""Seconds that closing waits for the calls that it has ended: their own code may have something to tidy up."""


@attrs.frozen(eq=False, repr=False)
class Identity:
    """As whom requests are sent, and how fast that one may."""

    auth: Grant | TokenSource
    rate_limit: RateLimit


@attrs.frozen(eq=False, repr=False)
class Pipeline:
    """The way of one identity's requests, and the parts of it that can be got ready."""

    send: Send
    tokens: TokenSource
    ping: Send
    """Without token and rate limit, and content with any answer."""


@attrs.define(eq=False, repr=False)
class AcceptAnyStatus:
    """Takes each answer for a good one: somebody is there."""

    send: Send

    async def __call__(self, request: Request) -> Response:
        """Send; only what gets no answer fails."""
        return attrs.evolve(await self.send(request), status=204)


class Session:
    """The ways of requests, as long as it is open."""

    def __init__(
        self, new_pipeline: Callable[[Identity], Pipeline], background: BackgroundTasks, http_client: LazyHttpClient
    ) -> None:
        self.http_client: Final = http_client
        self.is_closed = False
        self._new_pipeline = new_pipeline
        self._pipelines: WeakKeyDictionary[Identity, Pipeline] = WeakKeyDictionary()
        self._background = background
        self._owner_pid: int | None = None
        self._calls: set[anyio.CancelScope] = set()
        self._idle = Signal()
        self._closed = anyio.Event()

    def pipeline(self, identity: Identity) -> Pipeline:
        """Return the pipeline of an identity. It is made at the first use, and kept as long as the identity is alive."""
        pipeline = self._pipelines.get(identity)
        if pipeline is None:
            pipeline = self._pipelines[identity] = self._new_pipeline(identity)
        return pipeline

    def raise_if_closed(self) -> None:
        """Raise `ClientMisuse` where it is."""
        if self.is_closed:
            raise ClientMisuse(CLIENT_CLOSED)

    def add_call(self, call: anyio.CancelScope) -> None:
        """A call is under way: closing cancels it."""
        self._owner_pid = os.getpid()
        self._calls.add(call)

    def remove_call(self, call: anyio.CancelScope) -> None:
        """A call is over."""
        self._calls.discard(call)
        if not self._calls:
            self._idle.notify_all()

    async def aclose(self) -> None:
        """End the calls under way, and then the connections: these also when the caller is cancelled in the middle.

        Who comes second waits for the first.
        """
        if self.is_closed:
            await self._closed.wait()
            return
        self.is_closed = True
        try:
            if self._calls:
                for call in self._calls:
                    call.cancel()
                with anyio.move_on_after(CLOSE_GRACE_PERIOD):
                    await self._idle.wait()
            await self._background.wait_until_idle()
        finally:
            try:
                await self.http_client.close()
            finally:
                self._closed.set()

    def discard(self) -> None:
        """Its event loop is gone, and with it all that could be closed."""
        self.is_closed = True

    def __del__(self) -> None:
        if self._owner_pid == os.getpid() and self.http_client.owns_open_client and not self.is_closed:
            warnings.warn(
                "a CoachingClient was dropped without being closed: use `async with`, or call aclose()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
