"""State of a client in one event loop: one request pipeline per identity, the open calls, and the HTTP client."""

import os
import warnings
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

import anyio
import attrs

from coaching_async._auth.token_source import TokenSource
from coaching_async._concurrency.event_loop import EventLoopRef
from coaching_async._concurrency.synchronization import Signal
from coaching_async._concurrency.tasks import BackgroundTasks
from coaching_async._exceptions import ClientMisuse
from coaching_async._shared_state.connection import SharedStateConnection
from coaching_async._transport.http_client import LazyHttpClient, SocketClients
from coaching_async._transport.messages import Request, Response, Send
from coaching_async._transport.rate_limit.sharing import Sharing

from .identity_state import Identity, IdentityState
from .name_cache import NameCache

__all__ = ["CLIENT_CLOSED", "AcceptAnyStatus", "Pipeline", "ReadSharing", "Session"]


ReadSharing: TypeAlias = Callable[[], Awaitable[Sharing]]


CLIENT_CLOSED: Final = "this client is closed: make a new one, or call inside its `async with` block"


CLOSE_GRACE_PERIOD: Final = 2.0
"""Seconds that closing waits for the calls that it cancelled, because the code around them may need to clean up."""


@attrs.frozen(eq=False, repr=False)
class Pipeline:
    """The middleware and the transport of one identity's requests, and what was read with them."""

    send: Send
    tokens: TokenSource
    names: NameCache
    ping: Send
    """Sends without token and rate limit, and accepts any status."""
    sharing: ReadSharing | None = None
    """Reads who shares the rate limit; None if it is not shared."""


@attrs.define(eq=False, repr=False)
class AcceptAnyStatus:
    """Middleware that makes any response a success, because it proves that the host is reachable."""

    send: Send

    async def __call__(self, request: Request) -> Response:
        """Send the request. Only a request without a response fails."""
        return attrs.evolve(await self.send(request), status=204)


class Session:
    """The pipelines, open calls and HTTP client of a client in one event loop."""

    _owner: EventLoopRef | None = None
    """Set at the first call. The finalizer finds it in an object that was never initialized, too."""

    def __init__(
        self,
        new_pipeline: Callable[[Identity, IdentityState], Pipeline],
        background: BackgroundTasks,
        http_client: LazyHttpClient,
        socket_clients: SocketClients,
        shared_state: SharedStateConnection | None = None,
    ) -> None:
        self.http_client: Final = http_client
        self.socket_clients: Final = socket_clients
        self.is_closed = False
        self._new_pipeline = new_pipeline
        self._pipelines: WeakKeyDictionary[Identity, Pipeline] = WeakKeyDictionary()
        self._background = background
        self._shared_state = shared_state
        self._calls: set[anyio.CancelScope] = set()
        self._idle = Signal()
        self._closed = anyio.Event()

    def pipeline(self, identity: Identity) -> Pipeline:
        """Return the pipeline of an identity. It is made at the first use, and kept as long as the identity is alive."""
        pipeline = self._pipelines.get(identity)
        if pipeline is None:
            pipeline = self._pipelines[identity] = self._new_pipeline(identity, identity.enter_event_loop())
        return pipeline

    def raise_if_closed(self) -> None:
        """Raise `ClientMisuse` if the session is closed."""
        if self.is_closed:
            raise ClientMisuse(CLIENT_CLOSED)

    def add_call(self, call: anyio.CancelScope) -> None:
        """Register an open call, which closing cancels."""
        if self._owner is None:
            self._owner = EventLoopRef.current()
        self._calls.add(call)

    def remove_call(self, call: anyio.CancelScope) -> None:
        """Remove a call that has ended."""
        self._calls.discard(call)
        if not self._calls:
            self._idle.notify_all()

    async def aclose(self) -> None:
        """Cancel the open calls, then close the connections, even if this task is cancelled meanwhile.

        Idempotent: a second task waits until the first has closed the session.
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
            if self._shared_state is not None:
                self._shared_state.close()
            await self._background.wait_until_idle()
        finally:
            try:
                await self.http_client.close()
            finally:
                self._closed.set()

    def discard(self) -> None:
        """Close the session and its sockets after its event loop has ended."""
        self.is_closed = True
        self.http_client.discard()

    def __del__(self) -> None:
        if self._owner is None or self.is_closed or not self.http_client.owns_open_client:
            return
        if self._owner.is_closed():
            self.http_client.discard()
        if self._owner.process == os.getpid():
            warnings.warn(
                "a CoachingClient was dropped without being closed: use `async with`, or call aclose()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
