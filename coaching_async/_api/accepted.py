"""Writes that the service accepts for later (202 Accepted), and the polling for their results."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

import anyio
import attrs

from coaching_async._exceptions import CoachingError, NotFound, OutcomeUnknown, check_before_retrying
from coaching_async._serialization.codec import decode
from coaching_async._transport.messages import CallContext, Response
from coaching_async.models.common import AppointmentReference

from .responses import decode_response

__all__ = ["AcceptedJob", "AcceptedWrite", "HasId", "ResolveAccepted", "read_until_found"]


class HasId(Protocol):
    """A resource with an id."""

    @property
    def id(self) -> str: ...


T = TypeVar("T")
JobT = TypeVar("JobT", bound=HasId)


ResolveAccepted: TypeAlias = Callable[[Callable[[str], Awaitable[T]], str], Awaitable[T]]
"""Returns what was written, given a function that reads the resource of an id, and the id that the 202 named."""


@attrs.define(eq=False, repr=False)
class AcceptedWrite(Generic[T]):
    """A write that may be accepted for later.

    It exists before the call does, because the error of the call carries `reference`, that of the deadline included.
    """

    read: Callable[[CallContext, str], Awaitable[T]]
    resolve_accepted: ResolveAccepted[T]
    reference: AppointmentReference | None = attrs.field(default=None, init=False)

    async def resolve(self, call: CallContext, response: Response) -> T:
        """Return what was written, once it can be read. A captured call does not wait.

        Raises `OutcomeUnknown` if reading fails.
        """
        call.processed = "maybe"
        reference = await decode_response(partial(decode, AppointmentReference), response, call, {202})
        self.reference = reference
        if call.is_captured:
            call.pending_error = self.unknown(call)
            return cast("T", None)
        try:
            written = await self.resolve_accepted(partial(self.read, call), reference.id)
        except (CoachingError, ValueError) as error:
            problem = f"what became of it cannot be read: {error}. {check_before_retrying(call.operation)}"
        else:
            call.processed = "yes"
            return written
        raise self.unknown(call, f", but {problem}")

    def unknown(self, call: CallContext, problem: str = "") -> OutcomeUnknown:
        """Return the error for a result that is not known."""
        error = OutcomeUnknown(f"{call.operation}: accepted for later (202){problem}", processed="maybe")
        error.operation, error.reference = call.operation, self.reference
        return error


@attrs.define(eq=False, repr=False)
class AcceptedJob(Generic[JobT]):
    """A job that the service runs after it has accepted it.

    `latest` is the job as it was last read. The error of the call carries it, that of the deadline included.
    """

    cls: type[JobT]
    read: Callable[[CallContext, str], Awaitable[JobT]]
    is_finished: Callable[[JobT], bool]
    latest: JobT | None = attrs.field(default=None, init=False)

    async def resolve(self, call: CallContext, response: Response) -> JobT:
        """Return the job, once it is finished. A captured call does not wait."""
        job = self.latest = await decode_response(partial(decode, self.cls), response, call, {202})
        intervals = _poll_intervals()
        while not (call.is_captured or self.is_finished(job)):
            await anyio.sleep(next(intervals))
            with suppress(NotFound):  # an accepted job may not be readable yet
                job = self.latest = await self.read(call, job.id)
        return job


async def read_until_found(read: Callable[[str], Awaitable[T]], id_: str) -> T:
    """Poll a new resource until it can be read. The deadline of the call ends the loop."""
    intervals = _poll_intervals()
    while True:
        try:
            return await read(id_)
        except NotFound:
            await anyio.sleep(next(intervals))


def _poll_intervals() -> Iterator[float]:
    """Yield the seconds to wait between polls: 0.25, doubling up to 4."""
    interval = 0.25
    while True:
        yield interval
        interval = min(2 * interval, 4.0)
