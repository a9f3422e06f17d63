"""Ways to cancel a call, and checks of the client afterwards."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import pytest

from coaching_async import CoachingClient, CoachingError
from coaching_async._transport.concurrency_limit import ConcurrencyLimiter
from coaching_async._transport.rate_limit.limiter import RateLimiter
from tests.support.doubles import http_of, pipeline_of

Action: TypeAlias = Callable[[], Awaitable[Any]]
Way: TypeAlias = Callable[[Action, Action], Awaitable[bool]]
"""Start a call, cancel it when `moment` returns, and return whether it was cancelled: False if it had completed.

An error of the call is raised, unless it is the caller's own cancellation or TimeoutError.
"""


async def by_scope(call: Action, moment: Action) -> bool:
    async def end() -> None:
        await moment()
        scope.cancel()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        with scope:
            tasks.start_soon(end)
            await call()
        tasks.cancel_scope.cancel()
    return scope.cancelled_caught


async def by_task_cancel(call: Action, moment: Action) -> bool:
    task = asyncio.ensure_future(call())
    await moment()
    task.cancel()
    return await _was_cut(task)


async def by_two_cancels(call: Action, moment: Action) -> bool:
    task = asyncio.ensure_future(call())
    await moment()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    return await _was_cut(task)


async def by_timeout(call: Action, moment: Action) -> bool:
    async def end() -> None:
        await moment()
        timeout.reschedule(asyncio.get_running_loop().time())

    ending = asyncio.ensure_future(end())
    try:
        async with asyncio.timeout(None) as timeout:
            await call()
    except TimeoutError as error:
        return _is_the_callers(error)
    finally:
        ending.cancel()
        await asyncio.wait([ending])
    return False


async def by_wait_for(call: Action, moment: Action) -> bool:
    task = asyncio.ensure_future(call())
    await moment()
    try:
        await asyncio.wait_for(task, 0.0001)
    except TimeoutError as error:
        return _is_the_callers(error)
    return False


def _is_the_callers(error: TimeoutError) -> bool:
    """Errors of the client may be TimeoutErrors, too."""
    if isinstance(error, CoachingError):
        raise error
    return True


async def _was_cut(task: "asyncio.Future[Any]") -> bool:
    await asyncio.wait([task])
    with contextlib.suppress(asyncio.CancelledError):
        task.result()
    return task.cancelled()


NATIVE: list[Way] = [by_task_cancel, by_two_cancels, by_timeout, by_wait_for]

every_way = pytest.mark.parametrize("cancel", [by_scope, *NATIVE], ids=lambda way: way.__name__)


def skip_where_unknown(cancel: Way, backend: str) -> None:
    if cancel in NATIVE and backend == "trio":
        pytest.skip("native cancellation of asyncio")


# Private state of a client


def concurrency_limiter_of(client: CoachingClient) -> ConcurrencyLimiter:
    return pipeline_of(client).send.send.send.limiter


def rate_limiter_of(client: CoachingClient) -> RateLimiter:
    return pipeline_of(client).send.limiter


def assert_nothing_is_held(client: CoachingClient, permits: int, *, mocked: bool = False) -> None:
    """Assert that no permit, no lock and no active connection is held."""
    assert concurrency_limiter_of(client)._slots.value == permits
    limiter = rate_limiter_of(client)
    is_locked = any(lock.locked() for lock in limiter._locks.values())
    assert (limiter.window.in_flight, limiter.window.interactive_waiting, is_locked) == (0, 0, False)
    if not mocked:
        pool = http_of(client)._transport._pool
        assert not [
            connection for connection in pool.connections if not connection.is_idle() and not connection.is_closed()
        ]
        assert not pool._requests
