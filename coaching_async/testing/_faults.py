"""Faults of a sandbox by the name of the operation that they affect."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coaching_async.sandbox import FaultKind, Operation, Sandbox

__all__ = ["fails", "loses_answer", "never_answers", "route"]


def route(operation: "Operation") -> tuple[str, str]:
    """Return the method and path of one operation: those of a `Fault` with this `operation`.

    Raises: `ValueError` for an unknown operation.
    """
    from coaching_async.sandbox import OPERATIONS, Fault  # needs an extra, which `build` does not need

    Fault("stall", operation=operation)  # refuses an unknown one
    method, path = OPERATIONS[operation]
    return method, f"^{path}$"


def fails(
    sandbox: "Sandbox",
    operation: "Operation",
    status: int = 503,
    *,
    times: float = 1,
    after: int = 0,
    retry_after: float | None = None,
) -> None:
    """Make the next `times` requests of `operation` fail with `status`, after `after` successful ones.

        fails(coaching_sandbox, "appointments.list", 500)

    They change no data. `retry_after` is in seconds. The client retries what it may, so the caller does not see a single
    503 to a read. For that use `math.inf` times.

    Raises: `ValueError` for an unknown operation, as the functions below.
    """
    _add_fault(sandbox, "status", operation, times, after, status, retry_after)


def loses_answer(sandbox: "Sandbox", operation: "Operation", *, times: float = 1, after: int = 0) -> None:
    """Carry out the next `times` requests of `operation`, and cut their connections before the response.

        loses_answer(coaching_sandbox, "appointments.create")

    The first `after` requests are left alone.
    """
    _add_fault(sandbox, "drop_after", operation, times, after)


def never_answers(sandbox: "Sandbox", operation: "Operation", *, times: float = 1, after: int = 0) -> None:
    """Leave the next `times` requests of `operation` without a response, until the caller's deadline.

        never_answers(coaching_sandbox, "appointments.get")

    They change no data.
    """
    _add_fault(sandbox, "stall", operation, times, after)


def _add_fault(
    sandbox: "Sandbox",
    kind: "FaultKind",
    operation: "Operation",
    times: float,
    after: int,
    status: int | None = None,
    retry_after: float | None = None,
) -> None:
    from coaching_async.sandbox import Fault  # needs an extra, which `build` does not need

    fault = Fault(kind, times=times, after=after, status=status, retry_after=retry_after, operation=operation)
    sandbox.faults.add(fault)
