"""Row 98: a caller's own cancellation or timeout stays the caller's own error."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest

from coaching_async import (
    CallFinished,
    CallStarted,
    CoachingError,
    DeadlineExceeded,
    OutcomeUnknown,
    RateLimit,
    RefreshToken,
)
from coaching_async._transport.priority import bulk_priority
from tests.faults.cancellation import Holding, Use, cancelled_at_once, read, warnings_of, write
from tests.faults.support import APPOINTMENT, Source, credentials, failing
from tests.support.cancelling import (
    Way,
    every_way,
    skip_where_unknown,
)
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio


@every_way
@pytest.mark.parametrize("use", [read, write])
async def test_row_98_the_callers_cancellation_is_raised_unchanged(cancel: Way, use: Use, anyio_backend_name: str):
    skip_where_unknown(cancel, anyio_backend_name)
    async with Holding().client(timeout=60) as client:
        await cancelled_at_once(cancel, use, client)


@pytest.mark.parametrize("use", [read, write])
async def test_row_98_a_shorter_fail_after_raises_the_callers_timeout_error(use: Use):
    async with Holding().client(timeout=60) as client:
        started = anyio.current_time()
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(1):
            await use(client)
        assert anyio.current_time() - started == pytest.approx(1)
        assert not isinstance(caught.value, CoachingError)

        with failing(CoachingError) as ours, anyio.fail_after(60):
            await use(client.with_options(timeout=1))
        assert isinstance(ours.value, OutcomeUnknown if use is write else TimeoutError)


Jump: TypeAlias = Callable[[float], None]


@pytest.fixture
def jump(anyio_backend: tuple[str, dict[str, Any]]) -> Jump:
    """Return a function that lets time pass while the event loop is busy."""
    name, options = anyio_backend
    return options["clock"].jump if name == "trio" else lambda seconds: busy(asyncio.get_running_loop(), seconds)


class Busy(Source):
    """A token source that keeps the event loop busy for `seconds`."""

    def __init__(self, jump: Jump) -> None:
        self.seconds = 0
        self.jump = jump

    async def token(self, rejected: str | None = None) -> str:
        self.jump(self.seconds)
        return await super().token(rejected)


async def test_row_98_a_callers_deadline_that_passes_on_a_busy_loop_is_no_rate_limit_error(jump: Jump):
    """Both the caller's deadline and the end of the cooldown pass while the event loop is busy."""
    source = Busy(jump)
    service = Service([answer(status=429, Retry_After="10"), answer(APPOINTMENT)])
    async with service.client(source, timeout=500) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(read, client)
        await anyio.sleep(9)
        source.seconds = 2
        try:
            with anyio.move_on_after(0.5) as scope:
                await read(client)
        finally:
            source.seconds = 0
            tasks.cancel_scope.cancel()
    assert scope.cancelled_caught


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_row_98_a_call_whose_deadline_passes_on_a_busy_loop_is_not_sent(jump: Jump, is_bulk: bool):
    source, service, events = Busy(jump), Service([answer(APPOINTMENT)]), list[object]()
    source.seconds = 2
    async with service.client(source, timeout=1, on_event=events.append) as client:
        if is_bulk:
            (outcome,) = (await client.bulk(client.appointments.delete, ["1"])).outcomes
            error = outcome.error
        else:
            with pytest.raises(DeadlineExceeded) as caught:
                await client.appointments.delete("1")
            error = caught.value

    assert isinstance(error, DeadlineExceeded), "not OutcomeUnknown"
    assert error.attempts == 0
    assert service.requests == []
    assert [type(event) for event in events] == [CallStarted, CallFinished]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("is_bulk", [False, True])
@pytest.mark.parametrize(
    "auth", [Source(), credentials(), RefreshToken("a", "b", refresh_token="c")], ids=["source", "keeper", "rotating"]
)
async def test_row_98_a_call_that_is_cancelled_before_it_starts_sends_nothing_not_even_for_a_token(
    jump: Jump, auth: Any, is_bulk: bool, is_late: bool
):
    service = Service([answer(APPOINTMENT)])
    async with service.client(auth) as client:
        with (
            anyio.CancelScope(deadline=anyio.current_time() + 1) as scope,
            bulk_priority() if is_bulk else nullcontext(),
        ):
            if is_late:
                jump(2)
            else:
                scope.cancel()
            await read(client)
        assert scope.cancelled_caught
        await anyio.sleep(1)

    assert service.requests == []


def busy(loop: Any, seconds: float) -> None:
    loop._jumping.now += seconds


@every_way
async def test_row_98_a_write_cancelled_in_flight_logs_one_warning(
    cancel: Way, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
):
    skip_where_unknown(cancel, anyio_backend_name)
    async with Holding().client() as client:
        await cancelled_at_once(cancel, write, client)
    (said,) = warnings_of(caplog)
    assert said.startswith("annotations.update was cancelled in flight and may have been carried out")

    caplog.clear()
    async with Holding().client() as client:
        await cancelled_at_once(cancel, read, client)
    async with Holding(login=True).client() as client:
        await cancelled_at_once(cancel, write, client)
    for options in ({"rate_limit": RateLimit(1, per=300.0)}, {"max_concurrency": 1}):
        async with Holding().client(**options) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(read, client)
            await anyio.sleep(1)
            await cancelled_at_once(cancel, write, client)
            tasks.cancel_scope.cancel()
    assert warnings_of(caplog) == []
