"""Bulk calls: one call for each of many items, with a concurrency limit, as one result or as a stream."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sized
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar

import anyio.lowlevel

from coaching_async._api.responses import refuse_capture
from coaching_async._concurrency.synchronization import Signal, SingleTaskGuard
from coaching_async._concurrency.tasks import ErrorCollectingTaskGroup
from coaching_async._exceptions import AuthError, ClientMisuse, CoachingError, Unauthorized
from coaching_async._refusals.arguments import checked_awaitable, checked_count
from coaching_async._refusals.async_only import AsyncContextOnly, AsyncOnly
from coaching_async._transport.priority import bulk_priority
from coaching_async._value import summary

from .results import BulkResult, Outcome, Progress

__all__ = ["BulkStream", "Items", "OnProgress", "bulk", "check_progress"]

K = TypeVar("K")
T = TypeVar("T")

Items: TypeAlias = Iterable[K] | AsyncIterable[K]


OnProgress: TypeAlias = Callable[[Progress[K, T]], object]


FATAL_ERRORS: Final = (Unauthorized, AuthError, ClientMisuse)
"""Errors that every other call would raise as well. They stop a bulk."""


async def bulk(
    function: Callable[[K], Awaitable[T]],
    items: Items[K],
    concurrency: int | None,
    on_progress: OnProgress[K, T] | None,
    *,
    default_concurrency: int,
) -> BulkResult[K, T]:
    """Call `function` for each item: see `CoachingClient.bulk`."""
    check_progress(on_progress)
    runner = BulkRunner(function, items, concurrency, default_concurrency)
    total = len(items) if isinstance(items, Sized) else None
    outcomes: list[Outcome[K, T] | None] = []
    done = failed = 0
    try:
        async with runner:
            async for index, outcome in runner:
                runner.capacity.release()
                outcomes += [None] * (index + 1 - len(outcomes))  # earlier calls may still be running
                outcomes[index] = outcome
                done += outcome.is_started
                failed += outcome.error is not None
                if on_progress is not None and outcome.is_started:
                    on_progress(Progress(done, failed, total, outcome))
        outcomes += (Outcome[K, T](item, is_started=False) for item in runner.remaining())
    except CoachingError as error:
        error.partial = tuple(outcome for outcome in outcomes if outcome is not None)
        raise

    async def rerun(items: Iterable[K]) -> BulkResult[K, T]:
        return await bulk(function, items, concurrency, on_progress, default_concurrency=default_concurrency)

    return BulkResult(tuple(outcome for outcome in outcomes if outcome is not None), rerun)


def check_progress(on_progress: object) -> None:
    """Raise `TypeError` unless it is None or a plain function."""
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise TypeError("on_progress is a plain function: it is called whenever a call has ended, and not awaited")


class BulkStream(AsyncOnly, AsyncContextOnly, AsyncIterator[Outcome[K, T]]):
    """Outcomes in the order of the input, inside an `async with` block: see `CoachingClient.bulk_stream`."""

    _instead_of_for = "`async with client.bulk_stream(...) as outcomes`, and `async for outcome in outcomes` in it"
    _instead_of_len = "`await client.bulk(...)`, whose `outcomes` are a tuple"
    _instead_of_index = _instead_of_len

    def __init__(
        self,
        function: Callable[[K], Awaitable[T]],
        items: Items[K],
        concurrency: int | None,
        *,
        default_concurrency: int,
    ) -> None:
        self._runner = BulkRunner(function, items, concurrency, default_concurrency)
        self._buffer: dict[int, Outcome[K, T]] = {}
        self._next = 0
        self._guard = SingleTaskGuard("stream")

    def __repr__(self) -> str:
        return summary(self, read=getattr(self, "_next", 0))  # `__init__` may have raised

    async def __aenter__(self) -> Self:
        await self._runner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.__aexit__(kind, error, traceback)

    async def __anext__(self) -> Outcome[K, T]:
        self._guard.enter()
        try:
            await anyio.lowlevel.checkpoint()
            while self._next not in self._buffer:
                index, outcome = await anext(self._runner)
                self._buffer[index] = outcome
        finally:
            self._guard.exit()
        self._next += 1
        self._runner.capacity.release()
        return self._buffer.pop(self._next - 1)


class BulkRunner(AsyncIterator[tuple[int, Outcome[K, T]]]):
    """Runs one task per item, up to `capacity` at a time, and yields outcomes as they complete, each with its index.

    The consumer releases the capacity of each outcome. All tasks end with the `async with` block. An exception other than
    `CoachingError` cancels the block, and is raised at its end.
    """

    def __init__(
        self, function: Callable[[K], Awaitable[T]], items: Items[K], concurrency: int | None, default_concurrency: int
    ) -> None:
        limit = default_concurrency if concurrency is None else concurrency
        if not callable(function):
            raise TypeError("function is an async function of one item, and is given without being called")
        if isinstance(items, str | bytes) or not isinstance(items, Iterable | AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"items is a list, or any other iterable, of items, and not one {type(items).__name__}")
        self.capacity = anyio.Semaphore(checked_count("concurrency", limit), fast_acquire=True)
        self._function = function
        self._source = aiter(items) if isinstance(items, AsyncIterable) else SyncItems(items)
        self._started = 0
        self._yielded = 0
        self._completed: deque[tuple[int, Outcome[K, T]]] = deque()
        self._changed = Signal()
        self._has_begun = False
        self._is_open = False
        self._is_reading_input = False
        self._is_stopped = False
        self._input_exhausted = False
        self._input_error: CoachingError | None = None

    async def __aenter__(self) -> Self:
        if self._has_begun:
            raise ClientMisuse("this bulk has begun already: make a new one")
        refuse_capture()
        self._tasks = ErrorCollectingTaskGroup()
        await self._tasks.__aenter__()
        self._has_begun = self._is_open = True
        self._tasks.start_soon(self._produce)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(kind, error, traceback)

    async def __anext__(self) -> tuple[int, Outcome[K, T]]:
        if not self._is_open:
            raise ClientMisuse("a bulk_stream is read inside its `async with` block")
        while not self._completed:
            if self._input_exhausted and self._yielded == self._started:
                if self._input_error is not None:
                    raise self._input_error
                raise StopAsyncIteration
            await self._changed.wait()
        self._yielded += 1
        return self._completed.popleft()

    def remaining(self) -> Iterable[K]:
        """Return the items of a sync input that were not read. An async input is not read, because it may wait, or be endless."""
        return self._source.iterator if isinstance(self._source, SyncItems) else ()

    async def _produce(self) -> None:
        with anyio.CancelScope() as self._input_scope:
            try:
                await self._start_calls()
            except CoachingError as error:  # the input, a list for example, failed. Started calls go on.
                self._input_error = error
            finally:
                await self._close_input()
        self._input_exhausted = True
        self._changed.notify_all()

    async def _close_input(self) -> None:
        """Close an async generator. It may hold cancel scopes, which have to be closed in the task that opened them."""
        source: AsyncIterator[Any] = self._source
        if isinstance(source, AsyncGenerator):
            try:
                await source.aclose()
            except* GeneratorExit:  # `aclose` throws it in, and a task group of the generator wraps it
                pass

    async def _start_calls(self) -> None:
        while True:
            await self.capacity.acquire()
            if self._is_stopped:
                return
            self._is_reading_input = True
            try:
                item = await anext(self._source)
            except StopAsyncIteration:
                return
            finally:
                self._is_reading_input = False
            self._tasks.start_soon(self._run_call, self._started, item)
            self._started += 1

    async def _run_call(self, index: int, item: K) -> None:
        outcome = Outcome[K, T](item, is_started=False)
        if not self._is_stopped:
            try:
                with bulk_priority():
                    outcome = Outcome[K, T](item, await checked_awaitable("function", self._function(item)))
            except CoachingError as error:
                outcome = Outcome[K, T](item, error=_without_own_frame(error))
                if isinstance(error, FATAL_ERRORS):
                    self._stop()
            except Exception as error:
                error.add_note(
                    f"raised by the call for item {index} of a bulk, counted from 0; the others were cancelled"
                )
                raise
        self._completed.append((index, outcome))
        self._changed.notify_all()

    def _stop(self) -> None:
        """Start no more calls. Cancel the input only if an item is being waited for, so that it can close normally."""
        self._is_stopped = True
        if self._is_reading_input:
            self._input_scope.cancel()
        else:
            self.capacity.release()  # `_start_calls` may wait for it


class SyncItems(AsyncIterator[K], Generic[K]):
    """A sync iterable as an async iterator."""

    def __init__(self, items: Iterable[K]) -> None:
        self.iterator = iter(items)

    async def __anext__(self) -> K:
        for item in self.iterator:
            return item
        raise StopAsyncIteration


def _without_own_frame(error: CoachingError) -> CoachingError:
    """Remove the frame of `_run_call` from the traceback, because it references the whole bulk, and the bulk the error."""
    assert error.__traceback__ is not None  # noqa: S101 # it was raised
    return error.with_traceback(error.__traceback__.tb_next)
