"""A task that belongs to no task group."""

from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Final

import anyio
from anyio.lowlevel import current_token

__all__ = ["DetachedTask"]


class DetachedTask:
    """A task that may be started by one task and stopped by another one.

    A task group has to be left by the task that entered it. The fixtures of test frameworks, and aiohttp's cleanup contexts,
    begin in one task and end in another. The task runs in an empty context, because it serves all subscribers.
    """

    def __init__(self, function: Callable[[], Awaitable[None]], on_ended: Callable[[Exception | None], None]) -> None:
        """Run `function`, and call `on_ended` with its error. A cancellation is no error."""
        self._function: Final = function
        self._on_ended: Final = on_ended
        self._scope: Final = anyio.CancelScope()
        self._ended: Final = anyio.Event()
        self._task: Any = None  # a loop of asyncio references its tasks weakly

    def start(self) -> None:
        """Start the task."""
        loop: Any = current_token().native_token
        if hasattr(loop, "create_task"):  # of asyncio
            self._task = Context().run(loop.create_task, self._run())
            self._task.add_done_callback(self._on_done)  # it may be cancelled before its first step
        else:
            import trio

            trio.lowlevel.spawn_system_task(self._run, context=Context())

    async def stop(self) -> None:
        """Cancel the task, and wait until it has ended, even if the caller is cancelled meanwhile."""
        self._scope.cancel()
        async with anyio.create_task_group() as tasks:  # because no shield stops a native cancellation of asyncio
            tasks.start_soon(self._wait)

    async def _wait(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            with self._scope:
                await self._function()
        except Exception as raised:  # noqa: BLE001 # `on_ended` gets it
            error = raised
        finally:
            self._end(error)

    def _on_done(self, _: object) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._on_ended(error)
