"""An async iterator that is fed by one task, for what drives it step by step and ends it abruptly."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Final, Generic, TypeAlias, TypeVar

import anyio

__all__ = ["Put", "TaskIterator"]

T = TypeVar("T")

Put: TypeAlias = Callable[[T], Awaitable[None]]
"""Hands an item over, and waits until there is room for it."""


class TaskIterator(AsyncIterator[T], Generic[T]):
    """Iterates over what a function puts, which runs in one task.

    dlt makes a task of each step of an async iterator, on an event loop of asyncio. If the pipeline fails or is interrupted,
    it cancels the step, and closes the async generators of the loop at the same time. One that is in a step refuses that, and
    its cleanup is cut off. Therefore the work is done by a task. The generator that ends it is never in a step.
    """

    def __init__(self, function: Callable[[Put[T]], Awaitable[None]]) -> None:
        self._function: Final = function
        self._send, self._receive = anyio.create_memory_object_stream[T](1)
        self._task: asyncio.Task[None] | None = None
        self._guard: AsyncGenerator[None] | None = None

    async def __anext__(self) -> T:
        if self._task is None or self._guard is None:
            self._task = asyncio.create_task(self._run())
            self._guard = self._closing(self._task)
            await anext(self._guard)  # now the event loop knows it, and closes it at its end
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            await self._guard.aclose()
            await self._task  # raises its error
            raise StopAsyncIteration from None

    async def _run(self) -> None:
        with self._send:
            await self._function(self._send.send)

    async def _closing(self, task: "asyncio.Task[None]") -> AsyncGenerator[None]:
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._send.close()  # the task may have been cancelled before its first step
            self._receive.close()
            if not task.cancelled():
                task.exception()  # it was seen, as far as asyncio is concerned
