"""Waiting for something to change."""

import anyio

__all__ = ["Signal"]


class Signal:
    """Wakes everybody who waits for it. Costs nothing while nobody does."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def send(self) -> None:
        """Wake them."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait until it is sent next."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()
